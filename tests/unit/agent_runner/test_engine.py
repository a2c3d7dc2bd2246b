"""The engine: from the journal to the next question, and from what came of it to the next record."""

from collections.abc import Sequence
from typing import Any

import pytest

from agent_runner.agent import Agent, Tool, tool
from agent_runner.engine import UNCERTAIN, Budget, Engine, activity, delegation_report
from agent_runner.model import Delegate, ModelResponse, RequestedCall
from agent_runner.registry import Registry
from agent_runner.tool_executor import ToolReport
from playbyplay.domain.derivation import (
    AgentMessage,
    AskModel,
    CallTool,
    CloseDelegation,
    Finish,
    Step,
    ToolMessage,
    UserMessage,
)
from playbyplay.domain.ending import completed
from playbyplay.domain.journal import CheckpointEntry, Entry, EventEntry, FenceEntry, ResultEntry
from playbyplay.errors import RunError
from playbyplay.protocol.base import MAX_ANSWER_BYTES, MAX_EVENT_BYTES
from playbyplay.protocol.events import Event, FinalResponse, Usage
from tests.histories import MESSAGE, TIME_MS, Story, call

NOW = TIME_MS + 1_000


def a_tool(name: str, semantics: Any = "pure", running: str = "Doing it") -> Tool:
    def function() -> str:
        """Do it."""
        return name

    function.__name__ = name
    return tool(semantics=semantics, running=running)(function)


LOOK, SEND, BOOK = a_tool("look", running="Looking around"), a_tool("send", "unsafe"), a_tool("book", "idempotent")
INNER = Agent("inner", "Knows more.", "Know more.", (SEND,), delegates=("innermost",))
INNERMOST = Agent("innermost", "Knows most.", "Know most.", (LOOK,), delegates=("inner",))
ROOT = Agent("root", "Answers.", "Answer.", (LOOK, SEND, BOOK), delegates=("inner",))


def engine(**budget: int) -> Engine:
    return Engine(Registry([INNER, INNERMOST], root=ROOT), Budget(**budget))


def step_of(story: Story, at: int = 0) -> Step:
    return engine().steps(story.history)[at]


def ask(story: Story, at: int = 0) -> AskModel:
    step = step_of(story, at)
    assert isinstance(step, AskModel)
    return step


def events(entries: Sequence[Entry]) -> list[Event]:
    return [entry.event for entry in entries if isinstance(entry, EventEntry)]


def responded(story: Story, response: ModelResponse, at: int = 0) -> list[Entry]:
    """Return the record of a response, which the history takes."""
    entries = engine().outcome(story.history, step_of(story, at), response, NOW)
    story.history.record("token", entries)
    return entries


def calling(*names: str, text: str = "", arguments: str = "{}") -> ModelResponse:
    return ModelResponse(text, tuple(RequestedCall(name, arguments) for name in names))


def test_the_first_owner_starts_the_run_in_the_record_of_its_fence() -> None:
    """With the id the client gave; nobody else starts it again."""
    fence, started = engine().started(Story().history, NOW)
    assert fence == FenceEntry(epoch=1)
    (event,) = events([started])
    assert (event.type, event.seq) == ("agent_started", 1)
    assert getattr(event, "client_message_id", None) == MESSAGE
    assert getattr(event, "agent_id", None) == "root"
    assert engine().started(Story().starts().history, NOW) == [FenceEntry(epoch=2)]


def test_the_root_is_asked_with_the_whole_conversation() -> None:
    """Earlier turns, this message, and what was said and learned since; with its tools and delegates."""
    story = Story("Why?").starts().asks(call(1), text="Hm.").returns("c1", "Found.")
    earlier = (UserMessage("Before?"), AgentMessage("Before."))
    request = engine().request(story.history, ask(story), earlier)
    assert request.agent is ROOT
    assert request.tools == (LOOK, SEND, BOOK)
    assert request.delegates == (Delegate("delegate_to_inner", "inner", "Knows more."),)
    assert request.messages == (
        *earlier,
        UserMessage("Why?"),
        AgentMessage("Hm.", (call(1),)),
        ToolMessage("c1", "look", "Found."),
    )


def delegating(arguments: str = '{"task":"Find out."}') -> Story:
    return Story("Why?").starts().asks(call(1, "delegate_to_inner", delegate="inner", arguments=arguments))


def test_a_sub_agent_is_asked_with_its_task_alone() -> None:
    """It sees neither the conversation nor the other tools."""
    story = delegating()
    request = engine().request(story.history, ask(story), (UserMessage("Secret."),))
    assert (request.agent, request.tools) == (INNER, (SEND,))
    assert request.messages == (UserMessage("Find out."),)
    assert [one.agent_id for one in request.delegates] == ["innermost"]


def test_delegation_ends_two_deep() -> None:
    """The innermost agent has nobody to delegate to, and a call of it that tries is no delegation."""
    story = delegating().asks(call(2, "delegate_to_innermost", delegate="innermost"), scope="c1", agent="inner")
    request = engine().request(story.history, ask(story), ())
    assert request.agent is INNERMOST
    assert request.delegates == ()
    checkpoint = responded(story, calling("delegate_to_inner"))[0]
    assert isinstance(checkpoint, CheckpointEntry)
    assert checkpoint.calls[0].delegate is None


@pytest.mark.parametrize(
    ("arguments", "task"),
    [('{"task":"Find out."}', "Find out."), ("{", "{"), ('{"job":1}', '{"job":1}'), ("", "(no task)"), ("[]", "[]")],
)
def test_a_delegation_hands_over_what_the_model_wrote(arguments: str, task: str) -> None:
    """Its one argument, or else all of it."""
    story = delegating(arguments)
    assert engine().request(story.history, ask(story), ()).messages == (UserMessage(task),)


def test_a_response_with_calls_is_one_record() -> None:
    """The checkpoint, the thought, and each call opened before it is made."""
    entries = responded(Story().starts(), calling("look", "send", text="I will look."))
    checkpoint = entries[0]
    assert isinstance(checkpoint, CheckpointEntry)
    assert [(one.call_id, one.tool_name, one.delegate) for one in checkpoint.calls] == [
        ("c1", "look", None),
        ("c2", "send", None),
    ]
    thinking, *opened = events(entries)
    assert getattr(thinking, "thought", "") == "I will look."
    assert [(one.type, getattr(one, "call_id", ""), getattr(one, "description", "")) for one in opened] == [
        ("tool_executing", "c1", "Looking around"),
        ("tool_executing", "c2", "Doing it"),
    ]
    assert [event.seq for event in events(entries)] == [2, 3, 4]


def test_an_unsafe_call_is_recorded_as_unsafe() -> None:
    """So that whoever ends the run without knowing its tools can tell that it may have taken effect."""
    checkpoint = responded(Story().starts(), calling("look", "send", "book", "unheard_of"))[0]
    assert isinstance(checkpoint, CheckpointEntry)
    assert [one.unsafe for one in checkpoint.calls] == [None, True, None, None]


def test_the_answer_is_one_record_with_the_end_it_makes() -> None:
    """It is kept whole, with its thought and what it cost, and the run is over: all of it or nothing."""
    response = ModelResponse("It is slow.", finish_reason="length", usage=Usage(input_tokens=3, output_tokens=4))
    story = Story().starts()
    entries = responded(story, response)
    assert entries[0] == CheckpointEntry(text="It is slow.", finish_reason="length", usage=response.usage)
    assert [event.type for event in events(entries)] == ["agent_thinking", "agent_completed", "final_response"]
    assert [event.seq for event in events(entries)] == [2, 3, 4]
    assert story.add(*entries).history.state.status == "completed"


def test_the_end_counts_the_answer_that_makes_it() -> None:
    """Its usage is that of every response of the run, sub-agents and this last one included."""
    story = delegating().answers(scope="c1", agent="inner").returns("c1")
    response = ModelResponse("It is slow.", usage=Usage(input_tokens=3, output_tokens=4))
    final = events(responded(story, response))[-1]
    assert isinstance(final, FinalResponse)
    assert final.usage == Usage(input_tokens=10 + 10 + 3, output_tokens=5 + 5 + 4)


@pytest.mark.parametrize(
    "response",
    [
        ModelResponse("It is slow.", finish_reason="length", usage=Usage(input_tokens=3, output_tokens=4)),
        ModelResponse("x" * MAX_ANSWER_BYTES),
        ModelResponse("x" * (MAX_ANSWER_BYTES + 1)),
    ],
    ids=["short", "long", "cut"],
)
def test_an_answer_without_its_end_gets_the_end_it_would_have_had(response: ModelResponse) -> None:
    """Earlier versions wrote two records: from the first of them alone, any acquirer renders the same end."""
    story = Story().starts().asks(call(1)).returns("c1")
    checkpoint, thought, *end = responded(story, response)
    story.add(checkpoint, thought)
    assert story.history.state.phase == "running"
    (step,) = engine(model_calls=1, tokens=1).steps(story.history)
    assert isinstance(step, Finish)
    assert completed(story.history, NOW) == end
    assert completed(story.taken_over().history, NOW) == end


def test_an_inner_answer_ends_no_run() -> None:
    """It is a checkpoint with its thought: the delegation is what it ends."""
    entries = responded(delegating(), ModelResponse("It is slow."))
    assert isinstance(entries[0], CheckpointEntry)
    assert entries[0].scope == "c1"
    assert [event.type for event in events(entries)] == ["agent_thinking"]


def test_a_thought_is_never_empty() -> None:
    """A model that says nothing still does something."""
    told = Story().starts().asks(call(1)).returns("c1")
    thoughts = [
        getattr(events(responded(story, response))[0], "thought", "")
        for story, response in [
            (Story().starts(), calling("look", "send")),
            (Story().starts(), ModelResponse("Hi.")),
            (told, ModelResponse("It is slow.")),
        ]
    ]
    assert thoughts == [
        "I will use look, send.",
        "I can answer this directly.",
        "I have what I need and write the answer.",
    ]


def test_calls_are_numbered_through_the_run() -> None:
    """Whatever ids the model gave them, and over all scopes."""
    story = Story().starts().asks(call(1), call(2, "delegate_to_inner", delegate="inner"))
    checkpoint = responded(story, calling("send", "send"), at=1)[0]
    assert isinstance(checkpoint, CheckpointEntry)
    assert [one.call_id for one in checkpoint.calls] == ["c3", "c4"]
    assert checkpoint.scope == "c2"


def test_steps_of_a_sub_agent_say_whose_they_are() -> None:
    """Its own name, and the call of the delegation."""
    entries = responded(delegating(), calling("send"))
    assert {(getattr(one, "agent_id", ""), getattr(one, "parent_call_id", "")) for one in events(entries)} == {
        ("inner", "c1")
    }


def test_a_delegation_says_to_whom() -> None:
    """In its description, for the person who watches."""
    entries = responded(Story().starts(), calling("delegate_to_inner", "unheard_of"))
    assert [getattr(one, "description", None) for one in events(entries)[1:]] == [
        "Handing the task to inner",
        "Calling unheard_of",
    ]


def test_calls_beyond_the_limit_are_not_made() -> None:
    """The model may ask for a thousand at once."""
    entries = engine(calls_per_response=3).outcome(
        Story().starts().history, ask(Story().starts()), calling(*["look"] * 1_000), NOW
    )
    assert len(events(entries)) == 4
    assert Budget().calls_per_response == 8


HOSTILE = [
    "\ud83d",
    "\x00\x1b[31m",
    "x" * 400_000,
    "€" * 150_000,
    "\x01" * 300_000,
    "\ud800" * 300_000,
    '"\\' * 200_000,
]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: f"{text[:2]!a} times {len(text) // 2}")
def test_whatever_a_model_writes_makes_records_that_fit(text: str) -> None:
    """Text, names and arguments: events of at most 24 KiB, an answer of at most 256 KiB, all of it storable."""
    entries = responded(Story().starts(), ModelResponse(text, (RequestedCall(text, text), RequestedCall("", ""))))
    entries += responded(Story().starts(), ModelResponse(text))
    for event in events(entries):
        assert len(event.to_json().encode()) <= MAX_EVENT_BYTES
    for entry in entries:
        entry.to_json().encode()
        if isinstance(entry, CheckpointEntry):
            assert len(entry.text.encode()) <= MAX_ANSWER_BYTES
            assert all(len(one.arguments.encode()) <= 16_384 and one.tool_name for one in entry.calls)


def test_an_answer_that_was_cut_says_so() -> None:
    """Above 256 KiB it is not finished by the model's own stop."""
    for size, reason in ((MAX_ANSWER_BYTES, "stop"), (MAX_ANSWER_BYTES + 1, "length")):
        checkpoint = responded(Story().starts(), ModelResponse("x" * size))[0]
        assert isinstance(checkpoint, CheckpointEntry)
        assert (len(checkpoint.text), checkpoint.finish_reason) == (MAX_ANSWER_BYTES, reason)


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: f"{text[:2]!a} times {len(text) // 2}")
def test_whatever_a_model_answers_can_be_told(text: str) -> None:
    """The final response fits into a frame, and its whole is at most 256 KiB."""
    story = Story().starts()
    entries = responded(story, ModelResponse(text))
    story.add(*entries)
    final = events(entries)[-1]
    assert isinstance(final, FinalResponse)
    assert len(final.to_json().encode()) <= MAX_EVENT_BYTES
    assert (final.full_bytes or 0) <= MAX_ANSWER_BYTES


def test_a_calls_end_is_one_record() -> None:
    """Its result for the model and its `tool_completed` for the person."""
    story = Story().starts().asks(call(1))
    report = ToolReport("failed", "No such table.", "All about it.", 12)
    result, closed = engine().outcome(story.history, step_of(story), report, NOW)
    assert result == ResultEntry(call_id="c1", content="All about it.")
    (event,) = events([closed])
    assert event.model_dump(include={"type", "call_id", "tool_name", "status", "result_summary", "duration_ms"}) == {
        "type": "tool_completed",
        "call_id": "c1",
        "tool_name": "look",
        "status": "failed",
        "result_summary": "No such table.",
        "duration_ms": 12,
    }


def test_an_inner_answer_is_the_result_of_the_delegation() -> None:
    """Its first line that is no heading for the person, the whole for the model, timed from the hand-over."""
    story = delegating().answers("# Report\n\nIt is slow.\n\nVery.", scope="c1", agent="inner")
    step = step_of(story)
    assert isinstance(step, CloseDelegation)
    report = delegation_report(story.history, step, NOW)
    assert report == ToolReport("ok", "It is slow.", "# Report\n\nIt is slow.\n\nVery.", 1_000)
    assert delegation_report(story.history, step, TIME_MS - 5).duration_ms == 0
    entries = engine().outcome(story.history, step, report, NOW)
    assert [event.type for event in events(entries)] == ["tool_completed"]


@pytest.mark.parametrize("answer", ["", " \n", "#", "# One\n## Two", "x" * 100_000, "\x00"])
def test_any_inner_answer_makes_a_report(answer: str) -> None:
    """Never empty and never too long."""
    step = CloseDelegation(call(1), None, answer)
    report = delegation_report(delegating().history, step, NOW)
    assert 0 < len(report.summary.encode()) <= 1_024
    assert 0 < len(report.content.encode()) <= 16_384


def test_an_outcome_belongs_to_its_step() -> None:
    """A report is no answer of a model, and a response no end of a call."""
    asking, calling_ = Story().starts(), Story().starts().asks(call(1))
    for story, outcome in ((asking, UNCERTAIN), (calling_, ModelResponse("Hi."))):
        with pytest.raises(TypeError):
            engine().outcome(story.history, step_of(story), outcome, NOW)


@pytest.mark.parametrize(("name", "semantics"), [("look", "pure"), ("book", "idempotent"), ("send", "unsafe")])
def test_only_an_unsafe_call_of_an_earlier_owner_must_not_be_repeated(name: str, semantics: str) -> None:
    """One's own may be made, pure and idempotent ones again."""
    story = Story().starts().asks(call(1, name))
    own = step_of(story)
    taken_over = step_of(story.taken_over())
    assert isinstance(own, CallTool)
    assert isinstance(taken_over, CallTool)
    assert not engine().must_not_repeat(own)
    assert engine().must_not_repeat(taken_over) == (semantics == "unsafe")
    assert UNCERTAIN.status == "outcome_unknown"


def test_an_agent_calls_only_its_own_tools() -> None:
    """A tool of another agent is none of its."""
    assert engine().tool(None, call(1, "look")) is LOOK
    assert engine().tool(call(1, delegate="inner"), call(2, "look")) is None
    assert engine().tool(call(1, delegate="inner"), call(2, "send")) is SEND
    assert engine().tool(None, call(1, "unheard_of")) is None


def test_the_model_is_asked_so_often_and_no_more() -> None:
    """At the limit a run that would have to ask again ends; one that has its answer, or calls to make, goes on."""
    story = Story().starts().asks(call(1)).returns("c1")
    assert engine(model_calls=2).steps(story.history)
    with pytest.raises(RunError) as error:
        engine(model_calls=1).steps(story.history)
    assert error.value.code == "tool_loop_limit"
    assert engine(model_calls=1).steps(Story().starts().answers().history)
    assert engine(model_calls=1).steps(Story().starts().asks(call(1)).history)
    assert Budget().model_calls == 24


def test_tokens_are_used_up_over_all_agents() -> None:
    """Input and output together, sub-agents included."""
    story = delegating().asks(call(2, "send"), scope="c1", agent="inner").returns("c2")
    assert engine(tokens=31).steps(story.history)
    with pytest.raises(RunError) as error:
        engine(tokens=30).steps(story.history)
    assert error.value.code == "budget_exceeded"


def test_sub_agents_side_by_side_share_the_budget() -> None:
    """What is asked at the same time counts as well: never more questions than are left."""
    story = Story().starts().asks(*(call(number, "delegate_to_inner", delegate="inner") for number in range(1, 6)))
    try:
        steps = engine(model_calls=3).steps(story.history)
    except RunError as error:
        assert error.code == "tool_loop_limit"  # noqa: PT017 - one of two right answers
    else:
        assert sum(isinstance(step, AskModel) for step in steps) <= 2


def test_what_a_run_waits_for_is_told_in_words() -> None:
    """The call opened last, or the model."""
    assert activity(Story().starts().history) == "waiting for the model"
    assert activity(Story().starts().asks(call(1), call(2, "send")).history) == "running send"
    assert activity(Story().starts().asks(call(1), call(2, "send")).returns("c2").history) == "running look"
