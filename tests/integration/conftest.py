"""One deployment a test."""

from collections.abc import AsyncIterator

import pytest

from tests.integration.cloud_house import CloudHouse, cloud_house


@pytest.fixture
async def house() -> AsyncIterator[CloudHouse]:
    async with cloud_house() as opened:
        yield opened
