"""A run in its owner's hands: what the supervisor knows of it beside the journal, how long, and what wakes it."""

import asyncio
import math
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import TypeAlias

from agent_runner.model import ModelResponse
from agent_runner.tool_executor import ToolReport
from playbyplay.domain.derivation import AskModel, CallTool, CloseDelegation, Message
from playbyplay.domain.journal import History
from playbyplay.domain.thread import Run
from playbyplay.domain.timing import Timing
from playbyplay.domain.verdict import too_late
from playbyplay.ports import MAX_HOPS, Job, Receipt

Work: TypeAlias = AskModel | CallTool | CloseDelegation


@dataclass(frozen=True, slots=True)
class Working:
    """A step being performed."""

    step: Work
    task: asyncio.Task[ModelResponse | ToolReport]


class TimeLimit:
    """How long an owner may keep a run before the next one must have it.

    Args:
        ends_s: the monotonic second by which it must have let go; None for never.
        job: the run's; it can be handed on so often and no more.
        timing: how long before the end what must stop.
        monotonic: the time in seconds.
    """

    def __init__(self, ends_s: float | None, job: Job, timing: Timing, monotonic: Callable[[], float]) -> None:
        self._ends_s = math.inf if ends_s is None else ends_s
        self._hops = job.hops
        self._timing = timing
        self._monotonic = monotonic

    def is_near(self) -> bool:
        """Whether there is too little time left to begin anything."""
        return self._left_s() < self._timing.no_new_step_s

    def allows(self, step: Work) -> bool:
        """Whether a step may be begun now."""
        if not self.is_near():
            return True
        # The next owner would take an unsafe call that stands open for one that was made: it is now or never.
        unsafe = isinstance(step, CallTool) and bool(step.call.unsafe)
        return unsafe and self._left_s() >= self._timing.let_go_s

    def is_up(self, working: Collection[Working]) -> bool:
        """Whether the run must be let go: there is no time left, or nothing to wait for.

        Raises:
            RunError: `deadline_exceeded`: it was handed on so often that it may not be again.
        """
        if not self.is_near() or any(one.task.done() for one in working):  # what a step found out is recorded first
            return False
        if working and self._left_s() >= self._timing.let_go_s:
            return False
        if self._hops >= MAX_HOPS:
            raise too_late()
        return True

    def _left_s(self) -> float:
        return self._ends_s - self._monotonic()


@dataclass(slots=True)
class Owned:
    """A run in this supervisor's hands."""

    run: Run
    owner: str
    history: History
    receipt: Receipt
    limit: TimeLimit
    last_frame_s: float = 0.0
    last_renewal_s: float = 0.0
    earlier: tuple[Message, ...] = ()
    working: dict[str, Working] = field(default_factory=dict)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: "asyncio.Future[None] | None" = None
    got_on: bool = False
    longest_silence_s: float = 0.0

    def spoke(self, now_s: float) -> None:
        """Note that a frame goes out now."""
        self.longest_silence_s = max(self.longest_silence_s, now_s - self.last_frame_s)
        self.last_frame_s = now_s

    def is_cancelled(self) -> bool:
        """Whether its user wants the end; a watch that failed says nothing."""
        watch = self.cancelled
        return watch is not None and watch.done() and not watch.cancelled() and watch.exception() is None

    def unwatch(self) -> None:
        """Stop watching for a cancel."""
        if self.cancelled is not None:
            self.cancelled.remove_done_callback(self.wake)
            self.cancelled.cancel()

    def wake(self, _done: object) -> None:
        """Let the owner look: a step has ended, or its user wants it to."""
        self.news.set()


class Pulse:
    """Sets an event again and again, so that an owner who waits for news looks at the clock."""

    def __init__(self, every_s: float, news: asyncio.Event) -> None:
        self._every_s = every_s
        self._news = news
        self._timer = asyncio.get_running_loop().call_later(every_s, self._beat)

    def stop(self) -> None:
        """Set it no more."""
        self._timer.cancel()

    def _beat(self) -> None:
        self._news.set()
        self._timer = asyncio.get_running_loop().call_later(self._every_s, self._beat)
