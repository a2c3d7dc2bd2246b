"""The server's other frames: answers and hints. They carry no seq and are never stored."""

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from playbyplay.errors import RejectionCode
from playbyplay.protocol.base import Count, Frame, Ordinal, RunStatus, Text, Timestamp, Uuid
from playbyplay.protocol.commands import Position


class ReplyFrame(Frame):
    """What every reply carries."""

    type: str


class MessageAccepted(ReplyFrame):
    """The run is durable: from here the promise holds."""

    type: Literal["message_accepted"] = "message_accepted"
    client_message_id: Uuid | None = None
    run_id: Uuid
    thread_id: Uuid
    turn: Ordinal
    duplicate: bool
    position: Annotated[Count, Field(description="turns ahead of this one in its thread")]


class MessageRejected(ReplyFrame):
    """The frame was refused and changed nothing."""

    type: Literal["message_rejected"] = "message_rejected"
    client_message_id: Uuid | None = None
    run_id: Uuid | None = None
    code: RejectionCode
    message: Text
    retryable: bool
    retry_after_ms: Count | None = None


class RunInput(ReplyFrame):
    """The user's own message: to the other connections at accept, first in a replay from 0."""

    type: Literal["run_input"] = "run_input"
    run_id: Uuid
    thread_id: Uuid
    turn: Ordinal
    content: str
    timestamp: Timestamp
    replay: Literal[True] | None = None


class ResponseDelta(ReplyFrame):
    """A piece of the answer as it is written; a higher draft starts it over."""

    type: Literal["response_delta"] = "response_delta"
    run_id: Uuid
    thread_id: Uuid
    draft: Count
    index: Count
    text: Text


class Heartbeat(ReplyFrame):
    """The run is alive though nothing happened."""

    type: Literal["heartbeat"] = "heartbeat"
    run_id: Uuid
    last_seq: Count
    elapsed_ms: Count
    activity: Text


class ReplayComplete(ReplyFrame):
    """Ends a replay with the head it was read at; a client below its head asks again."""

    type: Literal["replay_complete"] = "replay_complete"
    run_id: Uuid | None = None
    after_seq: Count | None = None
    last_seq: Count | None = None
    status: RunStatus | None = None
    thread_id: Uuid | None = None
    through: Position | None = None


class Head(Frame):
    """How far a run has come."""

    last_seq: Count
    status: RunStatus


class Pong(ReplyFrame):
    """The heads of the runs asked for and of the user's open runs, from the store."""

    type: Literal["pong"] = "pong"
    heads: dict[Uuid, Head]


class CancelAccepted(ReplyFrame):
    """The wish to cancel is durable."""

    type: Literal["cancel_accepted"] = "cancel_accepted"
    run_id: Uuid


class AnswerPart(ReplyFrame):
    """A part of an answer longer than one frame; offsets are bytes of UTF-8."""

    type: Literal["answer_part"] = "answer_part"
    run_id: Uuid
    offset: Count
    text: str
    full_bytes: Count


class Lagging(ReplyFrame):
    """This connection missed live frames and gets no more of them until it resumes."""

    type: Literal["lagging"] = "lagging"
    run_id: Uuid
    last_seq: Count


Reply = Annotated[
    MessageAccepted
    | MessageRejected
    | RunInput
    | ResponseDelta
    | Heartbeat
    | ReplayComplete
    | Pong
    | CancelAccepted
    | AnswerPart
    | Lagging,
    Field(discriminator="type"),
]
REPLIES: tuple[type[ReplyFrame], ...] = (
    MessageAccepted,
    MessageRejected,
    RunInput,
    ResponseDelta,
    Heartbeat,
    ReplayComplete,
    Pong,
    CancelAccepted,
    AnswerPart,
    Lagging,
)
REPLY: TypeAdapter[Reply] = TypeAdapter(Reply)
REPLY_TYPES = frozenset(str(reply.model_fields["type"].default) for reply in REPLIES)
