"""Every suite here runs on each home: the fakes, and what stands behind the ports on one machine."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.contract.homes import HOMES, Home


@pytest.fixture(params=HOMES)
async def home(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Home]:
    async with HOMES[request.param](tmp_path) as opened:
        yield opened
        await asyncio.sleep(0)
