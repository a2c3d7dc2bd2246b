"""One sweep: a look at the runs that are most overdue, and an end to the connections that outlived their session.

It does the same work however many runs are open: what it does not come to, the next one does.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from playbyplay.errors import ConnectionGone, OutcomeUnknown, PostError, StoreUnavailable
from playbyplay.ports import Clock, ConnectionStore, Gateway, Job, Log, OverdueRuns
from watchdog.look import Finding, Look

LOOKS = 96  # of a sweep; a multiple of the shards of the index
_AT_A_TIME = 8
_CLOSES = 96


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep found.

    Attributes:
        overdue: how many runs it looked at.
        findings: how many of them it left how.
        failed: how many looks the store cut short.
        closed: connections whose session was over.
    """

    overdue: int
    findings: Counter[Finding]
    failed: int
    closed: int


class Sweep:
    """Looks at the open runs of everybody."""

    def __init__(
        self,
        *,
        overdue: OverdueRuns,
        look: Look,
        connections: ConnectionStore,
        gateway: Gateway,
        clock: Clock,
        log: Log,
        behind: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._overdue = overdue
        self._look = look
        self._connections = connections
        self._gateway = gateway
        self._clock = clock
        self._log = log
        self._behind = behind

    async def __call__(self) -> Swept:
        """Sweep once.

        Raises:
            StoreUnavailable: it could not see what is overdue.
        """
        jobs = await self._overdue.first(now_ms=self._clock.now_ms(), limit=LOOKS)
        findings: Counter[Finding] = Counter()
        failed = 0
        for few in (jobs[start : start + _AT_A_TIME] for start in range(0, len(jobs), _AT_A_TIME)):
            for found in await asyncio.gather(*(self._one(job) for job in few)):
                if found is None:
                    failed += 1
                else:
                    findings[found] += 1
        if self._behind:  # where the queue does not know by itself how far the runners are behind
            await self._behind()
        swept = Swept(len(jobs), findings, failed, await self._close_outlived())
        self._log.event(
            "watchdog_swept",
            overdue=swept.overdue,
            sent=findings["sent"],
            ended=findings["ended"],
            settled=findings["settled"],
            failed=failed,
            closed=swept.closed,
        )
        return swept

    async def _one(self, job: Job) -> Finding | None:
        """Look at one run; what goes wrong there must not keep the others waiting."""
        try:
            return await self._look(job)
        except Exception as error:  # noqa: BLE001 - it stays overdue, and the next sweep looks again
            self._log.event("run_retried", run_id=job.run_id, reason=type(error).__name__)
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
