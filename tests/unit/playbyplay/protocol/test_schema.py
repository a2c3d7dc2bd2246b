"""The generated documents: current, valid, and in agreement with the models."""

import json
from pathlib import Path

import jsonschema
import pytest

from playbyplay.protocol import schema
from playbyplay.protocol.codec import decode, decode_server_frame
from playbyplay.protocol.commands import COMMANDS
from playbyplay.protocol.events import EVENT_TYPES, EVENTS
from playbyplay.protocol.replies import REPLIES

DOCS = Path(__file__).resolve().parents[4] / "docs" / "protocol"
ID = "01a203d5-8dd0-781d-abb1-0112d6082869"
COMMAND_EXAMPLES = [
    {"type": "agent_message", "content": "hello"},
    {"type": "agent_message", "content": "hello", "client_message_id": ID, "thread_id": ID, "v": 1},
    {"type": "resume", "run_id": ID, "after_seq": 0},
    {"type": "resume", "thread_id": ID, "after": {"turn": 1, "seq": 2}},
    {"type": "cancel", "run_id": ID},
    {"type": "answer", "run_id": ID, "offset": 0},
    {"type": "ping"},
    {"type": "ping", "cursors": {ID: 3}},
]
ENVELOPE = {"v": 1, "run_id": ID, "thread_id": ID, "turn": 1, "seq": 1, "timestamp": "2026-01-01T00:00:00.000Z"}
SERVER_EXAMPLES = [
    {"type": "agent_started", **ENVELOPE, "agent_id": "a", "message": "m"},
    {"type": "error", **ENVELOPE, "code": "cancelled", "message": "m", "retryable": True, "replay": True},
    {"type": "message_accepted", "run_id": ID, "thread_id": ID, "turn": 1, "duplicate": False, "position": 0},
    {"type": "pong", "heads": {ID: {"last_seq": 1, "status": "running"}}},
    {"type": "replay_complete", "thread_id": ID, "through": {"turn": 1, "seq": 2}},
]
BAD_COMMANDS = [
    {"type": "agent_message"},
    {"type": "agent_message", "content": "hello", "client_message_id": None},
    {"type": "agent_message", "content": "hello", "user": "bob"},
    {"type": "resume", "run_id": ID},
    {"type": "resume", "run_id": ID, "after_seq": 0, "thread_id": ID, "after": {"turn": 1, "seq": 2}},
    {"type": "cancel", "run_id": ID.upper()},
    {"content": "hello"},
]


def _validator(name: str) -> jsonschema.Draft202012Validator:
    document = schema.json_schema()
    return jsonschema.Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": document["$defs"]})


@pytest.mark.parametrize("name", ["schema.json", "asyncapi.json"])
def test_the_kept_file_is_what_the_models_say(name: str) -> None:
    """docs/protocol is current; `make generate` mends it."""
    assert (DOCS / name).read_text() == schema.files()[name]


def test_check_finds_a_stale_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--check fails for a missing and for a changed file, names it, and writes nothing."""
    assert schema.main(["--check", str(tmp_path)]) == 1
    assert not list(tmp_path.iterdir())
    assert schema.main([str(tmp_path)]) == 0
    assert schema.main(["--check", str(tmp_path)]) == 0
    (tmp_path / "schema.json").write_text("{}")
    assert schema.main(["--check", str(tmp_path)]) == 1
    assert "schema.json" in capsys.readouterr().err


def test_the_schema_is_a_valid_one() -> None:
    """The document is JSON Schema, draft 2020-12."""
    jsonschema.Draft202012Validator.check_schema(schema.json_schema())


@pytest.mark.parametrize("frame", COMMAND_EXAMPLES, ids=json.dumps)
def test_schema_and_codec_accept_the_same_commands(frame: dict[str, object]) -> None:
    """What the codec takes, the schema takes."""
    decode(json.dumps(frame))
    _validator("ClientFrame").validate(frame)


@pytest.mark.parametrize("frame", BAD_COMMANDS, ids=json.dumps)
def test_schema_and_codec_refuse_the_same_commands(frame: dict[str, object]) -> None:
    """What the codec refuses for its shape, the schema refuses."""
    with pytest.raises(Exception, match=r"."):
        decode(json.dumps(frame))
    assert not _validator("ClientFrame").is_valid(frame)


@pytest.mark.parametrize("frame", SERVER_EXAMPLES, ids=json.dumps)
def test_the_schema_accepts_server_frames(frame: dict[str, object]) -> None:
    """What a client can read, the schema takes; an event without seq it does not."""
    assert decode_server_frame(json.dumps(frame)) is not None
    _validator("ServerFrame").validate(frame)
    if frame["type"] in EVENT_TYPES:
        assert not _validator("ServerFrame").is_valid({key: frame[key] for key in frame if key != "seq"})


def test_nothing_may_be_null() -> None:
    """An absent field is left out: no schema mentions null."""
    assert '"null"' not in schema.files()["schema.json"]


def test_asyncapi_names_every_frame_once() -> None:
    """Every frame is a message of the socket, every command an operation with its answers, every reference resolves."""
    document = schema.asyncapi()
    models = [*COMMANDS, *EVENTS, *REPLIES]
    assert set(document["components"]["messages"]) == {model.__name__ for model in models}
    assert len(document["operations"]) == len(COMMANDS) + 1
    for reference in _references(document):
        value: object = document
        for part in reference.removeprefix("#/").split("/"):
            assert isinstance(value, dict)
            value = value[part]


def _references(value: object) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return own + [found for one in value.values() for found in _references(one)]
    if isinstance(value, list):
        return [found for one in value for found in _references(one)]
    return []
