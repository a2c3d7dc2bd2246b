"""The base of every wire model, and the field types the frames share.

Absent fields are omitted, never null; a frame is one JSON object and never changes once made.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

VERSION: Literal[1] = 1
SUBPROTOCOL = "playbyplay.v1"

MAX_COMMAND_BYTES = 16 * 1024
MAX_EVENT_BYTES = 24 * 1024
MAX_CONTENT_BYTES = 12_288
MAX_ANSWER_BYTES = 256 * 1024
MAX_DEPTH = 8
MAX_CURSORS = 16
MAX_REPLAYED = 200
MAX_INTEGER = 2**53  # beyond it JavaScript loses digits (ECMA-262, Number.MAX_SAFE_INTEGER)

UUID_PATTERN = r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
TIMESTAMP_PATTERN = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$"

Uuid = Annotated[str, Field(pattern=UUID_PATTERN)]
Timestamp = Annotated[str, Field(pattern=TIMESTAMP_PATTERN)]
Text = Annotated[str, Field(min_length=1)]
Count = Annotated[int, Field(ge=0, le=MAX_INTEGER)]
Ordinal = Annotated[int, Field(ge=1, le=MAX_INTEGER)]
RunStatus = Literal["queued", "running", "completed", "failed", "cancelled"]


class Frame(BaseModel):
    """One JSON object on the wire: frozen, exact types, unknown fields refused; an error never repeats what came in."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)

    def to_json(self) -> str:
        """Render the frame as it goes over the wire, absent fields omitted."""
        return self.model_dump_json(exclude_none=True)
