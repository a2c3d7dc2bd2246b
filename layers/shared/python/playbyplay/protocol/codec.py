"""Text to command and back, strictly: the first thing a client's frame meets.

Order: size, strict UTF-8, depth, JSON (no duplicate keys, no NaN, integers to 2^53), version,
exact types, text rules. Own checks, because `json.loads` lets the last of two equal keys win, takes
`NaN`, turns `1e999` into infinity and answers deep nesting with RecursionError.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, NoReturn

from pydantic import TypeAdapter, ValidationError

from playbyplay.errors import ProtocolViolation, Refused, RejectionCode
from playbyplay.protocol.base import MAX_COMMAND_BYTES, MAX_DEPTH, MAX_INTEGER, UUID_PATTERN, VERSION
from playbyplay.protocol.commands import COMMANDS, Command
from playbyplay.protocol.events import EVENT, EVENT_TYPES, Event
from playbyplay.protocol.replies import REPLY, REPLY_TYPES, MessageRejected, Reply

_COMMAND: TypeAdapter[Command] = TypeAdapter(Command)
_COMMAND_TYPES = frozenset(command.model_fields["type"].default for command in COMMANDS)
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"?', re.DOTALL)
_BRACKET = re.compile(r"[\[\]{}]")
_UUID = re.compile(UUID_PATTERN)
_MAX_DIGITS = len(str(MAX_INTEGER))

# pydantic's error types, by what they mean here; in order of precedence where a frame has several.
_PRECEDENCE: tuple[RejectionCode, ...] = (
    "bad_encoding",
    "unknown_field",
    "missing_field",
    "bad_type",
    "bad_value",
)
_MEANING: dict[str, RejectionCode] = {
    "extra_forbidden": "unknown_field",
    "missing": "missing_field",
    "missing_field": "missing_field",
    "string_unicode": "bad_encoding",
    "bad_encoding": "bad_encoding",
    "bad_value": "bad_value",
}
_SENTENCE: dict[RejectionCode, str] = {
    "bad_encoding": "The frame holds text that is not valid Unicode.",
    "unknown_field": "The frame has a field this command does not know.",
    "missing_field": "The frame lacks a field this command needs.",
    "bad_type": "A field of the frame has the wrong type.",
    "bad_value": "A field of the frame has a value that is not allowed.",
}


def decode(frame: str | bytes) -> Command:
    """Read one client frame.

    Args:
        frame: the text of one WebSocket message, or its bytes.

    Returns:
        The command; every rule of the contract that needs no store holds for it.

    Raises:
        ProtocolViolation: with the contract's code, a safe sentence, and the `client_message_id` or
            `run_id` the frame named, if it named a valid one.
    """
    value = _parse(_text_of(frame))
    if not isinstance(value, dict):
        raise ProtocolViolation("bad_type", "A frame is one JSON object.")
    try:
        return _command_of(value)
    except ProtocolViolation as violation:
        raise ProtocolViolation(
            violation.code,
            violation.message,
            client_message_id=_uuid_or_none(value.get("client_message_id")),
            run_id=_uuid_or_none(value.get("run_id")),
        ) from None


def decode_server_frame(text: str) -> Event | Reply | None:
    """Read one server frame, for clients; None for a type this version does not know.

    Raises:
        ValueError: the frame is of a known type and not as the contract says.
    """
    value = json.loads(text)
    kind = value.get("type") if isinstance(value, dict) else None
    if not isinstance(kind, str):
        return None
    if kind in EVENT_TYPES:
        return EVENT.validate_json(text)
    if kind in REPLY_TYPES:
        return REPLY.validate_json(text)
    return None


def rejection(refused: Refused) -> MessageRejected:
    """Render a refusal as the frame that tells the user."""
    return MessageRejected(
        client_message_id=refused.client_message_id,
        run_id=refused.run_id,
        code=refused.code,
        message=refused.message,
        retryable=refused.retryable,
        retry_after_ms=refused.retry_after_ms,
    )


def _text_of(frame: str | bytes) -> str:
    size = len(frame) if isinstance(frame, bytes) or frame.isascii() else len(frame.encode("utf-8", "surrogatepass"))
    if size > MAX_COMMAND_BYTES:
        raise ProtocolViolation("too_large", "A frame is at most 16 KiB.")
    if isinstance(frame, str):
        return frame
    try:
        return frame.decode("utf-8", "strict")
    except UnicodeDecodeError:
        raise ProtocolViolation("bad_encoding", "A frame is UTF-8 text.") from None


def _parse(text: str) -> Any:  # noqa: ANN401 - any JSON value
    _check_depth(text)
    try:
        return json.loads(
            text,
            object_pairs_hook=_object,
            parse_constant=_constant,
            parse_float=_float,
            parse_int=_int,
        )
    except ValueError:
        raise ProtocolViolation("bad_json", "A frame is valid JSON.") from None


def _check_depth(text: str) -> None:
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return
    depth = 0
    for bracket in _BRACKET.finditer(_STRING.sub("", text)):
        depth += 1 if bracket[0] in "[{" else -1
        if depth > MAX_DEPTH:
            raise ProtocolViolation("too_deep", "A frame is at most 8 levels deep.")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ProtocolViolation("duplicate_key", "A frame names each key once.")
    return value


def _constant(_name: str) -> NoReturn:
    raise ProtocolViolation("bad_json", "NaN and Infinity are not JSON.")


def _float(digits: str) -> float:
    value = float(digits)
    if value in (float("inf"), float("-inf")):
        raise ProtocolViolation("bad_value", "A number is out of range.")
    return value


def _int(digits: str) -> int:
    if len(digits) > _MAX_DIGITS + 1 or abs(value := int(digits)) > MAX_INTEGER:
        raise ProtocolViolation("bad_value", "A number is out of range.")
    return value


def _command_of(value: Mapping[str, Any]) -> Command:
    kind = value.get("type")
    if "type" not in value:
        raise ProtocolViolation("missing_field", "A frame has a type.")
    if type(kind) is not str:
        raise ProtocolViolation("bad_type", "The type of a frame is a string.")
    if kind not in _COMMAND_TYPES:
        raise ProtocolViolation("unknown_type", "There is no command of this type.")
    if "v" in value and (type(value["v"]) is not int or value["v"] != VERSION):
        raise ProtocolViolation("unsupported_version", "This server speaks version 1.")
    if None in value.values():
        raise ProtocolViolation("bad_type", "An absent field is left out, not null.")
    try:
        return _COMMAND.validate_python(value)
    except ValidationError as error:
        codes = {_meaning(detail["type"]) for detail in error.errors(include_url=False, include_input=False)}
        code = next(code for code in _PRECEDENCE if code in codes)
        raise ProtocolViolation(code, _SENTENCE[code]) from None


def _meaning(kind: str) -> RejectionCode:
    return _MEANING.get(kind) or ("bad_type" if kind.endswith("_type") else "bad_value")


def _uuid_or_none(value: object) -> str | None:
    return value if isinstance(value, str) and _UUID.fullmatch(value) else None
