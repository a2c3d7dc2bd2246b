"""The runs that are recorded, each as it is played: what the model says, where a runner falls, who ends it."""

from collections.abc import Awaitable, Callable, Mapping

from agent_runner.model import ModelResponse, RequestedCall
from playbyplay.domain.ending import Stamp
from playbyplay.domain.journal import CheckpointEntry
from playbyplay.domain.thread import Run
from playbyplay.protocol.base import MAX_EVENT_BYTES
from playbyplay.protocol.events import AgentThinking
from tests.fakes.model import calls, says
from tests.histories import MESSAGE
from tests.replay.stage import Stage

ANSWER = says("The table is scanned **in full**: an index is missing.")
LONG = says("€ is three bytes long, and this answer is longer than a frame.\n" * (MAX_EVENT_BYTES // 60))
Play = Callable[[Stage], Awaitable[Run]]


async def canonical(stage: Stage) -> Run:
    """One tool, then the answer."""
    reply = await stage.house.send("Why is it slow?", message=MESSAGE)
    run = stage.house.run(reply.run_id)
    await stage.plays(run, calls("look"), ANSWER)
    return run


async def second_turn(stage: Stage) -> Run:
    """The second turn of a thread: its model is told the first message and its answer."""
    first = await stage.house.say("What is in the table?")
    await stage.plays(first, calls("look", text="I look into it."), says("Orders."))
    run = await stage.house.say("Why is it slow?", thread_id=first.thread_id)
    await stage.plays(run, calls("look"), ANSWER)
    return run


async def two_tools(stage: Stage) -> Run:
    """Two calls of one response, of which the second one ends first."""
    run = await stage.house.say()
    await stage.plays(run, calls("late", "look"), ANSWER)
    return run


async def tool_failed(stage: Stage) -> Run:
    """A tool fails, and one gets arguments it does not take; the model is told."""
    run = await stage.house.say()
    await stage.plays(run, calls("breaks"), calls("store", text="Then so.", arguments='{"note":7}'), ANSWER)
    return run


async def tool_timeout(stage: Stage) -> Run:
    """A tool takes too long; the model is told."""
    run = await stage.house.say()
    await stage.plays(run, calls("slow"), ANSWER)
    return run


async def tool_denied(stage: Stage) -> Run:
    """The model asks for a tool its agent does not hold."""
    run = await stage.house.say()
    await stage.plays(run, calls("find"), ANSWER)
    return run


async def delegated(stage: Stage) -> Run:
    """A task is handed to another agent, which calls a tool of its own, beside a call of the first one."""
    run = await stage.house.say()
    two = (RequestedCall("look", "{}"), RequestedCall("delegate_to_inner", '{"task":"Find out why."}'))
    ask = ModelResponse("I hand it over, and look myself.", two)
    await stage.plays(run, ask, calls("find", text="Let me find it."), says("# Report\nNo index."), ANSWER)
    return run


async def unsafe_taken_over(stage: Stage) -> Run:
    """A runner falls while an unsafe call is open: the next one does not make it again."""
    run = await stage.house.say()
    await stage.falls(run, calls("pay", arguments='{"amount":5}'), at=3)
    await stage.plays(run, ANSWER)
    return run


async def idempotent_taken_over(stage: Stage) -> Run:
    """A runner falls while an idempotent call is open: the next one makes it again under the same key."""
    run = await stage.house.say()
    await stage.falls(run, calls("store", arguments='{"note":"one"}'), at=3)
    await stage.plays(run, ANSWER)
    return run


async def taken_over_twice(stage: Stage) -> Run:
    """Two runners fall over one step, the second while it takes up what the first had left open."""
    run = await stage.house.say()
    two = (RequestedCall("look", "{}"), RequestedCall("store", '{"note":"one"}'))
    await stage.falls(run, ModelResponse("Two things at once.", two), at=4)
    await stage.falls(run, at=6)
    await stage.plays(run, ANSWER)
    return run


async def cancelled(stage: Stage) -> Run:
    """A runner falls inside a delegation, and the user cancels: both calls are closed, the inner one first."""
    run = await stage.house.say()
    ask = calls("delegate_to_inner", text="I hand it over.", arguments='{"task":"Find out why."}')
    await stage.falls(run, ask, calls("find", text="Let me find it."), at=4)
    await stage.cancels(run)
    return run


async def attempts_exhausted(stage: Stage) -> Run:
    """Runner after runner falls before it has said a word: a lone error ends the run."""
    run = await stage.house.say()
    for attempt in range(stage.house.timing.max_attempts):
        await stage.falls(run, at=attempt + 1)
    await stage.plays(run)
    return run


async def answer_before_end(stage: Stage) -> Run:
    """The form of earlier journals: the answer is recorded alone, and its end by the next owner."""
    return await _in_two_records(stage, calls("look"), ANSWER)


async def long_answer(stage: Stage) -> Run:
    """An answer that is too long for a frame: its `final_response` is cut."""
    run = await stage.house.say()
    await stage.plays(run, LONG)
    return run


async def long_answer_before_end(stage: Stage) -> Run:
    """An answer too long for a frame, given at once: its end is cut from the record it stands in."""
    return await _in_two_records(stage, LONG)


async def _in_two_records(stage: Stage, *plan: ModelResponse) -> Run:
    run, house = await stage.house.say(), stage.house
    await stage.falls(run, *plan, at=2 * len(plan))  # each response and each result but the last is a record
    history = house.history(run)
    thought = Stamp(history, house.clock.now_ms()).event(AgentThinking, agent_id="supervisor", thought="I know it.")
    await house.notifier.append(history, [CheckpointEntry(text=plan[-1].text, usage=plan[-1].usage), thought])
    house.lease_ends()
    await stage.plays(run)
    return run


PLAYS: Mapping[str, Play] = {
    play.__name__: play
    for play in (
        canonical,
        second_turn,
        two_tools,
        tool_failed,
        tool_timeout,
        tool_denied,
        delegated,
        unsafe_taken_over,
        idempotent_taken_over,
        taken_over_twice,
        cancelled,
        attempts_exhausted,
        answer_before_end,
        long_answer,
        long_answer_before_end,
    )
}
