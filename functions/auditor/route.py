"""What calls the auditor: the schedule, or a person by hand."""

from auditor.sweep import Sweep
from playbyplay.adapters.container import Answer, Event
from playbyplay.ports import Log


class Route:
    """Serves both alike: whatever the event says, it is a sweep."""

    def __init__(self, *, sweep: Sweep, log: Log) -> None:
        self._sweep = sweep
        self._log = log

    async def __call__(self, _event: Event) -> Answer:
        """Return what a sweep found.

        Raises:
            RuntimeError: the type's name of what went wrong, without its text: Lambda logs what is raised.
        """
        try:
            swept = await self._sweep()
        except Exception as error:  # noqa: BLE001 - raised again, without its text
            self._log.event("audit_failed", error=type(error).__name__)
            raise RuntimeError(type(error).__name__) from None
        return {
            "audited": swept.audited,
            "open": swept.open,
            "complete": swept.complete,
            "missing": dict(swept.missing),
            "unread": swept.unread,
            "found": [
                {
                    "run_id": found.run_id,
                    "absence": found.finding.absence,
                    "waits_ms": found.finding.waits_ms,
                    "rules": list(found.finding.rules),
                }
                for found in swept.found
            ],
        }
