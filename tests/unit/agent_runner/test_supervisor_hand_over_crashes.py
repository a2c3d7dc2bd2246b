"""A hand-over under crashes, cancels and twins: at every call of a port, nothing is lost and nothing is done twice."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Literal

import pytest

from playbyplay.domain.thread import Run
from playbyplay.protocol.commands import Cancel
from tests.fakes.faults import Crash, Fault, Faults, after, before
from tests.fakes.run_queue import FakeReceipt
from tests.histories import CANONICAL
from tests.house import QUICK, House, perform
from tests.unit.agent_runner.desk import Desk, until
from tests.unit.agent_runner.slices import ENDS_S, NEAR_S, PLANS, accepted, job_of, one_slice


async def two_slices(of: Desk, run: Run) -> None:
    """Let one owner take a step and hand on, and the next end the run."""
    assert await one_slice(of, job_of(run), NEAR_S, appends=2) in (None, QUICK.retry_s)
    for job in list(of.house.queue.waiting):
        assert await one_slice(of, job, NEAR_S, appends=99) in (None, QUICK.retry_s)
        of.house.queue.waiting.popleft()  # deleted when it is done with


def fresh(house: House) -> None:
    """Count calls from here."""
    house.faults = Faults()
    for port in (house.journal, house.runs, house.queue, house.connections, house.gateway):
        port.faults = house.faults


async def calls_of(plan: str) -> list[str]:
    of = Desk(PLANS[plan])
    run = await accepted(of)
    fresh(of.house)
    await two_slices(of, run)
    of.check(run)
    return of.house.faults.calls


@pytest.mark.parametrize("when", [before, after], ids=["before", "after"])
@pytest.mark.parametrize("plan", PLANS)
async def test_a_crash_at_any_call_loses_and_repeats_nothing(plan: str, when: Callable[[BaseException], Fault]) -> None:
    """Between the release and the send above all: the own job was not deleted, it comes back and goes on."""
    names = await calls_of(plan)
    assert names[names.index("runs.release") + 1] == "queue.send"
    for number in range(1, len(names) + 1):
        of = Desk(PLANS[plan])
        run = await accepted(of)
        fresh(of.house)
        of.house.faults.strike_at(number, when(Crash()))
        with contextlib.suppress(Crash):
            await two_slices(of, run)
        of.house.faults.dead = False
        of.house.lease_ends()
        twins = [job_of(run), *of.house.queue.waiting]  # what was not deleted comes again, beside what was sent
        for job in twins:
            assert await one_slice(of, job, NEAR_S, appends=99) is None, number
        types = of.check(run)
        assert types == CANONICAL or (plan == "delegated" and len(types) == 13), number


@pytest.mark.parametrize("number", range(1, 4))
async def test_a_job_and_the_one_sent_in_its_place_make_one_run(number: int) -> None:
    """The queue shows the old one again while the new one is at work: there is one journal and one terminal."""
    of = Desk()
    run = await accepted(of)
    assert await one_slice(of, job_of(run), NEAR_S, appends=2) is None
    of.house.monotonic = lambda: 0.0
    new = asyncio.ensure_future(of.supervisor().run(job_of(run, 1), FakeReceipt(), ends_s=ENDS_S))
    for _ in range(number):
        await asyncio.sleep(0)
    old = asyncio.ensure_future(of.supervisor().run(job_of(run), FakeReceipt(), ends_s=ENDS_S))
    assert sorted(await asyncio.gather(new, old), key=str) == [QUICK.held_s, None]
    assert of.check(run) == CANONICAL


async def cancelled_at(number: int, when: Literal["before", "after"]) -> tuple[str, str]:
    """Cancel while a hand-over hangs in its call of this number; return the call, and how the run ended."""
    of, gate = Desk(), asyncio.Event()
    run = await accepted(of)
    fresh(of.house)
    of.house.faults.strike_at(number, Fault(when, gate=gate))
    running = asyncio.ensure_future(two_slices(of, run))
    await until(lambda: len(of.house.faults.calls) >= number)
    hanging = of.house.faults.calls[number - 1]
    await asyncio.sleep(0.002)
    await of.house.cancel(of.house.caller(), Cancel(run_id=run.run_id))
    gate.set()
    await running
    if of.house.run(run.run_id).is_open:  # the job was told to come again
        assert await perform(of.supervisor(), run) is None
    status = of.house.run(run.run_id).status
    types = of.check(run, status=status)
    assert types[-1] == ("final_response" if status == "completed" else "error")
    return hanging, status


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_cancel_at_any_call_makes_exactly_one_terminal(when: Literal["before", "after"]) -> None:
    """Also where the run is let go and nobody has it yet: the canceller ends it, or the next owner does."""
    names = await calls_of("canonical")
    endings: dict[str, str] = {}
    for number in range(1, len(names) + 1):
        hanging, status = await cancelled_at(number, when)
        endings.setdefault(hanging, status)
    assert endings["runs.release"] == endings["queue.send"] == "cancelled"
    assert "completed" in endings.values()
