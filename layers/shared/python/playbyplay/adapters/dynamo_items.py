"""Plain values as DynamoDB writes them, and back: only the types our tables hold.

boto3's own serializer makes a Decimal of every number and is slower by an order; nothing here talks to AWS.
"""

import re
from collections.abc import Mapping
from typing import Any, TypeAlias

Plain: TypeAlias = str | int | bool | bytes | Mapping[str, str]
Item: TypeAlias = dict[str, dict[str, Any]]

_NAME = re.compile(r"#\w+")


def item(values: Mapping[str, Plain | None]) -> Item:
    """Return values as attributes; what is None is left out."""
    return {name: _attribute(value) for name, value in values.items() if value is not None}


def plain(attributes: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return attributes as values; a number is an int."""
    return {name: _value(attribute) for name, attribute in attributes.items()}


def names(*expressions: str) -> dict[str, str]:
    """Return what each `#name` of the expressions stands for: itself, though DynamoDB may reserve the word."""
    return {found: found[1:] for expression in expressions for found in _NAME.findall(expression)}


def _attribute(value: Plain) -> dict[str, Any]:
    if isinstance(value, str):
        return {"S": value}
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, int):
        return {"N": str(value)}
    if isinstance(value, bytes):
        return {"B": value}
    return {"M": {name: {"S": text} for name, text in value.items()}}


def _value(attribute: Mapping[str, Any]) -> Any:  # noqa: ANN401 - whatever the attribute holds
    ((kind, value),) = attribute.items()
    if kind == "N":
        return int(value)
    if kind == "M":
        return plain(value)
    return value
