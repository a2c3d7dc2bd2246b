"""The queue in memory, with its receiving side, and a job in a runner's hands."""

from collections import deque

from playbyplay.ports import Job
from tests.fakes.faults import Faults


class FakeRunQueue:
    """Implements `ports.RunQueue`.

    Attributes:
        sent: every job ever sent, in order.
        waiting: the jobs nobody has received.
    """

    def __init__(self, faults: Faults | None = None) -> None:
        self.faults = faults or Faults()
        self.sent: list[Job] = []
        self.waiting: deque[Job] = deque()

    async def send(self, job: Job) -> None:
        async with self.faults.around("queue.send"):
            self.sent.append(job)
            self.waiting.append(job)


class FakeReceipt:
    """Implements `ports.Receipt`.

    Attributes:
        extended: the seconds asked for, in order.
    """

    def __init__(self, faults: Faults | None = None) -> None:
        self.faults = faults or Faults()
        self.extended: list[float] = []

    async def extend(self, seconds: float) -> None:
        async with self.faults.around("receipt.extend"):
            self.extended.append(seconds)
