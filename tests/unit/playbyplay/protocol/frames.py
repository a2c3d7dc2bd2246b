"""Valid frames of each command, and what may stand in each of their fields."""

import json
from typing import Any, Final

import pytest

from playbyplay.errors import ProtocolViolation
from playbyplay.protocol.codec import decode
from tests.fakes.ids import uuid

ID, OTHER_ID = uuid(1), uuid(2)
VALID: Final[dict[str, dict[str, Any]]] = {
    "agent_message": {"content": "Hi.", "client_message_id": ID, "thread_id": OTHER_ID},
    "resume": {"run_id": ID, "after_seq": 0},
    "resume of a thread": {"thread_id": ID, "after": {"turn": 1, "seq": 2}},
    "cancel": {"run_id": ID},
    "answer": {"run_id": ID, "offset": 5},
    "ping": {"cursors": {ID: 3}},
}
REQUIRED = {("agent_message", "content"), ("cancel", "run_id"), ("answer", "run_id"), ("answer", "offset")}
VALUES: Final[dict[str, Any]] = {
    "null": None,
    "bool": True,
    "int": 7,
    "float": 1.0,
    "string": "text",
    "array": [],
    "object": {},
}
TAKES = {
    "content": {"string"},
    "client_message_id": {"string"},
    "thread_id": {"string"},
    "run_id": {"string"},
    "after_seq": {"int"},
    "offset": {"int"},
    "after": {"object"},
    "cursors": {"object"},
    "turn": {"int"},
    "seq": {"int"},
}


def frame(name: str, **fields: Any) -> dict[str, Any]:
    """Return a valid frame as a JSON value, with some fields replaced or added."""
    return {"type": name.split(maxsplit=1)[0], **VALID[name], **fields}


def code(text: str | bytes) -> str:
    """Return the code a frame is refused with."""
    with pytest.raises(ProtocolViolation) as violation:
        decode(text)
    return violation.value.code


def code_of(value: Any) -> str:
    """Return the code a JSON value is refused with."""
    return code(json.dumps(value))


def message(content: str) -> str:
    """Return a frame that holds a content, every special character escaped."""
    return json.dumps({"type": "agent_message", "content": content})
