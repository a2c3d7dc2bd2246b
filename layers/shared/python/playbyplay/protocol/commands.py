"""The frames a client may send. What is not here is refused.

`v` may be absent; where present it is 1. A frame never names a user.
"""

import re
import unicodedata
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from playbyplay.protocol.base import MAX_CONTENT_BYTES, MAX_CURSORS, Count, Frame, Uuid

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_NONCHARACTER = re.compile(r"[\ud800-\udfff\ufffe\uffff]")


def _check_content(text: str) -> str:
    """Refuse what a message may not hold; what it may hold is kept byte for byte."""
    if _NONCHARACTER.search(text):
        raise PydanticCustomError("bad_encoding", "content holds a code point that is not a character")
    if _CONTROL.search(text):
        raise PydanticCustomError("bad_value", "content holds a control character")
    if len(text.encode()) > MAX_CONTENT_BYTES:
        raise PydanticCustomError("bad_value", "content is longer than 12288 bytes of UTF-8")
    if all(char.isspace() or unicodedata.category(char) == "Cf" for char in text):
        raise PydanticCustomError("bad_value", "content is empty")
    return text


Content = Annotated[
    str,
    AfterValidator(_check_content),
    Field(min_length=1, description="1 to 12288 bytes of UTF-8, more than white space, no controls but tab, LF, CR"),
]


class CommandFrame(Frame):
    """What every command carries."""

    type: str
    v: Literal[1] | None = None


class AgentMessage(CommandFrame):
    """A user's message: answered by `message_accepted` or `message_rejected`, then by a run."""

    type: Literal["agent_message"] = "agent_message"
    content: Content
    client_message_id: Uuid | None = None
    thread_id: Uuid | None = None


class Position(Frame):
    """A place in a thread: after event `seq` of turn `turn`; 0 and 0 is its beginning."""

    turn: Count
    seq: Count


class Resume(CommandFrame):
    """Asks for what came after a position, of one run or of a whole thread."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": ["run_id", "after_seq"]}, {"required": ["thread_id", "after"]}]}
    )

    type: Literal["resume"] = "resume"
    run_id: Uuid | None = None
    after_seq: Count | None = None
    thread_id: Uuid | None = None
    after: Position | None = None

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        by_run, by_thread = self.run_id is not None, self.thread_id is not None
        if by_run and by_thread:
            raise PydanticCustomError("bad_value", "resume takes a run_id or a thread_id, not both")
        if not by_run and not by_thread:
            raise PydanticCustomError("missing_field", "resume needs a run_id or a thread_id")
        wanted, other = ("after_seq", "after") if by_run else ("after", "after_seq")
        if getattr(self, wanted) is None:
            raise PydanticCustomError("missing_field", "resume needs {field} here", {"field": wanted})
        if getattr(self, other) is not None:
            raise PydanticCustomError("bad_value", "resume does not take {field} here", {"field": other})
        return self


class Cancel(CommandFrame):
    """Asks that a run end; it ends in one terminal, this one or whichever came first."""

    type: Literal["cancel"] = "cancel"
    run_id: Uuid


class Answer(CommandFrame):
    """Asks for the rest of an answer longer than one frame, from a byte offset."""

    type: Literal["answer"] = "answer"
    run_id: Uuid
    offset: Count


class Ping(CommandFrame):
    """Asks for the heads; the cursors say what the client holds."""

    type: Literal["ping"] = "ping"
    cursors: Annotated[dict[Uuid, Count], Field(max_length=MAX_CURSORS)] | None = None


Command = Annotated[AgentMessage | Resume | Cancel | Answer | Ping, Field(discriminator="type")]
COMMANDS: tuple[type[CommandFrame], ...] = (AgentMessage, Resume, Cancel, Answer, Ping)
