"""One sweep: a look at the runs that are most overdue, and an end to the connections that outlived their session.

Its work is bounded, however many runs are open: what it does not come to, the next one does. What does not depend
on the runs comes first, so that a bad minute of theirs does not cost it.
"""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from playbyplay.errors import ConnectionGone, OutcomeUnknown, PlaybyplayError, PostError, StoreUnavailable
from playbyplay.ports import Clock, ConnectionStore, Gateway, Job, Log, OverdueRuns
from watchdog.look import Finding, Look

LOOKS = 64  # at a time that is asked for; a multiple of the shards of the index
ROUNDS = 8  # in one sweep: 512 looks
BUDGET_S = 35.0  # no round of looks begins later: the next sweep is due, and the function has 55 s
_AT_A_TIME = 16
_CLOSES = 96
_BESIDES_S = 10.0
_ASTRAY: tuple[Finding, ...] = ("sent", "ended", "settled", "unreadable")


async def _nothing() -> None:
    """Note nothing."""


@dataclass(slots=True)
class Swept:
    """What a sweep found.

    Attributes:
        overdue: how many looks it took.
        findings: how many of them found what.
        failed: how many looks were cut short.
        closed: connections whose session was over.
    """

    overdue: int = 0
    findings: Counter[Finding] = field(default_factory=Counter)
    failed: int = 0
    closed: int = 0

    @property
    def astray(self) -> int:
        """How many runs were not on their way: others waited their turn, or had an owner at work."""
        return sum(self.findings[finding] for finding in _ASTRAY) + self.failed


class Sweep:
    """Looks at the open runs of everybody.

    Args:
        behind: notes how far the runners are behind; nothing to do where the queue itself tells.
        monotonic: the time in seconds, from any start; everything else names itself.
    """

    def __init__(
        self,
        *,
        overdue: OverdueRuns,
        look: Look,
        connections: ConnectionStore,
        gateway: Gateway,
        clock: Clock,
        log: Log,
        behind: Callable[[], Awaitable[None]] = _nothing,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._overdue = overdue
        self._look = look
        self._connections = connections
        self._gateway = gateway
        self._clock = clock
        self._log = log
        self._behind = behind
        self._monotonic = monotonic

    async def __call__(self) -> Swept:
        """Sweep once.

        Raises:
            StoreUnavailable: it could not see what is overdue.
        """
        until_s = self._monotonic() + BUDGET_S
        swept = Swept(closed=await self._besides())
        for _ in range(ROUNDS):
            jobs = await self._overdue.first(now_ms=self._clock.now_ms(), limit=LOOKS)
            await self._look_at(jobs, swept, until_s)
            if len(jobs) < LOOKS or self._monotonic() >= until_s:
                break
        self._log.event(
            "watchdog_swept",
            overdue=swept.overdue,
            astray=swept.astray,
            sent=swept.findings["sent"],
            ended=swept.findings["ended"],
            settled=swept.findings["settled"],
            unreadable=swept.findings["unreadable"],
            failed=swept.failed,
            closed=swept.closed,
        )
        return swept

    async def _besides(self) -> int:
        """Note how far the runners are behind and close what outlived its session; return how many that were."""
        with contextlib.suppress(TimeoutError, PlaybyplayError):
            async with asyncio.timeout(_BESIDES_S):
                _noted, closed = await asyncio.gather(self._behind(), self._close_outlived())
                return closed
        return 0

    async def _look_at(self, jobs: list[Job], swept: Swept, until_s: float) -> None:
        for start in range(0, len(jobs), _AT_A_TIME):
            if self._monotonic() >= until_s:
                return
            few = jobs[start : start + _AT_A_TIME]
            swept.overdue += len(few)
            for found in await asyncio.gather(*map(self._one, few)):
                if found is None:
                    swept.failed += 1
                else:
                    swept.findings[found] += 1

    async def _one(self, job: Job) -> Finding | None:
        """Look at one run; where that goes wrong, others come first, now and the next time."""
        try:
            return await self._look(job)
        except Exception as error:  # noqa: BLE001 - whatever it is, a later sweep looks again
            self._log.event("run_retried", run_id=job.run_id, reason=type(error).__name__)
            with contextlib.suppress(PlaybyplayError):
                await self._look.put_off(job)
            return None

    async def _close_outlived(self) -> int:
        """Close connections whose session is over; until then they get no live frames, and their own are refused."""
        try:
            outlived = await self._connections.outlived(now_ms=self._clock.now_ms(), limit=_CLOSES)
        except (StoreUnavailable, OutcomeUnknown):
            return 0
        return sum(await asyncio.gather(*(self._close(one) for one in outlived)))

    async def _close(self, connection_id: str) -> bool:
        """Close one; what fails now is done by the next sweep."""
        try:
            with contextlib.suppress(ConnectionGone):
                await self._gateway.close(connection_id)
            await self._connections.remove(connection_id)
        except (PostError, StoreUnavailable, OutcomeUnknown):
            return False
        return True
