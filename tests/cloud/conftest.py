"""The stack, deployed once for all cases into a cloud of its own; each case has users of its own."""

import asyncio
import itertools
from collections.abc import Callable, Iterator

import pytest

from infra.local_cloud import MiniStack
from infra.local_cloud_metrics import forwarding
from infra.local_cloud_stack import Deployment, deploy
from tests.cloud.fall import Fall, fall
from tests.cloud.people import Person

_NAMES = itertools.count(1)
_LAST = "tests/cloud/test_alarm.py"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the alarm be asked for last: what it waits for, minutes without a finding, passes during the other cases."""
    ours = [place for place, item in enumerate(items) if item.nodeid.startswith("tests/cloud/")]
    ordered = sorted((items[place] for place in ours), key=lambda item: item.nodeid.startswith(_LAST))
    for place, item in zip(ours, ordered, strict=True):
        items[place] = item


@pytest.fixture(scope="session")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """The stack, ready to serve."""
    with MiniStack(tmp_path_factory.mktemp("cloud")) as cloud:
        deployment = deploy(cloud)
        with forwarding(cloud):
            asyncio.run(deployment.warm())
            yield deployment


@pytest.fixture(scope="session")
def fallen(deployed: Deployment) -> Fall:
    """A run whose runner was killed inside a tool, and what was seen of it meanwhile."""
    return asyncio.run(fall(deployed))


@pytest.fixture
def newcomer(deployed: Deployment) -> Callable[[], Person]:
    """Makes a user nobody has seen."""
    return lambda: Person(deployed, f"user-{next(_NAMES)}@example.com")
