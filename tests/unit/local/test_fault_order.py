"""Orders to the fault switch: read strictly, or refused with a sentence."""

import json
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.fault_order import FAULTS, BadOrder, FaultName, Order, read_order
from tests.properties import PROPERTY


def read(**fields: Any) -> Order:
    return read_order(json.dumps(fields).encode(), "ann")


def refusal(body: bytes) -> str:
    with pytest.raises(BadOrder) as refused:
        read_order(body, "ann")
    return str(refused.value)


def test_every_fault_is_told_once() -> None:
    """Each fault has a title, what it does and what to see, in whole sentences."""
    assert [fault.name for fault in FAULTS] == list(get_args(FaultName))
    assert all(fault.title and fault.does.endswith(".") and fault.see.endswith(".") for fault in FAULTS)


def test_a_fault_needs_nothing_but_its_name() -> None:
    """What is not said is as usual: the next tool, the next job, one event of any type, until it is thawed."""
    assert read(fault="kill_runner") == Order(name="kill_runner", when="tool", user="ann")
    assert read(fault="drop_post") == Order(name="drop_post", count=1, event=None, user="ann")
    assert read(fault="duplicate_job") == Order(name="duplicate_job", when="next", user="ann")
    assert read(fault="freeze_model") == Order(name="freeze_model", seconds=None, user="ann")
    assert read(fault="thaw_model") == Order(name="thaw_model", user="ann")
    assert read(fault="cut_socket") == Order(name="cut_socket", user="ann")
    assert read(fault="clear") == Order(name="clear", user="ann")


def test_a_fault_takes_its_fields() -> None:
    """What is said counts."""
    assert read(fault="kill_runner", when="now").when == "now"
    dropped = read(fault="drop_post", count=100, event="tool_completed", user="bob")
    assert dropped == Order(name="drop_post", count=100, event="tool_completed", user="bob")
    assert read(fault="duplicate_job", when="each").when == "each"
    assert read(fault="freeze_model", seconds=0.5).seconds == 0.5
    assert read(fault="cut_socket", user="bob").user == "bob"


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000, b"'x'"])
def test_what_is_no_json_is_refused(body: bytes) -> None:
    """A body that cannot be read has its sentence."""
    assert refusal(body) == "The body is not JSON."


@pytest.mark.parametrize("body", [b"[]", b"null", b'"drop_post"', b"{}", b'{"name": "drop_post"}'])
def test_what_names_no_fault_is_refused(body: bytes) -> None:
    """The sentence shows what an order looks like."""
    assert refusal(body) == 'The body is an object that names a fault, as {"fault": "drop_post"}.'


@pytest.mark.parametrize("name", ["earthquake", "", None, 1, [], {}, "Drop_Post", "drop-post"])
def test_an_unknown_fault_is_refused(name: Any) -> None:
    """The sentence names those there are."""
    assert refusal(json.dumps({"fault": name}).encode()) == (
        "There is no such fault. There are kill_runner, drop_post, duplicate_job, freeze_model, thaw_model, "
        "cut_socket, clear."
    )


@pytest.mark.parametrize(
    ("order", "sentence"),
    [
        ({"fault": "clear", "when": "now"}, "clear takes no further field."),
        ({"fault": "cut_socket", "count": 1}, "cut_socket takes no field but user."),
        ({"fault": "kill_runner", "when": "next"}, "when of kill_runner is one of tool, now."),
        ({"fault": "kill_runner", "when": None}, "when of kill_runner is one of tool, now."),
        ({"fault": "duplicate_job", "when": "tool"}, "when of duplicate_job is one of next, each."),
        ({"fault": "drop_post", "count": 0}, "count of drop_post is a whole number from 1 to 100."),
        ({"fault": "drop_post", "count": 101}, "count of drop_post is a whole number from 1 to 100."),
        ({"fault": "drop_post", "count": True}, "count of drop_post is a whole number from 1 to 100."),
        ({"fault": "drop_post", "count": 1.0}, "count of drop_post is a whole number from 1 to 100."),
        ({"fault": "drop_post", "count": "1"}, "count of drop_post is a whole number from 1 to 100."),
        ({"fault": "drop_post", "user": ""}, "user of drop_post is a name of 1 to 64 characters."),
        ({"fault": "drop_post", "user": "x" * 65}, "user of drop_post is a name of 1 to 64 characters."),
        ({"fault": "freeze_model", "seconds": 0}, "seconds of freeze_model is a number above 0, 3600 at the most."),
        ({"fault": "freeze_model", "seconds": 3601}, "seconds of freeze_model is a number above 0, 3600 at the most."),
        ({"fault": "freeze_model", "seconds": True}, "seconds of freeze_model is a number above 0, 3600 at the most."),
        (
            {"fault": "freeze_model", "seconds": float("nan")},
            "seconds of freeze_model is a number above 0, 3600 at the most.",
        ),
    ],
)
def test_a_field_that_does_not_fit_is_named(order: dict[str, Any], sentence: str) -> None:
    """A field of another fault, of another type or out of range: the sentence says what it takes."""
    assert refusal(json.dumps(order).encode()) == sentence


def test_only_types_of_events_can_be_dropped() -> None:
    """A hint or a reply is no event."""
    assert refusal(b'{"fault":"drop_post","event":"heartbeat"}').startswith(
        "event of drop_post is one of agent_started"
    )


@given(
    body=st.binary(max_size=64)
    | st.recursive(st.text(), lambda inner: st.dictionaries(st.text(), inner)).map(
        lambda value: json.dumps({"fault": "drop_post", "event": value}).encode()
    )
)
@PROPERTY
def test_whatever_comes_is_read_or_refused(body: bytes) -> None:
    """No body makes the reader fail in another way."""
    sentence = ""
    try:
        order = read_order(body, "ann")
    except BadOrder as refused:
        sentence = str(refused)
    assert sentence.endswith(".") or order.event is not None
