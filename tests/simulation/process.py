"""Processes of the simulated world: they work, fall, or stand still for a while and never know.

What a process started belongs to it, through every task it makes; when it falls, all of that is gone,
and nothing it still tries reaches the world.
"""

import asyncio
from collections.abc import Coroutine, Generator
from contextvars import ContextVar
from typing import Any, TypeVar

from tests.fakes.faults import Crash

T = TypeVar("T")
PROCESS: ContextVar["Process | None"] = ContextVar("PROCESS", default=None)


class Process:
    """One Lambda invocation, or one process of a server.

    Args:
        role: what it is: `message`, `runner`, `watchdog`, `connect`.
        base_ms: what all clocks of the world count from.
        skew_ms: how far its own clock is off.
    """

    def __init__(self, role: str, *, base_ms: int, skew_ms: int = 0) -> None:
        self.role = role
        self.alive = True
        self.stood_still = False
        self._base_ms = base_ms + skew_ms
        self._tasks: set[asyncio.Task[Any]] = set()
        self._goes = asyncio.Event()
        self._goes.set()

    def now_ms(self) -> int:
        """Return what the time is to this process."""
        return self._base_ms + round(asyncio.get_running_loop().time() * 1000)

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do some work as this process.

        Raises:
            Crash: it fell meanwhile.
        """
        token = PROCESS.set(self)
        try:
            task = asyncio.ensure_future(work)
        finally:
            PROCESS.reset(token)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if self.alive or not task.cancelled():
                task.cancel()
                raise
            raise Crash from None

    def adopt(self, task: asyncio.Task[Any]) -> None:
        """Have a task fall with this process."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def fall(self) -> None:
        """End at once: no word, no clean-up."""
        self.alive = False
        self._goes.set()
        current = asyncio.current_task()
        for task in list(self._tasks):
            if task is not current:
                task.cancel()

    async def stand_still(self, seconds: float) -> None:
        """Do nothing for so long, unaware of it."""
        self.freeze(seconds)
        await self.turn()

    def freeze(self, seconds: float) -> None:
        """Let none of it reach the world for so long."""
        self.stood_still = True
        self._goes.clear()
        asyncio.get_running_loop().call_later(seconds, self._goes.set)

    async def turn(self) -> None:
        """Go on when it may.

        Raises:
            Crash: it fell.
        """
        await self._goes.wait()
        if not self.alive:
            raise Crash


def task_factory(
    loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, T] | Generator[Any, None, T], **named: Any
) -> asyncio.Task[T]:
    """Make a task that belongs to the process it was made in."""
    task: asyncio.Task[T] = asyncio.Task(work, loop=loop, **named)
    process = PROCESS.get()
    if process is not None:
        process.adopt(task)
        if not process.alive:
            task.cancel()
    return task
