"""The runs that ended beyond their suite: over all shards, at one price, by their keys alone."""

from typing import Any

import pytest

from playbyplay.adapters.dynamo_ended_runs import DynamoEndedRuns
from playbyplay.adapters.dynamo_shards import shard_of
from playbyplay.adapters.tables import SHARDS
from playbyplay.errors import StoreUnavailable
from playbyplay.ports import Job
from tests.contract.tables import Stored
from tests.fakes.ids import uuid
from tests.unit.playbyplay.adapters.recording_aws import RecordingAws, refusal

NOW = 1_750_000_000_000
MANY = 3 * SHARDS


@pytest.fixture
async def table(aws: RecordingAws) -> str:
    """Make the table of runs; return its name."""
    return (await Stored.made(aws)).runs


async def ended(aws: RecordingAws, table: str, number: int, user: str, at_ms: int | None) -> Job:
    """Write what a settle leaves of a run; an earlier version left no time."""
    item: dict[str, Any] = {"pk": {"S": f"U#{user}"}, "sk": {"S": f"RUN#{uuid(number)}"}, "status": {"S": "failed"}}
    if at_ms is not None:
        item |= {"ended_shard": {"S": shard_of(uuid(number))}, "ended_ms": {"N": str(at_ms)}}
    await aws.call("dynamodb", "put_item", {"TableName": table, "Item": item})
    return Job(user, uuid(number))


async def test_ended_runs_are_found_in_every_shard(aws: RecordingAws, table: str) -> None:
    """Whoever's they are, also a user whose name looks like a key; the newest first."""
    jobs = [await ended(aws, table, number, f"U#user {number % 5}", NOW + number) for number in range(MANY)]
    assert len({shard_of(job.run_id) for job in jobs}) == SHARDS
    store = DynamoEndedRuns(aws, table)
    assert await store.between(from_ms=NOW, to_ms=NOW + MANY, limit=1_000) == jobs[::-1]
    assert await store.between(from_ms=NOW + 3, to_ms=NOW + 9, limit=1_000) == jobs[8:2:-1]
    for limit in (1, 2, 5):
        assert await store.between(from_ms=NOW, to_ms=NOW + MANY, limit=limit) == jobs[: -limit - 1 : -1]


@pytest.mark.parametrize("runs", [0, 1, MANY])
async def test_a_look_costs_a_page_of_each_shard(aws: RecordingAws, table: str, runs: int) -> None:
    """However many runs ended; a page has as many as are wanted, and no time at all costs nothing."""
    for number in range(runs):
        await ended(aws, table, number, "ann", NOW + number)
    aws.calls.clear()
    store = DynamoEndedRuns(aws, table)
    assert len(await store.between(from_ms=0, to_ms=NOW * 2, limit=2)) == min(runs, 2)
    assert aws.operations == ["query"] * SHARDS
    assert {params["Limit"] for _operation, params in aws.calls} == {2}
    aws.calls.clear()
    assert await store.between(from_ms=NOW, to_ms=NOW, limit=2) == []
    assert aws.operations == []


async def test_a_run_that_an_earlier_version_ended_is_not_told(aws: RecordingAws, table: str) -> None:
    """It has no time; the others are told."""
    await ended(aws, table, 1, "ann", None)
    told = await ended(aws, table, 2, "ann", NOW)
    assert await DynamoEndedRuns(aws, table).between(from_ms=0, to_ms=NOW * 2, limit=9) == [told]


@pytest.mark.parametrize("shard", range(SHARDS))
async def test_a_shard_that_does_not_answer_is_no_empty_one(aws: RecordingAws, table: str, shard: int) -> None:
    """Who looks for what is missing has to know that it did not see everything; one refusal is not noticed."""
    job = await ended(aws, table, 1, "ann", NOW)
    store = DynamoEndedRuns(aws, table)
    throttled = refusal("ThrottlingException")
    aws.fail("query", *[None] * shard, throttled)
    assert await store.between(from_ms=0, to_ms=NOW * 2, limit=9) == [job]
    aws.fail("query", *[None] * shard, throttled, *[None] * (SHARDS - 1 - shard), throttled, throttled)
    with pytest.raises(StoreUnavailable):
        await store.between(from_ms=0, to_ms=NOW * 2, limit=9)
