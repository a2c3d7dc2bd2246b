"""The scripted model: the same request, the same answer; it chooses by words and never fails."""

import json
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_runner.agent import Agent, Tool, tool
from agent_runner.model import Delegate, ModelRequest, ModelResponse, RequestedCall
from agent_runner.registry import Registry
from agent_runner.scripted_model import ScriptedModel, decide
from playbyplay.domain.derivation import AgentMessage, Message, ToolMessage, UserMessage
from playbyplay.domain.journal import ToolCall
from tests.properties import PROPERTY

pure = tool(semantics="pure", running="Doing it")


@pure
def database_analyzer() -> str:
    """Analyze database performance: slow queries and missing indexes."""
    return ""


@pure
def code_analyzer(code: str) -> str:
    """Analyze Python code for mistakes."""
    return ""


@pure
def forecast(days: int, *, detailed: bool) -> str:
    """Tell the weather of the coming days."""
    return ""


@pure
def translate(text: str, tone: Literal["formal", "plain"] = "plain") -> str:
    """Translate a sentence into French."""
    return ""


@pure
def paint(colours: list[str]) -> str:
    """Paint a picture in watercolours."""
    return ""


TOOLS = (database_analyzer, code_analyzer, forecast, translate, paint)
AGENT = Agent("root", "Knows.", "Know.", TOOLS)
DELEGATES = (Delegate("delegate_to_gardener", "gardener", "Knows roses and tulips."),)


def request(
    *messages: Message | str, tools: tuple[Tool, ...] = TOOLS, delegates: tuple[Delegate, ...] = DELEGATES
) -> ModelRequest:
    said = tuple(UserMessage(one) if isinstance(one, str) else one for one in messages)
    return ModelRequest(AGENT, tools, delegates, said)


def chosen(text: str) -> tuple[str, dict[str, Any]] | None:
    """Return what the model calls for a message, with its arguments; None for no call."""
    response = decide(request(text))
    assert response.text
    if not response.calls:
        return None
    (call,) = response.calls
    return call.tool_name, json.loads(call.arguments)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Analyze my database performance", ("database_analyzer", {})),
        ("Why are my queries so slow?", ("database_analyzer", {})),
        ("Tell me the weather of the next 5 days", ("forecast", {"days": 5, "detailed": True})),
        ("Please translate this sentence", ("translate", {"text": "Please translate this sentence"})),
        ("How do I water my tulips?", ("delegate_to_gardener", {"task": "How do I water my tulips?"})),
        (
            "Look at this:\n```python\nfor x in y:\n    pass\n```",
            ("code_analyzer", {"code": "for x in y:\n    pass\n"}),
        ),
        ("Is this good code?\ndef f(x):\n    return x", ("code_analyzer", {"code": "def f(x):\n    return x"})),
        ("Hello there", None),
        ("", None),
    ],
)
def test_the_tool_is_chosen_by_the_words_of_the_message(text: str, expected: tuple[str, dict[str, Any]] | None) -> None:
    """And its arguments are filled from it."""
    assert chosen(text) == expected


@pytest.mark.parametrize("text", ["What will the weather be?", "Paint a picture", "Find mistakes in my Python code"])
def test_what_a_message_does_not_hold_is_asked_for(text: str) -> None:
    """A required argument that cannot be filled is no reason to call with nonsense."""
    assert chosen(text) is None


def test_the_choice_is_explained() -> None:
    """In the words of the message."""
    response = decide(request("Why are my queries so slow?"))
    assert response.text == "The message is about queries, slow, so I will use database_analyzer."


def test_results_become_the_answer() -> None:
    """One as it is, several under their names; calls of an earlier turn are not results of this one."""
    call = ToolCall(call_id="c1", tool_name="look", arguments="{}")
    earlier: tuple[Message, ...] = (
        UserMessage("Before."),
        AgentMessage("", (call,)),
        ToolMessage("c1", "look", "Old."),
    )
    one = decide(request(*earlier, "Now.", AgentMessage("", (call,)), ToolMessage("c1", "look", "Found.")))
    assert one == ModelResponse("Found.")
    two = decide(request("Now.", ToolMessage("c1", "look", "A."), ToolMessage("c2", "find", "B.")))
    assert two.text == "**look** reports:\n\nA.\n\n**find** reports:\n\nB."
    assert decide(request(*earlier, "Analyze my database")).calls


def test_a_message_nothing_fits_is_answered_with_what_can_be_done() -> None:
    """And with what this model is."""
    text = decide(request("Hello!")).text
    assert "scripted model" in text
    for name in (*(one.name for one in TOOLS), "gardener"):
        assert f"`{name}`" in text


def test_without_tools_it_still_answers() -> None:
    """There is always something to say."""
    assert decide(request("Analyze my database", tools=(), delegates=())).text


async def test_the_answer_is_streamed_and_is_the_response() -> None:
    """The pieces add up to the text, all of attempt 1; a response with calls streams nothing."""
    pieces: list[tuple[int, str]] = []

    async def on_text(attempt: int, text: str) -> None:
        pieces.append((attempt, text))

    model = ScriptedModel()
    long = "Found a lot. " * 500
    response = await model.respond(request("Now.", ToolMessage("c1", "look", long)), on_text)
    assert response.text == long
    assert "".join(text for _attempt, text in pieces) == long
    assert {attempt for attempt, _text in pieces} == {1}
    assert 1 < len(pieces) <= 21
    pieces.clear()
    await model.respond(request("Analyze my database"), on_text)
    assert pieces == []
    assert model.name == "scripted"


def test_the_same_request_has_the_same_response() -> None:
    """Whatever was asked in between."""
    first = decide(request("Analyze my database performance"))
    for text in ("Hello", "def f(): pass", "5 days of weather"):
        decide(request(text))
    assert decide(request("Analyze my database performance")) == first
    assert first.calls == (RequestedCall("database_analyzer", "{}"),)


@pytest.mark.parametrize(
    "text",
    [
        "The weather of " + "9" * 5_000 + " days", "weather -0 days", "weather ٣ days", "```\n" * 3_000, "```", "def ",
        "[" * 12_000, "\ud800 weather 3 days", "é😀" * 3_000, "class " * 2_000, "\n" * 12_000 + "import x",
        "analyze " * 1_500,
    ],
    ids=range(12),
)  # fmt: skip
def test_no_message_makes_it_fail(text: str) -> None:
    """Numbers without end, fences without an end, text that is no character."""
    response = decide(request(text))
    assert response.text or response.calls


@PROPERTY
@given(st.text(st.characters(exclude_categories=[]), max_size=300))
def test_any_message_has_an_answer(text: str) -> None:
    """Of the real agents too; arguments are always JSON objects."""
    root = Registry.discover().root if not text else AGENT
    response = decide(ModelRequest(root, root.tools, DELEGATES, (UserMessage("weather " + text),)))
    assert response.text
    for call in response.calls:
        assert isinstance(json.loads(call.arguments), dict)
