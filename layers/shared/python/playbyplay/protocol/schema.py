"""JSON Schema and AsyncAPI 3.1 of the wire, generated from the models: `python -m playbyplay.protocol.schema DIR`.

With `--check` it writes nothing and fails when a file in DIR is not what the models say.
"""

import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, models_json_schema
from pydantic_core import core_schema

from playbyplay.protocol.base import MAX_COMMAND_BYTES, MAX_EVENT_BYTES, SUBPROTOCOL
from playbyplay.protocol.commands import COMMANDS
from playbyplay.protocol.events import EVENTS
from playbyplay.protocol.replies import REPLIES

ANSWERS = {
    "AgentMessage": ["MessageAccepted", "MessageRejected"],
    "Resume": ["ReplayComplete", "MessageRejected"],
    "Cancel": ["CancelAccepted", "MessageRejected"],
    "Answer": ["AnswerPart", "MessageRejected"],
    "Ping": ["Pong", "MessageRejected"],
}
_UNASKED = ("RunInput", "ResponseDelta", "Heartbeat", "Lagging")
_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_REF = "#/$defs/{model}"


class _AbsentNotNull(GenerateJsonSchema):
    """An optional field may be left out; it is never null."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        made = super().default_schema(schema)
        if made.get("default", ...) is None:
            del made["default"]
        return made


def json_schema() -> dict[str, Any]:
    """Return one JSON Schema document (draft 2020-12) with every frame under `$defs`."""
    definitions = _definitions(_REF)
    return {
        "$schema": _DIALECT,
        "title": "Playbyplay wire protocol, version 1",
        "anyOf": [{"$ref": "#/$defs/ClientFrame"}, {"$ref": "#/$defs/ServerFrame"}],
        "$defs": definitions
        | {
            "ClientFrame": _one_of(COMMANDS, _REF),
            "Event": _one_of(EVENTS, _REF),
            "ServerFrame": _one_of((*EVENTS, *REPLIES), _REF),
        },
    }


def asyncapi() -> dict[str, Any]:
    """Return the AsyncAPI 3.1 document of the socket."""
    definitions = _definitions("#/components/schemas/{model}")
    messages = {model.__name__: _message(model) for model in (*COMMANDS, *EVENTS, *REPLIES)}
    channel = "#/channels/socket"
    return {
        "asyncapi": "3.1.0",
        "info": {
            "title": "Playbyplay",
            "version": "1.0.0",
            "description": (
                "Every message a user sends is answered by a complete, ordered, live account of what the agent does. "
                f"Subprotocol `{SUBPROTOCOL}`, then `ticket.<text>` from POST /ticket. One JSON object per text frame; "
                f"a client's frame is at most {MAX_COMMAND_BYTES} bytes, an event at most {MAX_EVENT_BYTES}."
            ),
            "license": {"name": "MIT"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "oneMachine": {"host": "127.0.0.1:8787", "pathname": "/ws", "protocol": "ws", "description": "make run"}
        },
        "channels": {
            "socket": {
                "address": "/ws",
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
            }
        },
        "operations": {
            **{_operation(model): _receive(model, channel) for model in COMMANDS},
            "tell": {
                "action": "send",
                "channel": {"$ref": channel},
                "summary": "What a client is told without asking: events, and hints that are never stored.",
                "messages": [
                    {"$ref": f"{channel}/messages/{name}"}
                    for name in (*(model.__name__ for model in EVENTS), *_UNASKED)
                ],
            },
        },
        "components": {"messages": messages, "schemas": definitions},
    }


def files() -> dict[str, str]:
    """Return the generated files by name."""
    return {
        "schema.json": json.dumps(json_schema(), indent=2) + "\n",
        "asyncapi.json": json.dumps(asyncapi(), indent=2) + "\n",
    }


def main(arguments: Sequence[str]) -> int:
    """Write the files, or check them; return the exit code."""
    check = "--check" in arguments
    folder = Path(next(argument for argument in arguments if argument != "--check"))
    stale = []
    for name, text in files().items():
        path = folder / name
        if path.is_file() and path.read_text() == text:
            continue
        stale.append(name)
        if not check:
            folder.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    if check and stale:
        sys.stderr.write(f"{folder} is not what the models say: {', '.join(stale)}. Run `make generate`.\n")
        return 1
    return 0


def _definitions(template: str) -> dict[str, Any]:
    """Return every frame's schema by its name; what every frame has is required."""
    always = {model.__name__: ["type"] for model in (*COMMANDS, *REPLIES)}
    always |= {model.__name__: ["type", "v"] for model in EVENTS}
    _, made = models_json_schema(
        [(model, "validation") for model in (*COMMANDS, *EVENTS, *REPLIES)],
        ref_template=template,
        schema_generator=_AbsentNotNull,
    )
    definitions: dict[str, Any] = made["$defs"]
    for name, fields in always.items():
        schema = definitions[name]
        schema["required"] = sorted({*schema.get("required", ()), *fields}, key=list(schema["properties"]).index)
    return definitions


def _one_of(models: Iterable[type[BaseModel]], template: str) -> dict[str, Any]:
    return {"oneOf": [{"$ref": template.format(model=model.__name__)} for model in models]}


def _message(model: type[BaseModel]) -> dict[str, Any]:
    name = model.model_fields["type"].default
    return {
        "name": name,
        "summary": (model.__doc__ or "").split("\n")[0],
        "payload": {"$ref": f"#/components/schemas/{model.__name__}"},
    }


def _operation(model: type[BaseModel]) -> str:
    name = model.__name__
    return name[0].lower() + name[1:]


def _receive(model: type[BaseModel], channel: str) -> dict[str, Any]:
    return {
        "action": "receive",
        "channel": {"$ref": channel},
        "summary": (model.__doc__ or "").split("\n")[0],
        "messages": [{"$ref": f"{channel}/messages/{model.__name__}"}],
        "reply": {
            "channel": {"$ref": channel},
            "messages": [{"$ref": f"{channel}/messages/{name}"} for name in ANSWERS[model.__name__]],
        },
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
