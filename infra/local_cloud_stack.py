"""The stack in the local cloud: bootstrapped, synthesised and deployed as a real one, and its users.

Only context values differ from AWS: third-party code for this machine, where @connections is, tickets
by query (MiniStack echoes no subprotocol), passwords for scripts.
"""

import asyncio
import json
import os
import secrets
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from infra import toolchain
from infra.local_cloud import ACCOUNT, REGION, ROOT, CloudFailed, MiniStack
from playbyplay_client.client import PlaybyplayClient
from playbyplay_client.dialer import SignIn
from playbyplay_client.pace import Pace

STACK = "Playbyplay"
_DEPLOY_S = 240.0
_COLD_S = 90.0
_PLACE = "_aws/execute-api"  # where MiniStack keeps its APIs: /_aws/execute-api/{api}/{stage}


@dataclass(frozen=True, slots=True)
class Deployment:
    """A stack in a cloud.

    Attributes:
        cloud: where it is.
        outputs: what the stack tells of itself.
    """

    cloud: MiniStack
    outputs: dict[str, str]

    @property
    def origin(self) -> str:
        """An origin that its doors let in: that of a page beside the ticket endpoint."""
        return self.cloud.url

    @property
    def socket_url(self) -> str:
        """Where the socket is, without a ticket."""
        return self.outputs["SocketUrl"]

    @property
    def ticket_url(self) -> str:
        """Where a bearer of a token POSTs for a ticket."""
        return f"{self.cloud.url}/{_PLACE}/{self.outputs['TicketApiId']}/$default/ticket"

    def sign_up(self, name: str) -> str:
        """Make a user with a password nobody knows and return the user's ID token."""
        users = self.cloud.client("cognito-idp")
        pool, password = self.outputs["UserPoolId"], f"{secrets.token_urlsafe(24)}aA1!"
        users.admin_create_user(UserPoolId=pool, Username=name, MessageAction="SUPPRESS")
        users.admin_set_user_password(UserPoolId=pool, Username=name, Password=password, Permanent=True)
        answer = users.initiate_auth(
            ClientId=self.outputs["UserPoolClientId"],
            AuthFlow="USER_PASSWORD_AUTH",
            AuthParameters={"USERNAME": name, "PASSWORD": password},
        )
        return str(answer["AuthenticationResult"]["IdToken"])

    async def warm(self) -> None:
        """Hold one turn, so that every function has started once and is ready."""
        sign_in = SignIn(ticket_url=self.ticket_url, token=self.sign_up("warm-up@example.com"), in_query=True)
        pace = Pace(connect_s=_COLD_S, answer_s=_COLD_S)
        async with asyncio.timeout(_COLD_S), PlaybyplayClient(self.socket_url, sign_in=sign_in, pace=pace) as client:
            async for _ in await client.send("hello"):
                pass


def deploy(cloud: MiniStack) -> Deployment:
    """Deploy the stack.

    Raises:
        CloudFailed: with what the CDK said.
    """
    assembly, outputs = cloud.folder / "cdk.out", cloud.folder / "outputs.json"
    context = {
        "platform": "host",
        "callback": f"{cloud.url}/{_PLACE}",
        "ticket_in_query": "1",
        "test_logins": "1",
        "origins": cloud.url,
        "keep_data": "0",
    }
    chosen = [word for name, value in context.items() for word in ("-c", f"{name}={value}")]
    toolchain.install()
    with ThreadPoolExecutor() as pool:  # neither needs the other; away from cdk.json, bootstrap asks for no app
        synth = pool.submit(_cdk, cloud, ROOT, "synth", "--quiet", "--output", str(assembly), *chosen)
        bootstrap = pool.submit(_cdk, cloud, cloud.folder, "bootstrap", f"aws://{ACCOUNT}/{REGION}")
        for part in (bootstrap, synth):
            part.result()
    _cdk(
        cloud,
        cloud.folder,
        "deploy",
        "--app",
        str(assembly),
        "--require-approval",
        "never",
        "--progress",
        "events",
        "--outputs-file",
        str(outputs),
    )
    return Deployment(cloud, json.loads(outputs.read_text())[STACK])


def _cdk(cloud: MiniStack, where: Path, *arguments: str) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "CDK_", "OPENAI_"))}
    quiet = {"TMPDIR": str(cloud.folder / "tmp")}
    environment = {**toolchain.environment(kept), **cloud.environment(), **quiet}
    command = [*toolchain.cdk(), "--no-notices", "--no-color", *arguments]
    try:
        done = subprocess.run(
            command,
            cwd=where,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_DEPLOY_S,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        said = late.stdout.decode(errors="replace") if late.stdout else ""
        raise CloudFailed(f"cdk {arguments[0]} took longer than {_DEPLOY_S:g} s.\n{said}\n{cloud.tail()}") from None
    if done.returncode:
        raise CloudFailed(f"cdk {arguments[0]} failed.\n{done.stdout}\n{cloud.tail()}")
