"""The open runs that should have been heard of by now: which, in which order, and what puts off a look at one."""

import asyncio

from playbyplay.domain.thread import Run
from playbyplay.ports import Job
from tests.contract.home import Home
from tests.contract.test_run_store import LEASE, NOW, acceptance, accepted_turns, acquired
from tests.fakes.ids import uuid
from tests.histories import OTHER, USER

MANY = 96


def first_check(home: Home, since_ms: int) -> int:
    """Return when a run is to be looked at that was accepted, or became the head, at a time."""
    return since_ms + round(home.timing.first_check_s * 1000)


def after_lease(home: Home, until_ms: int) -> int:
    """Return when a run is to be looked at whose lease ends at a time."""
    return until_ms + round(home.timing.after_lease_s * 1000)


async def told(home: Home, *answers: tuple[int, list[Job]]) -> None:
    """See which runs are overdue at times; what a home tells is a moment old, so it is asked again."""
    found = None
    for _ in range(500):
        found = [(now_ms, await home.overdue.first(now_ms=now_ms, limit=MANY)) for now_ms, _jobs in answers]
        if found == list(answers):
            break
        await asyncio.sleep(0.01)
    assert found == list(answers)


async def becomes_due(home: Home, at_ms: int, *runs: Run) -> None:
    """See that these runs are overdue right after a time, and that no run is before."""
    await told(home, (at_ms, []), (at_ms + 1, [Job(run.user, run.run_id) for run in runs]))


async def never_due(home: Home) -> None:
    """See that no run is overdue, whenever one asks."""
    await told(home, (10**13, []))


async def test_a_run_nobody_took_is_overdue(home: Home) -> None:
    """So long after its accept, by its own time; the job names its user and itself."""
    (run,) = await accepted_turns(home, 1)
    await becomes_due(home, first_check(home, NOW), run)


async def test_a_run_whose_lease_ended_is_overdue(home: Home) -> None:
    """So long after the end of the lease, and not before; a refused acquirer changes nothing."""
    (run,) = await accepted_turns(home, 1)
    await acquired(home, run)
    await home.runs.acquire(USER, run.run_id, "two", now_ms=NOW, lease_until_ms=LEASE + 99)
    await becomes_due(home, after_lease(home, LEASE), run)


async def test_a_renewal_puts_the_look_off(home: Home) -> None:
    """To so long after the new end of the lease; that of another owner does not."""
    (run,) = await accepted_turns(home, 1)
    await acquired(home, run)
    await home.runs.renew(USER, run.run_id, "one", lease_until_ms=LEASE + 50, reset_attempts=True)
    await home.runs.renew(USER, run.run_id, "two", lease_until_ms=LEASE + 99, reset_attempts=False)
    await becomes_due(home, after_lease(home, LEASE + 50), run)


async def test_a_released_run_stays_to_be_looked_at(home: Home) -> None:
    """Should the one who takes it next never come."""
    (run,) = await accepted_turns(home, 1)
    await acquired(home, run)
    await home.runs.release(USER, run.run_id, "one")
    await becomes_due(home, after_lease(home, LEASE), run)


async def test_a_run_that_has_ended_is_never_overdue(home: Home) -> None:
    """Nor is it brought back by a look that was late."""
    for number in range(2):
        accepted = await home.runs.accept(acceptance(number, thread_id=uuid(900 + number)))
        if number:
            await acquired(home, accepted.run)
        await home.runs.settle(accepted.run, "completed")
        await home.overdue.postpone(USER, accepted.run.run_id, until_ms=NOW)
    await never_due(home)


async def test_settling_a_turn_brings_the_look_at_the_next_forward(home: Home) -> None:
    """To so long after that moment: its job may be lost right then."""
    first, second, third = await accepted_turns(home, 3)
    for turn in (second, third):
        await home.overdue.postpone(USER, turn.run_id, until_ms=NOW + 10**9)
    home.clock.ms = NOW + 5_000_000
    await home.runs.settle(first, "completed")
    await becomes_due(home, first_check(home, NOW + 5_000_000), second)


async def test_settling_a_turn_puts_no_look_off(home: Home) -> None:
    """A turn that is to be looked at before that stays so."""
    first, second = await accepted_turns(home, 2)
    home.clock.ms = NOW + 5_000_000
    await home.runs.settle(first, "completed")
    await becomes_due(home, first_check(home, second.created_ms), second)


async def test_a_run_is_looked_at_when_its_look_was_put_off_to(home: Home) -> None:
    """Its own only; later or sooner, as it was told last."""
    first, second = await accepted_turns(home, 2)
    await home.overdue.postpone(USER, first.run_id, until_ms=NOW + 9_000_000)
    await becomes_due(home, first_check(home, second.created_ms), second)
    await home.overdue.postpone(USER, second.run_id, until_ms=NOW + 9_500_000)
    await home.overdue.postpone(USER, first.run_id, until_ms=NOW + 7_000)
    await becomes_due(home, NOW + 7_000, first)


async def test_a_write_that_follows_counts_more(home: Home) -> None:
    """Whoever takes a run is looked after, however far the look was put off."""
    (run,) = await accepted_turns(home, 1)
    await home.overdue.postpone(USER, run.run_id, until_ms=NOW + 9_000_000)
    await acquired(home, run)
    await becomes_due(home, after_lease(home, LEASE), run)


async def test_putting_off_a_look_at_no_run_of_the_user_does_nothing(home: Home) -> None:
    """Neither an unknown run nor another user's."""
    run, other = await accepted_turns(home, 2)
    due_ms = first_check(home, run.created_ms)
    await home.overdue.postpone(USER, uuid(404), until_ms=NOW)
    await home.overdue.postpone(OTHER, run.run_id, until_ms=NOW)
    await home.overdue.postpone(USER, other.run_id, until_ms=due_ms - 1)  # once this is told, so is what was before it
    jobs = [Job(USER, other.run_id), Job(USER, run.run_id)]
    await told(home, (due_ms - 1, []), (due_ms, jobs[:1]), (due_ms + 1, jobs))


async def test_those_of_the_longest_ago_come_first_whoever_they_belong_to(home: Home) -> None:
    """In the order of when they were to be looked at, not of when they were accepted."""
    runs = []
    for number in range(12):
        made = await home.runs.accept(
            acceptance(number, user=OTHER if number % 3 else USER, thread_id=uuid(900 + number))
        )
        runs.append(made.run)
    for place, run in enumerate(reversed(runs)):
        await home.overdue.postpone(run.user, run.run_id, until_ms=NOW + place)
    wanted = [Job(run.user, run.run_id) for run in reversed(runs)]
    await told(home, (NOW + 100, wanted))
    assert len(await home.overdue.first(now_ms=NOW + 100, limit=8)) <= 8
    assert await home.overdue.first(now_ms=NOW + 1, limit=8) == wanted[:1]


async def test_the_next_process_looks_at_what_this_one_left(home: Home) -> None:
    """When a run is to be looked at is kept with it."""
    (run,) = await accepted_turns(home, 1)
    await acquired(home, run)
    await home.reopen()
    await becomes_due(home, after_lease(home, LEASE), run)
