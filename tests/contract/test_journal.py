"""The journal: append on the condition that the slot is empty, read back what was written."""

import asyncio
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from playbyplay.domain.journal import CheckpointEntry, FenceEntry, History, Record
from playbyplay.errors import OutcomeUnknown, SlotTaken, StoreUnavailable
from tests.contract.home import Home
from tests.contract.homes import SqliteHome, sqlite_home
from tests.fakes.ids import uuid
from tests.histories import OTHER, RUN, USER, Story, call, canonical


async def written(home: Home, story: Story) -> list[Record]:
    for record in story.records:
        await home.journal.append(USER, RUN, record)
    return story.records


async def test_records_are_read_back_as_they_were_written_in_order(home: Home) -> None:
    """Every kind of entry comes back equal, at its position."""
    records = await written(home, canonical())
    read = await home.journal.read(USER, RUN)
    assert read == records
    assert [record.pos for record in read] == [0, 1, 2, 3, 4, 5]
    assert [event.to_json() for record in read for event in record.events] == [
        event.to_json() for record in records for event in record.events
    ]


async def test_hostile_text_is_kept_as_it_is(home: Home) -> None:
    """What a record may hold, the store keeps: quotes, NUL, line separators, emoji, a quarter of a mebibyte."""
    text = "\"'\\ \x00 \u2028 👩‍👩‍👧 </script> '; DROP TABLE journal; --" * 4096
    story = Story(content="\u202e" + text[:100]).starts()
    story.add(
        CheckpointEntry(text=text, calls=(call(1, arguments="{\x00"),)),
        story.event("agent_thinking", agent_id="root", thought="\t"),
    )
    assert await written(home, story) == await home.journal.read(USER, RUN)


async def test_reading_starts_at_a_position(home: Home) -> None:
    """`from_pos` is the first position returned; beyond the end there is nothing."""
    records = await written(home, canonical())
    for from_pos in range(len(records) + 1):
        assert await home.journal.read(USER, RUN, from_pos=from_pos) == records[from_pos:]


async def test_a_run_without_a_journal_reads_as_nothing(home: Home) -> None:
    """No records is an empty list, and no seq at all."""
    assert await home.journal.read(USER, RUN) == []
    assert await home.journal.last_seq(USER, RUN) is None


async def test_the_last_seq_is_that_of_the_last_event(home: Home) -> None:
    """It is 0 while there is only the input, and stays where a record brings no event."""
    seqs = []
    story = Story().starts().taken_over().asks(call(1))
    for record in story.records:
        await home.journal.append(USER, RUN, record)
        seqs.append(await home.journal.last_seq(USER, RUN))
    assert seqs == [0, 1, 1, 3]


async def test_a_taken_slot_stays_as_it_is(home: Home) -> None:
    """The second append on a slot raises SlotTaken and changes nothing, were it the same record."""
    records = await written(home, canonical())
    for again in (records[2], replace(records[2], token=uuid(77), entries=(FenceEntry(epoch=9),))):
        with pytest.raises(SlotTaken):
            await home.journal.append(USER, RUN, again)
    assert await home.journal.read(USER, RUN) == records


async def test_many_concurrent_appends_on_one_slot_have_one_winner(home: Home) -> None:
    """One of 300 writers gets the slot, each of the others learns that it did not."""
    first = Story().records[0]
    rivals = [replace(first, token=uuid(number)) for number in range(300)]
    outcomes = await asyncio.gather(
        *(home.journal.append(USER, RUN, rival) for rival in rivals), return_exceptions=True
    )
    winners = [rival for rival, outcome in zip(rivals, outcomes, strict=True) if outcome is None]
    assert len(winners) == 1
    assert sum(isinstance(outcome, SlotTaken) for outcome in outcomes) == 299
    assert await home.journal.read(USER, RUN) == winners


async def test_a_failed_condition_spares_its_neighbours(home: Home) -> None:
    """Appends that arrive together with one on a taken slot take effect."""
    first = Story().records[0]
    await home.journal.append(USER, RUN, first)
    runs = [uuid(500 + number) for number in range(20)]
    outcomes = await asyncio.gather(
        *(home.journal.append(USER, run_id, first) for pair in runs for run_id in (pair, RUN)), return_exceptions=True
    )
    assert outcomes[::2] == [None] * 20
    assert all(isinstance(outcome, SlotTaken) for outcome in outcomes[1::2])
    for run_id in runs:
        assert await home.journal.read(USER, run_id) == [first]


async def test_users_and_runs_share_no_slot(home: Home) -> None:
    """The same position of another user's or another run's journal is another slot."""
    first = Story().records[0]
    for user, run_id in ((USER, RUN), (OTHER, RUN), (USER, uuid(42))):
        await home.journal.append(user, run_id, first)
    assert await home.journal.read(OTHER, RUN) == [first]


async def test_a_foreign_run_is_an_absent_one(home: Home) -> None:
    """Another user reads nothing of it, not even that it exists."""
    await written(home, canonical())
    assert await home.journal.read(OTHER, RUN) == []
    assert await home.journal.last_seq(OTHER, RUN) is None


async def test_an_append_the_store_could_not_take_was_not_written(home: Home) -> None:
    """After StoreUnavailable the slot is empty, and the same append can be made again."""
    first = Story().records[0]
    with pytest.raises(StoreUnavailable):
        await home.unavailable("journal.append", lambda: home.journal.append(USER, RUN, first))
    assert await home.journal.read(USER, RUN) == []
    await home.journal.append(USER, RUN, first)
    assert await home.journal.read(USER, RUN) == [first]


@pytest.mark.parametrize("times", [1, 2])
async def test_only_reading_back_tells_what_an_unknown_outcome_was(home: Home, times: int) -> None:
    """After OutcomeUnknown the slot holds the own record or nothing, and the store goes on."""
    story = Story().starts()
    for record in story.records[:times]:
        with pytest.raises(OutcomeUnknown):
            await home.ambiguous("journal.append", partial(home.journal.append, USER, RUN, record))
        found = await home.journal.read(USER, RUN, from_pos=record.pos)
        assert found in ([], [record])
        if not found:
            await home.journal.append(USER, RUN, record)
    assert await home.journal.read(USER, RUN) == story.records[:times]


async def test_the_journal_outlives_the_process(home: Home) -> None:
    """What an append returned from is there for the next process, and its slots stay taken."""
    records = await written(home, canonical())
    await home.reopen()
    assert await home.journal.read(USER, RUN) == records
    with pytest.raises(SlotTaken):
        await home.journal.append(USER, RUN, records[-1])
    assert History.of(USER, RUN, await home.journal.read(USER, RUN)).state.status == "completed"


async def test_a_full_disk_is_told_and_passes(tmp_path: Path) -> None:
    """What is said to be unwritten is not there, what is said to be written is; with room again the store goes on."""
    async with sqlite_home(tmp_path) as home:
        assert isinstance(home, SqliteHome)
        (pages,) = home.database._writer.execute("PRAGMA page_count").fetchone()
        home.database._writer.execute(f"PRAGMA max_page_count = {pages + 3}")
        first, runs = Story(content="x" * 3_000).records[0], [uuid(number) for number in range(30)]
        outcomes = await asyncio.gather(
            *(home.journal.append(USER, run_id, first) for run_id in runs), return_exceptions=True
        )
        assert any(isinstance(outcome, StoreUnavailable) for outcome in outcomes)
        for run_id, outcome in zip(runs, outcomes, strict=True):
            written = await home.journal.read(USER, run_id) == [first]
            assert isinstance(outcome, OutcomeUnknown) or written == (outcome is None)
        home.database._writer.execute("PRAGMA max_page_count = 1000000")
        await home.journal.append(USER, uuid(99), first)
        assert await home.journal.read(USER, uuid(99)) == [first]
