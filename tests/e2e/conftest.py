"""A home shared by the cases of a module, and the two users each case begins with."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.e2e.home import RunningHome, Scene, running_home, scene


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def home(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningHome]:
    """One home for all cases; each has users of its own."""
    async with running_home(tmp_path_factory.mktemp("home")) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def stage(home: RunningHome) -> AsyncIterator[Scene]:
    """Two users who have just connected; the second has a turn at work."""
    async with scene(home) as two:
        yield two
