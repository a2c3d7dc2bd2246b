"""Runs, threads and turns: one message one run, one holder at a time, every method one user's own."""

import asyncio
from dataclasses import replace
from functools import partial

import pytest

from playbyplay.domain.journal import InputEntry
from playbyplay.domain.thread import Run, digest
from playbyplay.errors import OutcomeUnknown, Refused, StoreUnavailable
from playbyplay.ports import Acceptance, Accepted, Acquired, Limits, NotAcquired
from tests.contract.home import Home
from tests.fakes.ids import uuid
from tests.histories import MESSAGE, OTHER, RUN, THREAD, TIME, USER

NOW = 1_750_000_000_000
LEASE = NOW + 30_000
ROOM = Limits(open_runs=64)


def acceptance(
    number: int = 0,
    *,
    user: str = USER,
    thread_id: str = THREAD,
    new_thread: bool = True,
    message: str | None = None,
    content: str = "Hello.",
) -> Acceptance:
    """Return what an accept of the message of this number writes."""
    run = Run(
        user=user,
        run_id=uuid(100 + number),
        thread_id=thread_id,
        turn=0,
        client_message_id=message,
        content_digest=digest(content),
        created_ms=NOW + number,
        deadline_ms=NOW + number + 7_200_000,
    )
    return Acceptance(
        run=run, new_thread=new_thread, content=content, timestamp=TIME, token=uuid(200 + number), limits=ROOM
    )


async def accepted_turns(home: Home, count: int, *, user: str = USER, thread_id: str = THREAD) -> list[Run]:
    """Accept messages of one thread and return their runs."""
    made = [
        await home.runs.accept(acceptance(number, user=user, thread_id=thread_id, new_thread=number == 0))
        for number in range(count)
    ]
    return [one.run for one in made]


async def acquired(home: Home, run: Run, owner: str = "one", *, now_ms: int = NOW, lease_until_ms: int = LEASE) -> Run:
    """Acquire a run that can be acquired, and return it."""
    outcome = await home.runs.acquire(run.user, run.run_id, owner, now_ms=now_ms, lease_until_ms=lease_until_ms)
    assert isinstance(outcome, Acquired)
    return outcome.run


async def reason(home: Home, user: str, run_id: str, *, now_ms: int = NOW) -> str:
    """Return why a run cannot be acquired."""
    outcome = await home.runs.acquire(user, run_id, "two", now_ms=now_ms, lease_until_ms=now_ms + 1)
    assert isinstance(outcome, NotAcquired)
    return outcome.reason


async def test_an_accept_writes_the_run_its_turn_and_its_input(home: Home) -> None:
    """A new thread begins with turn 1; the journal holds the input as record 0, under the token given."""
    wanted = acceptance(message=MESSAGE, content="Hi \u202e\x00 there 👋")
    accepted = await home.runs.accept(wanted)
    run = replace(wanted.run, turn=1)
    assert accepted == Accepted(run, duplicate=False, position=0)
    assert await home.runs.get(USER, run.run_id) == run
    (record,) = await home.journal.read(USER, run.run_id)
    assert (record.pos, record.epoch, record.last_seq, record.token) == (0, 0, 0, wanted.token)
    assert record.entries == (
        InputEntry(thread_id=THREAD, turn=1, content=wanted.content, timestamp=TIME, client_message_id=MESSAGE),
    )


async def test_a_message_sent_again_finds_the_run_it_made(home: Home) -> None:
    """A repeat returns the first run as a duplicate and writes nothing, even with other ids and content."""
    first = await home.runs.accept(acceptance(0, message=MESSAGE))
    again = await home.runs.accept(acceptance(1, message=MESSAGE, thread_id=uuid(9), content="Other."))
    assert again == Accepted(first.run, duplicate=True, position=0)
    assert await home.runs.get(USER, uuid(101)) is None
    assert await home.journal.read(USER, uuid(101)) == []
    assert await home.runs.turns(USER, uuid(9), from_turn=1) == []


async def test_a_repeat_finds_the_run_after_its_end(home: Home) -> None:
    """The run of a message is found while it is open and after it is settled."""
    first = await home.runs.accept(acceptance(0, message=MESSAGE))
    await home.runs.settle(first.run, "completed")
    again = await home.runs.accept(acceptance(1, message=MESSAGE))
    assert again == Accepted(replace(first.run, status="completed"), duplicate=True, position=0)


async def test_concurrent_accepts_of_one_message_make_one_run(home: Home) -> None:
    """Of 40 accepts with one client_message_id one is no duplicate, and all name its run."""
    outcomes = await asyncio.gather(
        *(home.runs.accept(acceptance(number, message=MESSAGE, thread_id=uuid(900 + number))) for number in range(40))
    )
    assert sum(not one.duplicate for one in outcomes) == 1
    assert len({one.run.run_id for one in outcomes}) == 1
    assert len(await home.runs.open_runs(USER, limit=100)) == 1


async def test_messages_without_an_id_are_never_duplicates(home: Home) -> None:
    """Without a client_message_id each accept makes a run of its own."""
    outcomes = [await home.runs.accept(acceptance(number, thread_id=uuid(900 + number))) for number in range(3)]
    assert [one.duplicate for one in outcomes] == [False] * 3


@pytest.mark.parametrize("message", [None, MESSAGE])
async def test_the_same_accept_again_finds_its_run(home: Home, message: str | None) -> None:
    """No duplicate, whether the thread is new or not, while the run is open and after it; nothing is written twice."""
    for number in range(2):
        given = message and uuid(600 + number)
        wanted = acceptance(number, new_thread=number == 0, message=given)
        made = await home.runs.accept(wanted)
        assert (made.duplicate, made.run.turn, made.position) == (False, number + 1, number)
        assert await asyncio.gather(*(home.runs.accept(wanted) for _ in range(3))) == [made] * 3
    first, second = await home.runs.turns(USER, THREAD, from_turn=1)
    for run in (first, second):
        assert len(await home.journal.read(USER, run.run_id)) == 1
    await home.runs.settle(second, "completed")
    again = await home.runs.accept(wanted)
    assert again == Accepted(replace(second, status="completed"), duplicate=False, position=1)
    next_one = await home.runs.accept(acceptance(2, new_thread=False))
    assert (next_one.run.turn, len(await home.runs.open_runs(USER, limit=9))) == (3, 2)


async def test_one_id_of_two_users_makes_two_runs(home: Home) -> None:
    """The key of a message has the user in it."""
    mine = await home.runs.accept(acceptance(0, message=MESSAGE))
    theirs = await home.runs.accept(acceptance(1, message=MESSAGE, user=OTHER))
    assert not mine.duplicate
    assert not theirs.duplicate
    assert theirs.run.run_id == uuid(101)


async def test_turns_of_a_thread_are_numbered_in_the_order_of_acceptance(home: Home) -> None:
    """Each accept takes the next turn; its position is the number of open turns ahead of it."""
    made = [await home.runs.accept(acceptance(number, new_thread=number == 0)) for number in range(4)]
    assert [(one.run.turn, one.position) for one in made] == [(1, 0), (2, 1), (3, 2), (4, 3)]


async def test_concurrent_accepts_in_one_thread_take_neighbouring_turns(home: Home) -> None:
    """Nobody gets a turn twice and none is left out."""
    await home.runs.accept(acceptance(0))
    made = await asyncio.gather(*(home.runs.accept(acceptance(number, new_thread=False)) for number in range(1, 16)))
    assert sorted(one.run.turn for one in made) == list(range(2, 17))
    assert all(one.position == one.run.turn - 1 for one in made)


async def test_the_position_counts_only_open_turns(home: Home) -> None:
    """A settled turn is not ahead of anybody, for a new message and for a repeat."""
    first, second, third = await accepted_turns(home, 3)
    await home.runs.settle(second, "cancelled")
    made = await home.runs.accept(acceptance(3, new_thread=False, message=MESSAGE))
    assert made.position == 2
    await home.runs.settle(first, "completed")
    found = await home.runs.find(USER, MESSAGE)
    assert found is not None
    assert (found.position, third.turn) == (1, 3)


async def test_an_unknown_thread_and_a_foreign_one_are_not_found(home: Home) -> None:
    """A message to a thread that is not the user's own is refused in the same words and makes nothing."""
    await accepted_turns(home, 1, user=OTHER)
    refusals = []
    for thread_id in (THREAD, uuid(404)):
        with pytest.raises(Refused) as refused:
            await home.runs.accept(acceptance(1, thread_id=thread_id, new_thread=False, message=MESSAGE))
        refusals.append((refused.value.code, refused.value.message))
    assert refusals[0] == refusals[1]
    assert refusals[0][0] == "not_found"
    assert await home.runs.find(USER, MESSAGE) is None
    assert await home.journal.read(USER, uuid(101)) == []


async def test_a_refused_message_does_not_burn_its_id(home: Home) -> None:
    """The same client_message_id makes a run when it comes with a thread there is."""
    with pytest.raises(Refused):
        await home.runs.accept(acceptance(0, new_thread=False, message=MESSAGE))
    made = await home.runs.accept(acceptance(1, message=MESSAGE))
    assert not made.duplicate


async def test_two_users_may_use_one_thread_id(home: Home) -> None:
    """Turns are counted per user and thread."""
    await accepted_turns(home, 3)
    theirs = await home.runs.accept(acceptance(7, user=OTHER))
    assert (theirs.run.turn, theirs.position) == (1, 0)


async def test_an_accept_the_store_could_not_take_was_not_written(home: Home) -> None:
    """After StoreUnavailable there is neither run nor turn nor input, and the same accept can be made again."""
    wanted = acceptance(message=MESSAGE)
    with pytest.raises(StoreUnavailable):
        await home.unavailable("runs.accept", lambda: home.runs.accept(wanted))
    assert await home.runs.get(USER, wanted.run.run_id) is None
    assert await home.journal.read(USER, wanted.run.run_id) == []
    assert (await home.runs.accept(wanted)).run.turn == 1


@pytest.mark.parametrize("earlier", [0, 1])
async def test_find_tells_what_an_unknown_accept_did(home: Home, earlier: int) -> None:
    """After OutcomeUnknown all of it is there or nothing; `find` and `get` tell, and a repeat is safe."""
    for number in range(earlier + 1):
        wanted = acceptance(number, message=uuid(600 + number), thread_id=uuid(700 + number))
        with pytest.raises(OutcomeUnknown):
            await home.ambiguous("runs.accept", partial(home.runs.accept, wanted))
        found = await home.runs.find(USER, uuid(600 + number))
        run = await home.runs.get(USER, wanted.run.run_id)
        assert (found is None) == (run is None) == (not await home.journal.read(USER, wanted.run.run_id))
        again = await home.runs.accept(wanted)
        assert not again.duplicate
        assert again.run == replace(wanted.run, turn=1)


async def test_an_accepted_run_outlives_the_process(home: Home) -> None:
    """What an accept returned is there for the next process."""
    made = await home.runs.accept(acceptance(message=MESSAGE))
    await home.reopen()
    found = await home.runs.find(USER, MESSAGE)
    assert found == Accepted(made.run, duplicate=True, position=0)
    assert len(await home.journal.read(USER, made.run.run_id)) == 1


async def test_acquiring_takes_the_lease_and_counts_an_attempt(home: Home) -> None:
    """The run is the owner's until the time named, and running."""
    (run,) = await accepted_turns(home, 1)
    taken = await acquired(home, run)
    assert taken == replace(run, status="running", owner="one", lease_until_ms=LEASE, attempts=1)
    assert await home.runs.get(USER, run.run_id) == taken


async def test_a_held_run_is_not_acquired_until_its_lease_ends(home: Home) -> None:
    """Before its end the lease keeps others out, the same owner too; from its last millisecond on it does not."""
    (run,) = await accepted_turns(home, 1)
    await acquired(home, run)
    assert await reason(home, USER, run.run_id, now_ms=LEASE - 1) == "held"
    assert (await acquired(home, run, "two", now_ms=LEASE, lease_until_ms=LEASE + 1)).owner == "two"


async def test_only_one_of_many_acquires_at_once(home: Home) -> None:
    """Of 40 concurrent acquirers one gets the run; one attempt is counted."""
    (run,) = await accepted_turns(home, 1)
    outcomes = await asyncio.gather(
        *(
            home.runs.acquire(USER, run.run_id, f"owner {number}", now_ms=NOW, lease_until_ms=LEASE)
            for number in range(40)
        )
    )
    assert sum(isinstance(outcome, Acquired) for outcome in outcomes) == 1
    kept = await home.runs.get(USER, run.run_id)
    assert kept is not None
    assert kept.attempts == 1


async def test_a_closed_run_and_an_unknown_one_are_not_acquired(home: Home) -> None:
    """Settled is `closed`; absent and foreign are `unknown` alike."""
    (run,) = await accepted_turns(home, 1)
    assert await reason(home, OTHER, run.run_id) == "unknown"
    assert await reason(home, USER, uuid(404)) == "unknown"
    await home.runs.settle(run, "failed")
    assert await reason(home, USER, run.run_id) == "closed"


async def test_attempts_add_up_and_a_renewal_resets_them(home: Home) -> None:
    """Each acquisition counts; a renewal with `reset_attempts` leaves the current one alone counted."""
    (run,) = await accepted_turns(home, 1)
    for number in range(1, 4):
        now_ms = NOW + number * 100_000
        assert (await acquired(home, run, now_ms=now_ms, lease_until_ms=now_ms + 1)).attempts == number
    assert await home.runs.renew(USER, run.run_id, "one", lease_until_ms=LEASE, reset_attempts=False)
    assert (await acquired(home, run, "two", now_ms=LEASE, lease_until_ms=LEASE + 1)).attempts == 4
    assert await home.runs.renew(USER, run.run_id, "two", lease_until_ms=LEASE + 2, reset_attempts=True)
    assert (await acquired(home, run, "two", now_ms=LEASE + 2, lease_until_ms=LEASE + 9)).attempts == 2


async def test_a_renewed_lease_lasts_longer(home: Home) -> None:
    """A renewal moves the end of an own lease."""
    (run,) = await accepted_turns(home, 1)
    await acquired(home, run)
    assert await home.runs.renew(USER, run.run_id, "one", lease_until_ms=LEASE + 50, reset_attempts=False)
    assert await reason(home, USER, run.run_id, now_ms=LEASE + 49) == "held"
    await acquired(home, run, "two", now_ms=LEASE + 50, lease_until_ms=LEASE + 60)


async def test_a_lease_that_is_anothers_by_now_is_not_renewed(home: Home) -> None:
    """The owner before, a foreign user and the owner of a settled run are told False, and nothing changes."""
    (run,) = await accepted_turns(home, 1)
    await acquired(home, run)
    now = await acquired(home, run, "two", now_ms=LEASE, lease_until_ms=LEASE + 10)
    assert not await home.runs.renew(USER, run.run_id, "one", lease_until_ms=LEASE + 99, reset_attempts=True)
    assert not await home.runs.renew(OTHER, run.run_id, "two", lease_until_ms=LEASE + 99, reset_attempts=True)
    assert await home.runs.get(USER, run.run_id) == now
    await home.runs.settle(run, "completed")
    assert not await home.runs.renew(USER, run.run_id, "two", lease_until_ms=LEASE + 99, reset_attempts=False)


async def test_a_released_run_can_be_acquired_at_once(home: Home) -> None:
    """An own lease is given back with the attempt it counted; one that is another's stays."""
    (run,) = await accepted_turns(home, 1)
    await acquired(home, run)
    await home.runs.release(USER, run.run_id, "two")
    await home.runs.release(OTHER, run.run_id, "one")
    assert await reason(home, USER, run.run_id) == "held"
    await home.runs.release(USER, run.run_id, "one")
    taken = await acquired(home, run, "two")
    assert (taken.owner, taken.attempts) == ("two", 1)
    for _ in range(2):
        await home.runs.release(USER, run.run_id, "two")
    released = await home.runs.get(USER, run.run_id)
    assert released is not None
    assert (released.owner, released.attempts) == (None, 0)


async def test_a_released_run_keeps_its_status(home: Home) -> None:
    """Its events were told, so it does not step back: not in its first lease and not in a later one."""
    (run,) = await accepted_turns(home, 1)
    for owner in ("one", "two"):
        await acquired(home, run, owner)
        await home.runs.release(USER, run.run_id, owner)
        assert await home.runs.get(USER, run.run_id) == replace(run, status="running")


async def test_settling_notes_the_end_once(home: Home) -> None:
    """The first status stays, the lease ends, and a repeat with another status changes nothing."""
    (run,) = await accepted_turns(home, 1)
    await acquired(home, run)
    assert (await home.runs.settle(run, "completed")).changed
    settled = await home.runs.get(USER, run.run_id)
    assert settled is not None
    assert (settled.status, settled.owner, settled.is_open) == ("completed", None, False)
    assert not (await home.runs.settle(run, "failed")).changed
    assert await home.runs.get(USER, run.run_id) == settled


async def test_of_many_who_settle_a_run_one_has_changed_it(home: Home) -> None:
    """Whoever counts ends counts each once, though a next turn is open; one that is not there was changed by nobody."""
    first, second = await accepted_turns(home, 2)
    noted = await asyncio.gather(*(home.runs.settle(first, "completed") for _ in range(8)))
    assert sum(one.changed for one in noted) == 1
    assert {one.head for one in noted} == {second}
    for nobodys in (replace(second, user=OTHER), replace(second, run_id=uuid(404))):
        assert not (await home.runs.settle(nobodys, "failed")).changed


async def test_settling_returns_the_first_open_turn_of_the_thread(home: Home) -> None:
    """Whoever settles a turn learns which is next; None when there is none; a repeat learns it again."""
    first, second, third = await accepted_turns(home, 3)
    assert (await home.runs.settle(second, "cancelled")).head == first
    assert (await home.runs.settle(first, "completed")).head == third
    assert (await home.runs.settle(first, "completed")).head == third
    assert (await home.runs.settle(third, "failed")).head is None


async def test_the_head_is_the_first_open_turn(home: Home) -> None:
    """It moves as turns are settled; a foreign thread has none."""
    first, second = await accepted_turns(home, 2)
    assert await home.runs.head(USER, THREAD) == first
    assert await home.runs.head(OTHER, THREAD) is None
    assert await home.runs.head(USER, uuid(404)) is None
    await home.runs.settle(first, "completed")
    assert await home.runs.head(USER, THREAD) == second
    await home.runs.settle(second, "completed")
    assert await home.runs.head(USER, THREAD) is None


async def test_turns_are_returned_in_order_and_by_range(home: Home) -> None:
    """Both ends are included, open and settled turns alike; an absent or foreign thread has none."""
    runs = await accepted_turns(home, 12)
    await home.runs.settle(runs[3], "failed")
    numbers = [run.turn for run in await home.runs.turns(USER, THREAD, from_turn=1)]
    assert numbers == list(range(1, 13))
    assert [run.turn for run in await home.runs.turns(USER, THREAD, from_turn=3, to_turn=5)] == [3, 4, 5]
    assert await home.runs.turns(USER, THREAD, from_turn=13) == []
    assert await home.runs.turns(USER, THREAD, from_turn=5, to_turn=4) == []
    assert await home.runs.turns(OTHER, THREAD, from_turn=1) == []
    assert await home.runs.turns(USER, uuid(404), from_turn=1) == []


async def test_open_runs_are_a_users_own_oldest_first_up_to_a_limit(home: Home) -> None:
    """Settled runs and those of others are left out; of all threads together the oldest come first."""
    for number in (3, 1, 2, 0):
        await home.runs.accept(acceptance(number, thread_id=uuid(900 + number)))
    await home.runs.accept(acceptance(9, user=OTHER))
    settled = await home.runs.get(USER, uuid(101))
    assert settled is not None
    await home.runs.settle(settled, "completed")
    assert [run.run_id for run in await home.runs.open_runs(USER, limit=9)] == [uuid(100), uuid(102), uuid(103)]
    assert [run.run_id for run in await home.runs.open_runs(USER, limit=2)] == [uuid(100), uuid(102)]
    assert [run.run_id for run in await home.runs.open_runs(OTHER, limit=9)] == [uuid(109)]


async def test_a_foreign_run_is_an_absent_one(home: Home) -> None:
    """No method tells another user of a run, and none of theirs changes it."""
    (run,) = await accepted_turns(home, 1)
    assert await home.runs.get(OTHER, run.run_id) is None
    assert await home.runs.request_cancel(OTHER, run.run_id) is None
    await home.runs.settle(replace(run, user=OTHER), "failed")
    await home.runs.accept(acceptance(5, user=USER, message=MESSAGE, thread_id=uuid(8)))
    assert await home.runs.find(OTHER, MESSAGE) is None
    assert await home.runs.get(USER, RUN) is None
    assert await home.runs.get(USER, run.run_id) == run


async def test_an_open_run_is_marked_for_cancelling(home: Home) -> None:
    """It is returned as it stands, stays open, and stays marked through an acquisition."""
    (run,) = await accepted_turns(home, 1)
    marked = await home.runs.request_cancel(USER, run.run_id)
    assert marked == replace(run, cancel=True)
    assert await home.runs.request_cancel(USER, run.run_id) == marked
    assert (await acquired(home, run)).cancel


async def test_a_settled_run_is_not_marked_and_an_unknown_one_is_none(home: Home) -> None:
    """Cancelling after the end returns the run as it ended."""
    (run,) = await accepted_turns(home, 1)
    await home.runs.settle(run, "completed")
    assert await home.runs.request_cancel(USER, run.run_id) == replace(run, status="completed")
    assert await home.runs.request_cancel(USER, uuid(404)) is None


async def test_the_owner_learns_of_a_cancel_at_once(home: Home) -> None:
    """The watch is not done before the mark and done after it, for each one who watches."""
    run, other = await accepted_turns(home, 2)
    watches = [asyncio.ensure_future(home.runs.requested(USER, run.run_id)) for _ in range(2)]
    of_the_other = asyncio.ensure_future(home.runs.requested(USER, other.run_id))
    await asyncio.sleep(0.01)
    assert not any(watch.done() for watch in watches)
    await home.runs.request_cancel(OTHER, run.run_id)
    await asyncio.sleep(0.01)
    assert not any(watch.done() for watch in watches)
    await home.runs.request_cancel(USER, run.run_id)
    await asyncio.wait_for(asyncio.gather(*watches), 1)
    assert not of_the_other.done()
    of_the_other.cancel()


async def test_a_watch_on_a_marked_run_is_done_at_once(home: Home) -> None:
    """Who looks after the mark is told of it too."""
    (run,) = await accepted_turns(home, 1)
    await home.runs.request_cancel(USER, run.run_id)
    await asyncio.wait_for(asyncio.ensure_future(home.runs.requested(USER, run.run_id)), 1)


async def test_a_watch_of_the_next_process_is_done_at_once(home: Home) -> None:
    """A mark outlives the process that set it."""
    (run,) = await accepted_turns(home, 1)
    await home.runs.request_cancel(USER, run.run_id)
    await home.reopen()
    marked = asyncio.ensure_future(home.runs.requested(USER, run.run_id))
    await asyncio.wait({marked}, timeout=5)
    assert marked.done()


async def test_a_watch_given_up_disturbs_no_other(home: Home) -> None:
    """One of two watches is cancelled; the other is told."""
    (run,) = await accepted_turns(home, 1)
    one, two = (asyncio.ensure_future(home.runs.requested(USER, run.run_id)) for _ in range(2))
    await asyncio.sleep(0)
    one.cancel()
    await home.runs.request_cancel(USER, run.run_id)
    await asyncio.wait_for(two, 1)


async def test_no_reader_meets_half_an_accept(home: Home) -> None:
    """Whoever is told of a run finds its input in the journal, were the accept still on its way."""

    async def looks(number: int) -> bool:
        for run in await home.runs.turns(USER, uuid(900 + number), from_turn=1):
            return len(await home.journal.read(USER, run.run_id)) == 1
        return True

    for number in range(20):
        wanted = acceptance(number, thread_id=uuid(900 + number))
        _accepted, whole = await asyncio.gather(home.runs.accept(wanted), looks(number))
        assert whole
