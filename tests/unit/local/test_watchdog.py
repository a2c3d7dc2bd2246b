"""The watchdog of the one-machine home: sweep after sweep, whatever one of them meets."""

import asyncio
import contextlib

import pytest

from local.watchdog import Watchdog
from playbyplay.errors import StoreUnavailable
from tests.fakes.faults import fail_before
from tests.fakes.leaps import Leaps
from tests.house import House
from tests.unit.watchdog.kennel import Kennel

EVERY_S = 0.5


async def test_it_sweeps_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first time after one pause, for what a start takes up needs a moment; then after each."""
    house, leap = House(), Leaps(monkeypatch)
    watching = asyncio.create_task(Watchdog(sweep=Kennel(house).sweep, log=house.log, every_s=EVERY_S).watch())
    await leap(EVERY_S - 0.1)
    assert house.faults.count("overdue.first") == 0
    for sweeps in (1, 2, 3):
        await leap(EVERY_S)
        assert house.faults.count("overdue.first") == sweeps
    await _end(watching)


@pytest.mark.parametrize("error", [StoreUnavailable("with a SECRET"), ZeroDivisionError("with a SECRET")])
async def test_a_sweep_that_fails_is_followed_by_the_next(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """The log names the type of what went wrong, and the run that is overdue is looked at by the next one."""
    house, leap = House(), Leaps(monkeypatch)
    run = await house.say()
    house.clock.advance(house.timing.first_check_s + 1)
    fault = fail_before()
    house.faults.plan("overdue.first", type(fault)("before", error))
    watching = asyncio.create_task(Watchdog(sweep=Kennel(house).sweep, log=house.log, every_s=EVERY_S).watch())
    await leap(EVERY_S)
    assert house.log.of("sweep_failed") == [{"error": type(error).__name__}]
    await leap(EVERY_S)
    assert [fields["run_id"] for fields in house.log.of("job_sent_again")] == [run.run_id]
    await _end(watching)


async def _end(watching: asyncio.Task[None]) -> None:
    watching.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await watching
