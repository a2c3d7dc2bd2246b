"""Journal prefix to next steps: what remains to be done, derived from the records alone.

A crash anywhere loses nothing, because whoever reads the same records derives the same steps.
Scopes form a tree: the run's own agent at the root, one scope below each open delegation.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from playbyplay.domain.journal import CheckpointEntry, History, ToolCall


@dataclass(frozen=True, slots=True)
class UserMessage:
    """Text of the user, or the task a delegation hands over."""

    content: str


@dataclass(frozen=True, slots=True)
class AgentMessage:
    """What the model said: text, calls or both."""

    content: str
    calls: tuple[ToolCall, ...] = ()


@dataclass(frozen=True, slots=True)
class ToolMessage:
    """What a call returned."""

    call_id: str
    tool_name: str
    content: str


Message: TypeAlias = UserMessage | AgentMessage | ToolMessage


@dataclass(frozen=True, slots=True)
class AskModel:
    """The model is next, with what this scope has said and learned so far (its opening message aside)."""

    scope: str | None
    delegation: ToolCall | None
    said: tuple[Message, ...]

    @property
    def key(self) -> str:
        """Names the step while it is being performed."""
        return f"model:{self.scope or ''}"


@dataclass(frozen=True, slots=True)
class CallTool:
    """A call is open: call the tool, or settle what an earlier owner left behind."""

    call: ToolCall
    scope: str | None
    delegation: ToolCall | None
    taken_over: bool

    @property
    def key(self) -> str:
        """Names the step while it is being performed."""
        return f"call:{self.call.call_id}"


@dataclass(frozen=True, slots=True)
class CloseDelegation:
    """A sub-agent has answered: its answer is the result of the delegation."""

    call: ToolCall
    scope: str | None
    answer: str

    @property
    def key(self) -> str:
        """Names the step while it is being performed."""
        return f"call:{self.call.call_id}"


@dataclass(frozen=True, slots=True)
class Finish:
    """The run's own agent has answered: nothing is left but to say so."""

    answer: CheckpointEntry

    @property
    def key(self) -> str:
        """Names the step while it is being performed."""
        return "finish"


Step: TypeAlias = AskModel | CallTool | CloseDelegation | Finish


def next_steps(history: History) -> tuple[Step, ...]:
    """Return every step that can be taken now, in a fixed order; () for an ended run."""
    if history.state.phase == "ended":
        return ()
    return tuple(_steps(history, None, None, None))


def _steps(history: History, scope: str | None, delegation: ToolCall | None, outer: str | None) -> Iterator[Step]:
    points = history.scope(scope)
    if points and not points[-1].calls:
        yield Finish(points[-1]) if delegation is None else CloseDelegation(delegation, outer, points[-1].text)
        return
    waiting = [call for call in (points[-1].calls if points else ()) if call.call_id not in history.results]
    for call in waiting:
        if call.delegate is not None:
            yield from _steps(history, call.call_id, call, scope)
        else:
            yield CallTool(call, scope, delegation, history.opened_at[call.call_id] < history.epoch)
    if not waiting:
        yield AskModel(scope, delegation, tuple(_said(history, points)))


def _said(history: History, points: list[CheckpointEntry]) -> Iterator[Message]:
    for point in points:
        yield AgentMessage(point.text, point.calls)
        for call in point.calls:
            yield ToolMessage(call.call_id, call.tool_name, history.results[call.call_id])
