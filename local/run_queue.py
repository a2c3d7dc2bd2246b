"""The queue in memory: the table of open runs is its durable half, so a restart continues what was accepted.

A job carries ids only and may be delivered twice, so nothing is lost with the memory: at the start
the first open turn of every thread is sent again.
"""

import asyncio
from collections import deque
from dataclasses import dataclass

from playbyplay.ports import Job


@dataclass(slots=True)
class QueuedJob:
    """A job, and in the worker's hands its receipt.

    Attributes:
        hidden_until_s: when it comes again should its runner fall, in seconds of the loop's time.
        age_s: how long it had waited when it was received.
    """

    job: Job
    hidden_until_s: float = 0.0
    age_s: float = 0.0

    async def extend(self, seconds: float) -> None:
        """Keep the job hidden for so long, from now."""
        self.hidden_until_s = asyncio.get_running_loop().time() + seconds


class LocalRunQueue:
    """Implements `ports.RunQueue`, its receiving side for the worker, and `ports.Backlog`."""

    def __init__(self) -> None:
        self._visible: asyncio.Queue[QueuedJob] = asyncio.Queue()
        self._since_s: deque[float] = deque()  # since when each of them waits; the first longest

    async def send(self, job: Job) -> None:
        """Put a job at the end."""
        self._show(QueuedJob(job))

    async def receive(self) -> QueuedJob:
        """Return the next job."""
        queued = await self._visible.get()
        queued.age_s = asyncio.get_running_loop().time() - self._since_s.popleft()
        return queued

    def show_again(self, queued: QueuedJob, delay_s: float) -> None:
        """Deliver a job once more, later."""
        asyncio.get_running_loop().call_later(delay_s, self._show, queued)

    def show_when_due(self, queued: QueuedJob) -> None:
        """Deliver a job once more when it is hidden no longer."""
        asyncio.get_running_loop().call_at(queued.hidden_until_s, self._show, queued)

    async def age_s(self) -> float:
        """Return how long the first job waits for the worker."""
        return asyncio.get_running_loop().time() - self._since_s[0] if self._since_s else 0.0

    async def refresh(self) -> None:
        """Nothing to do: the age is always known."""

    def _show(self, queued: QueuedJob) -> None:
        self._visible.put_nowait(queued)
        self._since_s.append(asyncio.get_running_loop().time())
