"""`cancel`: durable when it is answered; a run nobody owns ends at once, an owned one by its owner."""

import asyncio
from collections.abc import Callable

import pytest

from playbyplay.domain.journal import Record
from playbyplay.domain.thread import Run
from playbyplay.errors import Refused
from playbyplay.ports import Acquired, Job
from playbyplay.protocol.commands import Cancel
from playbyplay.protocol.replies import CancelAccepted
from tests.fakes.faults import Fault, fail_after, fail_before, lost
from tests.fakes.ids import uuid
from tests.fakes.journal import FakeJournal
from tests.fakes.leaps import Leaps
from tests.histories import OTHER, USER, Story, call
from tests.house import House


async def cancelled(house: House, run: Run) -> CancelAccepted:
    return await house.cancel(house.caller("other="), Cancel(run_id=run.run_id))


async def owned(house: House, run: Run) -> None:
    now_ms = house.clock.now_ms()
    taken = await house.runs.acquire(USER, run.run_id, "owner", now_ms=now_ms, lease_until_ms=now_ms + 30_000)
    assert isinstance(taken, Acquired)


def goes_on(house: House, run: Run, story: Story) -> None:
    """Let the journal of a run go on as a story's does."""
    first, *rest = story.records
    assert first.pos == 0
    for record in rest:
        house.journal.put(USER, run.run_id, record)


async def test_a_queued_run_is_ended_by_the_canceller() -> None:
    """A fence and a lone error; settled; the user's connections see it."""
    house = House()
    await house.watch()
    run = await house.say()
    assert await cancelled(house, run) == CancelAccepted(run_id=run.run_id)
    history = house.history(run)
    assert [(event.type, event.seq) for event in history.events] == [("error", 1)]
    assert history.epoch == 1
    assert house.run(run.run_id).status == "cancelled"
    (frame,) = house.gateway.frames(house.seen, "error")
    assert (frame["code"], frame["run_id"]) == ("cancelled", run.run_id)


async def test_the_log_tells_what_a_user_wanted_to_end() -> None:
    """Once it is durable, whoever ends the run; an end that is nobody's wish is ended in silence."""
    house = House()
    queued, at_work, nobodys = [await house.say() for _ in range(3)]
    await owned(house, at_work)
    for run in (queued, at_work):
        await cancelled(house, run)
    assert await house.cancel.end(house.caller("other="), Cancel(run_id=nobodys.run_id)) == CancelAccepted(
        run_id=nobodys.run_id
    )
    assert house.run(nobodys.run_id).status == "cancelled"
    assert house.log.of("cancel_requested") == [{"run_id": queued.run_id}, {"run_id": at_work.run_id}]


async def test_the_turn_behind_a_cancelled_one_is_sent() -> None:
    """Whoever settles a turn sends the next."""
    house = House()
    first = await house.say("One.")
    second = await house.say("Two.", thread_id=first.thread_id)
    house.queue.sent.clear()
    await cancelled(house, first)
    assert house.queue.sent == [Job(USER, second.run_id)]


async def test_a_run_somebody_owns_is_left_to_its_owner() -> None:
    """The wish is durable, the owner is told, and the journal is the owner's."""
    house = House()
    run = await house.say()
    await owned(house, run)
    house.faults.calls.clear()
    await cancelled(house, run)
    assert house.run(run.run_id).cancel
    assert house.faults.count("journal.append") == 0
    assert house.run(run.run_id).status == "running"


async def test_a_run_whose_owner_died_is_ended_with_its_calls_closed() -> None:
    """After the lease the canceller is an owner like any other."""
    house = House()
    run = await house.say()
    goes_on(house, run, Story().starts().asks(call(1), call(2)).returns("c2"))
    await owned(house, run)
    house.lease_ends()
    await cancelled(house, run)
    events = house.history(run).events
    assert [event.type for event in events][-2:] == ["tool_completed", "error"]
    assert [getattr(event, "status", None) for event in events][-2] == "cancelled"
    assert house.run(run.run_id).status == "cancelled"


async def test_a_cancel_after_the_last_checkpoint_loses() -> None:
    """The answer is known: the run completes, by the hand of the canceller."""
    house = House()
    run = await house.say()
    goes_on(house, run, Story().starts().answers())
    await owned(house, run)
    house.lease_ends()
    await cancelled(house, run)
    assert house.events(run)[-2:] == ["agent_completed", "final_response"]
    assert house.run(run.run_id).status == "completed"


async def test_a_cancel_after_the_end_changes_nothing() -> None:
    """It is accepted, as the run has its terminal."""
    house = House()
    run = await house.say()
    await cancelled(house, run)
    records = house.journal.records(USER, run.run_id)
    assert await cancelled(house, run) == CancelAccepted(run_id=run.run_id)
    assert house.journal.records(USER, run.run_id) == records


async def test_an_end_the_store_did_not_note_is_noted() -> None:
    """The journal is the truth: the status is repaired from it, and no second terminal is written."""
    house = House()
    run = await house.say()
    goes_on(house, run, Story().starts().answers().completes())
    await cancelled(house, run)
    assert house.run(run.run_id).status == "completed"
    assert house.events(run).count("final_response") == 1
    assert "error" not in house.events(run)


async def test_an_absent_run_and_a_foreign_one_are_not_found() -> None:
    """In the same words; a foreign run is not touched."""
    house = House()
    theirs = await house.say(user=OTHER)
    for run_id in (theirs.run_id, uuid(404)):
        with pytest.raises(Refused) as refused:
            await house.cancel(house.caller(), Cancel(run_id=run_id))
        assert (refused.value.code, refused.value.message) == ("not_found", "There is no such run.")
        assert refused.value.run_id == run_id
    assert house.run(theirs.run_id, OTHER) == theirs
    assert house.log.of("cancel_requested") == []


FAILING = [
    (fail_before, name) for name in ("runs.request_cancel", "runs.acquire", "journal.read", "runs.settle", "queue.send")
]


@pytest.mark.parametrize(
    ("fault", "operation"), [*FAILING, (lost, "runs.request_cancel"), (fail_after, "runs.request_cancel")]
)
async def test_a_store_that_fails_is_overload(operation: str, fault: Callable[[], Fault]) -> None:
    """The client tries again, and then the run ends in one terminal; the wish is told once, when it is accepted."""
    house = House()
    first = await house.say()
    await house.say("Two.", thread_id=first.thread_id)
    house.faults.plan(operation, fault())
    with pytest.raises(Refused) as refused:
        await cancelled(house, first)
    assert (refused.value.code, refused.value.run_id, refused.value.retryable) == ("overloaded", first.run_id, True)
    assert house.log.of("cancel_requested") == []
    house.lease_ends()
    await cancelled(house, first)
    assert house.events(first) == ["error"]
    assert house.run(first.run_id).status == "cancelled"
    assert house.log.of("cancel_requested") == [{"run_id": first.run_id}]


async def test_an_owner_that_is_faster_wins() -> None:
    """Between the lease and the append somebody else wrote: the wish is accepted all the same."""
    house = House()
    run = await house.say()
    rival = Story().starts()
    first = house.journal.records(USER, run.run_id)

    class Faster(FakeJournal):
        async def append(self, user: str, run_id: str, record: Record) -> None:
            if len(self.records(user, run_id)) == len(first):
                self.put(user, run_id, rival.records[1])
            await super().append(user, run_id, record)

    faster = Faster(house.faults)
    faster.slots = house.journal.slots
    house.journal = faster
    assert await cancelled(house, run) == CancelAccepted(run_id=run.run_id)
    assert house.events(run) == ["agent_started"]
    assert house.run(run.run_id).cancel


async def test_a_run_is_ended_and_settled_behind_a_slow_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """The end is told to every connection before it is settled; one that takes its time does not cut that off."""
    house, leap = House(), Leaps(monkeypatch)
    run = await house.say()
    await house.watch()
    gate = asyncio.Event()
    house.gateway.plan(house.seen, gate)
    cancelling = asyncio.ensure_future(cancelled(house, run))
    await leap(9.9)
    assert not cancelling.done()
    gate.set()
    assert await cancelling == CancelAccepted(run_id=run.run_id)
    assert house.run(run.run_id).status == "cancelled"


@pytest.mark.parametrize("operation", ["runs.acquire", "runs.settle"])
async def test_an_end_that_hangs_is_overload_and_the_wish_stands(
    operation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client asks again; whoever runs it next finds the wish, or the end."""
    house, leap = House(), Leaps(monkeypatch)
    run = await house.say()
    house.faults.plan(operation, Fault("before", gate=asyncio.Event()))
    cancelling = asyncio.ensure_future(cancelled(house, run))
    await leap(9.9)
    assert not cancelling.done()
    await leap(0.2)
    assert cancelling.done()
    with pytest.raises(Refused) as refused:
        await cancelling
    assert (refused.value.code, refused.value.run_id, refused.value.retryable) == ("overloaded", run.run_id, True)
    assert house.run(run.run_id).cancel
