"""Who is at work comes first when the wall clock has leapt forward.

Leases end by the wall clock, and owners renew them by the clock of the event loop, which stands still while a
machine sleeps: https://docs.python.org/3/library/time.html#time.monotonic. So a machine that wakes, or whose
clock is set forward, finds every lease ended, that of each owner at work too, until these have renewed.
"""

import asyncio

from playbyplay.domain.timing import Timing
from playbyplay.ports import Clock, Job, OverdueRuns


class OwnersFirst:
    """Tells how long nobody is to look for lost runs.

    Args:
        clock: the one that leases go by.
        timing: how often they are renewed.
    """

    def __init__(self, clock: Clock, timing: Timing) -> None:
        self._clock = clock
        self._leap_s = (timing.lease_s - timing.renew_s) / 2  # a lesser leap ends no lease
        # An owner notices a quarter of a heartbeat late that it is to renew; as much again for the store.
        self._rest_s = timing.renew_s + timing.heartbeat_s / 2
        self._loop = asyncio.get_running_loop()
        self._ahead_s = self._ahead_of(self._loop.time())
        self._rests_until_s = 0.0

    def wait_s(self) -> float:
        """Return in how many seconds every owner at work has renewed since the last leap; 0 for now.

        Only a leap forward ends a lease: a clock that is set back makes nobody wait.
        """
        now_s = self._loop.time()
        before_s, self._ahead_s = self._ahead_s, self._ahead_of(now_s)
        if self._ahead_s - before_s > self._leap_s:
            self._rests_until_s = now_s + self._rest_s
        return max(0.0, self._rests_until_s - now_s)

    async def renewed(self) -> None:
        """Return once every owner at work has renewed."""
        while wait_s := self.wait_s():  # noqa: ASYNC110 - a clock that leaps signals nobody
            await asyncio.sleep(wait_s)

    def _ahead_of(self, loop_s: float) -> float:
        """Return by how much the wall clock is ahead of the loop's."""
        return self._clock.now_ms() / 1000 - loop_s


class OverdueAfterOwners:
    """Implements `ports.OverdueRuns`: none is overdue until owners had time to renew; a later sweep finds it."""

    def __init__(self, runs: OverdueRuns, owners_first: OwnersFirst) -> None:
        self._runs = runs
        self._owners_first = owners_first

    async def first(self, *, now_ms: int, limit: int) -> list[Job]:
        """Return runs that were to be looked at before now."""
        if self._owners_first.wait_s():
            return []
        return await self._runs.first(now_ms=now_ms, limit=limit)

    async def postpone(self, user: str, run_id: str, *, until_ms: int) -> None:
        """Have an open run looked at then."""
        await self._runs.postpone(user, run_id, until_ms=until_ms)
