"""What the supervisor tells the log: answers, tools, who came back after an error, and how long a run was silent.

Time passes only where a test says so: heartbeats are due after ten seconds of silence.
"""

import asyncio
import contextlib
from dataclasses import replace

import pytest

from agent_runner.agent import Agent
from agent_runner.model import ModelRequest, ModelResponse, OnText
from playbyplay.domain.thread import Run
from playbyplay.errors import RunError
from playbyplay.ports import Job
from tests.fakes.faults import Crash, before, fail_before
from tests.fakes.leaps import Leaps
from tests.fakes.model import Behaviour, FakeModel, calls, says
from tests.fakes.run_queue import FakeReceipt
from tests.house import QUICK, House, perform
from tests.unit.agent_runner.desk import Desk, answered, done, ended, look, named

CALM = replace(QUICK, heartbeat_s=10, renew_s=100)


async def test_the_tokens_of_every_answer_are_told() -> None:
    """As the model's service tells them, those of a sub-agent too; a question without an answer cost nobody knows."""
    house = House()
    run = await house.say()
    plan = (calls("delegate_to_inner"), says("Within.", tokens=5), RunError("model_unavailable", "It is away."))
    model = FakeModel(*plan)
    assert await perform(house.supervisor(model, agents=(Agent("inner", "Knows more.", "Know more."),)), run) is None
    assert ended(house, run) == ("failed", "model_unavailable")
    assert house.log.of("model_answered") == [
        {"tokens_in": 1, "tokens_out": 1},
        {"tokens_in": 5, "tokens_out": 5},
    ]


async def test_the_time_of_every_tool_is_told() -> None:
    """As the journal has it, whether it succeeds or not; a delegated task is told by its own tools."""
    house = House()
    run = await house.say()

    async def slow() -> str:
        house.clock.advance(0.25)
        return "slow"

    async def breaks() -> str:
        house.clock.advance(0.5)
        raise OSError

    await done(
        house, run, calls("slow"), calls("breaks"), says("So."), tools=(named("slow", slow), named("breaks", breaks))
    )
    completed = [event for event in house.history(run).events if event.type == "tool_completed"]
    assert [getattr(event, "duration_ms", 0) for event in completed] == [250, 500]
    assert house.log.of("tool_ended") == [{"elapsed_ms": 250}, {"elapsed_ms": 500}]


async def test_a_delegated_task_is_no_tool() -> None:
    """Its agent's tools are."""
    house = House()
    run = await house.say()
    model = FakeModel(calls("delegate_to_inner"), calls("look"), says("Within."), says("So."))
    inner = Agent("inner", "Knows more.", "Know more.", (look,))
    assert await perform(house.supervisor(model, agents=(inner,)), run) is None
    assert house.events(run).count("tool_completed") == 2
    assert len(house.log.of("tool_ended")) == 1


async def test_a_call_whose_outcome_is_unknown_is_no_tool_that_ended() -> None:
    """The next owner does not make it again, and knows nothing of its time."""
    of = Desk(semantics="unsafe")
    run = await crashed(of, 3)
    so_far = len(of.house.log.of("tool_ended"))
    assert await perform(of.supervisor(), run) is None
    assert len(of.house.log.of("tool_ended")) == so_far == 1


async def crashed(of: Desk, number: int, run: Run | None = None) -> Run:
    """Return a run whose owner fell before the append of this number, counted from now; its lease has ended."""
    run, faults = run or await of.accepted(), of.house.faults
    faults.strike_at(faults.count("journal.append") + number, before(Crash()), "journal.append")
    with contextlib.suppress(Crash):
        await perform(of.supervisor(), run)
    assert faults.dead
    faults.dead = False
    of.house.lease_ends()
    return run


# Who came back.


async def test_who_comes_back_after_an_error_is_told_once() -> None:
    """By the first owner of the turn; whoever takes it over tells nothing new."""
    of = Desk()
    first = await of.accepted()
    failing = FakeModel(RunError("model_refused", "The model declined."))
    assert await perform(of.house.supervisor(failing), first) is None
    assert of.house.log.of("returned_after_error") == []
    second = await of.house.say("Again?", thread_id=first.thread_id)
    await crashed(of, 2, second)
    assert of.house.log.of("returned_after_error") == [{"run_id": second.run_id}]
    await done(of.house, second, says("There."))
    assert of.house.history(second).epoch == 2
    assert of.house.log.of("returned_after_error") == [{"run_id": second.run_id}]


async def test_how_long_its_user_waited_for_the_agent_is_told_once() -> None:
    """From the accept, to the event and to the moment a connection had it; a later owner begins nothing."""
    of = Desk()
    run = await of.accepted()
    await of.house.watch()
    of.house.clock.advance(0.06)
    await crashed(of, 2, run)
    told = [{"run_id": run.run_id, "after_ms": 60, "visible_ms": 60}]
    assert of.house.log.of("run_began") == told
    await done(of.house, run, says("There."))
    assert of.house.history(run).epoch == 2
    assert of.house.log.of("run_began") == told


async def test_a_turn_that_waited_for_another_did_not_wait_for_its_agent() -> None:
    """Its time counts from the end of the turn before it; without a connection nobody saw it begin."""
    house = House()
    first = await house.say()
    second = await house.say("And?", thread_id=first.thread_id)
    house.clock.advance(30)
    await done(house, first, says("So."))
    house.clock.advance(0.5)
    await done(house, second, says("So."))
    assert [(one["after_ms"], one["visible_ms"]) for one in house.log.of("run_began")] == [(30_000, None), (500, None)]


async def test_who_was_answered_comes_back_after_no_error() -> None:
    """Nor who begins a thread."""
    house = House()
    first = await house.say()
    await done(house, first, says("So."))
    await done(house, await house.say("And?", thread_id=first.thread_id), says("So."))
    assert house.log.of("returned_after_error") == []


# How long it was silent.


class Watch:
    """A house whose time passes by leaps, for its runners too."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.leap = Leaps(monkeypatch)
        self.house = House(timing=CALM, monotonic=asyncio.get_running_loop().time)

    async def passes(self, seconds: float) -> None:
        """Let time pass, half a second after the other."""
        for _ in range(round(seconds * 2)):
            await self.leap(0.5)

    def silences(self) -> list[object]:
        """Return what was told of each owner, in milliseconds."""
        return [fields["silence_ms"] for fields in self.house.log.of("run_let_go")]


def thinks(*pieces: str) -> Behaviour:
    """Return a model that says a piece every four seconds, and ends after four more."""

    async def respond(_request: ModelRequest, on_text: OnText) -> ModelResponse:
        for piece in pieces:
            await asyncio.sleep(4)
            await on_text(1, piece)
        await asyncio.sleep(4)
        return says("So.")

    return respond


@pytest.mark.parametrize(
    ("pieces", "seconds", "silence_ms"),
    [
        ((), 4, 4_000),
        (("Hm.", "Well."), 12, 4_000),
        (("", ""), 12, 10_000),
        (("", "", "", "", "Well."), 24, 10_000),
    ],
    ids=["a pause", "text", "empty text", "heartbeats"],
)
async def test_the_longest_time_without_a_frame_is_told(
    pieces: tuple[str, ...], seconds: float, silence_ms: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the owner is done with the run: text breaks a silence, an event does and a heartbeat; nothing else."""
    at = Watch(monkeypatch)
    run = await at.house.say()
    running = asyncio.ensure_future(at.house.supervisor(FakeModel(thinks(*pieces))).run(job(run), FakeReceipt()))
    await at.passes(seconds - 0.5)
    assert at.silences() == []
    await at.passes(0.5)
    assert await running is None
    assert at.silences() == [silence_ms]
    assert at.house.log.of("run_let_go")[0]["run_id"] == run.run_id


async def test_a_silence_that_ends_with_the_run_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error is a frame like any other."""
    at = Watch(monkeypatch)
    run = await at.house.say()

    async def fails(_request: ModelRequest, _on_text: OnText) -> ModelResponse:
        await asyncio.sleep(7)
        raise RunError("model_unavailable", "It is away.")

    running = asyncio.ensure_future(at.house.supervisor(FakeModel(fails)).run(job(run), FakeReceipt()))
    await at.passes(7)
    assert await running is None
    assert at.silences() == [7_000]


async def test_the_gap_of_a_take_over_is_a_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Since the last event of the owner that fell. A fence is no frame, so a heartbeat breaks it at once."""
    at = Watch(monkeypatch)
    of = Desk(house=at.house)
    run = await crashed(of, 3)
    posted = len(at.house.gateway.frames(at.house.seen))
    assert await perform(of.supervisor(), run) is None
    of.check(run)
    frames = at.house.gateway.frames(at.house.seen)[posted:]
    assert [frame["type"] for frame in frames][:2] == ["heartbeat", "tool_completed"]
    assert at.silences() == [0, 31_000]


async def test_a_take_over_that_only_tells_the_end_breaks_the_silence_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its answer was recorded: there is nothing to wait for."""
    at = Watch(monkeypatch)
    of = Desk(house=at.house)
    run = await answered(of, 4)
    posted = len(at.house.gateway.frames(at.house.seen))
    assert await perform(of.supervisor(), run) is None
    frames = at.house.gateway.frames(at.house.seen)[posted:]
    assert [frame["type"] for frame in frames] == ["agent_completed", "final_response"]
    assert at.silences()[-1] == 31_000


async def test_a_run_that_waited_for_its_first_owner_was_not_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """That is the time to its beginning, which is told elsewhere; though the first to have it fell before."""
    at = Watch(monkeypatch)
    of = Desk(house=at.house)
    run = await of.accepted()
    at.house.clock.advance(60)
    await crashed(of, 1, run)
    assert await perform(of.supervisor(), run) is None
    assert at.house.history(run).epoch == 1
    assert at.silences() == [0, 0]


async def test_a_run_that_was_handed_on_was_not_silent_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its owner let it go by itself: nobody fell, and no heartbeat is due."""
    at = Watch(monkeypatch)
    house, loop = at.house, asyncio.get_running_loop()
    await house.watch()
    run = await house.say()

    async def slow(_request: ModelRequest, _on_text: OnText) -> ModelResponse:
        await asyncio.sleep(2)
        return calls("look")

    supervisor = house.supervisor(FakeModel(slow), look)
    limit_s = loop.time() + CALM.no_new_step_s + 1
    running = asyncio.ensure_future(supervisor.run(job(run), FakeReceipt(), ends_s=limit_s))
    await at.passes(2)
    assert await running is None
    assert len(house.log.of("run_handed_on")) == 1
    house.clock.advance(60)
    await done(house, run, says("So."))
    assert ended(house, run) == ("completed", "")
    assert house.gateway.frames(house.seen, "heartbeat") == []
    assert at.silences() == [2_000, 0]


async def test_a_clock_that_is_behind_keeps_no_heartbeat_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """The events of the one that fell may be younger than now: it was not silent then, and is not from now on."""
    at = Watch(monkeypatch)
    run = await crashed(Desk(house=at.house), 2)
    at.house.change(run, lease_until_ms=0)
    at.house.clock.advance(-100)
    running = asyncio.ensure_future(at.house.supervisor(FakeModel(thinks("", ""))).run(job(run), FakeReceipt()))
    await at.passes(12)
    assert await running is None
    assert len(at.house.gateway.frames(at.house.seen, "heartbeat")) == 1
    assert at.silences() == [0, 10_000]


async def test_whoever_owned_a_run_is_told_to_be_done_with_it_once() -> None:
    """Also one that lost it or could not go on; a job that was dropped, or ended by a verdict, was not owned."""
    house = House(timing=replace(QUICK, store_s=0.02))
    run = await house.say()
    house.faults.plan("journal.append", *[fail_before()] * 500)
    assert await perform(house.supervisor(FakeModel()), run) == QUICK.retry_s
    assert len(house.log.of("run_let_go")) == 1
    house.faults.heal("journal.append")
    house.change(run, attempts=9)
    await done(house, run)
    assert ended(house, run) == ("failed", "attempts_exhausted")
    await done(house, run)
    assert len(house.log.of("run_let_go")) == 1


def job(run: Run) -> Job:
    return Job(run.user, run.run_id)
