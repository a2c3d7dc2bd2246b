"""The queue in memory: the table of open runs is its durable half, so a restart continues what was accepted.

A job carries ids only and may be delivered twice, so nothing is lost with the memory: at the start
the first open turn of every thread is sent again.
"""

import asyncio
from dataclasses import dataclass

from playbyplay.ports import Job


@dataclass(frozen=True, slots=True)
class QueuedJob:
    """A job in the worker's hands."""

    job: Job

    async def extend(self, seconds: float) -> None:
        """Nothing to do: this process alone delivers its jobs, and its end shows them again."""


class LocalRunQueue:
    """Implements `ports.RunQueue`, and its receiving side for the worker."""

    def __init__(self) -> None:
        self._visible: asyncio.Queue[QueuedJob] = asyncio.Queue()

    async def send(self, job: Job) -> None:
        """Put a job at the end."""
        self._visible.put_nowait(QueuedJob(job))

    async def receive(self) -> QueuedJob:
        """Return the next job."""
        return await self._visible.get()

    def show_again(self, queued: QueuedJob, delay_s: float) -> None:
        """Deliver a job once more, later."""
        asyncio.get_running_loop().call_later(delay_s, self._visible.put_nowait, queued)
