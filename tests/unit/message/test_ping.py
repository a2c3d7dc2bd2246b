"""`ping`: heads from the store, whatever the runner does; and it puts a missing row back."""

import asyncio
from collections.abc import Callable

import pytest

from playbyplay.errors import StoreRefused
from playbyplay.ports import Limits
from playbyplay.protocol.base import MAX_CURSORS
from playbyplay.protocol.commands import Ping
from playbyplay.protocol.replies import Head, Pong
from tests.fakes.faults import Fault, before, fail_after, fail_before, lost
from tests.fakes.ids import uuid
from tests.fakes.leaps import Leaps
from tests.histories import OTHER, USER, Story
from tests.house import House


async def heads(house: House, *cursors: str) -> dict[str, Head]:
    command = Ping(cursors=dict.fromkeys(cursors, 0)) if cursors else Ping()
    return (await house.ping(house.caller("pinging="), command)).heads


async def test_a_ping_without_a_run_is_answered() -> None:
    """With no heads."""
    assert await House().ping(House().caller(), Ping()) == Pong(heads={})


async def test_the_open_runs_are_told_without_being_asked_for() -> None:
    """How far each has come, by the journal."""
    house = House()
    run, waiting = await house.say("One."), await house.say("Two.")
    for record in Story().starts().answers().records[1:]:
        house.journal.put(run.user, run.run_id, record)
    assert await heads(house) == {
        run.run_id: Head(last_seq=2, status="running"),
        waiting.run_id: Head(last_seq=0, status="queued"),
    }


async def test_an_open_run_runs_when_it_has_begun() -> None:
    """By its journal: the store calls it queued while its first event is there, and running when it was given back."""
    house = House()
    begun, given_back = await house.say("One."), await house.say("Two.")
    for record in Story().starts().records[1:]:
        house.journal.put(begun.user, begun.run_id, record)
    house.change(given_back, status="running")
    assert [head.status for head in (await heads(house)).values()] == ["running", "queued"]


async def test_the_cursors_runs_are_told_though_they_have_ended() -> None:
    """So that a client that missed the end learns of it."""
    house = House()
    run = await house.say()
    for record in Story().starts().fails().records[1:]:
        house.journal.put(run.user, run.run_id, record)
    await house.runs.settle(run, "failed")
    assert await heads(house) == {}
    assert await heads(house, run.run_id) == {run.run_id: Head(last_seq=2, status="failed")}


async def test_foreign_and_absent_cursors_are_left_out() -> None:
    """As if they had not been named."""
    house = House()
    theirs = await house.say(user=OTHER)
    mine = await house.say()
    assert set(await heads(house, theirs.run_id, uuid(404), mine.run_id)) == {mine.run_id}


async def test_a_run_whose_journal_is_gone_is_left_out() -> None:
    """There is no head to tell."""
    house = House()
    run = await house.say()
    house.journal.slots.clear()
    assert await heads(house, run.run_id) == {}


async def test_at_most_16_runs_are_told() -> None:
    """Those that were asked for, then the oldest of the open ones."""
    house = House(limits=Limits(open_runs=MAX_CURSORS + 4))
    runs = []
    for number in range(MAX_CURSORS + 4):
        house.clock.advance(1)
        runs.append((await house.say(f"Number {number}.")).run_id)
    assert list(await heads(house)) == runs[:16]
    assert set(await heads(house, *runs[-4:])) == {*runs[:12], *runs[-4:]}
    assert set(await heads(house, *runs[-16:])) == {*runs[-16:]}


async def test_a_ping_puts_a_missing_row_back_and_changes_one_there_is_not() -> None:
    """A lagging connection goes on lagging until it resumes."""
    house = House()
    await heads(house)
    assert list(house.connections.rows) == ["pinging="]
    await house.connections.mark_lagging("pinging=", lagging=True)
    before = dict(house.connections.rows)
    house.clock.advance(5)
    await heads(house)
    assert house.connections.rows == before


@pytest.mark.parametrize("user", ["ann", "bob"])
async def test_the_row_is_the_callers_own(user: str) -> None:
    """Whoever sent the frame gets the frames."""
    house = House()
    await house.ping(house.caller("pinging=", user), Ping())
    assert [one.connection_id for one in await house.connections.subscribers(user)] == ["pinging="]


async def begun(house: House, user: str = USER) -> str:
    """Return a run with two events."""
    run = await house.say(user=user)
    for record in Story().starts().answers().records[1:]:
        house.journal.put(run.user, run.run_id, record)
    return run.run_id


async def pinged(house: House, cursors: dict[str, int]) -> Pong:
    return await house.ping(house.caller("pinging="), Ping(cursors=cursors))


async def receipts(house: House) -> dict[str, int]:
    return dict((await house.connections.subscribers(USER))[0].receipts)


async def test_the_cursors_are_receipts() -> None:
    """Up to the head itself; the next ping's are in their place."""
    house = House()
    one, two = await begun(house), await begun(house)
    await pinged(house, {one: 2, two: 0})
    assert await receipts(house) == {one: 2, two: 0}
    await pinged(house, {two: 1})
    assert await receipts(house) == {two: 1}


async def test_when_the_receipts_came_is_noted() -> None:
    """Also of those that say the same again: who says it has still not got what came before it."""
    house = House()
    run_id = await begun(house)
    for _ in range(2):
        house.clock.advance(25)
        await pinged(house, {run_id: 1})
        assert (await house.connections.subscribers(USER))[0].received_ms == house.clock.now_ms()


async def test_what_nobody_can_hold_is_no_receipt() -> None:
    """A seq above the head, a run of somebody else, an absent one: left out, and the pong says nothing of it."""
    house = House()
    mine, above, theirs = await begun(house), await begun(house), await begun(house, OTHER)
    pong = await pinged(house, {mine: 1, above: 3, theirs: 1, uuid(404): 0})
    assert await receipts(house) == {mine: 1}
    assert set(pong.heads) == {mine, above}


async def test_a_ping_without_a_receipt_writes_none() -> None:
    """Neither one without cursors nor one whose cursors are all left out: those before stand."""
    house = House()
    run_id = await begun(house)
    await pinged(house, {run_id: 1})
    await heads(house)
    await pinged(house, {run_id: 3})
    assert house.faults.count("connections.receive") == 1
    assert await receipts(house) == {run_id: 1}


async def test_the_log_tells_how_far_a_client_is_behind() -> None:
    """In events, over all the runs it holds a part of; what is no receipt does not count, nor a run it did not name."""
    house = House()
    one, two, above, unnamed = [await begun(house) for _ in range(4)]
    theirs = await begun(house, OTHER)
    await pinged(house, {one: 2})
    await pinged(house, {one: 1, two: 0, above: 3, theirs: 0, uuid(404): 0})
    assert set(await heads(house)) == {one, two, above, unnamed}
    await pinged(house, {above: 3})
    assert house.log.of("receipts_noted") == [{"behind": 0}, {"behind": 1 + 2}]


FAULTS: dict[str, Callable[[], Fault]] = {
    "unavailable": fail_before,
    "lost": lost,
    "unknown": fail_after,
    "refused": lambda: before(StoreRefused("by order of the test")),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
async def test_a_receipt_that_cannot_be_noted_does_not_cost_the_pong(fault: Callable[[], Fault]) -> None:
    """It comes again with the next ping; how far the client is behind is known all the same."""
    house = House()
    run_id = await begun(house)
    house.faults.plan("connections.receive", fault())
    assert set((await pinged(house, {run_id: 1})).heads) == {run_id}
    assert house.log.of("receipts_noted") == [{"behind": 1}]


async def test_the_pong_does_not_wait_for_a_receipt(monkeypatch: pytest.MonkeyPatch) -> None:
    """For half a second at the most, of the two it has."""
    house, leap = House(), Leaps(monkeypatch)
    run_id = await begun(house)
    house.faults.plan("connections.receive", Fault("before", gate=asyncio.Event()))
    pinging = asyncio.ensure_future(pinged(house, {run_id: 1}))
    await leap(0.4)
    assert not pinging.done()
    await leap(0.2)
    assert pinging.done()
    assert set((await pinging).heads) == {run_id}
