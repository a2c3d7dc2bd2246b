"""The overdue runs beyond their suite: over all shards, at one price; and since when several users wait."""

import pytest

from playbyplay.adapters.dynamo_overdue_runs import DynamoOverdueRuns
from playbyplay.adapters.dynamo_run_store import DynamoRunStore
from playbyplay.adapters.tables import SHARDS
from playbyplay.domain.thread import Run, digest
from playbyplay.domain.timing import timestamp
from playbyplay.errors import StoreUnavailable
from playbyplay.ports import Acceptance, Job, Limits
from tests.contract.tables import Stored
from tests.fakes.clock import FakeClock
from tests.fakes.ids import FakeIds
from tests.unit.playbyplay.adapters.recording_aws import RecordingAws, refusal

USERS = ("ann", "ben", "cleo")


class Office:
    """The store of runs, and those that are overdue."""

    def __init__(self, aws: RecordingAws, stored: Stored) -> None:
        self.table = stored.runs
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
            run,
            new_thread=thread_id is None,
            content="Hi.",
            timestamp=timestamp(now_ms),
            token=self.ids.uuid(),
            limits=Limits(open_runs=64),
        )
        return (await self.runs.accept(acceptance)).run

    async def first(self, limit: int = 1_000) -> list[Job]:
        """Return what is overdue now."""
        return await self.overdue.first(now_ms=self.clock.now_ms(), limit=limit)

    async def acquire(self, run: Run) -> None:
        """Let a runner take a run."""
        now_ms = self.clock.now_ms()
        await self.runs.acquire(run.user, run.run_id, "owner", now_ms=now_ms, lease_until_ms=now_ms + 30_000)


@pytest.fixture
async def office(aws: RecordingAws) -> Office:
    return Office(aws, await Stored.made(aws))


async def test_overdue_runs_are_found_in_every_shard(office: Office) -> None:
    """Whoever's they are, also a user whose name looks like a key; in the order of when they were to be looked at."""
    runs = []
    for number in range(3 * SHARDS):
        runs.append(await office.accept(f"U#user {number % 5}"))
        office.clock.advance(0.001)
    office.clock.advance(60)
    assert await office.first() == [Job(run.user, run.run_id) for run in runs]
    assert await office.first(limit=5) == [Job(run.user, run.run_id) for run in runs[:5]]


async def test_a_look_costs_a_page_of_each_shard(office: Office, aws: RecordingAws) -> None:
    """However many runs are overdue, and what is read is their keys."""
    for _ in range(3 * SHARDS):
        await office.accept("ann")
    office.clock.advance(61)
    aws.calls.clear()
    assert len(await office.first(limit=1)) == 1
    assert aws.operations == ["query"] * SHARDS
    assert {params["Limit"] for _operation, params in aws.calls} == {1}


async def test_putting_off_a_look_costs_one_call(office: Office, aws: RecordingAws) -> None:
    """Of a run that is open or that is not; what has ended is left alone."""
    run = await office.accept("ann")
    for _ in range(2):
        aws.calls.clear()
        await office.overdue.postpone("ann", run.run_id, until_ms=office.clock.now_ms() + 1)
        assert aws.operations == ["update_item"]
        await office.runs.settle(run, "failed")
    key = {"pk": {"S": "U#ann"}, "sk": {"S": f"RUN#{run.run_id}"}}
    kept = await aws.call("dynamodb", "get_item", {"TableName": office.table, "Key": key})
    assert "next_check_ms" not in kept["Item"]


async def test_one_users_backlog_is_not_everybodys(office: Office) -> None:
    """However many runs of one user wait, and however long, nobody else is held back for them; nor for two users."""
    for number in range(40):
        await office.accept("greedy" if number % 3 else "keen")
    office.clock.advance(3_000)
    assert await office.overdue.behind_since_ms() is None
    third = await office.accept("ann")
    assert await office.overdue.behind_since_ms() == third.created_ms


async def test_a_wait_that_three_users_share_is_a_backlog(office: Office) -> None:
    """Since the oldest run of the third; a later run of a user who waits already says nothing."""
    assert await office.overdue.behind_since_ms() is None
    runs = []
    for number in range(2 * SHARDS):
        runs.append(await office.accept(f"user {number % SHARDS}"))
        office.clock.advance(1)
    assert await office.overdue.behind_since_ms() == runs[2].created_ms
    await office.overdue.postpone(runs[2].user, runs[2].run_id, until_ms=office.clock.now_ms() + 9_000_000)
    assert await office.overdue.behind_since_ms() == runs[2].created_ms  # wherever its look was put off to
    await office.acquire(runs[0])
    assert await office.overdue.behind_since_ms() == runs[3].created_ms
    for run in runs[1:]:
        await office.runs.settle(run, "failed")
    assert await office.overdue.behind_since_ms() is None


async def test_a_run_that_was_taken_once_counts_as_started(office: Office) -> None:
    """Released or fallen: its age says nothing of how long its job waits."""
    runs = [await office.accept(user) for user in USERS]
    assert await office.overdue.behind_since_ms() is not None
    await office.acquire(runs[0])
    await office.runs.release(runs[0].user, runs[0].run_id, "owner")
    assert await office.overdue.behind_since_ms() is None


async def test_a_run_behind_another_turn_counts_for_no_backlog(office: Office) -> None:
    """It waits for its thread, an hour maybe, while every runner is free."""
    for user in USERS:
        first = await office.accept(user)
        await office.accept(user, first.thread_id)
        await office.acquire(first)
    assert await office.overdue.behind_since_ms() is None


async def test_the_oldest_are_looked_for_in_a_page_of_each_shard(office: Office, aws: RecordingAws) -> None:
    """DynamoDB refuses a filter on a key of the index, moto does not."""
    aws.calls.clear()
    await office.overdue.behind_since_ms()
    assert aws.operations == ["query"] * SHARDS
    for _operation, query in aws.calls:
        assert query["Limit"] == 1_000
        assert not any(key in query["FilterExpression"] for key in ("next_check_ms", "open_shard"))


async def test_a_store_that_does_not_answer_is_no_empty_list(office: Office, aws: RecordingAws) -> None:
    """An alarm must not take silence for health."""
    aws.fail("query", *[refusal("ThrottlingException")] * 100)
    for ask in (office.first, office.overdue.behind_since_ms):
        with pytest.raises(StoreUnavailable):
            await ask()
    aws.fail("update_item", *[refusal("ThrottlingException")] * 3)
    with pytest.raises(StoreUnavailable):
        await office.overdue.postpone("ann", "run", until_ms=1)
