"""What a developer adds: a typed function becomes a tool, and the mistakes are told at once."""

import asyncio
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from agent_runner.agent import Tool, ToolContext, tool


class Place(BaseModel):
    """Where to look."""

    city: str
    zip_code: str | None = None


@tool(semantics="pure", running="Looking at the weather", timeout_s=5)
def weather(
    place: Place, days: Annotated[int, Field(ge=1, le=7, description="how many")] = 3, unit: Literal["c", "f"] = "c"
) -> str:
    """Tell the weather.

    Of a place, for some days.
    """
    return f"{place.city}: sunny for {days} days ({unit})"


@tool(semantics="idempotent", running="Booking")
async def book(context: ToolContext, hotel: str) -> dict[str, Any]:
    """Book a hotel."""
    await asyncio.sleep(0)
    return {"hotel": hotel, "key": context.idempotency_key}


def test_a_tool_is_made_of_a_functions_name_docstring_and_types() -> None:
    """Nothing is written twice."""
    assert isinstance(weather, Tool)
    assert (weather.name, weather.running, weather.semantics, weather.timeout_s) == (
        "weather",
        "Looking at the weather",
        "pure",
        5,
    )
    assert weather.description == "Tell the weather.\n\nOf a place, for some days."
    assert (weather.context_parameter, weather.is_async) == (None, False)
    assert (book.context_parameter, book.is_async, book.semantics, book.timeout_s) == (
        "context",
        True,
        "idempotent",
        30,
    )


def test_the_schema_is_that_of_the_parameters() -> None:
    """Types, defaults, limits and descriptions; nothing more is allowed."""
    schema = weather.schema
    assert schema["type"] == "object"
    assert schema["required"] == ["place"]
    assert schema["additionalProperties"] is False
    assert schema["properties"]["days"] == {
        "default": 3,
        "description": "how many",
        "maximum": 7,
        "minimum": 1,
        "title": "Days",
        "type": "integer",
    }
    assert schema["properties"]["unit"]["enum"] == ["c", "f"]


def test_the_context_is_no_argument_of_the_model() -> None:
    """A parameter of its type is filled in; the model cannot send one."""
    assert list(book.schema["properties"]) == ["hotel"]
    assert "ToolContext" not in repr(book.schema)


def test_a_tool_without_a_docstring_is_refused() -> None:
    """The model chooses by it."""

    def mute() -> None: ...

    with pytest.raises(TypeError, match="mute needs a docstring"):
        tool(semantics="pure", running="Doing")(mute)


def test_a_parameter_without_a_type_is_refused() -> None:
    """The schema is made from it."""

    def vague(what) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
        """Do something."""

    with pytest.raises(TypeError, match="parameter what needs a type"):
        tool(semantics="pure", running="Doing")(vague)


def test_a_tool_without_parameters_takes_nothing() -> None:
    """Its schema has no properties."""

    @tool(semantics="unsafe", running="Ringing")
    def ring() -> None:
        """Ring the bell."""

    assert ring.schema.get("properties", {}) == {}
    assert ring.semantics == "unsafe"
