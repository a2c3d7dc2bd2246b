"""Every suite here runs on each home: the fakes, what stands behind the ports on one machine, and AWS twice."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from infra.local_cloud import MiniStack
from tests.contract.aws_homes import AwsHome, aws_home
from tests.contract.home import Home
from tests.contract.homes import HOMES, MINISTACK


@pytest.fixture(scope="session")
def ministack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One MiniStack for all suites; each test has tables of its own."""
    with MiniStack(tmp_path_factory.mktemp("ministack")) as cloud:
        yield cloud.url


@pytest.fixture(params=[*HOMES, MINISTACK])
async def home(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Home]:
    ours = HOMES.get(request.param)
    async with ours(tmp_path) if ours else aws_home(request.getfixturevalue("ministack")) as opened:
        yield opened
        await asyncio.sleep(0)


@pytest.fixture
async def cloud(ministack: str) -> AsyncIterator[AwsHome]:
    """The AWS home on MiniStack, whose DynamoDB is safe under many clients at once."""
    async with aws_home(ministack) as opened:
        yield opened
