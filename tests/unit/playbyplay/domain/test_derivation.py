"""What remains to be done, from every prefix of several recorded histories."""

from collections.abc import Callable

import pytest

from playbyplay.domain.derivation import (
    AgentMessage,
    AskModel,
    CallTool,
    CloseDelegation,
    Finish,
    Step,
    ToolMessage,
    next_steps,
)
from playbyplay.domain.journal import History
from tests.histories import RUN, USER, Story, call, canonical


def summary(step: Step) -> str:
    """Return a step in one line: what, where, and what it knows."""
    if isinstance(step, AskModel):
        return f"ask {step.scope or 'root'} after {len(step.said)}"
    if isinstance(step, CallTool):
        return f"call {step.call.call_id} in {step.scope or 'root'}{' taken over' if step.taken_over else ''}"
    if isinstance(step, CloseDelegation):
        return f"close {step.call.call_id} in {step.scope or 'root'} with {step.answer!r}"
    return f"finish with {step.answer.text!r}"


def steps_of(story: Story) -> list[list[str]]:
    """Return the steps after each record of a story, read afresh each time, from the first fence on."""
    histories = [History.of(USER, RUN, story.records[:count]) for count in range(2, len(story.records) + 1)]
    return [[summary(step) for step in next_steps(history)] for history in histories]


def delegated() -> Story:
    """Return a run whose root delegates, whose agent delegates in turn, and whose innermost agent calls a tool."""
    story = Story().starts().asks(call(1, "delegate_to_x", delegate="x"))
    story.asks(call(2, "delegate_to_y", delegate="y"), scope="c1", agent="x").asks(call(3), scope="c2", agent="y")
    story.returns("c3").answers("y knows", scope="c2", agent="y").returns("c2", "y knows")
    return story.answers("x knows", scope="c1", agent="x").returns("c1", "x knows").answers("all know").completes()


def parallel() -> Story:
    """Return a run with three calls at once, the second a delegation, closed in another order."""
    story = Story().starts().asks(call(1), call(2, "delegate_to_x", delegate="x"), call(3)).returns("c3")
    story.asks(call(4), scope="c2", agent="x").returns("c1").returns("c4").answers("x knows", scope="c2", agent="x")
    return story.returns("c2", "x knows").answers("done").completes()


RECORDED: dict[str, tuple[Callable[[], Story], list[list[str]]]] = {
    "the canonical turn": (
        canonical,
        [["ask root after 0"], ["call c1 in root"], ["ask root after 2"], ["finish with 'It is slow.'"], []],
    ),
    "an answer at once": (
        lambda: Story().starts().answers("Hi.").completes("Hi."),
        [["ask root after 0"], ["finish with 'Hi.'"], []],
    ),
    "calls side by side": (
        parallel,
        [
            ["ask root after 0"],
            ["call c1 in root", "ask c2 after 0", "call c3 in root"],
            ["call c1 in root", "ask c2 after 0"],
            ["call c1 in root", "call c4 in c2"],
            ["call c4 in c2"],
            ["ask c2 after 2"],
            ["close c2 in root with 'x knows'"],
            ["ask root after 4"],
            ["finish with 'done'"],
            [],
        ],
    ),
    "delegation two deep": (
        delegated,
        [
            ["ask root after 0"],
            ["ask c1 after 0"],
            ["ask c2 after 0"],
            ["call c3 in c2"],
            ["ask c2 after 2"],
            ["close c2 in c1 with 'y knows'"],
            ["ask c1 after 2"],
            ["close c1 in root with 'x knows'"],
            ["ask root after 2"],
            ["finish with 'all know'"],
            [],
        ],
    ),
    "a take-over in the middle of two calls": (
        lambda: Story().starts().asks(call(1), call(2)).taken_over().returns("c2").asks(call(3), scope="c1"),
        [
            ["ask root after 0"],
            ["call c1 in root", "call c2 in root"],
            ["call c1 in root taken over", "call c2 in root taken over"],
            ["call c1 in root taken over"],
            ["call c1 in root taken over"],
        ],
    ),
    "a take-over while the model is asked": (
        lambda: Story().starts().taken_over().asks(call(1)).taken_over(),
        [["ask root after 0"], ["ask root after 0"], ["call c1 in root"], ["call c1 in root taken over"]],
    ),
    "a take-over after the answer": (
        lambda: Story().starts().answers("Hi.").taken_over().completes("Hi."),
        [["ask root after 0"], ["finish with 'Hi.'"], ["finish with 'Hi.'"], []],
    ),
    "an error": (lambda: Story().starts().fails(), [["ask root after 0"], []]),
    "two rounds of calls": (
        lambda: Story().starts().asks(call(1)).returns("c1").asks(call(2)).returns("c2"),
        [["ask root after 0"], ["call c1 in root"], ["ask root after 2"], ["call c2 in root"], ["ask root after 4"]],
    ),
}


@pytest.mark.parametrize(("story", "expected"), RECORDED.values(), ids=RECORDED.keys())
def test_the_next_steps_follow_from_the_records_alone(story: Callable[[], Story], expected: list[list[str]]) -> None:
    """After each record exactly these, in this order."""
    assert steps_of(story()) == expected


@pytest.mark.parametrize("story", [canonical, delegated, parallel])
def test_every_reader_derives_the_same_steps(story: Callable[[], Story]) -> None:
    """Deriving twice, or from a history that grew, makes no difference."""
    records = story().records
    grown = History(USER, RUN)
    for count, record in enumerate(records, start=1):
        grown.extend(record)
        if count > 1:
            read = History.of(USER, RUN, records[:count])
            assert next_steps(grown) == next_steps(read) == next_steps(read)


@pytest.mark.parametrize("story", [delegated, parallel])
def test_steps_of_one_moment_have_different_keys(story: Callable[[], Story]) -> None:
    """A step being performed is known by its key; a delegation is closed under the key of its call."""
    records = story().records
    for count in range(2, len(records) + 1):
        keys = [step.key for step in next_steps(History.of(USER, RUN, records[:count]))]
        assert len(set(keys)) == len(keys)
    (close,) = next_steps(History.of(USER, RUN, delegated().records[:7]))
    assert close.key == "call:c2"


def test_the_model_is_told_what_its_scope_said_and_learned() -> None:
    """In the order of its responses, results in the order of the calls, nothing from another scope."""
    history = History.of(USER, RUN, parallel().records[:-2])
    (root,) = next_steps(history)
    assert isinstance(root, AskModel)
    first, second, third = history.checkpoints[0].calls
    assert root.said == (
        AgentMessage("I will look.", (first, second, third)),
        ToolMessage("c1", "look", "Found it."),
        ToolMessage("c2", "delegate_to_x", "x knows"),
        ToolMessage("c3", "look", "Found it."),
    )
    (inner,) = next_steps(History.of(USER, RUN, parallel().records[:7]))
    assert isinstance(inner, AskModel)
    assert inner.delegation == second
    assert [type(message) for message in inner.said] == [AgentMessage, ToolMessage]


def test_a_finish_holds_the_checkpoint_of_the_answer() -> None:
    """It is the last response of the run's own agent, not of a sub-agent."""
    (finish,) = next_steps(History.of(USER, RUN, delegated().records[:-1]))
    assert isinstance(finish, Finish)
    assert finish.answer.text == "all know"
    assert finish.key == "finish"


def test_a_call_opened_by_this_owner_is_not_taken_over() -> None:
    """Only what stands before the last fence is an earlier owner's."""
    story = Story().starts().asks(call(1)).taken_over()
    story.returns("c1").asks(call(2), call(3))
    assert steps_of(story)[-1] == ["call c2 in root", "call c3 in root"]
