"""`make cloud`: the whole system on a local cloud until Ctrl-C, and how to talk with it.

The token it makes goes into a file that only its owner can read, never to the terminal.
"""

import argparse
import asyncio
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path

from infra.local_cloud import ROOT, CloudFailed, MiniStack
from infra.local_cloud_metrics import forwarding
from infra.local_cloud_stack import Deployment, deploy

PORT = 4566  # MiniStack's usual one
USER = "you@example.com"


def main(argv: Sequence[str] | None = None) -> int:
    """Start, deploy, tell, wait; return the exit code."""
    parser = argparse.ArgumentParser(description="Playbyplay on a local cloud: MiniStack and the real CDK.")
    parser.add_argument("--port", type=int, default=PORT, help="on 127.0.0.1 (%(default)s)")
    options = parser.parse_args(argv)
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    (ROOT / ".cloud").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=ROOT / ".cloud", prefix="run-", ignore_cleanup_errors=True) as folder:
        try:
            with MiniStack(Path(folder), options.port) as cloud:
                _say("The local cloud is up. Deploying the stack; this takes about a minute.")
                deployed = deploy(cloud)
                with forwarding(cloud):
                    asyncio.run(deployed.warm())
                    _tell(deployed)
                    stopped.wait()
                    _say("\nEnding.")
        except CloudFailed as failure:
            sys.stderr.write(f"{failure}\n")
            return 1
    return 0


def _tell(deployed: Deployment) -> None:
    token = deployed.cloud.folder / "token"
    with os.fdopen(os.open(token, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
        file.write(deployed.sign_up(USER))
    bearer = f'-H "Authorization: Bearer $(cat {token})" -H "Origin: {deployed.origin}"'
    _say(
        f"""
Playbyplay is deployed at {deployed.cloud.url}, as {USER}, whose token (good for an hour) is in
  {token}

Chat:
  PLAYBYPLAY_TOKEN=$(cat {token}) .venv/bin/playbyplay chat --url {deployed.socket_url} \\
    --ticket-url '{deployed.ticket_url}' --ticket-in-query "Analyze my database performance"

A ticket, for any other client; it opens {deployed.socket_url}?ticket=... once, within 30 s:
  curl -X POST {bearer} '{deployed.ticket_url}'

Look inside with any AWS tool: AWS_ENDPOINT_URL={deployed.cloud.url} AWS_ACCESS_KEY_ID=test \\
  AWS_SECRET_ACCESS_KEY=test AWS_DEFAULT_REGION=us-east-1. Metrics come and alarms ring, but for those on metric math.
What the functions say: {deployed.cloud.log}

Ctrl-C ends it; nothing stays."""
    )


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
