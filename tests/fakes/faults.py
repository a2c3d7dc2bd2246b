"""What goes wrong at a port, when, and in which order the ports were called.

faults = Faults()
faults.plan("journal.append", None, fail_after())  # the first call passes, the second is ambiguous
faults.strike_at(7, before(Crash()))               # whatever port is called seventh
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal

from playbyplay.errors import OutcomeUnknown, StoreUnavailable


class Crash(BaseException):
    """The process is gone: nothing in the product may catch it."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One call goes wrong.

    Attributes:
        when: before its effect or after it.
        error: what is raised.
        gate: what is waited for first: the call hangs until it is set.
    """

    when: Literal["before", "after"]
    error: BaseException | None = None
    gate: asyncio.Event | None = None

    async def strike(self) -> None:
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error


def before(error: BaseException) -> Fault:
    """The call raises and has no effect."""
    return Fault("before", error)


def after(error: BaseException) -> Fault:
    """The call takes effect and raises."""
    return Fault("after", error)


def fail_before() -> Fault:
    """Nothing was written, and the store says so."""
    return before(StoreUnavailable("by order of the test"))


def fail_after() -> Fault:
    """Everything was written, and the store cannot say so."""
    return after(OutcomeUnknown("by order of the test"))


def lost() -> Fault:
    """Nothing was written, and the store cannot say so."""
    return before(OutcomeUnknown("by order of the test"))


@dataclass(slots=True)
class Faults:
    """Shared by the fakes of one test.

    Attributes:
        calls: every operation called so far, in order.
        dead: after a Crash nothing works any more, until it is set to False: another process.
    """

    calls: list[str] = field(default_factory=list)
    dead: bool = False
    _planned: dict[str, deque[Fault | None]] = field(default_factory=lambda: defaultdict(deque))
    _numbered: dict[tuple[str, int], Fault] = field(default_factory=dict)

    def plan(self, operation: str, *faults: Fault | None) -> None:
        """The next calls of an operation take these, in order; None passes, and so do those after the last."""
        self._planned[operation].extend(faults)

    def heal(self, operation: str) -> None:
        """What was planned for an operation happens no more."""
        self._planned[operation].clear()

    def strike_at(self, number: int, fault: Fault, operation: str = "") -> None:
        """The call of this number (from 1), of one operation or of all, takes this fault."""
        self._numbered[operation, number] = fault

    def count(self, operation: str) -> int:
        """Return how often an operation was called."""
        return self.calls.count(operation)

    @asynccontextmanager
    async def around(self, operation: str) -> AsyncIterator[None]:
        """Wrap the effect of a call; others get their turn before it, as with a real store."""
        self.calls.append(operation)
        fault = self._numbered.get(("", len(self.calls))) or self._numbered.get((operation, self.count(operation)))
        if fault is None and self._planned[operation]:
            fault = self._planned[operation].popleft()
        await asyncio.sleep(0)
        await self._meet(fault, "before")
        yield
        await self._meet(fault, "after")

    async def _meet(self, fault: Fault | None, when: str) -> None:
        if fault is not None and fault.when == when:
            self.dead = self.dead or isinstance(fault.error, Crash)
            await fault.strike()
        if self.dead:
            raise Crash
