"""Takes what was counted to the disk each second, in a thread of its own, and answers what is asked of it.

What was counted in the last second is lost in a crash, and so is what a disk does not take or a file that is locked:
numbers may go missing, a run never waits for them.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from local.metrics import CountingLog
from local.metrics_store import MetricsStore, Window
from playbyplay.ports import Clock

T = TypeVar("T")
SECOND_MS: Final = 1000


class MetricsKeeper:
    """Keeps what a log counts.

    Args:
        log: what counts; it is told when numbers begin to go missing.
        store: used from the keeper's thread only.
        clock: tells when it is.
    """

    def __init__(self, *, log: CountingLog, store: MetricsStore, clock: Clock) -> None:
        self._log = log
        self._store = store
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="metrics")
        self._since_ms = clock.now_ms()
        self._losing = False

    async def keep(self) -> None:
        """Write at each full second until cancelled: so what was counted since the one before is of one bucket."""
        while True:
            await asyncio.sleep((SECOND_MS - self._clock.now_ms() % SECOND_MS) / 1000)
            await self.flush()

    async def flush(self) -> None:
        """Write what was counted; what cannot be written is lost, and the first loss of several is told."""
        counted, at_ms, self._since_ms = self._log.drain(), self._since_ms, self._clock.now_ms()
        if not counted:
            return
        try:
            await self._in_thread(lambda: self._store.add(counted, at_ms))
        except Exception as error:  # noqa: BLE001 - the next second's numbers are kept all the same
            if not self._losing:
                self._log.event("metrics_lost", error=type(error).__name__)
            self._losing = True
        else:
            self._losing = False

    async def window(self, *, from_ms: int, to_ms: int, width_ms: int) -> Window:
        """Return what was counted up to now, in buckets of a width; nothing where the file cannot be read."""
        await self.flush()
        try:
            return await self._in_thread(
                lambda: self._store.window(from_ms=from_ms, to_ms=to_ms, width_ms=width_ms),
            )
        except (sqlite3.Error, OSError):
            return Window()

    async def close(self) -> None:
        """Write what is left, close the file and end the thread."""
        await self.flush()
        await self._in_thread(self._store.close)
        self._thread.shutdown()

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)
