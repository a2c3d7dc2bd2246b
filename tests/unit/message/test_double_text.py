"""A message while an earlier one of its thread is answered: it waits, is refused, or ends the earlier one."""

import asyncio
from collections.abc import Callable

import pytest

from playbyplay.domain.thread import Run
from playbyplay.domain.verdict import cancelled
from playbyplay.errors import OutcomeUnknown, Refused, StoreRefused, StoreUnavailable
from playbyplay.ports import Acquired, Job
from playbyplay.settings import DoubleText
from tests.fakes.faults import Fault, before, fail_after, fail_before, lost
from tests.fakes.leaps import Leaps
from tests.histories import MESSAGE, USER
from tests.house import House


async def owned(house: House, run: Run) -> None:
    now_ms = house.clock.now_ms()
    taken = await house.runs.acquire(USER, run.run_id, "owner", now_ms=now_ms, lease_until_ms=now_ms + 30_000)
    assert isinstance(taken, Acquired)


async def test_a_message_waits_for_the_turn_before_it() -> None:
    """Unless the deployment says otherwise: nothing is refused, nothing is cancelled."""
    house = House()
    first = await house.say("One.")
    second = await house.send("Two.", thread_id=first.thread_id)
    assert (second.turn, second.position) == (2, 1)
    assert house.run(first.run_id) == first
    assert house.events(first) == []


async def test_a_message_behind_an_open_turn_is_refused_where_it_may_not_wait() -> None:
    """As busy, with its id, which is not burnt: once the turn has ended, the same message is accepted."""
    house = House(double_text="reject")
    first = await house.say("One.")
    with pytest.raises(Refused) as refusal:
        await house.send("Two.", thread_id=first.thread_id, message=MESSAGE)
    assert (refusal.value.code, refusal.value.client_message_id) == ("thread_busy", MESSAGE)
    assert refusal.value.retryable
    assert list(house.runs.runs) == [(USER, first.run_id)]
    await house.runs.settle(first, "completed")
    second = await house.send("Two.", thread_id=first.thread_id, message=MESSAGE)
    assert (second.turn, second.duplicate) == (2, False)


async def told_the_end(house: House, run: Run) -> None:
    """Have the end of a run committed and posted, and not noted yet."""
    await house.settlement.take_and_fail(house.history(run), cancelled())
    assert house.run(run.run_id).is_open


async def busy(house: House, thread_id: str) -> None:
    """Send a message that is refused, as nothing but busy."""
    with pytest.raises(Refused) as refusal:
        await house.send("Two.", thread_id=thread_id, message=MESSAGE)
    assert (refusal.value.code, refusal.value.client_message_id) == ("thread_busy", MESSAGE)
    assert refusal.value.retry_after_ms == 1000


async def test_who_has_seen_the_end_may_send_the_next_message() -> None:
    """The end is told before it is noted: the message has it noted, and is the only one that is sent for."""
    house = House(double_text="reject")
    first = await house.say("One.")
    await told_the_end(house, first)
    house.queue.sent.clear()
    second = await house.send("Two.", thread_id=first.thread_id, message=MESSAGE)
    assert (second.turn, second.duplicate, second.position) == (2, False, 0)
    assert house.run(first.run_id).status == "cancelled"
    assert house.queue.sent == [Job(USER, second.run_id)]


async def test_a_thread_that_is_busy_stays_so_and_costs_one_read() -> None:
    """The journal of the turn at work is read once, and nothing of it is changed."""
    house = House(double_text="reject")
    first = await house.say("One.")
    await owned(house, first)
    house.faults.calls.clear()
    before_it = house.run(first.run_id)
    await busy(house, first.thread_id)
    assert house.faults.calls == ["runs.accept", "runs.head", "journal.read"]
    assert house.run(first.run_id) == before_it


async def test_a_thread_that_is_idle_by_the_time_it_is_looked_at_takes_the_message() -> None:
    """Its turn was settled between the refusal and the question; nothing is left to be read."""
    house = House(double_text="reject")
    first = await house.say("One.")
    gate = asyncio.Event()
    house.faults.plan("runs.head", Fault("before", gate=gate))
    sending = asyncio.ensure_future(house.send("Two.", thread_id=first.thread_id))
    for _ in range(20):
        await asyncio.sleep(0)
    await house.runs.settle(first, "completed")
    gate.set()
    assert (await sending).turn == 2
    assert house.faults.count("journal.read") == 0


async def test_a_message_has_two_ends_noted_and_no_more() -> None:
    """Those of turns that were accepted to wait, before the deployment changed; a repeat goes on from there."""
    house = House()
    first = await house.say("One.")
    waiting = [await house.say(text, thread_id=first.thread_id) for text in ("Two.", "Three.")]
    for run in (first, *waiting):
        await told_the_end(house, run)
    house.double_text = "reject"
    house.faults.calls.clear()
    await busy(house, first.thread_id)
    assert house.faults.count("runs.accept") == 3
    assert [house.run(run.run_id).is_open for run in (first, *waiting)] == [False, False, True]
    assert (await house.send("Two.", thread_id=first.thread_id, message=MESSAGE)).turn == 4


@pytest.mark.parametrize(
    "trouble",
    [StoreUnavailable("away"), OutcomeUnknown("lost"), StoreRefused("a bug"), ValueError("a later version")],
    ids=["unavailable", "unknown", "refused", "unreadable"],
)
@pytest.mark.parametrize("operation", ["runs.head", "journal.read", "runs.settle"])
async def test_a_failure_behind_the_refusal_leaves_it_as_it_is(operation: str, trouble: Exception) -> None:
    """The message is busy still, and sent again it is accepted."""
    house = House(double_text="reject")
    first = await house.say("One.")
    await told_the_end(house, first)
    house.faults.plan(operation, before(trouble))
    await busy(house, first.thread_id)
    assert (await house.send("Two.", thread_id=first.thread_id, message=MESSAGE)).turn == 2


async def test_a_journal_that_has_begun_to_expire_tells_of_no_end() -> None:
    """What is left of it may begin anywhere."""
    house = House(double_text="reject")
    first = await house.say("One.")
    await told_the_end(house, first)
    del house.journal.slots[USER, first.run_id][0]
    await busy(house, first.thread_id)
    assert house.run(first.run_id).is_open


@pytest.mark.parametrize("operation", ["runs.head", "journal.read", "runs.settle"])
async def test_a_store_that_hangs_behind_the_refusal_leaves_it_as_it_is(
    operation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two seconds later, of the five a message may wait for the store."""
    house, leap = House(double_text="reject"), Leaps(monkeypatch)
    first = await house.say("One.")
    await told_the_end(house, first)
    house.faults.plan(operation, Fault("before", gate=asyncio.Event()))
    refusing = asyncio.ensure_future(busy(house, first.thread_id))
    await leap(1.9)
    assert not refusing.done()
    await leap(0.2)
    assert refusing.done()
    await refusing
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_only_its_own_thread_is_busy() -> None:
    """New threads begin while others are at work, and a repeat of the message at work is told of its run."""
    house = House(double_text="reject")
    first = await house.send("One.", message=MESSAGE)
    assert (await house.send("Two.")).turn == 1
    again = await house.send("One.", thread_id=first.thread_id, message=MESSAGE)
    assert (again.run_id, again.duplicate) == (first.run_id, True)


async def test_a_queued_turn_is_ended_by_the_message_that_interrupts_it() -> None:
    """The position is that of the accept; whoever settles the turn before sends this one."""
    house = House(double_text="interrupt")
    first = await house.say("One.")
    house.queue.sent.clear()
    second = await house.send("Two.", thread_id=first.thread_id)
    assert (second.turn, second.position) == (2, 1)
    assert house.events(first) == ["error"]
    assert house.run(first.run_id).status == "cancelled"
    assert house.queue.sent == [Job(USER, second.run_id)]
    assert not house.run(second.run_id).cancel


async def test_a_turn_at_work_is_left_to_its_owner_to_end() -> None:
    """The wish is durable, and the message is not sent before its turn."""
    house = House(double_text="interrupt")
    first = await house.say("One.")
    await owned(house, first)
    house.queue.sent.clear()
    second = await house.send("Two.", thread_id=first.thread_id)
    assert house.run(first.run_id).cancel
    assert house.events(first) == []
    assert house.queue.sent == []
    assert house.run(second.run_id).is_open


async def test_every_open_turn_ahead_is_cancelled() -> None:
    """Also those that wait behind one at work, and those behind an ended one; other threads are not touched."""
    house = House()
    first = await house.say("One.")
    second, third = [await house.say(text, thread_id=first.thread_id) for text in ("Two.", "Three.")]
    other = await house.say("Elsewhere.")
    await owned(house, first)
    await house.runs.settle(second, "completed")
    house.double_text = "interrupt"
    fourth = await house.send("Four.", thread_id=first.thread_id)
    assert fourth.position == 2
    assert [house.run(run.run_id).status for run in (first, second, third)] == ["running", "completed", "cancelled"]
    assert [house.run(run.run_id).cancel for run in (first, second, third, other)] == [True, False, True, False]
    assert house.run(fourth.run_id).status == "queued"


async def test_a_repeat_interrupts_what_is_still_ahead() -> None:
    """The first send may have fallen before it did; once nothing is ahead, a repeat cancels nothing."""
    house = House()
    first = await house.say("One.")
    second = await house.send("Two.", thread_id=first.thread_id, message=MESSAGE)
    house.double_text = "interrupt"
    again = await house.send("Two.", thread_id=first.thread_id, message=MESSAGE)
    assert (again.duplicate, again.position) == (True, 1)
    assert house.run(first.run_id).status == "cancelled"
    again = await house.send("Two.", thread_id=first.thread_id, message=MESSAGE)
    assert (again.duplicate, again.position) == (True, 0)
    assert not house.run(second.run_id).cancel


async def test_a_repeat_of_a_message_whose_run_has_ended_cancels_nothing() -> None:
    """What is ahead of it keeps nobody waiting any more."""
    house = House()
    first = await house.say("One.")
    second = await house.send("Two.", thread_id=first.thread_id, message=MESSAGE)
    await house.runs.settle(house.run(second.run_id), "cancelled")
    house.double_text = "interrupt"
    again = await house.send("Two.", thread_id=first.thread_id, message=MESSAGE)
    assert (again.run_id, again.duplicate, again.position) == (second.run_id, True, 1)
    assert house.run(first.run_id) == first


FAILING = ["runs.head", "runs.turns", "runs.request_cancel", "runs.acquire", "journal.read", "runs.settle"]
LOOKS = {"runs.head": 2, "runs.turns": 2}
"""How often one message calls an operation: what is ahead is read for the interruption, and for the log."""


@pytest.mark.parametrize("fault", [fail_before, lost, fail_after], ids=["unavailable", "lost", "unknown"])
@pytest.mark.parametrize("operation", FAILING)
async def test_a_failure_behind_the_acceptance_does_not_cost_the_reply(
    operation: str, fault: Callable[[], Fault]
) -> None:
    """The message waits as it would have otherwise, and the log says why; its repeat tries again."""
    house = House(double_text="interrupt")
    first = await house.say("One.")
    house.faults.plan(operation, *[fault() for _ in range(LOOKS.get(operation, 1))])
    second = await house.send("Two.", thread_id=first.thread_id, message=MESSAGE)
    assert (second.duplicate, second.position) == (False, 1)
    assert len(house.log.of("interrupt_failed")) == 1
    assert [fields["run_id"] for fields in house.log.of("message_accepted")] == [first.run_id, second.run_id]
    house.lease_ends()
    await house.send("Two.", thread_id=first.thread_id, message=MESSAGE)
    assert house.events(first) == ["error"]
    assert house.run(first.run_id).status == "cancelled"


async def test_a_turn_that_cannot_be_cancelled_does_not_spare_the_others() -> None:
    """Not even where it is a bug of ours that stands in the way."""
    house = House(double_text="queue")
    first = await house.say("One.")
    second = await house.say("Two.", thread_id=first.thread_id)
    house.double_text = "interrupt"
    house.faults.plan("runs.request_cancel", before(ValueError("by order of the test")))
    assert (await house.send("Three.", thread_id=first.thread_id)).position == 2
    assert house.log.of("interrupt_failed") == [{"run_id": first.run_id, "error": "ValueError"}]
    assert [house.run(run.run_id).cancel for run in (first, second)] == [False, True]


@pytest.mark.parametrize("operation", FAILING)
async def test_a_store_that_hangs_does_not_hold_the_reply_for_ever(
    operation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes while the function still can, though accepting took all of its own time."""
    house, leap = House(double_text="interrupt"), Leaps(monkeypatch)
    first = await house.say("One.")
    house.faults.plan(operation, *[Fault("before", gate=asyncio.Event())] * LOOKS.get(operation, 1))
    sending = asyncio.ensure_future(house.send("Two.", thread_id=first.thread_id))
    for _ in range(4):
        await leap(5)
    assert sending.done()
    assert (await sending).position == 1
    assert len(house.log.of("interrupt_failed")) == 1
    assert len(house.log.of("message_accepted")) == 2
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize("slow", ["runs.request_cancel", "connections.subscribers", "backlog.refresh"])
async def test_the_devices_and_the_interruption_do_not_wait_for_each_other(slow: str) -> None:
    """Either may take its time; the reply comes when both are done."""
    house = House(double_text="interrupt")
    first = await house.say("One.")
    await house.watch()
    gate = asyncio.Event()
    house.faults.plan(slow, Fault("before", gate=gate))
    sending = asyncio.ensure_future(house.send("Two.", thread_id=first.thread_id))
    for _ in range(50):
        await asyncio.sleep(0)
    assert not sending.done()
    assert len(house.gateway.frames(house.seen, "run_input")) == (0 if slow == "connections.subscribers" else 1)
    assert house.run(first.run_id).status == ("queued" if slow == "runs.request_cancel" else "cancelled")
    gate.set()
    await sending
    assert house.run(first.run_id).status == "cancelled"
    assert len(house.gateway.frames(house.seen, "run_input")) == 1


# What the log tells of it: who sends a message into a silence sends the same one, or asks what is going on.


def resent(house: House) -> object:
    """Return what is told of the last message."""
    return house.log.of("message_accepted")[-1]["resent"]


@pytest.mark.parametrize("double_text", ["queue", "interrupt"])
async def test_a_message_into_a_turn_at_work_is_the_same_again_or_a_new_one(double_text: DoubleText) -> None:
    """By its text alone, of whichever open turn ahead of it; what one waits for costs two reads."""
    house = House(double_text=double_text)
    first = await house.say("Why?")
    await owned(house, first)
    house.faults.calls.clear()
    await house.send("Hello?", thread_id=first.thread_id)
    assert resent(house) == "new"
    looks = 1 if double_text == "queue" else 2
    assert (house.faults.count("runs.head"), house.faults.count("runs.turns")) == (looks, looks)
    await house.send("Why?", thread_id=first.thread_id)
    assert resent(house) == "same"


async def test_a_message_that_repeats_one_that_waits_is_the_same_again() -> None:
    """And one that repeats a turn that has ended is a new one: it was answered."""
    house = House()
    first = await house.say("One.")
    second = await house.say("Two.", thread_id=first.thread_id)
    await house.send("Two.", thread_id=first.thread_id)
    assert resent(house) == "same"
    await house.runs.settle(first, "completed")
    await house.runs.settle(second, "completed")
    await house.send("One.", thread_id=first.thread_id)
    assert resent(house) == "new"


async def test_a_message_with_nothing_ahead_was_not_sent_again() -> None:
    """Neither the same text in another thread, nor in its own once that is answered, nor a repeat under its own id."""
    house = House()
    first = await house.say("Why?")
    await house.send("Why?")
    assert resent(house) is None
    second = await house.send("And?", thread_id=first.thread_id, message=MESSAGE)
    await house.send("And?", thread_id=first.thread_id, message=MESSAGE)
    assert [fields["resent"] for fields in house.log.of("message_accepted")] == [None, None, "new", None]
    for run in (first, house.run(second.run_id)):
        await house.runs.settle(run, "completed")
    house.faults.calls.clear()
    await house.send("Why?", thread_id=first.thread_id)
    assert resent(house) is None
    assert not {"runs.head", "runs.turns"} & set(house.faults.calls)


@pytest.mark.parametrize(
    "trouble",
    [StoreUnavailable("away"), OutcomeUnknown("lost"), StoreRefused("a bug"), ValueError("a later version")],
    ids=["unavailable", "unknown", "refused", "unreadable"],
)
@pytest.mark.parametrize("operation", ["runs.head", "runs.turns"])
@pytest.mark.parametrize("double_text", ["queue", "interrupt"])
async def test_a_store_that_does_not_tell_what_is_ahead_costs_no_reply(
    double_text: DoubleText, operation: str, trouble: Exception
) -> None:
    """The message is accepted and told as a new one; the interruption looks for itself."""
    house = House(double_text=double_text)
    first = await house.say("Why?")
    house.faults.plan(operation, before(trouble))
    second = await house.send("Why?", thread_id=first.thread_id)
    assert (second.turn, second.position) == (2, 1)
    assert resent(house) == "new"
    assert house.run(first.run_id).status == ("queued" if double_text == "queue" else "cancelled")
    assert house.log.of("interrupt_failed") == []


@pytest.mark.parametrize("operation", ["runs.head", "runs.turns"])
async def test_the_reply_waits_two_seconds_at_most_for_what_the_log_tells(
    operation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As long as for the backlog, which it looks at meanwhile; the other devices have the message."""
    house, leap = House(), Leaps(monkeypatch)
    first = await house.say("Why?")
    await house.watch()
    house.faults.plan(operation, Fault("before", gate=asyncio.Event()))
    refreshed = house.faults.count("backlog.refresh")
    sending = asyncio.ensure_future(house.send("Why?", thread_id=first.thread_id))
    await leap(1.9)
    assert not sending.done()
    assert len(house.gateway.frames(house.seen, "run_input")) == 1
    assert house.faults.count("backlog.refresh") == refreshed + 1
    await leap(0.2)
    assert sending.done()
    assert (await sending).position == 1
    assert resent(house) == "new"
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_an_interruption_is_no_cancel_of_the_user() -> None:
    """Its message says so; the log counts only those who asked for the end."""
    house = House(double_text="interrupt")
    first = await house.say("One.")
    await house.send("Two.", thread_id=first.thread_id)
    assert house.run(first.run_id).status == "cancelled"
    assert house.log.of("cancel_requested") == []
