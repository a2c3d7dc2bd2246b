"""Group commit: what shares a flush, what spares its neighbours, what survives."""

import asyncio
import sqlite3
from pathlib import Path

import pytest

from local.database import MAX_BATCH, Database
from playbyplay.errors import OutcomeUnknown, Refused, StoreUnavailable

INSERT = "INSERT INTO threads (user, thread_id, next_turn) VALUES (?, ?, 1)"
SELECT = "SELECT thread_id FROM threads ORDER BY thread_id"


async def test_a_write_is_seen_by_readers_when_it_returns(tmp_path: Path) -> None:
    """After `write` a second connection sees the row."""
    database = Database(tmp_path / "d.sqlite3")
    await database.write(lambda connection: connection.execute(INSERT, ("u", "a")).rowcount)
    with sqlite3.connect(tmp_path / "d.sqlite3") as other:
        assert other.execute(SELECT).fetchall() == [("a",)]
    other.close()
    await database.close()


async def test_an_applied_read_sees_what_was_written_before_it(tmp_path: Path) -> None:
    """`apply` runs after every operation asked for before it, flushed or not."""
    database = Database(tmp_path / "d.sqlite3")
    await database.apply(lambda connection: connection.execute(INSERT, ("u", "a")).rowcount)
    assert await database.apply(lambda connection: connection.execute(SELECT).fetchall()) == [("a",)]
    await database.close()


async def test_what_is_applied_reaches_the_disk_by_itself(tmp_path: Path) -> None:
    """Without any further write the flush comes within milliseconds."""
    database = Database(tmp_path / "d.sqlite3")
    await database.apply(lambda connection: connection.execute(INSERT, ("u", "a")).rowcount)
    async with asyncio.timeout(5):
        while not database.read(SELECT):  # noqa: ASYNC110 - the disk signals nobody
            await asyncio.sleep(0.001)
    await database.close()


async def test_a_failed_condition_spares_its_neighbours(tmp_path: Path) -> None:
    """Of three writes in one batch the middle one fails and takes back all it did; the others are kept."""

    def half_then_refuse(connection: sqlite3.Connection) -> None:
        connection.execute(INSERT, ("u", "half"))
        raise Refused("conflict", "no")

    database = Database(tmp_path / "d.sqlite3")
    done = await asyncio.gather(
        database.write(lambda connection: connection.execute(INSERT, ("u", "a")).rowcount),
        database.write(half_then_refuse),
        database.execute(INSERT, ("u", "b")),
        return_exceptions=True,
    )
    assert isinstance(done[1], Refused)
    assert database.read(SELECT) == [("a",), ("b",)]
    await database.close()


async def test_a_broken_key_is_told_to_the_one_who_broke_it(tmp_path: Path) -> None:
    """Of many equal inserts at once exactly one wins; every other gets IntegrityError."""
    database = Database(tmp_path / "d.sqlite3")
    done = await asyncio.gather(
        *(database.execute(INSERT, ("u", "same")) for _ in range(3 * MAX_BATCH)), return_exceptions=True
    )
    assert done.count(None) == 1
    assert sum(isinstance(one, sqlite3.IntegrityError) for one in done) == 3 * MAX_BATCH - 1
    await database.close()


async def test_a_failed_flush_is_unknown_to_all_and_nothing_stays_open(tmp_path: Path) -> None:
    """When COMMIT fails every write of the batch is told OutcomeUnknown, and the next batch works."""
    database = Database(tmp_path / "d.sqlite3")
    await database.write(
        lambda connection: connection.executescript(
            "PRAGMA foreign_keys = ON; CREATE TABLE parent (id INTEGER PRIMARY KEY);"
            "CREATE TABLE child (id INTEGER REFERENCES parent DEFERRABLE INITIALLY DEFERRED); BEGIN IMMEDIATE;"
            "SAVEPOINT operation;"
        )
    )
    done = await asyncio.gather(
        database.execute(INSERT, ("u", "a")),
        database.execute("INSERT INTO child VALUES (?)", (1,)),
        return_exceptions=True,
    )
    assert [type(one) for one in done] == [OutcomeUnknown, OutcomeUnknown]
    await database.execute(INSERT, ("u", "b"))
    assert database.read(SELECT) == [("b",)]
    await database.close()


async def test_a_cancelled_waiter_disturbs_nobody(tmp_path: Path) -> None:
    """A write whose waiter went away is done all the same, and its neighbours hear of theirs."""
    database = Database(tmp_path / "d.sqlite3")
    gone = asyncio.ensure_future(database.execute(INSERT, ("u", "a")))
    stays = asyncio.ensure_future(database.execute(INSERT, ("u", "b")))
    await asyncio.sleep(0)
    gone.cancel()
    await stays
    assert database.read(SELECT) == [("a",), ("b",)]
    await database.close()


async def test_close_waits_for_what_was_asked(tmp_path: Path) -> None:
    """Closing right after a write keeps it."""
    database = Database(tmp_path / "d.sqlite3")
    writing = asyncio.ensure_future(database.execute(INSERT, ("u", "a")))
    await asyncio.sleep(0)
    await database.close()
    await writing
    with sqlite3.connect(tmp_path / "d.sqlite3") as other:
        assert other.execute(SELECT).fetchall() == [("a",)]
    other.close()


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    """Opening it raises StoreUnavailable and changes no byte."""
    path = tmp_path / "d.sqlite3"
    path.write_bytes(b"no database " * 1000)
    with pytest.raises(StoreUnavailable, match="cannot open the database"):
        Database(path)
    assert path.read_bytes() == b"no database " * 1000
