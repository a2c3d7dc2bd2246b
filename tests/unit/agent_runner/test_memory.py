"""Memory: what was said in a thread before, and whether its user was left with an error."""

from agent_runner.memory import Memory, recall
from playbyplay.domain.derivation import AgentMessage, UserMessage
from playbyplay.domain.thread import Run
from playbyplay.errors import RunError
from tests.fakes.model import says
from tests.house import House
from tests.unit.agent_runner.desk import done

REFUSED = RunError("model_refused", "The model declined.")


async def recalled(house: House, run: Run) -> Memory:
    return await recall(house.runs, house.journal, run)


async def test_the_first_turn_remembers_nothing() -> None:
    """No store is asked for what cannot be."""
    house = House()
    run = await house.say()
    house.faults.calls.clear()
    assert await recalled(house, run) == Memory((), after_error=False)
    assert house.faults.calls == []


async def test_what_was_said_is_remembered_in_pairs() -> None:
    """A message with its answer, oldest first; one that got none is left out with its silence."""
    house = House()
    first = await house.say("One?")
    await done(house, first, says("One."))
    second = await house.say("Two?", thread_id=first.thread_id)
    await done(house, second, REFUSED)
    third = await house.say("Three?", thread_id=first.thread_id)
    assert (await recalled(house, third)).said == (UserMessage("One?"), AgentMessage("One."))


async def test_a_turn_after_one_that_failed_is_after_an_error() -> None:
    """The one right before it; once that was answered, its user is no longer one who was left with an error."""
    house = House()
    first = await house.say("One?")
    await done(house, first, REFUSED)
    second = await house.say("Two?", thread_id=first.thread_id)
    assert (await recalled(house, second)).after_error
    await done(house, second, says("Two."))
    third = await house.say("Three?", thread_id=first.thread_id)
    assert not (await recalled(house, third)).after_error


async def test_a_turn_that_its_user_ended_was_no_error() -> None:
    """Whoever cancels and asks again has not come back after a failure of ours."""
    house = House()
    first = await house.say("One?")
    await house.runs.settle(first, "cancelled")
    second = await house.say("Two?", thread_id=first.thread_id)
    assert not (await recalled(house, second)).after_error


async def test_a_failure_is_known_though_its_events_are_gone() -> None:
    """The store tells how a turn ended; of one that is no longer kept nothing is known."""
    house = House()
    first = await house.say("One?")
    await done(house, first, REFUSED)
    second = await house.say("Two?", thread_id=first.thread_id)
    del house.journal.slots[first.user, first.run_id]
    assert await recalled(house, second) == Memory((), after_error=True)
    del house.runs.runs[first.user, first.run_id]
    assert await recalled(house, second) == Memory((), after_error=False)


async def test_the_end_of_the_turns_before_is_known() -> None:
    """Of the last that ended, in whatever order they did; a turn whose events are gone tells none."""
    house = House()
    first = await house.say("One?")
    assert (await recalled(house, first)).ended_ms == 0
    house.clock.advance(5)
    await done(house, first, says("One."))
    ended_ms = house.clock.now_ms()
    second = await house.say("Two?", thread_id=first.thread_id)
    house.clock.advance(5)
    assert (await recalled(house, second)).ended_ms == ended_ms
    house.journal.slots.pop((first.user, first.run_id))
    assert (await recalled(house, second)).ended_ms == 0
