"""The stack, deployed once for all cases into a cloud of its own; each case has users of its own."""

import asyncio
import itertools
from collections.abc import Callable, Iterator

import pytest

from infra.local_cloud import MiniStack
from infra.local_cloud_stack import Deployment, deploy
from tests.cloud.people import Person

_NAMES = itertools.count(1)


@pytest.fixture(scope="session")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """The stack, ready to serve."""
    with MiniStack(tmp_path_factory.mktemp("cloud")) as cloud:
        deployment = deploy(cloud)
        asyncio.run(deployment.warm())
        yield deployment


@pytest.fixture
def newcomer(deployed: Deployment) -> Callable[[], Person]:
    """Makes a user nobody has seen."""
    return lambda: Person(deployed, f"user-{next(_NAMES)}@example.com")
