"""The supervisor: runs that are cancelled or take too long end in one terminal, at once."""

import asyncio

from agent_runner.agent import Tool
from playbyplay.domain.thread import Run
from tests.fakes.faults import Fault, fail_before
from tests.fakes.model import FakeModel, calls, says
from tests.histories import USER
from tests.house import House, perform
from tests.unit.agent_runner.desk import done, ended, forever, look, named, stalls, until


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


async def test_a_cancel_after_the_last_checkpoint_loses() -> None:
    """The answer is recorded: the run ends with it."""
    house = House()
    run = await house.say()
    gate = asyncio.Event()
    house.faults.strike_at(2, Fault("after", gate=gate), "journal.append")
    running = asyncio.ensure_future(perform(house.supervisor(FakeModel(says("So."))), run))
    await until(lambda: len(house.events(run)) == 2)
    await house.runs.request_cancel(USER, run.run_id)
    await asyncio.sleep(0.005)
    gate.set()
    assert await running is None
    assert house.events(run)[-1] == "final_response"
    assert ended(house, run) == ("completed", "")


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
