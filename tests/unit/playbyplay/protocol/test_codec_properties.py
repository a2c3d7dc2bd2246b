"""The codec under generated input: it reads or refuses, and raises nothing else."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from playbyplay.errors import ProtocolViolation
from playbyplay.protocol.base import MAX_INTEGER
from playbyplay.protocol.codec import decode, rejection
from playbyplay.protocol.commands import AgentMessage, Answer, Cancel, Command, Ping, Position, Resume
from tests.properties import PROPERTY
from tests.unit.playbyplay.protocol.frames import TAKES, VALID, frame

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=[])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=4) | st.sampled_from(["type", "v", *TAKES]), inner, max_size=5)
    ),
    max_leaves=12,
)
UUIDS = st.uuids().map(str)
COUNTS = st.integers(0, MAX_INTEGER)
CONTENTS = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), max_size=80).map(
    lambda text: text + "x"
)
COMMANDS = st.one_of(
    st.builds(AgentMessage, content=CONTENTS, client_message_id=st.none() | UUIDS, thread_id=st.none() | UUIDS),
    st.builds(Resume, run_id=UUIDS, after_seq=COUNTS),
    st.builds(Resume, thread_id=UUIDS, after=st.builds(Position, turn=COUNTS, seq=COUNTS)),
    st.builds(Cancel, run_id=UUIDS),
    st.builds(Answer, run_id=UUIDS, offset=COUNTS),
    st.builds(Ping, cursors=st.none() | st.dictionaries(UUIDS, COUNTS, max_size=16)),
)


def refuses_or_reads(text: str | bytes) -> None:
    """Decode; anything but a command or a refusal is an error of the test."""
    try:
        decode(text)
    except ProtocolViolation as violation:
        rejection(violation).to_json()


@PROPERTY
@given(st.text(st.characters(exclude_categories=[]), max_size=300))
def test_any_text_is_read_or_refused(text: str) -> None:
    """No text raises anything but a ProtocolViolation."""
    refuses_or_reads(text)


@PROPERTY
@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    """Nor do any bytes."""
    refuses_or_reads(data)


@PROPERTY
@given(st.text(alphabet='{}[]":,\\ntrue0159eE+-.\x00 \ud800', max_size=80))
def test_any_jumble_of_json_is_read_or_refused(text: str) -> None:
    """Nor does anything that looks like JSON."""
    refuses_or_reads(text)


@PROPERTY
@given(JSON)
def test_any_json_is_read_or_refused(value: Any) -> None:
    """Nor does any JSON value, surrogates in keys included."""
    refuses_or_reads(json.dumps(value))


@PROPERTY
@given(st.sampled_from(sorted(VALID)), st.sampled_from(["type", "v", "x", *TAKES]), JSON)
def test_a_valid_frame_with_any_one_field_replaced_is_read_or_refused(name: str, field: str, value: Any) -> None:
    """Near the contract too."""
    refuses_or_reads(json.dumps({**frame(name), field: value}))


@PROPERTY
@given(COMMANDS, st.booleans())
def test_a_command_survives_the_wire(command: Command, as_bytes: bool) -> None:  # noqa: FBT001
    """What a client renders, the server reads as the same command."""
    text = command.to_json()
    assert decode(text.encode() if as_bytes else text) == command
