"""A run in its owner's hands: what the supervisor knows of it beside the journal, and what wakes it."""

import asyncio
from dataclasses import dataclass, field
from typing import TypeAlias

from agent_runner.model import ModelResponse
from agent_runner.tool_executor import ToolReport
from playbyplay.domain.derivation import AskModel, CallTool, CloseDelegation, Message
from playbyplay.domain.journal import History
from playbyplay.domain.thread import Run
from playbyplay.ports import Receipt

Work: TypeAlias = AskModel | CallTool | CloseDelegation


@dataclass(frozen=True, slots=True)
class Working:
    """A step being performed."""

    step: Work
    task: asyncio.Task[ModelResponse | ToolReport]


@dataclass(slots=True)
class Owned:
    """A run in this supervisor's hands."""

    run: Run
    owner: str
    history: History
    receipt: Receipt
    last_frame_s: float
    last_renewal_s: float
    earlier: tuple[Message, ...] = ()
    working: dict[str, Working] = field(default_factory=dict)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: "asyncio.Future[None] | None" = None

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
