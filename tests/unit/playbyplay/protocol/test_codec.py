"""The codec: what is no frame is refused with the contract's code, before anything else sees it."""

import json
import time
from typing import get_args

import pytest

from playbyplay.errors import ProtocolViolation, Refused, RejectionCode
from playbyplay.protocol.base import MAX_COMMAND_BYTES, MAX_INTEGER
from playbyplay.protocol.codec import decode, decode_server_frame, rejection
from playbyplay.protocol.commands import AgentMessage, Answer, Cancel, Ping, Position, Resume
from playbyplay.protocol.replies import Lagging
from tests.histories import canonical
from tests.unit.playbyplay.protocol.frames import ID, OTHER_ID, VALID, code, frame, message


def test_every_command_is_read() -> None:
    """A valid frame becomes its command."""
    assert [decode(json.dumps(frame(name))) for name in VALID] == [
        AgentMessage(content="Hi.", client_message_id=ID, thread_id=OTHER_ID),
        Resume(run_id=ID, after_seq=0),
        Resume(thread_id=ID, after=Position(turn=1, seq=2)),
        Cancel(run_id=ID),
        Answer(run_id=ID, offset=5),
        Ping(cursors={ID: 3}),
    ]


def test_optional_fields_may_be_absent() -> None:
    """A message needs only its content, a ping nothing at all."""
    assert decode('{"type":"agent_message","content":"Hi."}') == AgentMessage(content="Hi.")
    assert decode('{"type":"ping"}') == Ping()
    assert decode(b'{"type":"ping","cursors":{}}') == Ping(cursors={})


# The order of decoding: size, encoding, depth, JSON, version, types, text.


def padded(size: int) -> str:
    """Return a ping of so many bytes, most of them white space."""
    return '{"type":"ping"' + " " * (size - len('{"type":"ping"}')) + "}"


def test_a_frame_of_sixteen_kibibytes_is_read_and_one_byte_more_is_not() -> None:
    """The limit is 16,384 bytes of UTF-8, for text and for bytes."""
    assert decode(padded(16_384)) == decode(padded(16_384).encode()) == Ping()
    assert code(padded(16_385)) == code(padded(16_385).encode()) == "too_large"
    assert MAX_COMMAND_BYTES == 16_384


def test_the_size_counts_bytes_not_characters() -> None:
    """Three-byte characters count three; lone surrogates count too and raise nothing else."""
    euros = '{"type":"agent_message","content":"' + "€" * 5_450 + '"}'
    assert len(euros.encode()) == 16_387
    assert code(euros) == code(euros.encode()) == "too_large"
    assert code("\ud800" * 6_000) == "too_large"


def test_the_size_is_checked_before_anything_else() -> None:
    """What is too large is too large, whatever else is wrong with it."""
    for text in ("x" * 20_000, "[" * 20_000, "\xff" * 20_000, '{"a":1,"a":2}' * 2_000):
        assert code(text) == "too_large"
    assert code(b"\xff" * 20_000) == "too_large"


@pytest.mark.parametrize(
    "data",
    [b"\xff\xfe", b"\xc0\x80", b'{"type":"ping"\xe2\x82', b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\x80" + b"[" * 20],
)
def test_bytes_that_are_no_strict_utf8_are_bad_encoding(data: bytes) -> None:
    """Overlong forms, surrogates, cut sequences, beyond U+10FFFF: refused before the JSON is looked at."""
    assert code(data) == "bad_encoding"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "utf-8-sig"])
def test_other_encodings_of_json_are_refused(encoding: str) -> None:
    """`json.loads` would guess UTF-16 and UTF-32 and take a byte order mark; this does not."""
    assert code('{"type":"ping"}'.encode(encoding)) in ("bad_encoding", "bad_json")


def test_a_byte_order_mark_is_no_json() -> None:
    """A frame begins with its object."""
    assert code('\ufeff{"type":"ping"}') == "bad_json"


@pytest.mark.parametrize("depth", [1, 2, 7, 8])
def test_eight_levels_are_not_too_deep(depth: int) -> None:
    """At the limit a frame is refused for its shape, not for its depth."""
    assert code("[" * depth + "]" * depth) == "bad_type"
    assert code('{"type":"ping","a":' + "[" * (depth - 1) + "]" * (depth - 1) + "}" if depth > 1 else "{}") in (
        "unknown_field",
        "missing_field",
    )


@pytest.mark.parametrize(
    "text",
    [
        "[" * 9 + "]" * 9,
        "[" * 10_000,
        "{" * 5_000,
        '{"a":' * 3_000,
        '{"type":"ping","cursors":' + "[" * 8 + "]" * 8 + "}",
        "[{" * 5_000,
    ],
)
def test_nine_levels_are_too_deep(text: str) -> None:
    """Complete or cut, deep nesting is refused in time, without a RecursionError."""
    began = time.thread_time()
    assert code(text) == "too_deep"
    assert time.thread_time() - began < 0.05


def test_brackets_inside_strings_are_no_depth() -> None:
    """Neither plain ones nor those behind escaped quotes and backslashes."""
    for content in ("[" * 50, '"[{' * 50, "\\[" * 50, '\\"' + "[" * 50, "{" * 50 + "\\"):
        assert decode(message(content)) == AgentMessage(content=content)


def test_depth_comes_before_json() -> None:
    """What is too deep and no JSON is too deep; a string that never ends hides no bracket after it."""
    assert code("[" * 9 + "nonsense") == "too_deep"
    assert code('"' + "[" * 9) == "bad_json"


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "{", '{"type":', '{"a":1,}', "{'a':1}", "[1,]", "nul", "tru", "01", "+1", ".5", "1.", "0x10", "1e",
        '"\t"', '"a\nb"', '"\\x41"', '"\\u12"', '{"type":"ping"}{}', '{"type":"ping"} x', "//", '{"a" 1}', "{1:2}",
        '{"type":"ping",}', '"', '"\\', "]", "}", "][", "\x00", "{}\x00", "NaN", "-Infinity", "Infinity",
        '{"type":"resume","run_id":"x","after_seq":NaN}', '{"type":"answer","offset":Infinity}', "[-Infinity]",
    ],
)  # fmt: skip
def test_what_is_no_json_is_bad_json(text: str) -> None:
    """Near misses, leftovers, control characters in strings, and the constants Python would take."""
    assert code(text) == "bad_json"


def test_generated_near_misses_are_refused() -> None:
    """A valid frame cut anywhere is bad JSON; with any one character taken out it raises nothing but a refusal."""
    text = json.dumps(frame("resume of a thread"))
    for cut in range(len(text)):
        assert code(text[:cut]) == "bad_json"
    refused = 0
    for at in range(len(text)):
        try:
            decode(text[:at] + text[at + 1 :])
        except ProtocolViolation:
            refused += 1
    assert refused > len(text) // 2


@pytest.mark.parametrize(
    "text",
    [
        '{"type":"ping","type":"ping"}',
        '{"type":"ping","type":"cancel"}',
        '{"type":"agent_message","content":"a","content":"b"}',
        '{"type":"ping","\\u0074ype":"ping"}',
        '{"type":"ping","cursors":{"a":1,"a":1}}',
        '{"a":[{"b":1,"b":2}]}',
        '{"type":"unknown","a":1,"a":1}',
    ],
)
def test_a_key_named_twice_is_refused(text: str) -> None:
    """At any level, equal or not, escaped or not, and before the type is looked at."""
    assert code(text) == "duplicate_key"


@pytest.mark.parametrize("text", ['"message"', "[]", "null", "42", "true", "1.5", '[{"type":"ping"}]'])
def test_a_frame_that_is_no_object_has_the_wrong_type(text: str) -> None:
    """The top is one object."""
    assert code(text) == "bad_type"


NUMBERS = [
    (str(MAX_INTEGER), None),
    (str(MAX_INTEGER + 1), "bad_value"),
    (str(-MAX_INTEGER - 1), "bad_value"),
    ("-1", "bad_value"),
    ("-0", None),
    ("0", None),
    ("1.0", "bad_type"),
    ("1e3", "bad_type"),
    ("0.5", "bad_type"),
    ("1e999", "bad_value"),
    ("-1e999", "bad_value"),
    ("9" * 400 + ".0", "bad_value"),
    ("9" * 4_000, "bad_value"),
    ("9" * 5_000, "bad_value"),
    ("-" + "9" * 5_000, "bad_value"),
    ("1e-999", "bad_type"),
    ("true", "bad_type"),
    ("NaN", "bad_json"),
]


@pytest.mark.parametrize(("number", "expected"), NUMBERS)
@pytest.mark.parametrize(
    "text",
    [
        '{"type":"resume","run_id":"RUN","after_seq":NUMBER}',
        '{"type":"resume","thread_id":"RUN","after":{"turn":0,"seq":NUMBER}}',
        '{"type":"resume","thread_id":"RUN","after":{"turn":NUMBER,"seq":0}}',
        '{"type":"answer","run_id":"RUN","offset":NUMBER}',
        '{"type":"ping","cursors":{"RUN":NUMBER}}',
    ],
)
def test_numbers_are_whole_and_between_zero_and_two_to_the_53(text: str, number: str, expected: str | None) -> None:
    """In every place a number can stand; longer ones do not even make Python raise."""
    text = text.replace("RUN", ID).replace("NUMBER", number)
    if expected is None:
        decode(text)
    else:
        assert code(text) == expected


def test_a_number_out_of_range_is_refused_wherever_it_stands() -> None:
    """In a field nobody knows too: the JSON is read as a whole first."""
    assert code('{"type":"ping","x":9007199254740993}') == "bad_value"
    assert code('{"type":"ping","x":1e999}') == "bad_value"


# What a refusal says.


def test_a_refusal_names_the_message_and_the_run_the_frame_named() -> None:
    """So that a client knows what was refused; an id that is none is not repeated."""
    with pytest.raises(ProtocolViolation) as violation:
        decode(json.dumps(frame("agent_message", content="", run_id=OTHER_ID)))
    assert (violation.value.client_message_id, violation.value.run_id) == (ID, OTHER_ID)
    for bad in (ID + "\n", "<script>", 7, None, [ID]):
        with pytest.raises(ProtocolViolation) as violation:
            decode(json.dumps({"type": "cancel", "run_id": bad, "client_message_id": bad}))
        assert (violation.value.client_message_id, violation.value.run_id) == (None, None)


@pytest.mark.parametrize(
    "text", ["{", '{"type":"SECRET"}', '{"type":"ping","SECRET":"SECRET"}', '{"type":"cancel","run_id":"SECRET"}']
)
def test_a_refusal_does_not_repeat_the_input(text: str) -> None:
    """The sentence is ours, and no cause hangs on the error."""
    with pytest.raises(ProtocolViolation) as violation:
        decode(text)
    assert "SECRET" not in rejection(violation.value).to_json()
    assert violation.value.__suppress_context__


def test_a_violation_is_never_retryable() -> None:
    """The same frame will be refused again; only what depends on the moment may be tried again."""
    assert not rejection(ProtocolViolation("bad_json", "No.")).retryable
    assert [Refused(one, "No.").retryable for one in get_args(RejectionCode)] == [
        one in ("rate_limited", "overloaded", "thread_busy") for one in get_args(RejectionCode)
    ]


def test_a_refusal_is_rendered_with_what_it_knows() -> None:
    """Absent fields are omitted."""
    refused = Refused("rate_limited", "Slow down.", run_id=ID, retry_after_ms=5)
    assert json.loads(rejection(refused).to_json()) == {
        "type": "message_rejected",
        "run_id": ID,
        "code": "rate_limited",
        "message": "Slow down.",
        "retryable": True,
        "retry_after_ms": 5,
    }


# The client's side.


def test_server_frames_are_read_by_type() -> None:
    """Events and replies come back equal; a type of a later version is None; another shape is a ValueError."""
    for event in canonical().history.events:
        assert decode_server_frame(event.to_json()) == event
    lagging = Lagging(run_id=ID, last_seq=3)
    assert decode_server_frame(lagging.to_json()) == lagging
    for text in ('{"type":"invented"}', '{"message":"Internal server error"}', "[]", "7", '{"type":7}'):
        assert decode_server_frame(text) is None
    for text in ("{", '{"type":"lagging"}', '{"type":"lagging","run_id":"x","last_seq":1}'):
        with pytest.raises(ValueError):
            decode_server_frame(text)


@pytest.mark.parametrize("text", ['{"type":["ping"]}', '{"type":{}}', '{"type":[]}'])
def test_a_server_frame_whose_type_is_no_string_is_no_crash(text: str) -> None:
    """It is of no known type."""
    assert decode_server_frame(text) is None
