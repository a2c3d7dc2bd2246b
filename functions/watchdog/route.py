"""What calls the watchdog: the schedule, for a sweep, or the queue of dead letters, with a batch of them."""

from playbyplay.adapters.container import Answer, Event
from playbyplay.ports import Log
from watchdog.dead_letters import DeadLetters
from watchdog.sweep import Sweep


class Route:
    """Serves both."""

    def __init__(self, *, sweep: Sweep, dead_letters: DeadLetters, log: Log) -> None:
        self._sweep = sweep
        self._dead_letters = dead_letters
        self._log = log

    async def __call__(self, event: Event) -> Answer:
        """Return which letters are to come again, or what a sweep found.

        Raises:
            RuntimeError: the type's name of what went wrong, without its text: Lambda logs what is raised.
        """
        try:
            return await (self._dead_letters(event) if "Records" in event else self._swept())
        except Exception as error:  # noqa: BLE001 - raised again, without its text
            self._log.event("sweep_failed", error=type(error).__name__)
            raise RuntimeError(type(error).__name__) from None

    async def _swept(self) -> Answer:
        swept = await self._sweep()
        return {
            "overdue": swept.overdue,
            "astray": swept.astray,
            "findings": dict(swept.findings),
            "failed": swept.failed,
            "closed": swept.closed,
        }
