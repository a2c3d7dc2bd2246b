"""After a leap of the wall clock owners renew first; no other change of a clock makes anybody wait."""

import asyncio

import pytest

from local.owners_first import OverdueAfterOwners, OwnersFirst
from playbyplay.domain.timing import ONE_MACHINE
from playbyplay.ports import Job
from tests.fakes.clock import FakeClock
from tests.fakes.leaps import Leaps
from tests.house import House

REST_S = ONE_MACHINE.renew_s + ONE_MACHINE.heartbeat_s / 2
HOUR_S = 3600.0


class Clocks:
    """Two clocks that go together unless a test says otherwise."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.wall = FakeClock()
        self.leap = Leaps(monkeypatch)
        self.owners_first = OwnersFirst(self.wall, ONE_MACHINE)

    async def go_on(self, seconds: float) -> None:
        """Let time pass, awake."""
        self.wall.advance(seconds)
        await self.leap(seconds)


async def test_who_is_at_work_has_time_to_renew() -> None:
    """The rest is longer than an owner needs to notice that it is to renew, and shorter than its lease."""
    assert ONE_MACHINE.renew_s + ONE_MACHINE.heartbeat_s / 4 < REST_S < ONE_MACHINE.lease_s


async def test_nobody_waits_while_the_clocks_go_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long they were not looked at."""
    clocks = Clocks(monkeypatch)
    for seconds in (0, 0.5, 0.5, HOUR_S):
        await clocks.go_on(seconds)
        assert clocks.owners_first.wait_s() == 0


@pytest.mark.parametrize("leap_s", [1.1, HOUR_S, 30 * 24 * HOUR_S])
async def test_a_leap_forward_gives_owners_time_once(monkeypatch: pytest.MonkeyPatch, leap_s: float) -> None:
    """As much as they need from when it is noticed, and none when they had it."""
    clocks = Clocks(monkeypatch)
    await clocks.go_on(0.5)
    clocks.wall.advance(leap_s)
    assert clocks.owners_first.wait_s() == pytest.approx(REST_S)
    await clocks.go_on(REST_S - 0.1)
    assert clocks.owners_first.wait_s() == pytest.approx(0.1)
    await clocks.go_on(0.1)
    assert clocks.owners_first.wait_s() == pytest.approx(0, abs=1e-9)


async def test_a_second_leap_gives_them_time_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that sleeps again before they have renewed."""
    clocks = Clocks(monkeypatch)
    clocks.wall.advance(HOUR_S)
    waiting = asyncio.ensure_future(clocks.owners_first.renewed())
    await clocks.go_on(REST_S - 0.1)
    clocks.wall.advance(HOUR_S)
    await clocks.go_on(0.2)
    assert not waiting.done()
    await clocks.go_on(REST_S)
    assert waiting.done()


@pytest.mark.parametrize("step_s", [-0.5, -HOUR_S, 0.9])
async def test_a_step_that_ends_no_lease_makes_nobody_wait(monkeypatch: pytest.MonkeyPatch, step_s: float) -> None:
    """Neither one backwards nor a small one; what leaps after it is noticed all the same."""
    clocks = Clocks(monkeypatch)
    clocks.wall.advance(step_s)
    assert clocks.owners_first.wait_s() == 0
    await clocks.go_on(0.5)
    assert clocks.owners_first.wait_s() == 0
    clocks.wall.advance(2)
    assert clocks.owners_first.wait_s() == pytest.approx(REST_S)


async def test_a_run_whose_owner_renewed_after_a_leap_is_not_overdue(monkeypatch: pytest.MonkeyPatch) -> None:
    """One whose owner is gone is, as soon as the other has had its time: at first both leases look ended."""
    clocks = Clocks(monkeypatch)
    house = House(timing=ONE_MACHINE, clock=clocks.wall)
    overdue = OverdueAfterOwners(house.runs, clocks.owners_first)
    alive, fallen = await house.say(), await house.say()
    for run in (alive, fallen):
        now_ms = clocks.wall.now_ms()
        await house.runs.acquire(run.user, run.run_id, "one", now_ms=now_ms, lease_until_ms=now_ms + 3000)
    clocks.wall.advance(HOUR_S)
    assert await overdue.first(now_ms=clocks.wall.now_ms(), limit=9) == []
    await clocks.go_on(ONE_MACHINE.renew_s)
    assert await overdue.first(now_ms=clocks.wall.now_ms(), limit=9) == []
    renewed_ms = clocks.wall.now_ms() + 3000
    assert await house.runs.renew(alive.user, alive.run_id, "one", lease_until_ms=renewed_ms, reset_attempts=False)
    await clocks.go_on(REST_S - ONE_MACHINE.renew_s + 0.01)
    assert await overdue.first(now_ms=clocks.wall.now_ms(), limit=9) == [Job(fallen.user, fallen.run_id)]


async def test_a_look_is_postponed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leap or not: it takes nothing over."""
    clocks = Clocks(monkeypatch)
    house = House(timing=ONE_MACHINE, clock=clocks.wall)
    run = await house.say()
    clocks.wall.advance(HOUR_S)
    await OverdueAfterOwners(house.runs, clocks.owners_first).postpone(run.user, run.run_id, until_ms=7)
    assert house.runs.checks[run.user, run.run_id] == 7
