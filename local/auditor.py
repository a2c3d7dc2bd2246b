"""Audits again and again, as the schedule does on AWS, and at once when somebody asks."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from auditor.sweep import Swept
from playbyplay.errors import PlaybyplayError
from playbyplay.ports import Clock, Log

REST: Final = 4  # so many times as long as a sweep took it rests at the least: turns have the machine


class AuditFailed(PlaybyplayError):
    """The auditor could not see which runs there are."""


@dataclass(frozen=True, slots=True)
class Looked:
    """A sweep that was made.

    Attributes:
        at_ms: when it began, milliseconds since the epoch.
    """

    at_ms: int
    swept: Swept


class Auditor:
    """The auditor of this home. One sweep at a time: who asks meanwhile gets the next one.

    Args:
        sweep: looks once.
        clock: tells when.
        log: hears of a sweep that failed.
        every_s: from the beginning of one sweep to the next one's.

    Attributes:
        last: the last sweep that could see; None before the first.
    """

    def __init__(self, *, sweep: Callable[[], Awaitable[Swept]], clock: Clock, log: Log, every_s: float) -> None:
        self._sweep = sweep
        self._clock = clock
        self._log = log
        self._every_s = every_s
        self._asked = asyncio.Event()
        self._asking: list[asyncio.Future[Looked]] = []
        self.last: Looked | None = None

    async def watch(self) -> None:
        """Sweep until cancelled; whatever one sweep meets, the next one comes."""
        loop, rest_s = asyncio.get_running_loop(), 0.0
        due_s = loop.time() + self._every_s
        try:
            while True:
                await asyncio.sleep(rest_s)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout_at(due_s):
                        await self._asked.wait()
                began_s = loop.time()
                await self._look()
                due_s, rest_s = began_s + self._every_s, REST * (loop.time() - began_s)
        finally:
            for one in self._asking:
                one.cancel()

    async def audit(self) -> Looked:
        """Sweep at once, and return what was found.

        Raises:
            AuditFailed: it could not look.
        """
        asking: asyncio.Future[Looked] = asyncio.get_running_loop().create_future()
        self._asking.append(asking)
        self._asked.set()
        return await asking

    async def _look(self) -> None:
        self._asked.clear()
        answered, self._asking = self._asking, []
        looked: Looked | None = None
        try:
            at_ms = self._clock.now_ms()
            looked = self.last = Looked(at_ms, await self._sweep())
        except Exception as error:  # noqa: BLE001 - what is missing is still missing the next time
            self._log.event("audit_failed", error=type(error).__name__)
        except asyncio.CancelledError:
            self._asking += answered
            raise
        for one in answered:
            if one.done():
                continue
            if looked is None:
                one.set_exception(AuditFailed("The auditor could not see which runs there are."))
            else:
                one.set_result(looked)
