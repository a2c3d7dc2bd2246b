"""The run store on DynamoDB beyond its suite: what it costs, and what a lost answer or a broken settle leaves."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from playbyplay.domain.thread import Run
from playbyplay.errors import StoreUnavailable
from playbyplay.ports import MAX_TURNS, Acquired
from tests.contract.aws_homes import AwsHome, Fault, moto_home
from tests.contract.test_run_store import LEASE, NOW, acceptance, accepted_turns, acquired
from tests.fakes.ids import uuid
from tests.histories import THREAD, USER

INDEXED = {"open_since", "open_shard", "next_check_ms"}
ENDED = {"ended_shard", "ended_ms"}


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[AwsHome]:
    async with moto_home(tmp_path) as opened:
        yield opened


def operations(home: AwsHome) -> list[str]:
    return [operation for operation, _params in home.aws.calls]


async def item(home: AwsHome, run: Run) -> dict[str, Any]:
    """Return the item of a run."""
    key = {"pk": {"S": f"U#{run.user}"}, "sk": {"S": f"RUN#{run.run_id}"}}
    answer = await home.aws.call("dynamodb", "get_item", {"TableName": home.stored.runs, "Key": key})
    found: dict[str, Any] = answer["Item"]
    return found


async def test_the_end_of_a_lone_turn_costs_two_calls(home: AwsHome) -> None:
    """The thread, then the run; nothing is read where nothing is open."""
    (run,) = await accepted_turns(home, 1)
    home.aws.calls.clear()
    assert (await home.runs.settle(run, "completed")).head is None
    assert operations(home) == ["update_item", "update_item"]
    keys = [params["Key"]["sk"]["S"] for _operation, params in home.aws.calls]
    assert keys == [f"THREAD#{THREAD}", f"RUN#{run.run_id}"]


async def test_taking_a_lease_costs_one_call(home: AwsHome) -> None:
    """Taken or not."""
    (run,) = await accepted_turns(home, 1)
    for _ in range(2):
        home.aws.calls.clear()
        await home.runs.acquire(USER, run.run_id, "one", now_ms=NOW, lease_until_ms=LEASE)
        assert operations(home) == ["update_item"]


async def test_only_a_run_accepted_behind_an_open_turn_may_wait(home: AwsHome) -> None:
    """A later turn with nothing open before it at its acceptance need not look."""
    first, second = await accepted_turns(home, 2)
    await home.runs.settle(first, "completed")
    await home.runs.settle(second, "completed")
    third = (await home.runs.accept(acceptance(2, new_thread=False))).run
    fourth = (await home.runs.accept(acceptance(3, new_thread=False))).run
    waits = {}
    for run in (third, fourth):
        taken = await home.runs.acquire(USER, run.run_id, "one", now_ms=NOW, lease_until_ms=LEASE)
        assert isinstance(taken, Acquired)
        waits[run.turn] = taken.may_wait
    assert waits == {3: False, 4: True}


async def test_a_lease_whose_answer_was_lost_is_ours(home: AwsHome) -> None:
    """The second try finds the first one's lease; one attempt is counted."""
    (run,) = await accepted_turns(home, 1)
    home.aws.plan("unanswered")
    taken = await acquired(home, run)
    assert (taken.owner, taken.attempts) == ("one", 1)


async def test_a_release_whose_answer_was_lost_is_one_release(home: AwsHome) -> None:
    """No attempt is taken back twice."""
    (run,) = await accepted_turns(home, 1)
    for number in range(3):
        await acquired(home, run, now_ms=LEASE * number, lease_until_ms=LEASE * number + 1)
    home.aws.plan("unanswered")
    await home.runs.release(USER, run.run_id, "one")
    kept = await home.runs.get(USER, run.run_id)
    assert kept is not None
    assert (kept.attempts, kept.owner, kept.status) == (2, None, "running")


async def test_giving_a_lease_back_costs_one_call(home: AwsHome) -> None:
    """An own one or not."""
    (run,) = await accepted_turns(home, 1)
    await acquired(home, run)
    for owner in ("two", "one"):
        home.aws.calls.clear()
        await home.runs.release(USER, run.run_id, owner)
        assert operations(home) == ["update_item"]


async def test_a_lease_of_the_same_owner_and_another_end_is_not_ours(home: AwsHome) -> None:
    """Only a lost answer of this very call is taken for success; an earlier lease is held like any other's."""
    (run,) = await accepted_turns(home, 1)
    await acquired(home, run)
    for owner, lease_until_ms, taken in (
        ("one", LEASE + 1, False),
        ("two", LEASE, False),
        ("one", LEASE, True),
    ):
        outcome = await home.runs.acquire(USER, run.run_id, owner, now_ms=NOW, lease_until_ms=lease_until_ms)
        assert isinstance(outcome, Acquired) == taken
    kept = await home.runs.get(USER, run.run_id)
    assert kept is not None
    assert (kept.attempts, kept.lease_until_ms) == (1, LEASE)


async def test_an_open_run_is_to_be_looked_at_after_its_lease(home: AwsHome) -> None:
    """A minute after its acceptance, then half a minute after each end of a lease; a settled one never again."""
    (run,) = await accepted_turns(home, 1)
    checks = [int((await item(home, run))["next_check_ms"]["N"])]
    await acquired(home, run)
    checks.append(int((await item(home, run))["next_check_ms"]["N"]))
    await home.runs.renew(USER, run.run_id, "one", lease_until_ms=LEASE + 10_000, reset_attempts=False)
    checks.append(int((await item(home, run))["next_check_ms"]["N"]))
    assert checks == [NOW + 60_000, LEASE + 30_000, LEASE + 40_000]
    assert set(await item(home, run)) >= INDEXED
    assert ENDED.isdisjoint(await item(home, run))
    await home.runs.settle(run, "completed")
    assert INDEXED.isdisjoint(await item(home, run))


async def test_the_write_that_ends_a_run_puts_it_among_those_that_ended(home: AwsHome) -> None:
    """With the store's own time, in the shard that the run was open in; another settle writes nothing."""
    (run,) = await accepted_turns(home, 1)
    shard = (await item(home, run))["open_shard"]
    home.clock.ms = NOW + 7_000
    home.aws.calls.clear()
    await home.runs.settle(run, "completed")
    assert operations(home) == ["update_item", "update_item"]
    kept = await item(home, run)
    assert {name: kept[name] for name in ENDED} == {"ended_shard": shard, "ended_ms": {"N": str(NOW + 7_000)}}
    home.clock.ms = NOW + 8_000
    await home.runs.settle(run, "failed")
    assert await item(home, run) == kept


async def test_a_settle_whose_answer_was_lost_ends_a_run_once(home: AwsHome) -> None:
    """The time of the first try stays."""
    (run,) = await accepted_turns(home, 1)
    home.clock.ms = NOW + 7_000
    home.aws.plan(None, "unanswered", lambda: _later(home))
    await home.runs.settle(run, "completed")
    assert home.clock.ms == NOW + 9_000
    assert (await item(home, run))["ended_ms"] == {"N": str(NOW + 7_000)}


async def _later(home: AwsHome) -> None:
    home.clock.ms = NOW + 9_000


async def test_a_turn_with_a_next_one_costs_two_calls_more(home: AwsHome) -> None:
    """The thread, a look at the next turn, which is brought forward before the run of this one is closed."""
    first, second = await accepted_turns(home, 2)
    home.aws.calls.clear()
    assert (await home.runs.settle(first, "completed")).head == second
    keys = [(operation, params["Key"]["sk"]["S"]) for operation, params in home.aws.calls]
    assert keys == [
        ("update_item", f"THREAD#{THREAD}"),
        ("get_item", f"RUN#{second.run_id}"),
        ("update_item", f"RUN#{second.run_id}"),
        ("update_item", f"RUN#{first.run_id}"),
    ]


@pytest.mark.parametrize("call", range(4))
@pytest.mark.parametrize("fault", ["lost", "unanswered"])
async def test_a_settle_that_breaks_off_loses_nobody(home: AwsHome, call: int, fault: Fault) -> None:
    """Whichever call it was: this run is still to be looked at, or the next one soon is. Repeated, it is finished."""
    first, second = await accepted_turns(home, 2)
    await home.overdue.postpone(USER, second.run_id, until_ms=NOW + 10**9)
    home.aws.plan(*[None] * call, fault, "throttled", "throttled")
    with pytest.raises(StoreUnavailable):
        await home.runs.settle(first, "completed")
    soon = {job.run_id for job in await home.overdue.first(now_ms=NOW + 60_001, limit=8)}
    stored = await item(home, first)
    assert first.run_id in soon or second.run_id in soon
    if stored["status"]["S"] == "completed":
        assert second.run_id in soon
    assert (await home.runs.settle(first, "completed")).head == second
    kept = await home.runs.get(USER, first.run_id)
    assert kept is not None
    assert kept.status == "completed"
    assert [job.run_id for job in await home.overdue.first(now_ms=NOW + 60_001, limit=8)] == [second.run_id]


async def test_a_next_turn_that_ends_meanwhile_is_not_brought_back(home: AwsHome) -> None:
    """It left the index of open runs, and the look at it stays out."""
    first, second = await accepted_turns(home, 2)
    home.aws.plan(None, None, lambda: home.runs.settle(second, "failed"))
    await home.runs.settle(first, "completed")
    assert INDEXED.isdisjoint(await item(home, second))


async def test_a_settle_takes_out_its_own_turn_alone(home: AwsHome) -> None:
    """A run that is not the one of the turn it names moves nothing."""
    first, second = await accepted_turns(home, 2)
    assert (await home.runs.settle(replace(second, turn=1), "completed")).head == first


async def test_a_settle_that_does_not_see_the_next_turn_is_not_done(home: AwsHome) -> None:
    """The run stays to be looked at, or nobody would send that turn; once it is seen the settle is finished."""
    first, second = await accepted_turns(home, 2)
    kept = await item(home, second)
    key = {"pk": {"S": f"U#{USER}"}, "sk": {"S": f"RUN#{second.run_id}"}}
    await home.aws.call("dynamodb", "delete_item", {"TableName": home.stored.runs, "Key": key})
    with pytest.raises(StoreUnavailable):
        await home.runs.settle(first, "completed")
    assert set(await item(home, first)) >= INDEXED
    await home.aws.call("dynamodb", "put_item", {"TableName": home.stored.runs, "Item": kept})
    assert (await home.runs.settle(first, "completed")).head == second


async def test_turns_beyond_a_hundred_come_in_order(home: AwsHome) -> None:
    """256 at the most, in one query and three batches."""
    for number in range(260):
        for put in _written(home, number):
            await home.aws.call("dynamodb", "put_item", put)
    home.aws.calls.clear()
    runs = await home.runs.turns(USER, THREAD, from_turn=2)
    assert [run.turn for run in runs] == list(range(2, 2 + MAX_TURNS))
    assert operations(home) == ["query", *["batch_get_item"] * 3]
    for from_turn in (10**10 - 5, 10**10):
        home.aws.calls.clear()
        assert await home.runs.turns(USER, THREAD, from_turn=from_turn) == []
        for _operation, params in home.aws.calls:  # DynamoDB refuses a range whose end comes before its start
            values = params["ExpressionAttributeValues"]
            assert values[":first"]["S"] <= values[":last"]["S"]
    assert [run.turn for run in await home.runs.turns(USER, THREAD, from_turn=-5, to_turn=10**12)] == list(
        range(1, 251)
    )


def _written(home: AwsHome, number: int) -> list[dict[str, Any]]:
    """Return a turn and its run, without the thread: an accept of each would take long on moto."""
    run_id, turn = uuid(100 + number), number + 1
    pk = {"pk": {"S": f"U#{USER}"}}
    texts = {"user": USER, "run_id": run_id, "thread_id": THREAD, "content_digest": "", "status": "queued"}
    fields = {name: {"S": text} for name, text in texts.items()}
    fields |= {name: {"N": str(value)} for name, value in (("turn", turn), ("created_ms", NOW), ("deadline_ms", NOW))}
    items = (
        pk | {"sk": {"S": f"TURN#{THREAD}#{turn:010d}"}, "run_id": {"S": run_id}},
        pk | fields | {"sk": {"S": f"RUN#{run_id}"}},
    )
    return [{"TableName": home.stored.runs, "Item": one} for one in items]
