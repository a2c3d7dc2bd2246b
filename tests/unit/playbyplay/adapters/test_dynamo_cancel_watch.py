"""The watch that looks at the run every so often."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from playbyplay.adapters.dynamo_cancel_watch import DynamoCancelWatch
from tests.contract.aws_homes import AwsHome, moto_home
from tests.contract.test_run_store import accepted_turns
from tests.histories import USER


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[AwsHome]:
    async with moto_home(tmp_path) as opened:
        yield opened


def looks(home: AwsHome) -> int:
    return sum(operation == "get_item" for operation, _params in home.aws.calls)


async def test_a_run_shorter_than_the_pause_costs_no_call(home: AwsHome) -> None:
    """The first look comes after the first pause, two seconds unless told."""
    (run,) = await accepted_turns(home, 1)
    home.aws.calls.clear()
    watch = DynamoCancelWatch(home.aws, home.stored.runs).requested(USER, run.run_id)
    await asyncio.sleep(0.05)
    watch.cancel()
    assert home.aws.calls == []


async def test_a_watch_that_is_cancelled_looks_no_more(home: AwsHome) -> None:
    """The end of the run is the end of the looking."""
    (run,) = await accepted_turns(home, 1)
    third = asyncio.Event()

    async def third_look() -> None:
        third.set()

    home.aws.plan(None, None, third_look)
    home.aws.calls.clear()
    watch = DynamoCancelWatch(home.aws, home.stored.runs, every_s=0.001).requested(USER, run.run_id)
    await asyncio.wait_for(third.wait(), 5)
    watch.cancel()
    with pytest.raises(asyncio.CancelledError):
        await watch
    seen = looks(home)
    await asyncio.sleep(0.02)
    assert looks(home) == seen


async def test_a_look_that_failed_is_no_end(home: AwsHome) -> None:
    """The store can do nothing for a while; the next look finds the mark."""
    (run,) = await accepted_turns(home, 1)
    await home.runs.request_cancel(USER, run.run_id)
    home.aws.calls.clear()
    home.aws.plan("throttled", "lost", "throttled")
    await asyncio.wait_for(DynamoCancelWatch(home.aws, home.stored.runs, every_s=0.001).requested(USER, run.run_id), 5)
    assert looks(home) == 4


async def test_a_look_reads_one_attribute(home: AwsHome) -> None:
    """The mark alone, and not at the price of a strongly consistent read."""
    (run,) = await accepted_turns(home, 1)
    await home.runs.request_cancel(USER, run.run_id)
    home.aws.calls.clear()
    await asyncio.wait_for(DynamoCancelWatch(home.aws, home.stored.runs, every_s=0.001).requested(USER, run.run_id), 5)
    ((_operation, params),) = home.aws.calls
    assert params["ProjectionExpression"] == "cancel"
    assert "ConsistentRead" not in params
