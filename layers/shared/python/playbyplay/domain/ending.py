"""How a run ends, as entries: rendered from the journal alone, so any acquirer can write them.

`Stamp` gives events what only the run knows: whose they are, their seq and time.
"""

from collections.abc import Callable, Mapping
from typing import Any

from playbyplay.domain.journal import CheckpointEntry, Entry, EventEntry, FenceEntry, History
from playbyplay.domain.text import prefix_as_json
from playbyplay.domain.timing import milliseconds, timestamp
from playbyplay.errors import GrammarError, RunError, TerminalCode
from playbyplay.protocol.base import MAX_EVENT_BYTES
from playbyplay.protocol.events import (
    AgentCompleted,
    ErrorEvent,
    Event,
    FinalResponse,
    ToolCompleted,
    ToolExecuting,
    ToolStatus,
    Usage,
)

_ENVELOPE_BYTES = 1024  # more than all fields of a final_response but its content
OUTCOME_UNKNOWN = "The runner was lost during this call; whether it took effect is unknown."
_LEFT_OPEN: Mapping[TerminalCode, tuple[ToolStatus, str]] = {
    "cancelled": ("cancelled", "Stopped: the run was cancelled."),
    "deadline_exceeded": ("timeout", "Stopped: the run took too long."),
}


class Stamp:
    """Turns event classes into entries, numbered on from a history."""

    def __init__(self, history: History, now_ms: int) -> None:
        self._input = history.input
        self._run_id = history.run_id
        self._seq = history.state.last_seq
        self._timestamp = timestamp(now_ms)

    def event(self, kind: Callable[..., Event], **fields: Any) -> EventEntry:  # noqa: ANN401 - checked by the model
        """Return the next event as an entry."""
        self._seq += 1
        event = kind(
            run_id=self._run_id,
            thread_id=self._input.thread_id,
            turn=self._input.turn,
            seq=self._seq,
            timestamp=self._timestamp,
            **fields,
        )
        return EventEntry(event=event)


def fence(history: History) -> FenceEntry:
    """Return the entry that makes its writer the owner."""
    return FenceEntry(epoch=history.epoch + 1)


def answer_of(history: History) -> CheckpointEntry | None:
    """Return the checkpoint the run's answer is in; None while there is work left."""
    points = history.scope(None)
    return points[-1] if points and not points[-1].calls else None


def started_ms(history: History) -> int:
    """Return when the run started, milliseconds since the epoch; 0 if it did not."""
    return milliseconds(history.started.timestamp) if history.started is not None else 0


def completed(history: History, now_ms: int) -> list[Entry]:
    """Return `[agent_completed, final_response]`, rendered from the checkpoint that holds the answer.

    Raises:
        GrammarError: there is no such checkpoint.
    """
    answer = answer_of(history)
    if answer is None:
        raise GrammarError("there is no answer yet")
    return answered(history, Stamp(history, now_ms), answer, history.usage, now_ms)


def answered(history: History, stamp: Stamp, answer: CheckpointEntry, usage: Usage, now_ms: int) -> list[Entry]:
    """Return `[agent_completed, final_response]` for an answer that may be in the very record they go into.

    Args:
        history: the run, up to the record before.
        stamp: numbers the two on.
        answer: the checkpoint with the answer.
        usage: of the whole run, this answer included.
        now_ms: when.

    Raises:
        GrammarError: the run has not started.
    """
    started = history.started
    if started is None:
        raise GrammarError("there is no answer before the start")
    tools = len(history.opened)
    cut = prefix_as_json(answer.text, MAX_EVENT_BYTES - _ENVELOPE_BYTES)
    long = {"truncated": True, "full_bytes": len(answer.text.encode())} if cut != answer.text else {}
    return [
        stamp.event(
            AgentCompleted,
            agent_id=started.agent_id,
            message=f"Done after {tools} tool call{'' if tools == 1 else 's'}." if tools else "Done.",
            duration_ms=max(0, now_ms - started_ms(history)),
        ),
        stamp.event(
            FinalResponse,
            content=cut,
            usage=usage,
            finish_reason=answer.finish_reason,
            **long,
        ),
    ]


def failed(history: History, error: RunError, now_ms: int, *, taken_over: bool = False) -> list[Entry]:
    """Return the `tool_completed` of every open call and the terminal `error`.

    Args:
        history: the run.
        error: why it ends.
        now_ms: when.
        taken_over: whether its open calls were opened by an earlier owner, so that an unsafe one may have taken effect.
    """
    stamp = Stamp(history, now_ms)
    entries: list[Entry] = []
    for call in reversed(history.open_calls):  # inner first: a sub-agent's step stands while its delegation is open
        status, summary = _LEFT_OPEN.get(error.code, ("cancelled", "Stopped: the run failed."))
        lost = taken_over or history.opened_at[call.call_id] < history.epoch
        if lost and call.call_id in history.unsafe:
            status, summary = "outcome_unknown", OUTCOME_UNKNOWN
        entries.append(closed(stamp, call, status, summary, 0))
    entries.append(stamp.event(ErrorEvent, code=error.code, message=error.message, retryable=error.retryable))
    return entries


def closed(stamp: Stamp, call: ToolExecuting, status: ToolStatus, summary: str, duration_ms: int) -> EventEntry:
    """Return the `tool_completed` that closes a call."""
    return stamp.event(
        ToolCompleted,
        agent_id=call.agent_id,
        parent_call_id=call.parent_call_id,
        call_id=call.call_id,
        tool_name=call.tool_name,
        status=status,
        result_summary=summary,
        duration_ms=duration_ms,
    )
