"""`ping`: heads from the store, whatever the runner does; and it puts a missing row back."""

import pytest

from playbyplay.protocol.base import MAX_CURSORS
from playbyplay.protocol.commands import Ping
from playbyplay.protocol.replies import Head, Pong
from tests.fakes.ids import uuid
from tests.histories import OTHER, Story
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
    house.change(run, status="running")
    assert await heads(house) == {
        run.run_id: Head(last_seq=2, status="running"),
        waiting.run_id: Head(last_seq=0, status="queued"),
    }


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
    house = House()
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
