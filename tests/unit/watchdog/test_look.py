"""A look at a run nobody was heard of: each thing it can find, what it does then, and that it does no harm."""

import asyncio
from dataclasses import replace

import pytest

from playbyplay.domain.thread import Run
from playbyplay.errors import OutcomeUnknown, StoreUnavailable
from playbyplay.ports import Job
from tests.fakes.faults import Fault, before, fail_after, fail_before, lost
from tests.fakes.ids import uuid
from tests.histories import OTHER, USER, Story, call
from tests.house import House
from tests.unit.watchdog.kennel import Kennel, job_of, reaches, told

HOUR_MS = 3_600_000


def code(house: House, run: Run) -> str | None:
    """Return the code of a run's `error`."""
    last = house.history(run).events[-1]
    return last.code if last.type == "error" else None


def next_look(house: House, run: Run) -> float:
    """Return in how many seconds a run is to be looked at."""
    return (house.runs.checks[run.user, run.run_id] - house.clock.now_ms()) / 1000


async def followed(house: House, run: Run) -> Run:
    """Return a second turn, which waits for the first."""
    second = await house.say("And then?", thread_id=run.thread_id)
    house.queue.sent.clear()
    return second


async def test_a_run_that_is_over_is_left_alone() -> None:
    """One the store knows to have ended, one nobody knows, and one of another user."""
    house = House()
    run = await told(house, Story().starts().answers().completes())
    await house.runs.settle(run, "completed")
    look = Kennel(house).look
    assert await look(job_of(run)) == "over"
    for job in (Job(USER, uuid(404)), Job(OTHER, run.run_id)):
        assert await look(job) == "unknown"
    assert house.queue.sent == []


@pytest.mark.parametrize("leased", [False, True])
async def test_a_run_whose_end_the_store_missed_is_settled(*, leased: bool) -> None:
    """The journal is the truth: the status is mended, and the next turn is sent. A lease is no reason to wait."""
    house = House()
    lease: dict[str, str | int] = {"owner": "one", "lease_until_ms": house.clock.now_ms() + 9_000} if leased else {}
    run = await told(house, Story().starts().answers().completes(), status="running", **lease)
    second = await followed(house, run)
    records = len(house.journal.records(run.user, run.run_id))
    assert await Kennel(house).look(job_of(run)) == "settled"
    assert house.run(run.run_id).status == "completed"
    assert house.queue.sent == [job_of(second)]
    assert next_look(house, second) == house.timing.first_check_s
    assert len(house.journal.records(run.user, run.run_id)) == records
    assert await Kennel(house).look(job_of(run)) == "over"


@pytest.mark.parametrize(
    "changes",
    [{}, {"cancel": True}, {"attempts": 99}, {"deadline_ms": 1}, {"created_ms": 1}],
    ids=["in good order", "cancelled", "tried too often", "past its deadline", "waited too long"],
)
async def test_a_run_that_a_live_owner_holds_is_its_owners(changes: dict[str, int]) -> None:
    """Whatever may be said against the run, its owner says it: nothing is written, nothing is sent."""
    house = House()
    until_ms = house.clock.now_ms() + 9_000
    run = await told(house, Story(), status="running", owner="one", lease_until_ms=until_ms, **changes)
    assert await Kennel(house).look(job_of(run)) == "held"
    assert house.run(run.run_id) == run
    assert house.events(run) == []
    assert house.queue.sent == []
    assert next_look(house, run) == 9 + house.timing.after_lease_s


async def test_a_lease_that_has_ended_holds_nothing() -> None:
    """From the last millisecond of the lease on the run is anybody's."""
    house = House()
    run = await told(house, Story().starts(), status="running", owner="one", lease_until_ms=house.clock.now_ms())
    assert await Kennel(house).look(job_of(run)) == "sent"


@pytest.mark.parametrize(
    ("story", "changes", "late_s", "expected"),
    [
        (Story(), {"cancel": True}, 0, "cancelled"),
        (Story(), {"attempts": 4}, 0, "attempts_exhausted"),
        (Story().starts(), {"attempts": 8}, 0, "attempts_exhausted"),
        (Story(), {}, 3601, "queue_timeout"),
        (Story().starts(), {}, 3601, "deadline_exceeded"),
    ],
    ids=["cancelled", "tried too often", "tried too often since", "waited too long", "took too long"],
)
async def test_a_run_that_was_to_end_is_ended(
    story: Story, changes: dict[str, int], late_s: int, expected: str
) -> None:
    """With the error it would get from a runner, told to its user; the next turn is sent."""
    house = House()
    run = await told(house, story, **changes)
    second = await followed(house, run)
    house.clock.advance(late_s)
    await house.watch()
    assert await Kennel(house).look(job_of(run)) == "ended"
    assert code(house, run) == expected
    assert [frame["type"] for frame in house.gateway.frames(house.seen)] == ["error"]
    settled = house.run(run.run_id)
    assert settled.status == ("cancelled" if expected == "cancelled" else "failed")
    assert settled.owner is None
    assert house.queue.sent == [job_of(second)]


@pytest.mark.parametrize(("story", "attempts"), [(Story(), 3), (Story().starts(), 7)])
async def test_a_run_that_has_one_attempt_left_gets_it(story: Story, attempts: int) -> None:
    """The look itself counts as none."""
    house = House()
    run = await told(house, story, attempts=attempts)
    assert await Kennel(house).look(job_of(run)) == "sent"
    assert house.run(run.run_id).attempts == attempts


async def test_open_calls_are_closed_before_the_end() -> None:
    """In the order of the grammar, in one record with the fence: nobody is left with a call that never ended."""
    house = House()
    run = await told(house, Story().starts().asks(call(1), call(2)).returns("c1"), cancel=True)
    records = len(house.journal.records(run.user, run.run_id))
    assert await Kennel(house).look(job_of(run)) == "ended"
    assert house.events(run)[-2:] == ["tool_completed", "error"]
    assert len(house.journal.records(run.user, run.run_id)) == records + 1


async def test_a_run_whose_answer_is_known_ends_with_it() -> None:
    """Though its user wished for the end, or nobody ever got it told."""
    for changes in ({"cancel": True}, {"attempts": 99}):
        house = House()
        run = await told(house, Story().starts().answers("It is slow."), **changes)
        assert await Kennel(house).look(job_of(run)) == "ended"
        assert house.events(run)[-1] == "final_response"
        assert house.run(run.run_id).status == "completed"


async def test_a_turn_that_waits_is_only_put_off() -> None:
    """The turn before it is looked at too; sent now it would be dropped."""
    house = House()
    first = await told(house, Story().starts())
    second = await followed(house, first)
    house.clock.advance(61)
    assert await Kennel(house).look(job_of(second)) == "waits"
    assert house.queue.sent == []
    assert house.events(second) == []
    assert next_look(house, second) == house.timing.check_again_s


async def test_a_turn_that_waits_no_longer_is_sent() -> None:
    """Its job was lost when the turn before it ended."""
    house = House()
    first = await told(house, Story().starts().fails())
    second = await followed(house, first)
    await house.runs.settle(first, "failed")
    assert await Kennel(house).look(job_of(second)) == "sent"
    assert house.queue.sent == [job_of(second)]


async def test_the_job_of_a_run_nobody_has_is_sent_again() -> None:
    """As it was, with what it counts; the log tells for how long nothing was heard."""
    house = House()
    run = await told(house, Story())
    house.clock.advance(61)
    handed_on = replace(job_of(run), hops=3)
    assert await Kennel(house).look(handed_on) == "sent"
    assert house.queue.sent == [handed_on]
    assert house.log.of("job_sent_again") == [{"run_id": run.run_id, "silent_ms": 61_000}]
    assert house.run(run.run_id) == run
    assert house.events(run) == []


async def test_the_silence_counts_from_the_end_of_the_lease() -> None:
    """For so long its owner might have been heard of."""
    house = House()
    run = await told(house, Story().starts(), owner="one", lease_until_ms=house.clock.now_ms() + 600_000)
    house.clock.advance(631)
    assert await Kennel(house).look(job_of(run)) == "sent"
    assert house.log.of("job_sent_again") == [{"run_id": run.run_id, "silent_ms": 31_000}]
    assert next_look(house, run) == house.timing.check_again_s


async def test_a_run_that_stays_silent_is_sent_ever_more_rarely() -> None:
    """Each pause is half of the silence: a queue an hour behind is not filled with copies of what waits in it."""
    house = House()
    run = await told(house, Story())
    look = Kennel(house).look
    pauses = []
    while house.clock.now_ms() < run.created_ms + HOUR_MS:
        pauses.append(next_look(house, run))
        house.clock.advance(pauses[-1])
        if house.clock.now_ms() < run.created_ms + HOUR_MS:
            assert await look(job_of(run)) == "sent"
    assert pauses[:6] == [60, 60, 60, 90, 135, 202.5]
    assert len(house.queue.sent) == len(pauses) - 1 <= 10


async def test_a_journal_this_version_cannot_read_is_left_alone() -> None:
    """A later version wrote it, and may go on with it; it is looked at again after a pause."""
    house = House()
    run = await told(house, Story().starts(), cancel=True)
    slots = house.journal.slots[run.user, run.run_id]
    slots[2] = replace(slots.pop(1), pos=2)
    house.clock.advance(61)
    assert await Kennel(house).look(job_of(run)) == "unreadable"
    assert house.run(run.run_id) == run
    assert set(slots) == {0, 2}
    assert house.queue.sent == []
    assert next_look(house, run) == house.timing.check_again_s
    assert [fields["run_id"] for fields in house.log.of("run_unreadable")] == [run.run_id]


async def test_a_journal_that_is_not_whole_is_left_alone() -> None:
    """No lease is taken of a run that nobody can end."""
    house = House()
    run = await told(house, Story().starts(), cancel=True)
    del house.journal.slots[run.user, run.run_id][0]
    house.clock.advance(61)
    assert await Kennel(house).look(job_of(run)) == "unreadable"
    assert house.run(run.run_id) == run
    assert house.log.of("run_unreadable") == [{"run_id": run.run_id, "reason": "expired"}]


async def test_an_end_that_cannot_be_written_gives_the_lease_back() -> None:
    """Whatever broke it: the next one who comes has the run at once."""
    house = House()
    run = await told(house, Story().starts(), cancel=True)
    house.faults.strike_at(2, before(ZeroDivisionError()), "journal.read")
    with pytest.raises(ZeroDivisionError):
        await Kennel(house).look(job_of(run))
    assert (house.run(run.run_id).owner, house.run(run.run_id).attempts) == (None, run.attempts)


async def test_a_run_somebody_took_meanwhile_is_theirs() -> None:
    """Between the look and the lease an owner came: nothing is written."""
    house = House()
    run = await told(house, Story().starts(), cancel=True)
    gate = asyncio.Event()
    house.faults.plan("runs.acquire", Fault("before", gate=gate))
    looking = asyncio.create_task(Kennel(house).look(job_of(run)))
    await reaches(house, "runs.acquire")
    now_ms = house.clock.now_ms()
    await house.runs.acquire(USER, run.run_id, "one", now_ms=now_ms, lease_until_ms=now_ms + 1)
    gate.set()
    assert await looking == "taken"
    assert house.events(run) == ["agent_started"]
    assert house.run(run.run_id).owner == "one"


async def test_a_run_that_got_on_meanwhile_is_given_back() -> None:
    """Its first event came between the look and the lease, so it has attempts left; the look counts as none."""
    house = House()
    run = await told(house, Story(), attempts=4)
    gate = asyncio.Event()
    house.faults.plan("runs.acquire", Fault("before", gate=gate))
    looking = asyncio.create_task(Kennel(house).look(job_of(run)))
    await reaches(house, "runs.acquire")
    house.journal.put(run.user, run.run_id, Story().starts().records[1])
    gate.set()
    assert await looking == "taken"
    assert house.events(run) == ["agent_started"]
    kept = house.run(run.run_id)
    assert (kept.owner, kept.attempts) == (None, 4)


async def test_an_owner_who_writes_first_is_not_overruled() -> None:
    """Its word stands, and the look leaves the run to it."""
    house = House()
    run = await told(house, Story(), cancel=True)
    gate = asyncio.Event()
    house.faults.plan("journal.append", Fault("before", gate=gate))
    looking = asyncio.create_task(Kennel(house).look(job_of(run)))
    await reaches(house, "journal.append")
    house.journal.put(run.user, run.run_id, Story().starts().records[1])
    gate.set()
    assert await looking == "taken"
    assert house.events(run) == ["agent_started"]
    assert house.run(run.run_id).is_open


async def test_two_looks_at_once_end_a_run_once() -> None:
    """One terminal, told once."""
    house = House()
    run = await told(house, Story().starts(), cancel=True)
    await house.watch()
    look = Kennel(house).look
    found = await asyncio.gather(look(job_of(run)), look(job_of(run)))
    assert sorted(found) in (["ended", "over"], ["ended", "settled"], ["ended", "taken"])
    assert house.events(run) == ["agent_started", "error"]
    assert len(house.gateway.frames(house.seen, "error")) == 1


@pytest.mark.parametrize(
    "operation", ["runs.get", "journal.read", "runs.head", "queue.send", "overdue.postpone"], ids=str
)
async def test_a_look_that_the_store_cuts_short_is_made_again(operation: str) -> None:
    """It raises, and however long the run was silent it is looked at again soon; then that is done."""
    house = House()
    first = await told(house, Story().starts().fails())
    run = await followed(house, first)
    house.clock.advance(3000)
    await house.runs.settle(first, "failed")
    house.clock.advance(61)
    house.faults.plan(operation, fail_before())
    look = Kennel(house).look
    with pytest.raises(StoreUnavailable):
        await look(job_of(run))
    assert house.queue.sent == []
    assert next_look(house, run) <= house.timing.check_again_s
    assert await look(job_of(run)) == "sent"


async def test_a_turn_is_sent_that_is_let_go_while_it_is_looked_at() -> None:
    """The turn before is settled between the look's question and its end: the next look comes soon all the same."""
    house = House()
    first = await told(house, Story().starts())
    run = await followed(house, first)
    house.clock.advance(3000)
    gate = asyncio.Event()
    house.faults.plan("runs.head", Fault("after", gate=gate))
    looking = asyncio.create_task(Kennel(house).look(job_of(run)))
    await reaches(house, "runs.head")
    for _ in range(10):
        await asyncio.sleep(0)
    await house.runs.settle(first, "failed")
    gate.set()
    assert await looking == "waits"
    assert next_look(house, run) == house.timing.first_check_s


@pytest.mark.parametrize("fault", [fail_before(), fail_after(), lost()], ids=["not written", "written", "lost"])
@pytest.mark.parametrize("operation", ["runs.acquire", "runs.settle"])
async def test_an_end_that_the_store_cuts_short_is_made_again(operation: str, fault: Fault) -> None:
    """Sooner or later, without a second terminal."""
    house = House()
    run = await told(house, Story().starts(), cancel=True)
    house.faults.plan(operation, fault)
    look = Kennel(house).look
    with pytest.raises((StoreUnavailable, OutcomeUnknown)):
        await look(job_of(run))
    house.clock.advance(house.timing.lease_s + house.timing.after_lease_s)
    assert await look(job_of(run)) in ("ended", "settled", "over")
    assert house.events(run) == ["agent_started", "error"]
    assert house.run(run.run_id).status == "cancelled"
