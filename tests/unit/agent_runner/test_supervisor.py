"""The supervisor: a turn from the job to its one terminal, whatever the model and the tools do."""

import asyncio
from dataclasses import replace

import pytest

from agent_runner.agent import Agent
from agent_runner.engine import Budget
from agent_runner.model import ModelRequest, ModelResponse, OnText
from playbyplay.domain.derivation import AgentMessage, ToolMessage, UserMessage
from playbyplay.errors import RunError, TerminalCode
from tests.fakes.model import FakeModel, calls, says
from tests.histories import CANONICAL, MESSAGE, USER
from tests.house import House, perform
from tests.unit.agent_runner.desk import done, ended, forever, look, named, until


async def test_the_canonical_turn_has_exactly_seven_events() -> None:
    """Recorded, posted in order, each once; settled as completed."""
    house = House()
    await house.watch()
    run = await house.say()
    await done(house, run, calls("look", text="I will look."), says("It is **slow**."))
    assert house.events(run) == CANONICAL
    frames = [frame for frame in house.gateway.frames(house.seen) if "seq" in frame]
    assert [frame["seq"] for frame in frames] == [1, 2, 3, 4, 5, 6, 7]
    assert [frame["type"] for frame in frames] == CANONICAL
    assert frames == [event.model_dump(mode="json", exclude_none=True) for event in house.history(run).events]
    assert frames[6]["content"] == "It is **slow**."
    assert frames[6]["usage"] == {"input_tokens": 2, "output_tokens": 2}
    assert ended(house, run) == ("completed", "")
    assert house.log.of("run_acquired") == [{"run_id": run.run_id, "epoch": 1, "attempts": 1}]


async def test_what_belongs_together_is_one_record() -> None:
    """Fence and start, response and calls, result and end of the call, the answer and the end of the run."""
    house = House()
    run = await house.say()
    await done(house, run, calls("look"), says("It is slow."))
    kinds = [
        [entry.event.type if entry.kind == "event" else entry.kind for entry in record.entries]
        for record in house.journal.records(run.user, run.run_id)
    ]
    assert kinds == [
        ["input"],
        ["fence", "agent_started"],
        ["checkpoint", "agent_thinking", "tool_executing"],
        ["result", "tool_completed"],
        ["checkpoint", "agent_thinking", "agent_completed", "final_response"],
    ]


async def test_the_client_message_id_is_told_at_the_start() -> None:
    """So that a client knows its message though the reply got lost."""
    house = House()
    await house.watch()
    reply = await house.send("Why?", message=MESSAGE)
    await done(house, house.run(reply.run_id), says("So."))
    assert house.gateway.frames(house.seen, "agent_started")[0]["client_message_id"] == MESSAGE


async def test_a_call_is_told_before_it_is_made() -> None:
    """When the tool runs, its `tool_executing` is recorded and posted."""
    house = House()
    await house.watch()
    run = await house.say()
    seen: list[list[str]] = []

    async def look_at_it() -> str:
        seen.append([frame["type"] for frame in house.gateway.frames(house.seen)])
        return "seen"

    await done(house, run, calls("peek"), says("So."), tools=(named("peek", look_at_it),))
    assert seen == [["run_input", "agent_started", "agent_thinking", "tool_executing"]]


async def test_the_model_is_told_what_the_tool_returned() -> None:
    """And what it said itself."""
    house = House()
    run = await house.say("Why?")
    model = await done(house, run, calls("look", text="Hm."), says("So."))
    first, second = model.requests
    assert first.messages == (UserMessage("Why?"),)
    said = house.history(run).checkpoints[0]
    assert second.messages == (
        UserMessage("Why?"),
        AgentMessage("Hm.", said.calls),
        ToolMessage("c1", "look", "Found it."),
    )


async def test_calls_of_one_response_run_side_by_side() -> None:
    """Both are begun before one ends, each is closed when it ends, and the model is told in the order it asked."""
    house = House()
    run = await house.say()
    first_runs = asyncio.Event()

    async def one() -> str:
        first_runs.set()
        await until(lambda: "tool_completed" in house.events(run))
        return "one"

    async def two() -> str:
        await first_runs.wait()
        return "two"

    model = await done(house, run, calls("one", "two"), says("So."), tools=(named("one", one), named("two", two)))
    closed = [getattr(event, "call_id", "") for event in house.history(run).events if event.type == "tool_completed"]
    assert closed == ["c2", "c1"]
    assert [getattr(message, "content", "") for message in model.requests[1].messages[-2:]] == ["one", "two"]


async def test_a_delegated_task_is_told_as_steps_of_the_other_agent() -> None:
    """With the call it belongs to; its answer goes to the supervisor, not to the user."""
    house = House()
    await house.watch()
    run = await house.say()
    inner = Agent("inner", "Knows more.", "Know more.", (look,))
    asked = replace(calls("delegate_to_inner", text="I hand it over."))
    model = FakeModel(asked, calls("look", text="I look."), says("# Report\nIt is slow."), says("All told."))
    assert await perform(house.supervisor(model, agents=(inner,)), run) is None
    told = [
        (event.type, getattr(event, "agent_id", ""), getattr(event, "parent_call_id", None))
        for event in house.history(run).events
    ]
    assert told == [
        ("agent_started", "supervisor", None),
        ("agent_thinking", "supervisor", None),
        ("tool_executing", "supervisor", None),
        ("agent_thinking", "inner", "c1"),
        ("tool_executing", "inner", "c1"),
        ("tool_completed", "inner", "c1"),
        ("agent_thinking", "inner", "c1"),
        ("tool_completed", "supervisor", None),
        ("agent_thinking", "supervisor", None),
        ("agent_completed", "supervisor", None),
        ("final_response", "", None),
    ]
    assert getattr(model.requests[3].messages[-1], "content", "") == "# Report\nIt is slow."
    assert house.gateway.frames(house.seen, "final_response")[0]["content"] == "All told."


async def test_the_answer_is_streamed_before_it_is_told() -> None:
    """As deltas of the run's own agent; those of a sub-agent are not for the user."""
    house = House()
    await house.watch()
    run = await house.say()

    async def streams(request: ModelRequest, on_text: OnText) -> ModelResponse:
        await on_text(1, f"From {request.agent.agent_id}.")
        await asyncio.sleep(0.02)
        return (
            says("So.")
            if request.agent.agent_id == "inner" or len(request.messages) > 1
            else calls("delegate_to_inner")
        )

    model = FakeModel(streams, repeats=True)
    inner = Agent("inner", "Knows more.", "Know more.")
    assert await perform(house.supervisor(model, agents=(inner,)), run) is None
    deltas = house.gateway.frames(house.seen, "response_delta")
    assert [frame["text"] for frame in deltas] == ["From supervisor."] * 2
    assert deltas[0]["draft"] < deltas[1]["draft"]
    assert house.gateway.frames(house.seen)[-1]["type"] == "final_response"


# Memory.


async def test_the_model_is_told_what_was_said_before_in_the_thread() -> None:
    """Each earlier message and its answer, oldest first; a turn that failed said nothing."""
    house = House()
    first = await house.say("One?")
    await done(house, first, says("One."))
    second = await house.say("Two?", thread_id=first.thread_id)
    await done(house, second, RunError("model_refused", "The model declined."))
    third = await house.say("Three?", thread_id=first.thread_id)
    model = await done(house, third, calls("look"), says("Three."))
    for request in model.requests:
        assert request.messages[:3] == (UserMessage("One?"), AgentMessage("One."), UserMessage("Three?"))


async def test_the_memory_is_ten_turns_long_and_each_message_is_cut() -> None:
    """So that a long thread is no endless request."""
    house = House()
    run = await house.say("€" * 4_000)
    await done(house, run, says("x" * 100_000))
    for number in range(2, 13):
        run = await house.say(f"{number}?", thread_id=run.thread_id)
        model = await done(house, run, says(f"{number}."))
        (request,) = model.requests
        assert len(request.messages) == 2 * min(number - 1, 10) + 1
        if number == 2:
            assert all(4_090 < len(getattr(one, "content", "").encode()) <= 4_096 for one in request.messages[:2])
    assert request.messages[0] == UserMessage("2?")


async def test_the_memory_is_one_users_and_one_threads() -> None:
    """Nothing of another thread or of another user is told."""
    house = House()
    await done(house, await house.say("Other thread."), says("No."))
    other = await house.say("Other user.", user="bob")
    await done(house, other, says("No."))
    model = await done(house, await house.say("Mine."), says("So."))
    assert model.requests[0].messages == (UserMessage("Mine."),)


async def test_an_earlier_turn_that_is_half_expired_does_not_fail_this_one() -> None:
    """Old records are dropped one by one: what is not whole any more is not remembered."""
    house = House()
    first = await house.say("One?")
    await done(house, first, calls("look"), says("One."))
    slots = house.journal.slots[USER, first.run_id]
    for pos in (0, 1, 2):
        del slots[pos]
    second = await house.say("Two?", thread_id=first.thread_id)
    await done(house, second, says("Two."))
    assert ended(house, second) == ("completed", "")


# The model fails.

CODES: list[TerminalCode] = ["model_unavailable", "model_refused", "context_too_long"]


@pytest.mark.parametrize("code", CODES)
async def test_a_failure_of_the_model_is_the_terminal(code: TerminalCode) -> None:
    """With its own code and sentence."""
    house = House()
    run = await house.say()
    await done(house, run, calls("look"), RunError(code, "It cannot be."))
    assert ended(house, run) == ("failed", code)
    assert getattr(house.history(run).events[-1], "message", "") == "It cannot be."
    assert house.events(run)[-2:] == ["tool_completed", "error"]


async def test_a_failure_closes_the_calls_that_are_open() -> None:
    """A sub-agent's model fails while another call is at work: both calls are closed before the error."""
    house = House()
    run = await house.say()
    model = FakeModel(calls("wait", "delegate_to_inner"), RunError("model_unavailable", "It cannot be."))
    inner = Agent("inner", "Knows more.", "Know more.")
    assert await perform(house.supervisor(model, named("wait", forever), agents=(inner,)), run) is None
    assert ended(house, run) == ("failed", "model_unavailable")
    assert house.events(run)[-3:] == ["tool_completed", "tool_completed", "error"]


@pytest.mark.parametrize(
    "error", [ValueError("SECRET"), KeyError("SECRET"), AssertionError("SECRET"), TimeoutError()], ids=repr
)
async def test_a_bug_ends_the_run_with_a_safe_sentence(error: Exception) -> None:
    """A crash of ours is `internal`; what it said stays with us, and the log knows its kind."""
    house = House()
    await house.watch()
    run = await house.say()
    await done(house, run, error)
    assert ended(house, run) == ("failed", "internal")
    assert house.log.of("run_crashed") == [{"run_id": run.run_id, "error": type(error).__name__}]
    assert "SECRET" not in "".join(house.gateway.texts[house.seen]) + repr(house.log.events)


async def test_a_model_that_cancels_itself_ends_the_run_all_the_same() -> None:
    """A cancelled task inside the model's client is a failure of the model, not of the promise."""
    house = House()
    run = await house.say()
    try:
        await done(house, run, asyncio.CancelledError())
    except asyncio.CancelledError:
        pytest.fail("the job was lost: no terminal, and nobody is told")
    assert ended(house, run)[0] == "failed"


@pytest.mark.parametrize("text", ["", " ", "\n"], ids=repr)
async def test_a_model_that_says_nothing_ends_the_run_all_the_same(text: str) -> None:
    """Even a client that breaks its word cannot leave a run without a terminal."""
    house = House()
    run = await house.say()
    try:
        await done(house, run, says(text))
    except ValueError:
        pytest.fail("the job fails, and fails again whenever it comes")
    assert house.history(run).state.phase == "ended"


async def test_a_model_that_never_stops_calling_is_stopped() -> None:
    """After so many questions the run ends as a loop."""
    house = House()
    run = await house.say()
    model = FakeModel(calls("look"), repeats=True)
    supervisor = house.supervisor(model, look, budget=Budget(model_calls=5))
    assert await perform(supervisor, run) is None
    assert len(model.requests) == 5
    assert ended(house, run) == ("failed", "tool_loop_limit")


async def test_tokens_run_out() -> None:
    """The model is not asked beyond them."""
    house = House()
    run = await house.say()
    model = FakeModel(calls("look"), repeats=True)
    assert await perform(house.supervisor(model, look, budget=Budget(tokens=5)), run) is None
    assert len(model.requests) == 3
    assert ended(house, run) == ("failed", "budget_exceeded")


# Tools.


async def test_a_tool_that_fails_fails_no_run() -> None:
    """The model is told and answers."""
    house = House()
    run = await house.say()

    async def breaks() -> str:
        raise OSError("SECRET")

    model = await done(house, run, calls("breaks", "unheard_of"), says("So."), tools=(named("breaks", breaks),))
    statuses = [getattr(event, "status", "") for event in house.history(run).events if event.type == "tool_completed"]
    assert sorted(statuses) == ["denied", "failed"]
    assert ended(house, run) == ("completed", "")
    assert "SECRET" not in repr(model.requests[1])


async def test_a_tool_that_cancels_itself_ends_no_job() -> None:
    """Its call has failed; the run goes on to its end."""
    house = House()
    run = await house.say()

    async def cancels() -> str:
        raise asyncio.CancelledError

    try:
        await done(house, run, calls("cancels"), says("So."), tools=(named("cancels", cancels),))
    except asyncio.CancelledError:
        pytest.fail("the job was lost: no terminal, and nobody is told")
    assert ended(house, run) == ("completed", "")
