"""What an accept refuses to one user, though the message is good: a busy thread, too many runs, too many messages.

A home counts the messages of the last 60 s or those of the minute of the clock: what is said here holds of both.
"""

import asyncio
from dataclasses import replace

import pytest

from playbyplay.errors import PlaybyplayError, Refused
from playbyplay.ports import Acceptance, Accepted, Limits
from tests.contract.home import Home
from tests.contract.test_run_store import NOW, acceptance, accepted_turns
from tests.fakes.ids import uuid
from tests.histories import MESSAGE, OTHER, USER

MINUTE_MS = 60_000
BEGIN = NOW - NOW % MINUTE_MS  # of a minute of the clock
SECOND_MS = 1000


def only_if_idle(number: int, *, message: str | None = None) -> Acceptance:
    """Return an accept that must not wait behind another turn of its thread."""
    return replace(acceptance(number, new_thread=False, message=message), only_if_idle=True)


def one_of(number: int, limits: Limits, *, user: str = USER, message: str | None = None) -> Acceptance:
    """Return an accept of a thread of its own, under limits."""
    return replace(acceptance(number, user=user, thread_id=uuid(900 + number), message=message), limits=limits)


def at(wanted: Acceptance, created_ms: int) -> Acceptance:
    """Return an accept of a moment."""
    return replace(wanted, run=replace(wanted.run, created_ms=created_ms))


async def refusal(home: Home, wanted: Acceptance) -> Refused:
    """Return how an accept was refused, and see that it wrote nothing."""
    with pytest.raises(Refused) as refused:
        await home.runs.accept(wanted)
    run = wanted.run
    assert await home.runs.get(run.user, run.run_id) is None
    assert await home.journal.read(run.user, run.run_id) == []
    return refused.value


async def send(home: Home, wanted: Acceptance, created_ms: int) -> Accepted:
    """Accept a message of a moment, and end its run at once."""
    home.clock.ms = created_ms
    accepted = await home.runs.accept(at(wanted, created_ms))
    await home.runs.settle(accepted.run, "completed")
    return accepted


async def test_a_message_for_an_idle_thread_is_refused_while_a_turn_is_open(home: Home) -> None:
    """`thread_busy`, with a time to try again; it takes no turn, and once all have ended it is the next one."""
    first, second = await accepted_turns(home, 2)
    await home.runs.settle(first, "completed")
    refused = await refusal(home, only_if_idle(5, message=MESSAGE))
    assert refused.code == "thread_busy"
    assert refused.retry_after_ms is not None
    assert refused.retry_after_ms > 0
    await home.runs.settle(second, "failed")
    accepted = await home.runs.accept(only_if_idle(6, message=MESSAGE))
    assert (accepted.run.turn, accepted.position, accepted.duplicate) == (3, 0, False)


async def test_a_new_thread_is_idle(home: Home) -> None:
    """Its first message is accepted, whatever else its user has open."""
    await accepted_turns(home, 1)
    wanted = replace(acceptance(1, thread_id=uuid(9)), only_if_idle=True)
    assert (await home.runs.accept(wanted)).run.turn == 1


async def test_a_message_that_made_a_run_is_not_refused_for_it(home: Home) -> None:
    """Sent again it finds its run, though that is what keeps the thread busy; so does another try of its own."""
    await accepted_turns(home, 1)
    made = await home.runs.accept(acceptance(1, new_thread=False, message=MESSAGE))
    again = await home.runs.accept(only_if_idle(2, message=MESSAGE))
    assert again == replace(made, duplicate=True)
    retried = await home.runs.accept(only_if_idle(1, message=MESSAGE))
    assert retried == made


async def test_another_try_of_an_accept_is_not_refused_for_its_own_run(home: Home) -> None:
    """Without a client_message_id too: neither for a busy thread nor at a limit, and of the two only one counts."""
    limits = Limits(open_runs=2, messages_per_minute=2)
    await home.runs.accept(acceptance(0))
    wanted = replace(acceptance(1, new_thread=False), limits=limits)
    made = await home.runs.accept(wanted)
    assert await home.runs.accept(wanted) == made
    idle = replace(acceptance(2, thread_id=uuid(902), user=OTHER), only_if_idle=True, limits=Limits(open_runs=1))
    begun = await home.runs.accept(idle)
    assert await home.runs.accept(idle) == begun
    behind = replace(acceptance(3, thread_id=uuid(902), user=OTHER, new_thread=False), only_if_idle=True)
    assert (await refusal(home, behind)).code == "thread_busy"
    await home.runs.settle(begun.run, "completed")
    next_one = await home.runs.accept(behind)
    assert await home.runs.accept(behind) == next_one
    assert (next_one.run.turn, len(await home.runs.open_runs(USER, limit=9))) == (2, 2)


async def test_a_user_has_no_more_open_runs_than_allowed(home: Home) -> None:
    """`rate_limited`, those that wait their turn included; as soon as one has ended there is room for one."""
    first, _second = await accepted_turns(home, 2)
    limits = Limits(open_runs=2)
    refused = await refusal(home, one_of(5, limits))
    assert refused.code == "rate_limited"
    assert refused.retry_after_ms is not None
    assert refused.retry_after_ms > 0
    await home.runs.accept(one_of(6, limits, user=OTHER))
    await home.runs.settle(first, "completed")
    assert not (await home.runs.accept(one_of(7, limits))).duplicate
    assert (await refusal(home, one_of(8, limits))).code == "rate_limited"


async def test_many_at_once_do_not_get_past_the_limit(home: Home) -> None:
    """Of 20 concurrent accepts of one user with room for five no more than five make a run."""
    outcomes = await asyncio.gather(
        *(home.runs.accept(one_of(number, Limits(open_runs=5))) for number in range(20)), return_exceptions=True
    )
    made = [one for one in outcomes if isinstance(one, Accepted)]
    assert all(isinstance(one, Accepted | PlaybyplayError) for one in outcomes)
    assert 1 <= len(made) <= 5
    assert len(await home.runs.open_runs(USER, limit=100)) <= 5


async def test_a_user_sends_no_more_messages_a_minute_than_allowed(home: Home) -> None:
    """`rate_limited`; after the time it names the message is accepted. What was refused is not counted."""
    limits = Limits(messages_per_minute=3)
    for number in range(3):
        await send(home, one_of(number, limits), BEGIN + number * SECOND_MS)
    home.clock.ms = asked_ms = BEGIN + 5 * SECOND_MS
    wait_ms = 0
    for number in (5, 6, 7):
        refused = await refusal(home, at(one_of(number, limits), asked_ms))
        assert refused.code == "rate_limited"
        wait_ms = refused.retry_after_ms or 0
        assert 0 < wait_ms <= MINUTE_MS
    later = await send(home, one_of(8, limits), asked_ms + wait_ms)
    assert not later.duplicate


async def test_messages_of_another_user_are_not_counted(home: Home) -> None:
    """Each has a minute of its own."""
    limits = Limits(messages_per_minute=1)
    await send(home, one_of(0, limits), BEGIN)
    await send(home, one_of(1, limits, user=OTHER), BEGIN + 1)
    assert (await refusal(home, at(one_of(2, limits), BEGIN + 2))).code == "rate_limited"


async def test_a_message_that_made_a_run_is_found_at_the_limit(home: Home) -> None:
    """A repeat is answered with its run, open or ended, and another try of the same accept is no duplicate."""
    limits = Limits(open_runs=1, messages_per_minute=1)
    wanted = at(one_of(0, limits, message=MESSAGE), BEGIN)
    home.clock.ms = BEGIN
    made = await home.runs.accept(wanted)
    again = at(one_of(1, limits, message=MESSAGE), BEGIN + 1)
    assert await home.runs.accept(again) == replace(made, duplicate=True)
    assert await home.runs.accept(wanted) == made
    await home.runs.settle(made.run, "completed")
    assert (await home.runs.accept(again)).duplicate
    assert (await refusal(home, at(one_of(2, limits), BEGIN + 2))).code == "rate_limited"


async def test_what_was_sent_is_counted_by_the_next_process(home: Home) -> None:
    """A restart gives nobody a new minute."""
    limits = Limits(messages_per_minute=2)
    for number in range(2):
        await send(home, one_of(number, limits), BEGIN + number)
    await home.reopen()
    home.clock.ms = BEGIN + 2
    assert (await refusal(home, at(one_of(2, limits), BEGIN + 2))).code == "rate_limited"
