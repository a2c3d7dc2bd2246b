"""The run grammar as a table: which event may follow which, for every writer and every reader.

run  := agent_started step* agent_completed final_response | agent_started step* error | error
step := agent_thinking | tool_executing(call) | tool_completed(call)
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from playbyplay.errors import GrammarError
from playbyplay.protocol.base import RunStatus
from playbyplay.protocol.events import ErrorEvent, Event, StepFrame, ToolCompleted, ToolExecuting

Phase = Literal["queued", "running", "completing", "ended"]
CallState = Literal["open", "closed"]

MOVES: Mapping[tuple[Phase, str], Phase] = {
    ("queued", "agent_started"): "running",
    ("queued", "error"): "ended",
    ("running", "agent_thinking"): "running",
    ("running", "tool_executing"): "running",
    ("running", "tool_completed"): "running",
    ("running", "agent_completed"): "completing",
    ("running", "error"): "ended",
    ("completing", "final_response"): "ended",
}
LONE_ERRORS = frozenset({"queue_timeout", "cancelled", "attempts_exhausted", "deadline_exceeded"})
_NEEDS_CLOSED_CALLS = frozenset({"agent_completed", "error"})


@dataclass(frozen=True, slots=True)
class RunState:
    """Where a run stands after its first `last_seq` events."""

    phase: Phase = "queued"
    last_seq: int = 0
    calls: Mapping[str, CallState] = field(default_factory=dict)
    outcome: RunStatus | None = None

    @property
    def open_calls(self) -> tuple[str, ...]:
        """The calls that were opened and not closed, in the order of opening."""
        return tuple(call for call, state in self.calls.items() if state == "open")

    @property
    def status(self) -> RunStatus:
        """The run's status, as heads tell it."""
        return self.outcome or ("queued" if self.phase == "queued" else "running")


def advance(state: RunState, event: Event) -> RunState:
    """Return the state after one more event.

    Raises:
        GrammarError: the event may not stand here; the state given is untouched.
    """
    if event.seq != state.last_seq + 1:
        raise GrammarError(f"seq {event.seq} after {state.last_seq}")
    phase = MOVES.get((state.phase, event.type))
    if phase is None:
        raise GrammarError(f"{event.type} while {state.phase}")
    if event.type in _NEEDS_CLOSED_CALLS and state.open_calls:
        raise GrammarError(f"{event.type} with open calls")
    if state.phase == "queued" and isinstance(event, ErrorEvent) and event.code not in LONE_ERRORS:
        raise GrammarError(f"error {event.code} before agent_started")
    return RunState(phase, event.seq, _calls_after(state, event), _outcome_of(event) if phase == "ended" else None)


def _calls_after(state: RunState, event: Event) -> Mapping[str, CallState]:
    if not isinstance(event, StepFrame):
        return state.calls
    if event.parent_call_id is not None and state.calls.get(event.parent_call_id) != "open":
        raise GrammarError(f"{event.type} inside a call that is not open")
    if isinstance(event, ToolExecuting):
        if event.call_id in state.calls:
            raise GrammarError("a call opens once")
        return {**state.calls, event.call_id: "open"}
    if isinstance(event, ToolCompleted):
        if state.calls.get(event.call_id) != "open":
            raise GrammarError("a call closes once, after it opened")
        return {**state.calls, event.call_id: "closed"}
    return state.calls


def _outcome_of(event: Event) -> RunStatus:
    if isinstance(event, ErrorEvent):
        return "cancelled" if event.code == "cancelled" else "failed"
    return "completed"
