"""One sweep: how many open runs are overdue, told as a number that an alarm can watch."""

from playbyplay.adapters.container import Answer, Event
from playbyplay.ports import Clock, Log, OverdueRuns


class Sweep:
    """Looks at the open runs of everybody."""

    def __init__(self, *, overdue: OverdueRuns, clock: Clock, log: Log) -> None:
        self._overdue = overdue
        self._clock = clock
        self._log = log

    async def __call__(self, _event: Event) -> Answer:
        """Count and tell; the schedule's event says nothing that matters."""
        overdue = await self._overdue.count(now_ms=self._clock.now_ms())
        self._log.event("watchdog_swept", overdue=overdue)
        return {"overdue": overdue}
