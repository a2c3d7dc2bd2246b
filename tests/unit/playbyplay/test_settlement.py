"""Settlement: a run ends once, is noted as ended as often as anyone looks, and the next turn is sent."""

import pytest

from playbyplay.domain.journal import FenceEntry, Record
from playbyplay.domain.thread import Run
from playbyplay.domain.timing import timestamp
from playbyplay.errors import Demoted, RunError, StoreUnavailable
from playbyplay.ports import Job
from tests.fakes.faults import fail_before
from tests.histories import TIME_MS, Story, call, types
from tests.house import House

CANCELLED = RunError("cancelled", "The run was cancelled.")
INTERNAL = RunError("internal", "Something went wrong.")


async def told(house: House, story: Story) -> Run:
    """Accept a message and let its journal be a story's."""
    run = await house.say(story.history.input.content)
    slots = house.journal.slots[run.user, run.run_id]
    slots.clear()
    for record in story.records:
        slots[record.pos] = record
    story.history.user, story.history.run_id = run.user, run.run_id
    await house.watch()
    house.gateway.texts.clear()
    return run


def committed(house: House, run: Run) -> list[Record]:
    return house.journal.records(run.user, run.run_id)


@pytest.mark.parametrize(
    ("story", "expected"),
    [
        (Story(), ["error"]),
        (Story().starts(), ["agent_started", "error"]),
        (
            Story().starts().asks(call(1)),
            ["agent_started", "agent_thinking", "tool_executing", "tool_completed", "error"],
        ),
    ],
    ids=["queued", "started", "calling"],
)
async def test_an_unowned_run_is_fenced_and_ended_in_one_record(story: Story, expected: list[str]) -> None:
    """Whoever wrote before can write no more, and nobody sees a fence without the end."""
    house = House()
    story = Story.again(story)
    run = await told(house, story)
    before = len(story.records)
    await house.settlement.take_and_fail(story.history, CANCELLED)
    records = committed(house, run)
    assert len(records) == before + 1
    assert records[-1].entries[0] == FenceEntry(epoch=records[before - 1].epoch + 1)
    assert types(story.history.events) == expected
    assert [frame["type"] for frame in house.gateway.frames(house.seen)] == types(records[-1].events)


async def test_a_run_whose_answer_is_known_ends_with_it() -> None:
    """A cancel after the last response loses, for an unowned run and for an owned one."""
    for owned in (False, True):
        house = House()
        story = Story().starts().answers("It is slow.")
        run = await told(house, story)
        settlement = house.settlement
        await (settlement.end if owned else settlement.take_and_fail)(story.history, CANCELLED)
        assert types(story.history.events)[-2:] == ["agent_completed", "final_response"]
        assert committed(house, run)[-1].epoch == (1 if owned else 2)


async def test_an_owned_run_ends_with_its_error_in_one_record() -> None:
    """Open calls are closed in the same record; the epoch stays the owner's."""
    house = House()
    story = Story().starts().asks(call(1), call(2)).returns("c2")
    run = await told(house, story)
    await house.settlement.end(story.history, INTERNAL)
    last = committed(house, run)[-1]
    assert types(last.events) == ["tool_completed", "error"]
    assert last.epoch == 1


async def test_an_ending_that_comes_second_demotes() -> None:
    """The terminal is whatever was appended first; nothing is posted."""
    house = House()
    story = Story().starts()
    run = await told(house, story)
    rival = house.history(run)
    await house.settlement.end(rival, INTERNAL)
    posted = len(house.gateway.frames(house.seen))
    for end in (house.settlement.end, house.settlement.take_and_fail):
        with pytest.raises(Demoted):
            await end(story.history, CANCELLED)
    assert len(house.gateway.frames(house.seen)) == posted
    assert types(house.history(run).events) == ["agent_started", "error"]


@pytest.mark.parametrize(
    ("story", "status", "code"),
    [
        (Story().starts().answers().completes(), "completed", None),
        (Story().starts().fails(), "failed", "internal"),
        (Story().starts().fails("attempts_exhausted"), "failed", "attempts_exhausted"),
        (Story().starts().fails("cancelled"), "cancelled", "cancelled"),
    ],
    ids=["completed", "failed", "exhausted", "cancelled"],
)
async def test_settling_notes_what_the_journal_says(story: Story, status: str, code: str | None) -> None:
    """As often as anyone looks; the first time the log tells how it ended and how long it took, and then no more."""
    house = House()
    story = Story.again(story)
    run = await told(house, story)
    for _ in range(2):
        await house.settlement.settle(run, story.history)
        assert house.run(run.run_id).status == status
    assert house.log.of("run_settled") == [
        {
            "run_id": run.run_id,
            "status": status,
            "code": code,
            "events": story.history.state.last_seq,
            "elapsed_ms": TIME_MS - run.created_ms,
        }
    ]


async def test_an_end_that_is_noted_late_took_no_longer() -> None:
    """Its users had it when it was written; whoever wrote it fell before the note."""
    house = House()
    run = await house.say()
    end_ms = run.created_ms + 1_500
    story = Story(run_id=run.run_id).starts()
    story.add(story.event("error", code="internal", message="No.", retryable=True, timestamp=timestamp(end_ms)))
    house.clock.advance(90)
    await house.settlement.settle(run, story.history)
    assert [fields["elapsed_ms"] for fields in house.log.of("run_settled")] == [1_500]


async def test_settling_a_turn_sends_the_next() -> None:
    """The first open turn of the thread goes to the queue, and no other."""
    house = House()
    story = Story().starts().fails()
    first = await told(house, story)
    second = await house.say("And now?", thread_id=first.thread_id)
    await house.say("And then?", thread_id=first.thread_id)
    house.queue.sent.clear()
    await house.settlement.settle(first, story.history)
    assert house.queue.sent == [Job(second.user, second.run_id)]


async def test_settling_the_last_turn_sends_nothing() -> None:
    """There is nothing to wait for."""
    house = House()
    story = Story().starts().fails()
    run = await told(house, story)
    house.queue.sent.clear()
    await house.settlement.settle(run, story.history)
    assert house.queue.sent == []


@pytest.mark.parametrize("operation", ["runs.settle", "queue.send"])
async def test_settling_that_fails_is_tried_again(operation: str) -> None:
    """The error reaches the worker, the log says so, and the second time it is settled and sent; it is told once."""
    house = House()
    story = Story().starts().fails()
    first = await told(house, story)
    second = await house.say("And now?", thread_id=first.thread_id)
    house.queue.sent.clear()
    house.faults.plan(operation, fail_before())
    with pytest.raises(StoreUnavailable):
        await house.settlement.settle(first, story.history)
    assert house.log.of("run_retried") == [{"run_id": first.run_id, "reason": "settle"}]
    assert len(house.log.of("run_settled")) == (0 if operation == "runs.settle" else 1)
    await house.settlement.settle(first, story.history)
    assert house.queue.sent == [Job(second.user, second.run_id)]
    assert house.run(first.run_id).status == "failed"
    assert [fields["run_id"] for fields in house.log.of("run_settled")] == [first.run_id]


async def test_the_head_of_a_thread_can_be_sent_again() -> None:
    """Sending one that runs already is harmless, and a thread without an open turn has none."""
    house = House()
    run = await house.say()
    house.queue.sent.clear()
    await house.settlement.send_head(run)
    assert house.queue.sent == [Job(run.user, run.run_id)]
    await house.runs.settle(run, "completed")
    await house.settlement.send_head(run)
    assert len(house.queue.sent) == 1


async def test_a_run_that_is_handed_on_is_sent_with_one_hop_more() -> None:
    """The log tells; a queue that does not take it says so, and then nothing is told."""
    house = House()
    run = await house.say()
    house.queue.sent.clear()
    job = Job(run.user, run.run_id, hops=4)
    house.faults.plan("queue.send", fail_before())
    with pytest.raises(StoreUnavailable):
        await house.settlement.hand_on(job)
    assert house.log.of("run_handed_on") == []
    await house.settlement.hand_on(job)
    assert house.queue.sent == [Job(run.user, run.run_id, hops=5)]
    assert house.log.of("run_handed_on") == [{"run_id": run.run_id, "hops": 5}]


async def test_settling_a_waiting_turn_sends_no_second_job_of_the_running_one() -> None:
    """The head of the thread has an owner at work: another job could only get in its way."""
    house = House()
    first = await house.say("One.")
    second = await house.say("Two.", thread_id=first.thread_id)
    house.change(first, owner="one", lease_until_ms=house.clock.now_ms() + 60_000, status="running")
    house.queue.sent.clear()
    history = house.history(second)
    await house.settlement.take_and_fail(history, CANCELLED)
    await house.settlement.settle(second, history)
    assert house.queue.sent == []


async def test_settling_a_turn_sends_the_next_though_it_looks_owned() -> None:
    """A canceller that failed half-way left its lease on the next turn: nobody else would ever send it."""
    house = House()
    story = Story().starts().fails()
    first = await told(house, story)
    second = await house.say("And now?", thread_id=first.thread_id)
    house.change(second, owner="canceller", lease_until_ms=house.clock.now_ms() + 60_000)
    house.queue.sent.clear()
    await house.settlement.settle(first, story.history)
    assert house.queue.sent == [Job(second.user, second.run_id)]
