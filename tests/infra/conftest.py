"""Three deployments, and one whose findings nobody explained, synthesised at once when the first test asks."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.infra.synthesis import Stack, finish, start

OWN = {
    "origins": "https://chat.example.org",
    "concurrency": "30",
    "reserved": "40",
    "rate": "300",
    "burst": "600",
    "alarm_email": "on-call@example.org",
    "runbooks": "https://git.example.org/playbyplay/blob/main/",
}
FOREIGN = {
    "issuer": "https://id.example.org/realm",
    "audience": "page",
    "authorize_url": "https://id.example.org/realm/authorize",
    "token_url": "https://id.example.org/realm/token",
    "scope": "openid offline_access",
    "model_secret": "model-key",
    "model": "large",
    "model_url": "https://models.example.org/v1",
    "account_logs": "0",
    "double_text": "reject",
    "open_runs": "9",
    "messages_per_minute": "30",
    "alarm_url": "https://pager.example.org/playbyplay",
}
HOST = {
    "platform": "host",
    "callback": "http://localhost:4566/_aws/execute-api",
    "ticket_in_query": "1",
    "test_logins": "1",
    "keep_data": "0",
}


@dataclass(frozen=True, slots=True)
class Deployments:
    """`own`: as it comes, with a few numbers. `foreign`: another's accounts and a model. `host`: for a local cloud."""

    own: Stack
    foreign: Stack
    host: Stack
    unexplained: Path


@pytest.fixture(scope="session")
def deployments(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployments]:
    """All three."""
    folders = [tmp_path_factory.mktemp(name) for name in ("own", "foreign", "host")]
    unexplained = tmp_path_factory.mktemp("unexplained")
    running = [start(folder, **context) for folder, context in zip(folders, (OWN, FOREIGN, HOST), strict=True)]
    failing = start(unexplained, "tests.infra.unexplained", **OWN)
    try:
        for process in running:
            code, told = finish(process)
            assert code == 0, told
        finish(failing)
        own, foreign, host = (Stack.read(folder) for folder in folders)
        yield Deployments(own, foreign, host, unexplained)
    finally:
        for process in [*running, failing]:
            process.kill()
            process.communicate()
        for folder in [*folders, unexplained]:
            shutil.rmtree(folder)


@pytest.fixture
def own(deployments: Deployments) -> Stack:
    """The deployment as it comes."""
    return deployments.own


@pytest.fixture
def foreign(deployments: Deployments) -> Stack:
    """The deployment with another's accounts and a model."""
    return deployments.foreign


@pytest.fixture
def host(deployments: Deployments) -> Stack:
    """The deployment for a local cloud."""
    return deployments.host


@pytest.fixture
def alarms(own: Stack) -> dict[str, dict[str, Any]]:
    """The alarms as they stand in the template, by name."""
    return {path.removeprefix("Monitoring/"): alarm for path, alarm in own.of("AWS::CloudWatch::Alarm").items()}
