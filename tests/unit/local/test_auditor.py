"""The auditor of the one-machine home: sweep after sweep, at once for who asks, and never in the way of turns."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from auditor.sweep import Swept
from local.auditor import REST, AuditFailed, Auditor
from playbyplay.errors import StoreUnavailable
from tests.fakes.faults import fail_before
from tests.fakes.leaps import Leaps
from tests.house import House
from tests.unit.auditor.office import Office

EVERY_S = 2.0
SWEPT = "overdue.first"


class Gate:
    """A sweep that lasts until it is let through.

    Attributes:
        began: how many began.
    """

    def __init__(self) -> None:
        self.began = 0
        self._open = asyncio.Semaphore(0)

    async def __call__(self) -> Swept:
        self.began += 1
        await self._open.acquire()
        return Swept(audited=self.began)

    def let_through(self) -> None:
        self._open.release()


@contextlib.asynccontextmanager
async def watching(house: House, sweep: Callable[[], Awaitable[Swept]]) -> AsyncIterator[Auditor]:
    auditor = Auditor(sweep=sweep, clock=house.clock, log=house.log, every_s=EVERY_S)
    task = asyncio.create_task(auditor.watch())
    try:
        yield auditor
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_it_sweeps_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first time after one pause, then after each; the last one is there to be seen."""
    house, leap = House(), Leaps(monkeypatch)
    async with watching(house, Office(house).sweep) as auditor:
        await leap(EVERY_S - 0.1)
        assert (house.faults.count(SWEPT), auditor.last) == (0, None)
        for sweeps in (1, 2, 3):
            house.clock.advance(EVERY_S)
            await leap(EVERY_S)
            assert house.faults.count(SWEPT) == sweeps
            assert auditor.last is not None
            assert auditor.last.at_ms == house.clock.ms


async def test_it_sweeps_at_once_for_who_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is missing is told without a wait, and the next pause is a whole one."""
    house, leap = House(), Leaps(monkeypatch)
    run = await house.say()
    house.clock.advance(house.timing.start_s + 1)
    async with watching(house, Office(house).sweep) as auditor:
        await leap(EVERY_S - 0.5)
        looked = await auditor.audit()
        assert [(found.run_id, found.finding.absence) for found in looked.swept.found] == [
            (run.run_id, "agent_started")
        ]
        assert auditor.last is looked
        await leap(EVERY_S - 0.5)
        assert house.faults.count(SWEPT) == 1
        await leap(0.5)
        assert house.faults.count(SWEPT) == 2


async def test_who_asks_during_a_sweep_gets_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them one: what a sweep under way has not looked at it may have missed, and more are for nothing."""
    house, leap, gate = House(), Leaps(monkeypatch), Gate()
    async with watching(house, gate) as auditor:
        first = asyncio.ensure_future(auditor.audit())
        await leap.settle()
        others = [asyncio.ensure_future(auditor.audit()) for _ in range(3)]
        gate.let_through()
        await leap.settle()
        assert first.result().swept.audited == 1
        assert not any(one.done() for one in others)
        gate.let_through()
        await leap.settle()
        assert [one.result().swept.audited for one in others] == [2, 2, 2]
        await leap(EVERY_S / 2)
        assert gate.began == 2


@pytest.mark.parametrize("error", [StoreUnavailable("with a SECRET"), ZeroDivisionError("with a SECRET")])
async def test_a_sweep_that_fails_is_followed_by_the_next(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """The log names the type, who asked is told, and what was seen last stays."""
    house, leap = House(), Leaps(monkeypatch)
    async with watching(house, Office(house).sweep) as auditor:
        before = await auditor.audit()
        house.faults.plan(SWEPT, type(fail_before())("before", error))
        with pytest.raises(AuditFailed, match="could not see") as failed:
            await auditor.audit()
        assert "SECRET" not in str(failed.value)
        assert house.log.of("audit_failed") == [{"error": type(error).__name__}]
        assert auditor.last is before
        await leap(EVERY_S)
        assert auditor.last is not before


async def test_it_rests_for_most_of_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a sweep that took long nobody gets another before it rested, however often it is asked."""
    house, leap, gate = House(), Leaps(monkeypatch), Gate()
    async with watching(house, gate) as auditor:
        asking = asyncio.ensure_future(auditor.audit())
        await leap(3.0)
        gate.let_through()
        await leap.settle()
        assert asking.done()
        again = asyncio.ensure_future(auditor.audit())
        await leap(REST * 3.0 - 0.1)
        assert gate.began == 1
        await leap(0.1)
        assert gate.began == 2
        again.cancel()


async def test_a_short_sweep_does_not_move_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the beginning of one to that of the next it is as long as was asked for."""
    house, leap, gate = House(), Leaps(monkeypatch), Gate()
    async with watching(house, gate):
        await leap(EVERY_S)
        await leap(0.2)
        gate.let_through()
        await leap(EVERY_S - 0.3)
        assert gate.began == 1
        await leap(0.1)
        assert gate.began == 2


async def test_who_gave_up_is_no_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    """The others get their answer."""
    house, leap, gate = House(), Leaps(monkeypatch), Gate()
    async with watching(house, gate) as auditor:
        gone, stays = asyncio.ensure_future(auditor.audit()), asyncio.ensure_future(auditor.audit())
        await leap.settle()
        gone.cancel()
        gate.let_through()
        assert (await stays).swept.audited == 1


async def test_nobody_waits_for_an_auditor_that_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether a sweep for them was under way or was still to come."""
    house, leap, gate = House(), Leaps(monkeypatch), Gate()
    async with watching(house, gate) as auditor:
        first = asyncio.ensure_future(auditor.audit())
        await leap.settle()
        second = asyncio.ensure_future(auditor.audit())
        await leap.settle()
    await leap.settle()
    assert first.cancelled()
    assert second.cancelled()
