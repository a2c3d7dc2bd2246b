"""The supervisor: runs that are cancelled or take too long end in one terminal, at once."""

import asyncio
from typing import Literal

import pytest

from agent_runner.agent import Tool
from agent_runner.model import ModelRequest, ModelResponse, OnText
from playbyplay.domain.thread import Run
from playbyplay.protocol.commands import Cancel
from tests.fakes.faults import Fault, fail_before
from tests.fakes.model import FakeModel, calls, says
from tests.fakes.run_queue import FakeReceipt
from tests.histories import CANONICAL, USER
from tests.house import House, perform
from tests.unit.agent_runner.desk import Desk, answered, done, ended, forever, look, named, stalls, until


async def test_a_run_cancelled_while_it_waited_ends_without_a_start() -> None:
    """A lone error; the model is never asked."""
    house = House()
    run = await house.say()
    await house.runs.request_cancel(USER, run.run_id)
    model = await done(house, run)
    assert model.requests == []
    assert house.events(run) == ["error"]
    assert ended(house, run) == ("cancelled", "cancelled")


async def cancelled_while(house: House, run: Run, model: FakeModel, *tools: Tool, events: int) -> None:
    """Cancel a run when it has so many events, and wait for its end."""
    running = asyncio.ensure_future(perform(house.supervisor(model, *tools), run))
    await until(lambda: len(house.events(run)) == events)
    await house.runs.request_cancel(USER, run.run_id)
    assert await running is None


async def test_a_cancel_while_the_model_is_asked_ends_the_run_at_once() -> None:
    """Nothing is open, nothing else is told."""
    house = House()
    run = await house.say()
    await cancelled_while(house, run, FakeModel(stalls), events=1)
    assert house.events(run) == ["agent_started", "error"]
    assert ended(house, run) == ("cancelled", "cancelled")


async def test_a_cancel_during_calls_closes_them() -> None:
    """As cancelled, before the terminal; what they were doing is stopped."""
    house = House()
    run = await house.say()
    stopped: list[str] = []

    async def wait() -> str:
        try:
            return await forever()
        except asyncio.CancelledError:
            stopped.append("stopped")
            raise

    await cancelled_while(house, run, FakeModel(calls("wait", "wait")), named("wait", wait), events=4)
    assert house.events(run)[-3:] == ["tool_completed", "tool_completed", "error"]
    assert {getattr(event, "status", "") for event in house.history(run).events[-3:-1]} == {"cancelled"}
    assert stopped == ["stopped", "stopped"]
    assert ended(house, run) == ("cancelled", "cancelled")


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_cancel_while_the_answer_is_recorded_loses(when: Literal["before", "after"]) -> None:
    """An append is never cut off, whether or not it is committed yet: the run ends with its answer."""
    house = House()
    run = await house.say()
    gate = asyncio.Event()
    house.faults.strike_at(2, Fault(when, gate=gate), "journal.append")
    running = asyncio.ensure_future(perform(house.supervisor(FakeModel(says("So."))), run))
    await until(lambda: house.faults.count("journal.append") == 2)
    await house.runs.request_cancel(USER, run.run_id)
    await asyncio.sleep(0.005)
    assert len(house.events(run)) == (1 if when == "before" else 4)
    gate.set()
    assert await running is None
    assert house.events(run) == ["agent_started", "agent_thinking", "agent_completed", "final_response"]
    assert ended(house, run) == ("completed", "")


async def test_an_answer_that_comes_after_the_cancel_loses() -> None:
    """The model had answered, but nothing was recorded when its owner saw the wish: one terminal, the error."""
    house = House()
    run = await house.say()

    async def answers_too_late(_request: ModelRequest, _on_text: OnText) -> ModelResponse:
        await house.runs.request_cancel(USER, run.run_id)
        return says("So.")

    await done(house, run, answers_too_late)
    assert house.events(run) == ["agent_started", "error"]
    assert ended(house, run) == ("cancelled", "cancelled")


async def cancelled_at(number: int, *, lease_holds: bool) -> str:
    """Cancel a canonical turn while its owner hangs in its call of this number; return how the run ended."""
    of, gate = Desk(), asyncio.Event()
    house, run = of.house, await of.accepted()
    house.faults.strike_at(number, Fault("before", gate=gate))
    running = asyncio.ensure_future(perform(of.supervisor(), run, FakeReceipt(house.faults)))
    await until(lambda: len(house.faults.calls) >= number)
    if not lease_holds:
        house.lease_ends()
    await house.cancel(house.caller(), Cancel(run_id=run.run_id))
    gate.set()
    await running
    status = house.run(run.run_id).status
    types = of.check(run, status=status)
    assert types[-1] == ("final_response" if status == "completed" else "error")
    return status


@pytest.mark.parametrize("lease_holds", [True, False])
async def test_a_cancel_at_any_call_makes_exactly_one_terminal(lease_holds: bool) -> None:  # noqa: FBT001
    """The owner hangs in each of its calls in turn while its user cancels: the first terminal is the only one."""
    whole = Desk()
    run = await whole.accepted()
    accepting = len(whole.house.faults.calls)
    await perform(whole.supervisor(), run, FakeReceipt(whole.house.faults))
    calls_of_a_turn = range(accepting + 1, len(whole.house.faults.calls) + 1)
    statuses = [await cancelled_at(number, lease_holds=lease_holds) for number in calls_of_a_turn]
    assert set(statuses) == {"completed", "cancelled"}


@pytest.mark.parametrize("late", ["cancel", "attempts", "deadline"])
async def test_nothing_overtakes_an_answer_without_its_end(late: str) -> None:
    """Whoever acquires the run an earlier version left so writes its end, whatever else would end the run now."""
    of = Desk()
    run = await answered(of, 4)
    asked = len(of.model.requests)
    if late == "cancel":
        await of.house.runs.request_cancel(USER, run.run_id)
    elif late == "attempts":
        of.house.change(run, attempts=99)
    else:
        of.house.clock.advance(7_200)
    assert await perform(of.supervisor(), run) is None
    assert of.check(run) == CANONICAL
    assert len(of.model.requests) == asked


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("number", [1, 2], ids=["fence", "end"])
async def test_a_cancel_while_an_answer_gets_its_end_loses(number: int, when: Literal["before", "after"]) -> None:
    """The answer is recorded; the next owner is at its fence or at the end when the user cancels."""
    of = Desk()
    run = await answered(of, 4)
    gate, so_far = asyncio.Event(), of.house.faults.count("journal.append")
    of.house.faults.strike_at(so_far + number, Fault(when, gate=gate), "journal.append")
    running = asyncio.ensure_future(perform(of.supervisor(), run))
    await until(lambda: of.house.faults.count("journal.append") == so_far + number)
    await of.house.runs.request_cancel(USER, run.run_id)
    await asyncio.sleep(0.005)
    gate.set()
    assert await running is None
    assert of.check(run) == CANONICAL


async def test_a_tool_that_ignores_its_end_holds_up_nobody() -> None:
    """It goes on unheard: the run of a cancelled message ends at once."""
    house = House()
    run = await house.say()
    release = asyncio.Event()

    async def stays() -> str:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue
        return "late"

    running = asyncio.ensure_future(perform(house.supervisor(FakeModel(calls("stays")), named("stays", stays)), run))
    await until(lambda: len(house.events(run)) == 3)
    await house.runs.request_cancel(USER, run.run_id)
    await asyncio.wait({running}, timeout=0.2)
    types = house.events(run)
    release.set()
    await running
    assert types[-1] == "error"


async def test_a_watch_that_fails_is_no_cancel() -> None:
    """The store could not say whether the user wants the end: nobody said so."""
    house = House()
    run = await house.say()
    house.faults.plan("runs.requested", *[fail_before() for _ in range(3)])
    supervisor = house.supervisor(FakeModel(calls("look"), says("So."), says("So.")), look)
    for _ in range(3):
        if await perform(supervisor, run) is None:
            break
        house.lease_ends()
    assert ended(house, run) == ("completed", "")


async def test_a_run_that_takes_too_long_is_ended() -> None:
    """Its open call is closed by time-out, whenever the run began and whoever owns it."""
    house = House()
    run = await house.say()

    async def takes_an_hour() -> str:
        house.clock.advance(3_601)
        return await forever()

    await done(house, run, calls("wait"), tools=(named("wait", takes_an_hour),))
    assert house.events(run)[-2:] == ["tool_completed", "error"]
    assert getattr(house.history(run).events[-2], "status", "") == "timeout"
    assert ended(house, run) == ("failed", "deadline_exceeded")


async def test_a_message_that_waited_too_long_is_ended() -> None:
    """It never starts; a run that did start is not in the queue any more."""
    house = House()
    run = await house.say()
    house.clock.advance(3_601)
    model = await done(house, run)
    assert model.requests == []
    assert house.events(run) == ["error"]
    assert ended(house, run) == ("failed", "queue_timeout")
