"""The overdue runs: counted over all users and all shards, and over every page."""

import pytest

from playbyplay.adapters.dynamo_overdue_runs import DynamoOverdueRuns
from playbyplay.adapters.dynamo_run_store import DynamoRunStore
from playbyplay.adapters.tables import OPEN_SHARDS
from playbyplay.domain.thread import Run, digest
from playbyplay.domain.timing import timestamp
from playbyplay.errors import StoreUnavailable
from playbyplay.ports import Acceptance
from tests.contract.tables import Stored
from tests.fakes.clock import FakeClock
from tests.fakes.ids import FakeIds
from tests.unit.playbyplay.adapters.recording_aws import RecordingAws, refusal


class Office:
    """The store of runs, and the count of those that are overdue."""

    def __init__(self, aws: RecordingAws, stored: Stored) -> None:
        self.clock, self.ids = FakeClock(), FakeIds()
        self.runs = DynamoRunStore(aws, self.clock, stored.runs, stored.journal)
        self.overdue = DynamoOverdueRuns(aws, stored.runs)

    async def accept(self, user: str, thread_id: str | None = None) -> Run:
        """Make a run, of a new thread unless told."""
        now_ms = self.clock.now_ms()
        run = Run(
            user, self.ids.uuid(), thread_id or self.ids.uuid(), 0, None, digest("Hi."), now_ms, now_ms + 7_200_000
        )
        acceptance = Acceptance(
            run, new_thread=thread_id is None, content="Hi.", timestamp=timestamp(now_ms), token=self.ids.uuid()
        )
        return (await self.runs.accept(acceptance)).run

    async def count(self) -> int:
        """Return how many are overdue now."""
        return await self.overdue.count(now_ms=self.clock.now_ms())


@pytest.fixture
async def office(aws: RecordingAws) -> Office:
    return Office(aws, await Stored.made(aws))


async def test_a_run_is_overdue_when_nobody_took_it_for_a_minute(office: Office) -> None:
    """Whoever's it is and whatever shard it is in; not before."""
    for number in range(3 * OPEN_SHARDS):
        await office.accept(f"user {number % 5}")
    office.clock.advance(60)
    assert await office.count() == 0
    office.clock.advance(0.001)
    assert await office.count() == 3 * OPEN_SHARDS


async def test_an_owner_is_given_its_lease_and_half_a_minute(office: Office) -> None:
    """Each renewal puts it off; an owner that fell is overdue."""
    run = await office.accept("ann")
    office.clock.advance(50)
    now_ms = office.clock.now_ms()
    await office.runs.acquire(run.user, run.run_id, "owner", now_ms=now_ms, lease_until_ms=now_ms + 30_000)
    office.clock.advance(60)
    assert await office.count() == 0
    office.clock.advance(1)
    assert await office.count() == 1


async def test_a_run_that_waits_for_its_turn_is_not_overdue(office: Office) -> None:
    """The turn before it may take an hour; once somebody owned it, it is as overdue as any."""
    first = await office.accept("ann")
    second = await office.accept("ann", first.thread_id)
    office.clock.advance(3600)
    assert await office.count() == 1
    await office.runs.settle(first, "completed")
    now_ms = office.clock.now_ms()
    await office.runs.acquire("ann", second.run_id, "owner", now_ms=now_ms, lease_until_ms=now_ms + 30_000)
    office.clock.advance(61)
    assert await office.count() == 1


async def test_a_run_that_waits_for_an_hour_is_overdue(office: Office) -> None:
    """It was to have begun by then, so the turn before it never sent it; counted once."""
    first = await office.accept("ann")
    await office.accept("ann", first.thread_id)
    await office.runs.settle(first, "completed")
    office.clock.advance(3660)
    assert await office.count() == 0
    office.clock.advance(0.001)
    assert await office.count() == 1


async def test_a_filter_names_no_key(office: Office, aws: RecordingAws) -> None:
    """DynamoDB refuses a filter on a key of the index, moto does not; no range is empty or meets another."""
    now_ms = office.clock.now_ms()
    await office.count()
    ranges = set()
    for operation, query in aws.calls:
        if operation == "query":
            assert not any(key in query.get("FilterExpression", "") for key in ("next_check_ms", "open_shard"))
            values = query["ExpressionAttributeValues"]
            ranges.add((int(values[":first"]["N"]), int(values[":last"]["N"])))
    hour = 3_600_000
    assert ranges == {(0, now_ms - hour - 1), (now_ms - hour, now_ms - 1)}


async def test_a_run_that_has_ended_is_never_overdue(office: Office) -> None:
    """It is in no index any more."""
    run = await office.accept("ann")
    office.clock.advance(3600)
    assert await office.count() == 1
    await office.runs.settle(run, "failed")
    assert await office.count() == 0


async def test_every_page_is_counted(office: Office, aws: RecordingAws, monkeypatch: pytest.MonkeyPatch) -> None:
    """A count ends at a megabyte, and goes on where it ended."""
    for _ in range(2 * OPEN_SHARDS + 1):  # so that some shard has more than two
        await office.accept("ann")
    office.clock.advance(3600)
    call = aws.call

    async def one_by_one(service: str, operation: str, params: object) -> object:
        assert isinstance(params, dict)
        return await call(service, operation, params | ({"Limit": 1} if operation == "query" else {}))

    monkeypatch.setattr(aws, "call", one_by_one)
    assert await office.count() == 2 * OPEN_SHARDS + 1


async def test_a_store_that_does_not_answer_is_no_zero(office: Office, aws: RecordingAws) -> None:
    """An alarm must not take silence for health."""
    aws.fail("query", *[refusal("ThrottlingException")] * 100)
    with pytest.raises(StoreUnavailable):
        await office.count()
