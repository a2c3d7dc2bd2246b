"""The seven lifecycle events: what a user is told about a run, in order, once each.

An event is rendered only from the journal entry that stores it (write ahead, then post).
"""

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from playbyplay.errors import TerminalCode
from playbyplay.protocol.base import Count, Frame, Ordinal, Text, Timestamp, Uuid

ToolStatus = Literal["ok", "failed", "timeout", "denied", "cancelled", "outcome_unknown"]
FinishReason = Literal["stop", "length"]


class Usage(Frame):
    """Model tokens a run has used so far."""

    input_tokens: Count = 0
    output_tokens: Count = 0


class EventFrame(Frame):
    """What every event carries: whose it is, where it stands, when it became true."""

    type: str
    v: Literal[1] = 1
    run_id: Uuid
    thread_id: Uuid
    turn: Ordinal
    seq: Ordinal
    timestamp: Timestamp
    replay: Literal[True] | None = None


class StepFrame(EventFrame):
    """A step of the agent at work; steps of a sub-agent name the delegation they belong to."""

    agent_id: Text
    parent_call_id: Text | None = None


class AgentStarted(EventFrame):
    """A runner owns the run. The first event."""

    type: Literal["agent_started"] = "agent_started"
    agent_id: Text
    message: Text
    client_message_id: Uuid | None = None


class AgentThinking(StepFrame):
    """What the agent is about to do and why, in words a person reads."""

    type: Literal["agent_thinking"] = "agent_thinking"
    thought: Text


class ToolExecuting(StepFrame):
    """A tool is about to be called; recorded and sent before the call."""

    type: Literal["tool_executing"] = "tool_executing"
    call_id: Text
    tool_name: Text
    description: Text


class ToolCompleted(StepFrame):
    """Closes exactly one `tool_executing`."""

    type: Literal["tool_completed"] = "tool_completed"
    call_id: Text
    tool_name: Text
    status: ToolStatus
    result_summary: Text
    duration_ms: Count


class AgentCompleted(EventFrame):
    """The work is done; the answer follows."""

    type: Literal["agent_completed"] = "agent_completed"
    agent_id: Text
    status: Literal["success"] = "success"
    message: Text
    duration_ms: Count


class FinalResponse(EventFrame):
    """Terminal: the answer, as Markdown. A cut one is read to its end with `answer`."""

    type: Literal["final_response"] = "final_response"
    content: Text
    usage: Usage
    finish_reason: FinishReason
    truncated: Literal[True] | None = None
    full_bytes: Count | None = None


class ErrorEvent(EventFrame):
    """Terminal: the run failed; a safe sentence, never a stack trace."""

    type: Literal["error"] = "error"
    code: TerminalCode
    message: Text
    retryable: bool


Event = Annotated[
    AgentStarted | AgentThinking | ToolExecuting | ToolCompleted | AgentCompleted | FinalResponse | ErrorEvent,
    Field(discriminator="type"),
]
EVENTS: tuple[type[EventFrame], ...] = (
    AgentStarted,
    AgentThinking,
    ToolExecuting,
    ToolCompleted,
    AgentCompleted,
    FinalResponse,
    ErrorEvent,
)
EVENT: TypeAdapter[Event] = TypeAdapter(Event)
EVENT_TYPES: tuple[str, ...] = tuple(str(event.model_fields["type"].default) for event in EVENTS)
TERMINAL_TYPES = frozenset({"final_response", "error"})
