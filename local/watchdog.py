"""Sweeps again and again, as the schedule does on AWS."""

import asyncio

from playbyplay.ports import Log
from watchdog.sweep import Sweep


class Watchdog:
    """The watchdog of this home.

    Args:
        every_s: the pause between two sweeps.
    """

    def __init__(self, *, sweep: Sweep, log: Log, every_s: float) -> None:
        self._sweep = sweep
        self._log = log
        self._every_s = every_s

    async def watch(self) -> None:
        """Sweep until cancelled; whatever one sweep meets, the next one comes."""
        while True:
            await asyncio.sleep(self._every_s)
            try:
                await self._sweep()
            except Exception as error:  # noqa: BLE001 - what it did not come to is still overdue the next time
                self._log.event("sweep_failed", error=type(error).__name__)
