"""The newest runs: ids, times and counts as the stores have them, and no word of what was said."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from local import sqlite_recent_runs
from local.database import Database
from local.sqlite_journal import SqliteJournal
from local.sqlite_recent_runs import NEWEST, RecentRuns
from local.sqlite_run_store import SqliteRunStore
from playbyplay.domain.thread import Run, digest
from playbyplay.domain.timing import ONE_MACHINE, milliseconds, timestamp
from playbyplay.ports import Acceptance, Limits
from tests.fakes.clock import FakeClock
from tests.histories import Story, call

SECRET = "What nobody but ann may read"  # noqa: S105 - a message


_END = "UPDATE runs SET status = 'completed', ended_ms = ? WHERE user = ? AND run_id = ?"


class Archive:
    """Runs of many users in a database."""

    def __init__(self, path: Path) -> None:
        self.clock = FakeClock()
        self.database = Database(path / "playbyplay.sqlite3")
        self.runs = SqliteRunStore(self.database, self.clock, ONE_MACHINE)
        self.journal = SqliteJournal(self.database)
        self.recent = RecentRuns(self.database, self.clock)

    async def accept(self, number: int, user: str = "ann", *, after_s: int = 0) -> Run:
        """Accept a message in a thread of its own, so long after now."""
        now_ms = self.clock.now_ms() + after_s * 1000
        run = Run(
            user=user,
            run_id=f"00000000-0000-7000-8000-{number:012}",
            thread_id=f"10000000-0000-7000-8000-{number:012}",
            turn=0,
            client_message_id=None,
            content_digest=digest(SECRET),
            created_ms=now_ms,
            deadline_ms=now_ms + 3_600_000,
        )
        made = Acceptance(
            run=run,
            new_thread=True,
            content=SECRET,
            timestamp=timestamp(run.created_ms),
            token=f"t{number}",
            limits=Limits(open_runs=10**6, messages_per_minute=10**6),
        )
        return (await self.runs.accept(made)).run

    async def end(self, runs: Sequence[Run]) -> None:
        """Let runs have ended, each soon after it was accepted."""
        ends = [(run.created_ms + 500, run.user, run.run_id) for run in runs]
        await self.database.write(lambda connection: connection.executemany(_END, ends))

    async def write(self, run: Run, story: Story) -> None:
        """Write a story's records after the input."""
        for record in story.records[1:]:
            await self.journal.append(run.user, run.run_id, record)

    def story(self, run: Run) -> Story:
        return Story(SECRET, user=run.user, run_id=run.run_id)

    async def one(self) -> dict[str, Any]:
        (row,) = await self.recent()
        return row


@pytest_asyncio.fixture
async def archive(tmp_path: Path) -> AsyncIterator[Archive]:
    made = Archive(tmp_path)
    yield made
    await made.database.close()


async def test_a_run_that_nobody_has_begun(archive: Archive) -> None:
    """It is silent since it was accepted."""
    run = await archive.accept(1)
    archive.clock.advance(4)
    assert await archive.one() == {
        "run_id": run.run_id,
        "turn": 1,
        "status": "queued",
        "accepted_ms": run.created_ms,
        "ended_ms": None,
        "events": 0,
        "last_event": None,
        "last_event_ms": None,
        "silence_ms": 4000,
        "attempts": 0,
        "owned": False,
    }


async def test_a_run_at_work(archive: Archive) -> None:
    """Its last event is known, whatever stands in the journal after it: since then it is silent."""
    archive.clock.advance(-5)
    run = await archive.accept(1)
    now_ms = archive.clock.now_ms()
    await archive.runs.acquire("ann", run.run_id, "one", now_ms=now_ms, lease_until_ms=now_ms + 3000)
    story = archive.story(run).starts().asks(call(1))
    await archive.write(run, story.taken_over())
    last = story.history.events[-1]
    archive.clock.ms = milliseconds(last.timestamp) + 700
    row = await archive.one()
    assert (row["status"], row["attempts"]) == ("running", 1)
    assert (row["events"], row["last_event"]) == (last.seq, "tool_executing")
    assert (row["last_event_ms"], row["silence_ms"]) == (milliseconds(last.timestamp), 700)


@pytest.mark.parametrize(
    "entries", ["{", "[1]", '[{"kind": "event"}]', '[{"kind": "event", "event": {"type": "error"}}]']
)
async def test_a_run_whose_journal_is_damaged_hides_no_other(archive: Archive, entries: str) -> None:
    """Nobody knows its last event; on such a day the page is wanted most."""
    runs = [await archive.accept(number) for number in (1, 2)]
    for run in runs:
        await archive.write(run, archive.story(run).starts())
    damage = "UPDATE journal SET entries = ? WHERE run_id = ? AND pos = 1"
    await archive.database.write(lambda connection: connection.execute(damage, (entries, runs[1].run_id)))
    assert [(row["run_id"], row["events"], row["last_event"]) for row in await archive.recent()] == [
        (runs[1].run_id, 1, None),
        (runs[0].run_id, 1, "agent_started"),
    ]


async def test_a_run_is_owned_as_long_as_its_lease(archive: Archive) -> None:
    """Whoever let it end has fallen."""
    run = await archive.accept(1)
    until_ms = archive.clock.now_ms() + 3000
    await archive.runs.acquire("ann", run.run_id, "one", now_ms=archive.clock.now_ms(), lease_until_ms=until_ms)
    await archive.database.write(lambda _connection: None)  # leases reach the disk with the next write
    assert (await archive.one())["owned"] is True
    archive.clock.ms = until_ms
    assert (await archive.one())["owned"] is False


async def test_a_run_that_ended(archive: Archive) -> None:
    """It is not silent: nothing more is to come."""
    run = await archive.accept(1)
    story = archive.story(run).starts().answers().completes()
    await archive.write(run, story)
    archive.clock.advance(9)
    await archive.runs.settle(run, "completed")
    row = await archive.one()
    assert (row["status"], row["ended_ms"], row["silence_ms"]) == ("completed", archive.clock.ms, None)
    assert (row["last_event"], row["events"]) == ("final_response", story.history.state.last_seq)


async def test_a_run_that_ended_is_read_once(archive: Archive) -> None:
    """It does not change; an open one is read each time."""
    runs = [await archive.accept(number) for number in (1, 2)]
    await archive.runs.settle(runs[0], "failed")
    await archive.recent()
    for run in runs:
        await archive.write(run, archive.story(run).starts())
    events = {row["run_id"]: row["events"] for row in await archive.recent()}
    assert events == {runs[0].run_id: 0, runs[1].run_id: 1}


async def test_the_newest_come_first_whosever_they_are(archive: Archive) -> None:
    """Open ones and ended ones, more than fifty of each, by when they were accepted: fifty and no more."""
    numbers = range(2 * NEWEST + 20)
    made = await asyncio.gather(*(archive.accept(n, user=f"user-{n % 3}", after_s=n) for n in numbers))
    await archive.end(made[::2])
    found = [row["run_id"] for row in await archive.recent()]
    assert found == [run.run_id for run in reversed(made[NEWEST + 20 :])]


async def test_how_many_there_are(archive: Archive) -> None:
    """Of open runs; those that ended are not counted."""
    runs = [await archive.accept(number) for number in range(3)]
    await archive.runs.settle(runs[1], "failed")
    assert archive.recent.how_many() == (2, 0)


async def test_nothing_is_told_of_users(archive: Archive) -> None:
    """Neither who they are nor what they say or get."""
    run = await archive.accept(1, user="somebody-known")
    await archive.write(
        run, archive.story(replace(run)).starts().answers("A private answer").completes("A private end")
    )
    told = json.dumps(await archive.recent())
    for word in (SECRET, "somebody-known", "private", run.thread_id):
        assert word not in told


async def test_what_is_read_is_bounded(archive: Archive) -> None:
    """No query goes through all runs there are: each is a range of an index of open or of ended ones."""
    for sql in (sqlite_recent_runs._OPEN, sqlite_recent_runs._ENDED, sqlite_recent_runs._HOW_MANY[0]):
        steps = [row[3] for row in archive.database.read(f"EXPLAIN QUERY PLAN {sql}")]
        runs = [step for step in steps if " runs" in step]
        assert runs
        for step in runs:
            assert any(index in step for index in ("open_runs", "open_checks", "ended_runs", "PRIMARY KEY (user=?")), (
                steps
            )
    (journal,) = {
        row[3].split("(")[0]
        for row in archive.database.read(f"EXPLAIN QUERY PLAN {sqlite_recent_runs._LAST_EVENT}", ("ann", "r") * 3)
        if "journal" in row[3]
    }
    assert journal == "SEARCH journal USING PRIMARY KEY "
