"""A sweep: the number of overdue runs, told."""

import pytest

from playbyplay.errors import StoreUnavailable
from tests.fakes.clock import FakeClock
from tests.fakes.log import FakeLog
from watchdog.sweep import Sweep


class Overdue:
    """Implements `ports.OverdueRuns` for one moment."""

    def __init__(self, counted: dict[int, int]) -> None:
        self.counted = counted

    async def count(self, *, now_ms: int) -> int:
        if now_ms not in self.counted:
            raise StoreUnavailable("by order of the test")
        return self.counted[now_ms]


@pytest.mark.parametrize("overdue", [0, 7])
async def test_a_sweep_tells_how_many_runs_are_overdue(overdue: int) -> None:
    """None as well: an alarm that sees no number cannot tell good from silent."""
    clock, log = FakeClock(), FakeLog()
    sweep = Sweep(overdue=Overdue({clock.now_ms(): overdue}), clock=clock, log=log)
    assert await sweep({"detail-type": "Scheduled Event"}) == {"overdue": overdue}
    assert log.events == [("watchdog_swept", {"overdue": overdue})]


async def test_a_sweep_that_could_not_look_fails() -> None:
    """It tells no number, and Lambda counts an error."""
    log = FakeLog()
    with pytest.raises(StoreUnavailable):
        await Sweep(overdue=Overdue({}), clock=FakeClock(), log=log)({})
    assert log.events == []
