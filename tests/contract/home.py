"""What every suite is given: the ports of one home, and ways to make its store fail."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from playbyplay.domain.timing import CLOUD, Timing
from playbyplay.ports import (
    CancelWatch,
    ConnectionStore,
    EndedRuns,
    Journal,
    OverdueRuns,
    RunQueue,
    RunStore,
    TicketStore,
)
from tests.fakes.clock import FakeClock

T = TypeVar("T")


class Runs(RunStore, CancelWatch, Protocol):
    """Both sides of a run store."""


class Home(ABC):
    """The ports of one home.

    Attributes:
        timing: when it looks at runs.
        clock: tells the stores the time; a test that lets time pass moves it.
    """

    timing: Timing = CLOUD

    journal: Journal
    runs: Runs
    overdue: OverdueRuns
    ended: EndedRuns
    queue: RunQueue
    connections: ConnectionStore
    tickets: TicketStore
    clock: FakeClock

    @abstractmethod
    async def unavailable(self, operation: str, call: Callable[[], Awaitable[T]]) -> T:
        """Make a call while the store can do nothing."""

    @abstractmethod
    async def ambiguous(self, operation: str, call: Callable[[], Awaitable[T]]) -> T:
        """Make a call whose outcome the store cannot tell."""

    @abstractmethod
    async def reopen(self) -> None:
        """Go on as another process would."""
