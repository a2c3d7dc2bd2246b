"""Threads in DynamoDB: the first open turn, and a map that says too much."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from playbyplay.adapters.dynamo_run_items import Thread
from playbyplay.adapters.dynamo_runs_table import RunsTable
from playbyplay.adapters.dynamo_threads import Threads
from playbyplay.domain.thread import Run
from playbyplay.errors import StoreUnavailable
from tests.contract.aws_homes import AwsHome, moto_home
from tests.contract.test_run_store import accepted_turns
from tests.histories import OTHER, THREAD, USER


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[AwsHome]:
    async with moto_home(tmp_path) as opened:
        yield opened


@pytest.fixture
def threads(home: AwsHome) -> Threads:
    return Threads(RunsTable(home.aws, home.stored.runs), home.clock)


def operations(home: AwsHome) -> list[str]:
    return [operation for operation, _params in home.aws.calls]


async def head(threads: Threads) -> Run | None:
    """Return the first open turn of the thread as it is read now."""
    return await threads.head(USER, THREAD, await threads.get(USER, THREAD))


def key(run: Run) -> dict[str, Any]:
    return {"pk": {"S": f"U#{run.user}"}, "sk": {"S": f"RUN#{run.run_id}"}}


async def item(home: AwsHome, run: Run) -> dict[str, Any]:
    """Return the item of a run."""
    answer = await home.aws.call("dynamodb", "get_item", {"TableName": home.stored.runs, "Key": key(run)})
    found: dict[str, Any] = answer["Item"]
    return found


async def put(home: AwsHome, kept: dict[str, Any]) -> None:
    await home.aws.call("dynamodb", "put_item", {"TableName": home.stored.runs, "Item": kept})


async def without_run(home: AwsHome, run: Run) -> None:
    """Delete the item of a run, whose thread goes on listing it."""
    await home.aws.call("dynamodb", "delete_item", {"TableName": home.stored.runs, "Key": key(run)})
    home.aws.calls.clear()


async def test_a_thread_is_its_users(home: AwsHome, threads: Threads) -> None:
    """It lists its open turns, and another user has no such thread."""
    first, second = await accepted_turns(home, 2)
    assert await threads.get(USER, THREAD) == Thread(3, {1: first.run_id, 2: second.run_id}, 2)
    assert await threads.get(OTHER, THREAD) is None
    assert await threads.head(OTHER, THREAD, None) is None


async def test_closing_a_turn_moves_the_thread_once(home: AwsHome, threads: Threads) -> None:
    """Repeated, or for a run that is not the one of that turn, it changes nothing and tells how the thread stands."""
    first, second = await accepted_turns(home, 2)
    closed = Thread(3, {2: second.run_id}, 3)
    for turn, run_id in ((1, first.run_id), (1, first.run_id), (2, first.run_id)):
        assert await threads.close(USER, THREAD, turn, run_id) == closed
    assert await threads.close(OTHER, THREAD, 1, first.run_id) is None


async def test_a_closed_run_that_its_thread_holds_open_is_taken_out(home: AwsHome, threads: Threads) -> None:
    """Who looks for the head repairs the thread and finds the next."""
    first, second = await accepted_turns(home, 2)
    assert await head(threads) == first
    await put(home, await item(home, first) | {"status": {"S": "failed"}})
    assert await head(threads) == second
    home.aws.calls.clear()
    assert await head(threads) == second
    assert operations(home) == ["get_item", "get_item"]


async def test_a_run_that_is_gone_is_no_head(home: AwsHome, threads: Threads) -> None:
    """Looked for three times; of an age at which the table forgets runs its turn is taken out."""
    first, second = await accepted_turns(home, 2)
    await without_run(home, first)
    home.clock.advance(44 * 86_400)
    assert await head(threads) == second
    assert operations(home) == ["get_item"] * 4 + ["update_item", "get_item"]


@pytest.mark.parametrize("days", [0, 20])
async def test_a_run_that_is_not_seen_stays_listed(home: AwsHome, threads: Threads, days: int) -> None:
    """Its transaction may be half applied for longer than a reader looks: taken out, it would never be sent."""
    (run,) = await accepted_turns(home, 1)
    kept = await item(home, run)
    await without_run(home, run)
    home.clock.advance(days * 86_400)  # the ids of the tests are 22 days old
    with pytest.raises(StoreUnavailable):
        await head(threads)
    await put(home, kept)
    assert await head(threads) == run


async def test_a_run_seen_late_is_the_head(home: AwsHome, threads: Threads) -> None:
    """A reader that meets the thread before the run of one transaction waits for it."""
    (run,) = await accepted_turns(home, 1)
    home.aws.plan(None, {})
    assert await head(threads) == run
