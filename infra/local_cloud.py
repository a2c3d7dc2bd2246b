"""The AWS home on this machine: `make cloud`. The CDK's own CLI deploys the stack into MiniStack, no account needed.

MiniStack runs in an environment of its own (.cloud/venv), because its functions run under its Python and
may find our packages only in their layers. IAM is enforced. Everything is on loopback and in one folder.
"""

import contextlib
import os
import signal
import socket
import subprocess
import time
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import boto3

ROOT = Path(__file__).resolve().parent.parent
HOST = "127.0.0.1"
REGION, ACCOUNT, KEY = "us-east-1", "000000000000", "test"  # MiniStack's own, and the key of its root user
_PYTHON = ROOT / ".cloud" / "venv" / "bin" / "python"
_GATEWAY = Path(__file__).with_name("local_cloud_gateway.py")
_START_S = 30.0
_POLL_S = 0.05
_TAIL_LINES = 20


class CloudFailed(Exception):
    """The local cloud does not work; the message says why."""


class MiniStack:
    """A cloud while it is entered.

    Args:
        folder: where it writes everything: its log, the functions it unpacks.
        port: on loopback; a free one unless told.

    Attributes:
        url: of every service.
        pid: of the server, whose children run the functions.
        log: what it and the functions said.
    """

    def __init__(self, folder: Path, port: int | None = None) -> None:
        self.folder = folder
        self.port = port or _free_port()
        self.url = f"http://{HOST}:{self.port}"
        self.log = folder / "ministack.log"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Start it and return when it answers.

        Raises:
            CloudFailed: it cannot.
        """
        if not _PYTHON.exists():
            raise CloudFailed("MiniStack is not installed. Run `make .cloud/.installed` first.")
        (self.folder / "tmp").mkdir(parents=True, exist_ok=True)
        with self.log.open("wb") as log:
            # -I: without it our modules beside the file would stand in for the standard library's.
            self._process = subprocess.Popen(
                [_PYTHON, "-I", _GATEWAY],
                env=self._environment(),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            self._wait()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it and every function."""
        self._end()

    @property
    def pid(self) -> int:
        """The process id of the server."""
        assert self._process is not None  # noqa: S101 - entered
        return self._process.pid

    def environment(self) -> dict[str, str]:
        """Return the variables by which an SDK or the CDK finds it, as its root user."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": KEY,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def client(self, service: str, **keys: str) -> Any:  # noqa: ANN401 - boto3 makes its clients at run time
        """Return a client, of the root user unless other keys are given as boto3 names them."""
        return self.client_at(self.url, service, **keys)

    def client_at(self, url: str, service: str, **keys: str) -> Any:  # noqa: ANN401 - as above
        """Return a client of a service that has a place of its own."""
        keys = keys or {"aws_access_key_id": KEY, "aws_secret_access_key": KEY}
        return boto3.client(service, endpoint_url=url, region_name=REGION, **keys)

    def tail(self) -> str:
        """Return the end of the log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-_TAIL_LINES:])

    def _environment(self) -> dict[str, str]:
        """Functions inherit this: nothing of the caller's, no key above all, may be in it."""
        there = str(self.folder)
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "LANG": "C.UTF-8",
            "HOME": there,
            "TMPDIR": str(self.folder / "tmp"),
            "GATEWAY_PORT": str(self.port),
            "BIND_HOST": HOST,
            "MINISTACK_HOST": HOST,
            "AUTH": "true",
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": KEY,
            "AWS_DEFAULT_REGION": REGION,
            "STATE_DIR": f"{there}/state",
            "S3_DATA_DIR": f"{there}/s3",
            "DOCKER_HOST": f"unix://{there}/no-docker",
            "SFTP_ENABLED": "0",
            "IOT_MTLS_ENABLED": "0",
        }

    def _wait(self) -> None:
        assert self._process is not None  # noqa: S101 - just started
        ends = time.monotonic() + _START_S
        while self._process.poll() is None and time.monotonic() < ends:
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.url}/_ministack/ready", timeout=1):  # noqa: S310 - ours
                return
            time.sleep(_POLL_S)
        raise CloudFailed(f"MiniStack did not start on port {self.port}.\n{self.tail()}")

    def _end(self) -> None:
        """End the server and its functions, which are in its group, at once: there is nothing it has to put away."""
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
