"""The local cloud itself: on loopback, in one folder, gone when it ends, and clear about what is wrong."""

import io
import json
import socket
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import psutil
import pytest

from infra.local_cloud import HOST, ROOT, CloudFailed, MiniStack
from infra.local_cloud_stack import _cdk
from tests.cloud.people import eventually

SLEEPER = "import time\ndef handle(event, context):\n    time.sleep(600)\n"


def start_sleeper(cloud: MiniStack) -> None:
    """Let a function be in the middle of something long."""
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    role = cloud.client("iam").create_role(RoleName="sleeper", AssumeRolePolicyDocument=document)["Role"]["Arn"]
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as file:
        file.writestr("sleeper.py", SLEEPER)
    functions = cloud.client("lambda")
    functions.create_function(
        FunctionName="sleeper",
        Runtime="python3.13",
        Handler="sleeper.handle",
        Role=role,
        Timeout=900,
        Code={"ZipFile": code.getvalue()},
    )
    functions.invoke(FunctionName="sleeper", InvocationType="Event")
    eventually(lambda: psutil.Process(cloud.pid).children(), "the function runs")


def left_in_tmp() -> set[str]:
    """Return what MiniStack would leave for others to find."""
    return {path.name for path in Path(tempfile.gettempdir()).glob("ministack*")}


def test_nothing_is_left_of_it(tmp_path: Path) -> None:
    """Ended with a function at work, it leaves no process, no port and nothing outside its folder."""
    before = left_in_tmp()
    with MiniStack(tmp_path) as cloud:
        start_sleeper(cloud)
        server = psutil.Process(cloud.pid)
        processes = [server, *server.children(recursive=True)]
        listening = [one.laddr for one in server.net_connections() if one.status == psutil.CONN_LISTEN]
        assert left_in_tmp() == before
    assert listening == [(HOST, cloud.port)]
    eventually(lambda: not any(alive(one) for one in processes), "every process has ended")
    with socket.socket() as probe:
        assert probe.connect_ex((HOST, cloud.port)) != 0
    assert left_in_tmp() == before


def alive(process: psutil.Process) -> bool:
    """Whether a process does something still; one that nobody has collected does not."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_functions_inherit_nothing_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key in the environment of who starts the cloud does not reach what runs in it."""
    monkeypatch.setenv("OPENAI_API_KEY", "not for you")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    with MiniStack(tmp_path) as cloud:
        start_sleeper(cloud)
        for process in [psutil.Process(cloud.pid), *psutil.Process(cloud.pid).children()]:
            assert not {"OPENAI_API_KEY", "PYTHONPATH"} & set(process.environ())


def test_a_port_that_is_taken_is_said_so(tmp_path: Path) -> None:
    """Where another listens it does not start, and says why."""
    with socket.socket() as other:
        other.bind((HOST, 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(CloudFailed, match=f"{port} is already in use"), MiniStack(tmp_path, port):
            pass


def test_the_command_says_what_is_wrong_and_leaves_nothing() -> None:
    """`make cloud` on a port that is taken ends with one reason and no folder."""
    folders = set((ROOT / ".cloud").glob("run-*"))
    with socket.socket() as other:
        other.bind((HOST, 0))
        other.listen()
        port = str(other.getsockname()[1])
        done = subprocess.run(  # noqa: S603 - our own
            [sys.executable, "-m", "infra.local_cloud_main", "--port", port],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 1
    assert f"{port} is already in use" in done.stderr
    assert "Traceback" not in done.stderr
    assert set((ROOT / ".cloud").glob("run-*")) == folders


def test_iam_is_enforced(tmp_path: Path) -> None:
    """Who is nobody may nothing."""
    keys = {"aws_access_key_id": "AKIAIOSFODNN7EXAMPLE", "aws_secret_access_key": "x"}
    with MiniStack(tmp_path) as cloud:
        queues = cloud.client("sqs", **keys)
        with pytest.raises(queues.exceptions.ClientError, match="token"):
            queues.list_queues()
        assert cloud.client("sqs").list_queues()["QueueUrls"] == []


def test_a_failing_deployment_says_why(tmp_path: Path) -> None:
    """What the CDK said stands in the error."""
    with MiniStack(tmp_path) as cloud, pytest.raises(CloudFailed, match="platform takes aws or host"):
        _cdk(cloud, ROOT, "synth", "--quiet", "--output", str(tmp_path / "cdk.out"), "-c", "platform=moon")
