"""Plain values as DynamoDB writes them, and back."""

from typing import Any

import pytest

from playbyplay.adapters.dynamo_items import item, names, plain

VALUES: list[tuple[Any, dict[str, Any]]] = [
    ("text \x00 👋", {"S": "text \x00 👋"}),
    (0, {"N": "0"}),
    (2**53, {"N": "9007199254740992"}),
    (True, {"BOOL": True}),
    (False, {"BOOL": False}),
    (b"\xff\x00", {"B": b"\xff\x00"}),
    ({"7": "run"}, {"M": {"7": {"S": "run"}}}),
    ({}, {"M": {}}),
]


@pytest.mark.parametrize(("value", "attribute"), VALUES)
def test_a_value_comes_back_as_it_went(value: Any, attribute: dict[str, Any]) -> None:
    """Each type has one way to be written; a number is text on the wire, and an int again after."""
    assert item({"name": value}) == {"name": attribute}
    (back,) = plain({"name": attribute}).values()
    assert (back, type(back)) == (value, type(value))


def test_what_is_none_is_no_attribute() -> None:
    """An absent value is left out; an empty text is not absent."""
    assert item({"owner": None, "origin": ""}) == {"origin": {"S": ""}}


def test_a_name_of_an_expression_stands_for_itself() -> None:
    """Every `#name` of every expression is listed once; `:values` are not."""
    assert names("SET #owner = :owner, #open.#turn = :o", "#owner = :x") == {
        "#owner": "owner",
        "#open": "open",
        "#turn": "turn",
    }
