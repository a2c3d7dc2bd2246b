"""A queue as SQS is one: at least once, hidden while somebody works on it, dead after too many tries.

https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-visibility-timeout.html
"""

import asyncio
from dataclasses import dataclass, field

from playbyplay.errors import StoreUnavailable
from playbyplay.ports import Job

HIDDEN_S = 900.0  # as `infra` has it: the runner shortens it


@dataclass(slots=True)
class _Message:
    job: Job
    visible_s: float
    receives: int = 0
    receipt: int = 0


@dataclass(frozen=True, slots=True)
class Received:
    """A message in somebody's hands; implements `ports.Receipt`."""

    queue: "SimulatedQueue"
    number: int
    receipt: int
    job: Job

    async def extend(self, seconds: float) -> None:
        """Keep it hidden for so long from now."""
        await self.queue.extend(self, seconds)


@dataclass(slots=True)
class SimulatedQueue:
    """Implements `ports.RunQueue`, and its receiving side.

    Attributes:
        max_receives: a message received more often is a dead letter.
        dead: where those go; None keeps them.
    """

    max_receives: int
    dead: "SimulatedQueue | None" = None
    _messages: dict[int, _Message] = field(default_factory=dict)
    _sent: int = 0
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits here, hidden or not."""
        return not self._messages

    async def send(self, job: Job) -> None:
        """Put a job."""
        self._sent += 1
        self._messages[self._sent] = _Message(job, asyncio.get_running_loop().time())
        self._tell()

    async def receive(self) -> Received:
        """Wait for a job that is visible, and hide it."""
        loop = asyncio.get_running_loop()
        while True:
            now_s = loop.time()
            visible = [(one.visible_s, number) for number, one in self._messages.items() if one.visible_s <= now_s]
            if visible:
                received = await self._take(min(visible)[1], now_s)
                if received is not None:
                    return received
                continue
            later = [one.visible_s for one in self._messages.values()]
            news = self._news
            try:
                async with asyncio.timeout_at(min(later) if later else None):
                    await news.wait()
            except TimeoutError:
                continue

    async def extend(self, received: Received, seconds: float) -> None:
        """Change how long a message is hidden.

        Raises:
            StoreUnavailable: it is gone, or in other hands.
        """
        message = self._messages.get(received.number)
        if message is None or message.receipt != received.receipt:
            raise StoreUnavailable("the receipt holds no more")
        message.visible_s = asyncio.get_running_loop().time() + seconds
        self._tell()

    async def delete(self, received: Received) -> None:
        """Be done with a message; one in other hands by now is deleted all the same, as SQS may."""
        self._messages.pop(received.number, None)

    def again(self, received: Received) -> None:
        """Deliver a message to somebody else too."""
        message = self._messages.get(received.number)
        if message is not None:
            message.visible_s = asyncio.get_running_loop().time()
            self._tell()

    async def _take(self, number: int, now_s: float) -> Received | None:
        message = self._messages[number]
        message.receives += 1
        message.receipt += 1
        if self.dead is not None and message.receives > self.max_receives:
            del self._messages[number]
            await self.dead.send(message.job)
            return None
        message.visible_s = now_s + HIDDEN_S
        return Received(self, number, message.receipt, message.job)

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()
