"""The codec, field by field: each takes its own type and values, and refuses every other by its code."""

import itertools
import json
from typing import Any

import pytest

from playbyplay.protocol.base import MAX_CONTENT_BYTES
from playbyplay.protocol.codec import decode
from playbyplay.protocol.commands import AgentMessage, Ping
from playbyplay.protocol.events import EVENT_TYPES
from playbyplay.protocol.replies import REPLY_TYPES
from tests.fakes.ids import uuid
from tests.unit.playbyplay.protocol.frames import ID, REQUIRED, TAKES, VALID, VALUES, code, code_of, frame, message

# Types and versions.


NO_COMMANDS = [
    "admin",
    "$connect",
    "$disconnect",
    "$default",
    "__proto__",
    "constructor",
    "accepted",
    "",
    "PING",
    "ping ",
]


@pytest.mark.parametrize("kind", [*sorted({*EVENT_TYPES, *REPLY_TYPES}), *NO_COMMANDS, "\ud800"], ids=ascii)
def test_what_no_client_may_send_is_an_unknown_type(kind: str) -> None:
    """The server's own frames, route names and names of JavaScript are no commands."""
    assert code_of({"type": kind}) == "unknown_type"


def test_a_frame_needs_a_type_that_is_a_string() -> None:
    """Absent is missing, anything else has the wrong type, `null` too."""
    assert code_of({}) == code_of({"content": "Hi."}) == "missing_field"
    for name, value in VALUES.items():
        if name != "string":
            assert code_of({"type": value}) == "bad_type"


@pytest.mark.parametrize("version", [2, 0, -1, "1", "", 1.0, True, None, [], {}, [1]])
def test_any_version_but_one_is_unsupported(version: Any) -> None:
    """Whatever stands there; and before the other fields are looked at."""
    for name in VALID:
        assert code_of(frame(name, v=version)) == "unsupported_version"
    assert code_of({"type": "cancel", "v": version}) == "unsupported_version"


@pytest.mark.parametrize("name", VALID)
def test_version_one_may_be_said_or_left_out(name: str) -> None:
    """`v: 1` changes nothing else."""
    with_version = decode(json.dumps(frame(name, v=1)))
    assert with_version.model_copy(update={"v": None}) == decode(json.dumps(frame(name)))


WRONG = [
    (name, field, kind)
    for name, fields in VALID.items()
    for field in fields
    for kind in VALUES
    if kind not in TAKES[field]
]


@pytest.mark.parametrize(("name", "field", "kind"), WRONG)
def test_a_field_of_the_wrong_type_is_bad_type(name: str, field: str, kind: str) -> None:
    """Each field of each command as each other type of JSON; `null` is no way to leave one out."""
    assert code_of(frame(name, **{field: VALUES[kind]})) == "bad_type"


@pytest.mark.parametrize(
    ("field", "kind"), [(field, kind) for field in ("turn", "seq") for kind in VALUES if kind != "int"]
)
def test_a_field_of_a_position_of_the_wrong_type_is_bad_type(field: str, kind: str) -> None:
    """The same one level down."""
    assert code_of(frame("resume of a thread", after={"turn": 1, "seq": 1, field: VALUES[kind]})) == "bad_type"


@pytest.mark.parametrize("kind", [kind for kind in VALUES if kind != "int"])
def test_a_cursor_of_the_wrong_type_is_bad_type(kind: str) -> None:
    """And in the values of the cursors."""
    assert code_of({"type": "ping", "cursors": {ID: VALUES[kind]}}) == "bad_type"


@pytest.mark.parametrize(("name", "field"), [(name, field) for name in VALID for field in VALID[name]])
def test_a_field_left_out_is_missing_where_it_is_needed(name: str, field: str) -> None:
    """The optional ones may go; each of the others is missed."""
    value = {key: val for key, val in frame(name).items() if key != field}
    if (name, field) in REQUIRED or name.startswith("resume"):
        assert code_of(value) == "missing_field"
    else:
        decode(json.dumps(value))


@pytest.mark.parametrize("name", VALID)
@pytest.mark.parametrize(
    "extra", ["user", "connection_id", "seq", "event_id", "replay", "position", "__proto__", "", "Type", "v1", "text"]
)
def test_an_unknown_field_is_refused(name: str, extra: str) -> None:
    """Nobody names a user, a connection or a seq in a frame."""
    values: list[Any] = ["x", 1, {}, []]
    for value in values:
        assert code_of(frame(name, **{extra: value})) == "unknown_field"


def test_an_unknown_field_of_a_position_is_refused() -> None:
    """The same one level down."""
    assert code_of(frame("resume of a thread", after={"turn": 1, "seq": 1, "user": "bob"})) == "unknown_field"


def test_a_field_of_another_command_is_unknown() -> None:
    """Each command has its own."""
    for name, other in itertools.permutations(["agent_message", "cancel", "answer", "ping"], 2):
        for field, value in VALID[other].items():
            if field not in VALID[name]:
                assert code_of(frame(name, **{field: value})) == "unknown_field"


def test_resume_takes_a_run_or_a_thread() -> None:
    """Neither is missing, both are a bad value, and each form has its own position."""
    run, thread = {"run_id": ID}, {"thread_id": ID}
    at_run, at_thread = {"after_seq": 1}, {"after": {"turn": 1, "seq": 1}}
    cases: list[tuple[dict[str, Any], str]] = [
        ({}, "missing_field"),
        (at_run, "missing_field"),
        (at_thread, "missing_field"),
        (run, "missing_field"),
        (thread, "missing_field"),
        (run | at_thread, "missing_field"),
        (thread | at_run, "missing_field"),
        (run | thread | at_run, "bad_value"),
        (run | thread | at_run | at_thread, "bad_value"),
        (run | at_run | at_thread, "bad_value"),
        (thread | at_thread | at_run, "bad_value"),
    ]
    for fields, expected in cases:
        assert code_of({"type": "resume", **fields}) == expected


def test_a_ping_has_sixteen_cursors_at_most() -> None:
    """The seventeenth is a bad value, and so are as many as fit into a frame."""
    cursors = {uuid(number): number for number in range(16)}
    assert decode(json.dumps({"type": "ping", "cursors": cursors})) == Ping(cursors=cursors)
    for count in (17, 300):
        assert code_of({"type": "ping", "cursors": {uuid(number): 1 for number in range(count)}}) == "bad_value"


# Ids and text.

BAD_IDS = {
    "empty": "",
    "no id": "not-a-uuid",
    "a path": "../../x",
    "a key": "a#b",
    "a foreign key": f"U#other|CMID#{ID}",
    "a star": "*",
    "an escape": "%00",
    "upper case": ID.upper().replace("0197", "A197"),
    "in braces": "{" + ID + "}",
    "a urn": f"urn:uuid:{ID}",
    "without dashes": ID.replace("-", ""),
    "too short": ID[:-1],
    "too long": ID + "0",
    "a line after it": ID + "\n",
    "a line before it": "\n" + ID,
    "two lines": f"{ID}\n{ID}",
    "a space after it": ID + " ",
    "NUL after it": ID + "\x00",
    "other digits": ID.replace("0", "\u0660"),
    "full-width digits": ID.replace("7", "\uff17"),
    "other dashes": ID.replace("-", "\u2010"),
    "no hexadecimal": "g" + ID[1:],
    "long": "a" * 10_000,
}


@pytest.mark.parametrize("bad", BAD_IDS.values(), ids=BAD_IDS.keys())
@pytest.mark.parametrize(
    ("name", "field"),
    [(name, field) for name in VALID for field in VALID[name] if field in ("client_message_id", "run_id", "thread_id")],
)
def test_an_id_is_a_canonical_lower_case_uuid(name: str, field: str, bad: str) -> None:
    """Whatever else stands there is a bad value: nothing gets into a key by an id."""
    assert code_of(frame(name, **{field: bad})) == "bad_value"


@pytest.mark.parametrize("bad", BAD_IDS.values(), ids=BAD_IDS.keys())
def test_a_cursor_is_named_by_an_id(bad: str) -> None:
    """The keys of the cursors are ids too."""
    assert code_of({"type": "ping", "cursors": {bad: 1}}) == "bad_value"


@pytest.mark.parametrize(
    "content",
    [
        "", " ", "\t\n\r", "\u3000\u2003", "\u200b", "\u200b\u200c\u200d", "\ufeff", "\u2060 \u200b", "\u00ad",
        "\u202e", "\U000e0041\U000e0042",
    ],
)  # fmt: skip
def test_a_content_that_says_nothing_is_a_bad_value(content: str) -> None:
    """Nothing, white space, or characters without a width."""
    assert code(message(content)) == "bad_value"


def test_a_content_is_at_most_12288_bytes() -> None:
    """Counted in UTF-8, not in characters or UTF-16 units."""
    assert MAX_CONTENT_BYTES == 12_288
    for char in ("a", "é", "€", "😀"):
        size = len(char.encode())
        fits = char * (12_288 // size)
        assert decode(json.dumps({"type": "agent_message", "content": fits}, ensure_ascii=False)) == AgentMessage(
            content=fits
        )
        assert code(json.dumps({"type": "agent_message", "content": fits + "a"}, ensure_ascii=False)) == "bad_value"


CONTROLS = [chr(number) for number in (*range(0x20), *range(0x7F, 0xA0)) if chr(number) not in "\t\n\r"]


@pytest.mark.parametrize("control", CONTROLS, ids=[f"U+{ord(control):04X}" for control in CONTROLS])
def test_a_content_holds_no_control_character(control: str) -> None:
    """C0, DEL and C1 are refused wherever they stand."""
    for content in (control, f"a{control}", f"{control}a", f"a{control}b"):
        assert code(message(content)) == "bad_value"


def test_tab_line_feed_and_carriage_return_are_text() -> None:
    """And so is everything else a person or a program writes; it is kept byte for byte."""
    for content in (
        "a\tb\nc\r\nd", "\u202egnp.exe", "a\u2066b\u2069", "e" + "\u0301" * 1_000, "👩‍👩‍👧", "\u0041\u030a", "\u00c5",
        "<script>alert(1)</script>", "\u05d0\u0627", "a\u200bb", "\u00a0a", "\ufffd", "\U0010fffd",
    ):  # fmt: skip
        command = decode(json.dumps({"type": "agent_message", "content": content}, ensure_ascii=False))
        assert command == AgentMessage(content=content)


LONE = [chr(0xD800), chr(0xDFFF), "a" + chr(0xD83D), chr(0xDC00) + chr(0xD800), chr(0xD800) + "a"]


@pytest.mark.parametrize("bad", [*LONE, "\ufffe", "\uffff"], ids=ascii)
def test_what_is_no_character_is_bad_encoding(bad: str) -> None:
    """Lone and reversed surrogates and non-characters in content, escaped or not, and were there a control too."""
    assert code(message(bad)) == code(message(bad + "\x00")) == "bad_encoding"
    assert code(json.dumps({"type": "agent_message", "content": bad}, ensure_ascii=False)) == "bad_encoding"


def test_a_surrogate_pair_is_a_character() -> None:
    """Escaped as JSON escapes it."""
    assert decode('{"type":"agent_message","content":"\\ud83d\\ude00"}') == AgentMessage(content="😀")


@pytest.mark.parametrize(
    "text", ['{"type":"ping","\\ud800":1}', '{"type":"ping","cursors":{"\\ud800":1}}', '"\\ud800"']
)
def test_a_lone_surrogate_anywhere_is_refused(text: str) -> None:
    """In a key or at the top too, and never with another error."""
    assert code(text) in ("bad_encoding", "unknown_field", "bad_value", "bad_type")
