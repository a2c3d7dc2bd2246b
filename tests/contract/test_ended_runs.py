"""The runs that have ended: which of them within a time, in which order, and what does not move one."""

import asyncio

from playbyplay.domain.thread import Run
from playbyplay.ports import Job
from tests.contract.home import Home
from tests.contract.test_run_store import LEASE, NOW, acceptance, accepted_turns, acquired
from tests.fakes.ids import uuid
from tests.histories import OTHER, USER

MANY = 96
ALWAYS = (0, 10**13)


def jobs(*runs: Run) -> list[Job]:
    return [Job(run.user, run.run_id) for run in runs]


async def told(home: Home, *answers: tuple[tuple[int, int], list[Job]]) -> None:
    """See which runs ended within times; what a home tells is a moment old, so it is asked again."""
    found = None
    for _ in range(500):
        found = [
            (between, await home.ended.between(from_ms=between[0], to_ms=between[1], limit=MANY))
            for between, _jobs in answers
        ]
        if found == list(answers):
            break
        await asyncio.sleep(0.01)
    assert found == list(answers)


async def ended(home: Home, number: int, at_ms: int, *, user: str = USER) -> Run:
    """Accept a run of a thread of its own and settle it at a time."""
    made = await home.runs.accept(acceptance(number, user=user, thread_id=uuid(900 + number)))
    home.clock.ms = at_ms
    await home.runs.settle(made.run, "completed")
    return made.run


async def test_a_run_is_told_by_when_its_end_was_noted(home: Home) -> None:
    """From that millisecond on and not after it; when it was accepted, or was to end, does not count."""
    run = await ended(home, 1, NOW + 5_000)
    await told(
        home,
        ((NOW + 5_000, NOW + 5_001), jobs(run)),
        ((NOW + 4_000, NOW + 5_000), []),
        ((NOW + 5_001, NOW + 9_000), []),
        (ALWAYS, jobs(run)),
    )


async def test_a_time_without_length_holds_no_run(home: Home) -> None:
    """Nor does one whose end comes before its start."""
    run = await ended(home, 1, NOW + 5_000)
    await told(home, (ALWAYS, jobs(run)), ((NOW + 5_000, NOW + 5_000), []), ((NOW + 6_000, NOW + 4_000), []))


async def test_an_open_run_has_not_ended(home: Home) -> None:
    """Neither one that waits, nor one at work, nor one that was given back or is to be cancelled."""
    waiting, working, given_back = [
        (await home.runs.accept(acceptance(number, thread_id=uuid(900 + number)))).run for number in range(3)
    ]
    for run in (working, given_back):
        await acquired(home, run)
    await home.runs.renew(USER, working.run_id, "one", lease_until_ms=LEASE + 50, reset_attempts=True)
    await home.runs.release(USER, given_back.run_id, "one")
    await home.runs.request_cancel(USER, waiting.run_id)
    run = await ended(home, 7, NOW)
    await told(home, (ALWAYS, jobs(run)))


async def test_the_end_that_was_noted_first_counts(home: Home) -> None:
    """Whoever settles the run again, and however it is said to have ended then; nor does a late look move it."""
    run = await ended(home, 1, NOW + 5_000)
    home.clock.ms = NOW + 8_000
    await home.runs.settle(run, "failed")
    await home.overdue.postpone(USER, run.run_id, until_ms=NOW)
    await home.runs.request_cancel(USER, run.run_id)
    later = await ended(home, 2, NOW + 9_000)  # once this is told, so is what was before it
    await told(home, ((NOW + 5_001, NOW + 10_000), jobs(later)), (ALWAYS, jobs(later, run)))


async def test_settling_what_is_not_there_ends_nothing(home: Home) -> None:
    """Neither an unknown run nor another user's of this id; and the next turn of the thread has not ended."""
    first, _second = await accepted_turns(home, 2)
    (theirs,) = await accepted_turns(home, 1, user=OTHER, thread_id=uuid(700))
    home.clock.ms = NOW + 1
    for run in (acceptance(40).run, first):
        await home.runs.settle(run, "completed")
    assert theirs.run_id == first.run_id
    await told(home, (ALWAYS, jobs(first)))


async def test_the_newest_come_first_whoever_they_belong_to(home: Home) -> None:
    """In the order in which they ended, not in that of their accepts; the oldest are left out."""
    times = [NOW + (number * 7 % 12) * 1_000 for number in range(12)]
    runs = [await ended(home, number, at, user=OTHER if number % 3 else USER) for number, at in enumerate(times)]
    newest = jobs(*(runs[times.index(at)] for at in sorted(times, reverse=True)))
    await told(home, (ALWAYS, newest), ((NOW + 3_000, NOW + 9_000), newest[3:9]))
    assert await home.ended.between(from_ms=ALWAYS[0], to_ms=ALWAYS[1], limit=5) == newest[:5]
    assert await home.ended.between(from_ms=NOW, to_ms=NOW + 9_000, limit=2) == newest[3:5]


async def test_the_next_process_knows_what_this_one_ended(home: Home) -> None:
    """When a run ended is kept with it."""
    run = await ended(home, 1, NOW + 5_000)
    await home.reopen()
    await told(home, ((NOW + 5_000, NOW + 5_001), jobs(run)))
