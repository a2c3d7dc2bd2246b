"""The supervisor when its time is up: the run is handed on, and nobody who watches can tell.

The second hand of a runner stands still until so many records are appended, or until a step moves it.
"""

import asyncio
import json

import pytest

from agent_runner.agent import Semantics, Tool, tool
from agent_runner.model import ModelRequest, ModelResponse, OnText
from playbyplay.domain.thread import Run
from playbyplay.ports import MAX_HOPS
from tests.fakes.faults import Fault, fail_before
from tests.fakes.model import FakeModel, calls, says
from tests.fakes.run_queue import FakeReceipt
from tests.histories import CANONICAL
from tests.house import QUICK, House, perform
from tests.unit.agent_runner.desk import Desk, answered, ended, forever, until
from tests.unit.agent_runner.slices import APPENDS, ENDS_S, NEAR_S, PLANS, UP_S, accepted, job_of, jumps, one_slice


class Hand:
    """The second hand of a runner."""

    def __init__(self, house: House) -> None:
        self.now_s = 0.0
        house.monotonic = self

    def __call__(self) -> float:
        return self.now_s


async def limited(house: House, model: FakeModel, run: Run, *tools: Tool, hops: int = 0) -> float | None:
    """Let a runner whose time is limited do the job of a run."""
    work = house.supervisor(model, *tools).run(job_of(run, hops), FakeReceipt(house.faults), ends_s=ENDS_S)
    return await asyncio.wait_for(work, 5)


async def in_slices(of: Desk, run: Run, to_s: float, *, appends: int) -> int:
    """Hand a run on again and again until it has ended; return how often that was."""
    waiting = of.house.queue.waiting
    waiting.append(job_of(run))
    for hops in range(MAX_HOPS + 2):
        assert waiting.popleft() == job_of(run, hops)
        assert await one_slice(of, job_of(run, hops), to_s, appends=appends) is None
        if not waiting:
            return hops
        kept = of.house.run(run.run_id)
        assert (kept.owner, kept.attempts) == (None, 0)
    pytest.fail("it went on and on")


def told(of: Desk, run: Run, *, in_order: bool) -> list[str]:
    """Return what was posted and what is in the journal, as text; where steps ran side by side without their place."""
    posted = of.house.gateway.frames(of.house.seen)
    stored = [event.model_dump(mode="json", exclude_none=True) for event in of.house.history(run).events]
    assert [frame["type"] for frame in posted] == ["run_input", *[event["type"] for event in stored]]
    if in_order:
        return list(map(json.dumps, stored))
    return sorted(json.dumps({**event, "seq": 0}) for event in stored)


async def whole(plan: str, semantics: Semantics) -> tuple[Desk, Run]:
    of = Desk(PLANS[plan], semantics)
    run = await accepted(of)
    assert await perform(of.supervisor(), run) is None
    return of, run


@pytest.mark.parametrize("semantics", ["pure", "idempotent", "unsafe"])
@pytest.mark.parametrize(
    ("plan", "appends"), [(plan, number) for plan, count in APPENDS.items() for number in range(2, count + 1)]
)
async def test_a_run_in_slices_is_told_as_if_it_were_whole(plan: str, appends: int, semantics: Semantics) -> None:
    """Frames and journal are the same, no heartbeat among them; every step is taken once; no attempt is counted."""
    uninterrupted, first = await whole(plan, semantics)
    of = Desk(PLANS[plan], semantics)
    run = await accepted(of)
    hops = await in_slices(of, run, NEAR_S, appends=appends)
    assert hops >= (1 if appends < APPENDS[plan] else 0)
    of.check(run)
    in_order = plan == "canonical"
    assert told(of, run, in_order=in_order) == told(uninterrupted, first, in_order=in_order)
    assert of.called == uninterrupted.called
    assert set(of.called.values()) == {1}
    assert len(of.model.requests) == len(uninterrupted.model.requests)
    assert {fields["attempts"] for fields in of.house.log.of("run_acquired")} == {1}
    assert of.house.log.of("run_handed_on") == [{"run_id": run.run_id, "hops": hop} for hop in range(1, hops + 1)]
    assert of.house.log.of("run_retried") == []


async def test_the_next_owner_writes_a_fence_and_nothing_else_at_the_seam() -> None:
    """No event, no frame."""
    of = Desk()
    run = await accepted(of)
    assert await one_slice(of, job_of(run), NEAR_S, appends=2) is None
    posted = of.house.gateway.frames(of.house.seen)
    assert await one_slice(of, job_of(run, 1), NEAR_S, appends=1) is None
    assert of.house.gateway.frames(of.house.seen) == posted
    last = of.house.journal.records(run.user, run.run_id)[-1]
    assert [entry.kind for entry in last.entries] == ["fence"]


async def test_a_runner_that_is_told_no_time_keeps_the_run() -> None:
    """However long it takes."""
    of = Desk()
    run = await accepted(of)
    jumps(of.house, 1e9, appends=1)
    assert await perform(of.supervisor(), run) is None
    assert of.check(run) == CANONICAL
    assert of.house.log.of("run_handed_on") == []


async def test_a_runner_with_too_little_time_takes_no_run() -> None:
    """The job comes again; nothing is called, nothing is noted but that. To the second: with more it is taken."""
    of = Desk()
    run = await accepted(of)
    so_far, hand = len(of.house.faults.calls), Hand(of.house)
    hand.now_s = ENDS_S - QUICK.no_new_step_s + 0.001
    assert await limited(of.house, of.model, run) == QUICK.retry_s
    assert of.house.log.of("run_retried") == [{"run_id": run.run_id, "reason": "time"}]
    assert len(of.house.faults.calls) == so_far
    hand.now_s = ENDS_S - QUICK.no_new_step_s
    assert await limited(of.house, of.model, run, of.tools["look"]) is None
    assert of.check(run) == CANONICAL


async def test_a_run_that_has_just_ended_is_not_handed_on() -> None:
    """Though its time is up in the same moment."""
    of = Desk()
    run = await accepted(of)
    assert await one_slice(of, job_of(run), UP_S, appends=APPENDS["canonical"]) is None
    assert of.check(run) == CANONICAL
    assert not of.house.queue.waiting


def holds(hand: Hand, to_s: float, gate: asyncio.Event, semantics: Semantics, called: list[str]) -> Tool:
    """Return a tool that moves the second hand, and then works until it may end."""

    @tool(semantics=semantics, running="Holding on")
    async def hold() -> str:
        """Hold on."""
        called.append("hold")
        if len(called) > 1:
            return "held"
        hand.now_s = to_s
        await gate.wait()
        return "held"

    return hold


async def test_a_step_under_way_is_waited_for() -> None:
    """Near the end nothing new is begun, silence is broken, and what the step finds out is recorded here."""
    house = House()
    await house.watch()
    run = await house.say()
    house.queue.waiting.clear()
    gate, hand, called = asyncio.Event(), Hand(house), list[str]()
    model = FakeModel(calls("hold"), says("So."))
    hold = holds(hand, NEAR_S, gate, "pure", called)
    running = asyncio.ensure_future(limited(house, model, run, hold))
    await until(lambda: bool(house.gateway.frames(house.seen, "heartbeat")))
    assert not running.done()
    gate.set()
    assert await running is None
    assert house.events(run)[-1] == "tool_completed"
    assert list(house.queue.waiting) == [job_of(run, 1)]
    assert len(model.requests) == 1
    hand.now_s = 0
    assert await limited(house, model, run, hold, hops=1) is None
    assert (ended(house, run), called) == (("completed", ""), ["hold"])


@pytest.mark.parametrize("semantics", ["pure", "idempotent", "unsafe"])
async def test_a_tool_under_way_at_the_end_is_stopped(semantics: Semantics) -> None:
    """The next owner calls it again; an unsafe one may have taken effect and becomes `outcome_unknown`."""
    house = House()
    await house.watch()
    run = await house.say()
    hand, called = Hand(house), list[str]()
    model = FakeModel(calls("hold"), says("So."))
    hold = holds(hand, UP_S, asyncio.Event(), semantics, called)
    assert await limited(house, model, run, hold) is None
    assert house.events(run)[-1] == "tool_executing"
    hand.now_s = 0
    assert await limited(house, model, run, hold, hops=1) is None
    assert ended(house, run) == ("completed", "")
    assert house.events(run) == CANONICAL
    assert getattr(house.history(run).events[3], "status", "") == ("outcome_unknown" if semantics == "unsafe" else "ok")
    assert len(called) == (1 if semantics == "unsafe" else 2)


async def test_a_model_under_way_at_the_end_is_stopped_and_asked_again() -> None:
    """By the next owner, the same question; nothing of the first try is told."""
    house = House()
    await house.watch()
    run = await house.say()
    hand, stopped = Hand(house), list[str]()

    async def slow(_request: ModelRequest, _on_text: OnText) -> ModelResponse:
        hand.now_s = UP_S
        try:
            return says(await forever())
        finally:
            stopped.append("stopped")

    model = FakeModel(slow, says("So."))
    assert await limited(house, model, run) is None
    assert (house.events(run), stopped) == (["agent_started"], ["stopped"])
    hand.now_s = 0
    assert await limited(house, model, run, hops=1) is None
    assert [frame["type"] for frame in house.gateway.frames(house.seen)] == ["run_input", *house.events(run)]
    assert model.requests[0] == model.requests[1]
    assert ended(house, run) == ("completed", "")


async def test_what_a_step_found_out_while_another_was_recorded_is_recorded_too() -> None:
    """Though the time was up meanwhile: a step that has ended is never taken again."""
    house = House()
    run = await house.say()
    hand, gate, called = Hand(house), asyncio.Event(), list[str]()
    hold = holds(hand, 0, gate, "unsafe", called)
    model = FakeModel(calls("hold", "hold"), says("So."))
    recording = asyncio.Event()
    house.faults.strike_at(3, Fault("after", gate=recording), "journal.append")
    running = asyncio.ensure_future(limited(house, model, run, hold))
    await until(lambda: house.faults.count("journal.append") == 3)
    gate.set()
    await asyncio.sleep(0.002)
    hand.now_s = UP_S
    recording.set()
    assert await running is None
    assert house.events(run)[-2:] == ["tool_completed", "tool_completed"]
    assert called == ["hold", "hold"]
    assert len(model.requests) == 1


async def test_a_run_that_was_handed_on_too_often_is_ended() -> None:
    """Thirty hand-overs without a step: the next one would be one too many, and nothing is sent."""
    of = Desk()
    run = await accepted(of)
    assert await in_slices(of, run, NEAR_S, appends=1) == MAX_HOPS
    assert of.check(run, status="failed") == ["agent_started", "error"]
    assert ended(of.house, run) == ("failed", "deadline_exceeded")


@pytest.mark.parametrize("to_s", [NEAR_S, UP_S], ids=["near", "up"])
async def test_the_last_owner_closes_what_is_open(to_s: float) -> None:
    """By time-out, in the record of the end."""
    of = Desk()
    run = await accepted(of)
    assert await one_slice(of, job_of(run, MAX_HOPS), to_s, appends=2) is None
    assert of.check(run, status="failed")[-2:] == ["tool_completed", "error"]
    assert getattr(of.house.history(run).events[-2], "status", "") == "timeout"
    assert (of.called, list(of.house.queue.waiting)) == ({}, [])


async def test_the_last_owner_still_gives_the_answer() -> None:
    """A journal of an earlier version, which holds the answer without its end, ends with it."""
    of = Desk()
    run = await answered(of, APPENDS["canonical"])
    assert await one_slice(of, job_of(run, MAX_HOPS), UP_S, appends=1) is None
    assert of.check(run) == CANONICAL


async def test_a_job_that_cannot_be_sent_comes_again_itself() -> None:
    """The run is free at once, no hop is counted, nothing is repeated."""
    of = Desk()
    run = await accepted(of)
    of.house.faults.plan("queue.send", fail_before())
    assert await one_slice(of, job_of(run), NEAR_S, appends=2) == QUICK.retry_s
    assert of.house.run(run.run_id).owner is None
    assert of.house.log.of("run_retried") == [{"run_id": run.run_id, "reason": "StoreUnavailable"}]
    assert of.house.log.of("run_handed_on") == []
    assert await perform(of.supervisor(), run) is None
    assert of.check(run) == CANONICAL
    assert set(of.called.values()) == {1}


async def test_a_lease_that_cannot_be_given_back_ends_by_itself() -> None:
    """The job is sent all the same; it finds the run held until then."""
    of = Desk()
    run = await accepted(of)
    of.house.faults.plan("runs.release", fail_before())
    assert await one_slice(of, job_of(run), NEAR_S, appends=2) is None
    assert list(of.house.queue.waiting) == [job_of(run, 1)]
    assert await one_slice(of, job_of(run, 1), NEAR_S, appends=9) == QUICK.held_s
    of.house.lease_ends()
    assert await one_slice(of, job_of(run, 1), NEAR_S, appends=9) is None
    assert of.check(run) == CANONICAL
