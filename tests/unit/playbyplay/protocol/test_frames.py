"""Frames: frozen, absent fields omitted, and what is rendered is what was stored."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from playbyplay.protocol.base import MAX_INTEGER, Frame
from playbyplay.protocol.commands import COMMANDS
from playbyplay.protocol.events import EVENT, EVENT_TYPES, EVENTS, TERMINAL_TYPES, AgentStarted, Event
from playbyplay.protocol.replies import (
    REPLIES,
    REPLY,
    AnswerPart,
    Head,
    MessageAccepted,
    MessageRejected,
    Pong,
    ReplayComplete,
    Reply,
    RunInput,
)
from tests.fakes.ids import uuid
from tests.histories import MESSAGE, RUN, THREAD, TIME, event_of
from tests.properties import PROPERTY

OWN: dict[str, dict[str, Any]] = {
    "agent_started": {"agent_id": "root", "message": "Starting.", "client_message_id": MESSAGE},
    "agent_thinking": {"agent_id": "root", "parent_call_id": "c1", "thought": "Hm."},
    "tool_executing": {"agent_id": "root", "call_id": "c1", "tool_name": "look", "description": "Looking"},
    "tool_completed": {
        "agent_id": "root",
        "call_id": "c1",
        "tool_name": "look",
        "status": "ok",
        "result_summary": "Found.",
        "duration_ms": 5,
    },
    "agent_completed": {"agent_id": "root", "status": "success", "message": "Done.", "duration_ms": 9},
    "final_response": {
        "content": "It is slow.",
        "usage": {"input_tokens": 1, "output_tokens": 2},
        "finish_reason": "length",
        "truncated": True,
        "full_bytes": 99_999,
    },
    "error": {"code": "internal", "message": "It failed.", "retryable": True},
}
OPTIONAL = {"client_message_id", "parent_call_id", "truncated", "full_bytes", "replay"}


def test_there_are_seven_events_and_two_of_them_are_terminal() -> None:
    """The contract's names, and no others."""
    assert set(EVENT_TYPES) == set(OWN)
    assert {"final_response", "error"} == TERMINAL_TYPES


@pytest.mark.parametrize("kind", OWN)
def test_an_event_holds_the_contracts_fields_and_no_others(kind: str) -> None:
    """Flat JSON: the envelope and its own fields, nothing null."""
    envelope = {
        "type": kind, "v": 1, "run_id": RUN, "thread_id": THREAD, "turn": 1, "seq": 3, "timestamp": TIME,
    }  # fmt: skip
    event = event_of(kind, 3, **OWN[kind])
    assert json.loads(event.to_json()) == envelope | OWN[kind]
    assert json.loads(event.model_copy(update={"replay": True}).to_json()) == envelope | OWN[kind] | {"replay": True}


@pytest.mark.parametrize("kind", OWN)
def test_an_event_equals_its_re_parse(kind: str) -> None:
    """Rendered, read and rendered again it is the same text."""
    event = event_of(kind, 3, **OWN[kind])
    read = EVENT.validate_json(event.to_json())
    assert read == event
    assert type(read) is type(event)
    assert read.to_json() == event.to_json()


@pytest.mark.parametrize(("kind", "field"), [(kind, field) for kind, fields in OWN.items() for field in fields])
def test_absent_fields_are_omitted_and_others_are_needed(kind: str, field: str) -> None:
    """An optional field that is not there is not in the frame, not even as null; any other is missed."""
    fields = {name: value for name, value in OWN[kind].items() if name != field}
    if field in OPTIONAL:
        assert field not in json.loads(event_of(kind, 1, **fields).to_json())
    elif (kind, field) == ("agent_completed", "status"):
        assert '"status":"success"' in event_of(kind, 1, **fields).to_json()
    else:
        with pytest.raises(ValidationError):
            event_of(kind, 1, **fields)


@pytest.mark.parametrize(
    ("kind", "field"),
    [(kind, field) for kind, fields in OWN.items() for field, value in fields.items() if isinstance(value, str)],
)
def test_text_fields_are_never_empty(kind: str, field: str) -> None:
    """Whoever makes an event has something to say."""
    with pytest.raises(ValidationError):
        event_of(kind, 1, **{**OWN[kind], field: ""})


@pytest.mark.parametrize(
    "wrong",
    [
        {"seq": 0}, {"seq": -1}, {"seq": 1.0}, {"seq": True}, {"seq": MAX_INTEGER + 1}, {"turn": 0}, {"run_id": "x"},
        {"run_id": RUN + "\n"}, {"thread_id": RUN.upper() + "A"}, {"timestamp": "2025-06-15 15:06:40"}, {"v": 2},
        {"timestamp": "2025-06-15T15:06:40.000+02:00"}, {"timestamp": "2025-06-15T15:06:40Z"}, {"extra": 1},
        {"type": "agent_stopped"}, {"replay": False}, {"thought": "\ud800"}, {"thought": 7},
    ],
    ids=ascii,
)  # fmt: skip
def test_an_event_that_is_not_as_the_contract_says_is_not_made(wrong: dict[str, Any]) -> None:
    """Types are exact, ids canonical, times UTC to the millisecond, unknown fields refused."""
    fields: dict[str, Any] = {"agent_id": "root", "thought": "Hm.", "run_id": RUN, "seq": 1, **wrong}
    with pytest.raises(ValidationError):
        event_of(fields.pop("type", "agent_thinking"), fields.pop("seq"), **fields)


@pytest.mark.parametrize("status", ["ok", "failed", "timeout", "denied", "cancelled", "outcome_unknown"])
def test_a_tool_ends_in_one_of_six_ways(status: str) -> None:
    """And in no other."""
    event_of("tool_completed", 1, **{**OWN["tool_completed"], "status": status})
    with pytest.raises(ValidationError):
        event_of("tool_completed", 1, **{**OWN["tool_completed"], "status": status + "!"})


@pytest.mark.parametrize("model", [*EVENTS, *REPLIES, *COMMANDS])
def test_every_frame_is_frozen_and_strict(model: type[Frame]) -> None:
    """No frame changes once made, and none has a field nobody knows."""
    assert model.model_config.get("frozen")
    assert model.model_config.get("extra") == "forbid"
    assert model.model_config.get("strict")


def test_a_frame_cannot_be_changed() -> None:
    """Setting a field raises and leaves the frame as it was."""
    event = event_of("agent_started", 1, **OWN["agent_started"])
    text = event.to_json()
    with pytest.raises(ValidationError):
        event.seq = 2  # type: ignore[misc]
    assert event.to_json() == text
    assert isinstance(event, AgentStarted)


def test_replies_omit_what_is_absent() -> None:
    """As the contract writes each of them."""
    assert json.loads(MessageAccepted(run_id=RUN, thread_id=THREAD, turn=2, duplicate=False, position=0).to_json()) == {
        "type": "message_accepted", "run_id": RUN, "thread_id": THREAD, "turn": 2, "duplicate": False, "position": 0,
    }  # fmt: skip
    assert json.loads(MessageRejected(code="bad_json", message="No.", retryable=False).to_json()) == {
        "type": "message_rejected", "code": "bad_json", "message": "No.", "retryable": False,
    }  # fmt: skip
    assert json.loads(ReplayComplete(run_id=RUN, after_seq=0, last_seq=0, status="queued").to_json()) == {
        "type": "replay_complete", "run_id": RUN, "after_seq": 0, "last_seq": 0, "status": "queued",
    }  # fmt: skip
    assert json.loads(Pong(heads={RUN: Head(last_seq=0, status="running")}).to_json()) == {
        "type": "pong", "heads": {RUN: {"last_seq": 0, "status": "running"}},
    }  # fmt: skip


@pytest.mark.parametrize(
    "reply",
    [
        RunInput(run_id=RUN, thread_id=THREAD, turn=1, content="", timestamp=TIME),
        AnswerPart(run_id=RUN, offset=0, text="", full_bytes=0),
        Pong(heads={}),
        MessageRejected(
            client_message_id=MESSAGE, code="overloaded", message="Busy.", retryable=True, retry_after_ms=0
        ),
    ],
)
def test_a_reply_equals_its_re_parse(reply: Reply) -> None:
    """Zero, empty and false are values and stay."""
    assert REPLY.validate_json(reply.to_json()) == reply


def test_a_pong_is_keyed_by_run_ids() -> None:
    """Heads of anything else are not told."""
    with pytest.raises(ValidationError):
        Pong(heads={"x": Head(last_seq=1, status="running")})


@PROPERTY
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), st.integers(1, MAX_INTEGER))
def test_any_text_survives_rendering(text: str, seq: int) -> None:
    """Every character an event may hold is read back as it was, in one line."""
    event: Event = event_of("agent_thinking", seq, agent_id=text, thought=text, run_id=uuid(9))
    rendered = event.to_json()
    assert EVENT.validate_json(rendered) == event
    assert "\n" not in rendered
    assert json.loads(rendered)["thought"] == text


def test_every_model_has_its_own_type() -> None:
    """No two frames of one direction share a name."""
    names = [TypeAdapter(model).json_schema()["properties"]["type"]["const"] for model in (*EVENTS, *REPLIES)]
    assert len(set(names)) == len(names) == 17


@pytest.mark.parametrize("frame", [AnswerPart, MessageAccepted, RunInput, AgentStarted, *COMMANDS])
def test_an_error_never_repeats_what_came_in(frame: type[Frame]) -> None:
    """It may reach a log."""
    for fields in ({"content": "SECRET-TEXT", "secret": "SECRET-TEXT"}, {"run_id": "SECRET-TEXT"}, "SECRET-TEXT"):
        with pytest.raises(ValidationError) as refused:
            frame.model_validate(fields)
        assert "SECRET-TEXT" not in str(refused.value) + repr(refused.value)
