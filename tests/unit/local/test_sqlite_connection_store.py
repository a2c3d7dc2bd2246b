"""What only the SQLite connection store promises: a row that memory has forgotten can be removed; a start clears."""

import sqlite3
from pathlib import Path

import pytest

from local.database import Database
from local.sqlite_connection_store import SqliteConnectionStore
from playbyplay.domain.connection import MAX_PER_USER, SESSION_S, Session
from playbyplay.errors import StoreUnavailable
from tests.fakes.clock import FakeClock

ANN = Session("ann", 1_000)


async def outlived(store: SqliteConnectionStore, database: Database) -> list[str]:
    """Return what a sweep after the session's end finds, once all that was asked for is on the disk."""
    await database.write(lambda _connection: None)
    return await store.outlived(now_ms=ANN.expires_ms, limit=99)


async def hold(database: Database, path: Path) -> sqlite3.Connection:
    """Hold the file, so that the next write fails; return what holds it."""
    await database.write(lambda connection: connection.execute("PRAGMA busy_timeout = 0").fetchall())
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    return other


async def test_a_connection_whose_removal_failed_is_removed_by_the_next_try(tmp_path: Path) -> None:
    """Else every sweep would find and close it, for ever."""
    database, clock = Database(tmp_path / "d.sqlite3"), FakeClock()
    store = SqliteConnectionStore(database, clock)
    await store.add("one", ANN, now_ms=0)
    other = await hold(database, tmp_path / "d.sqlite3")
    with pytest.raises(StoreUnavailable):
        await store.remove("one")
    other.close()
    assert await store.subscribers("ann") == []
    assert await outlived(store, database) == ["one"]
    assert await store.left_ms("ann") is None
    clock.advance(1)
    await store.remove("one")
    assert await store.left_ms("ann") == clock.now_ms()
    assert await outlived(store, database) == []
    await database.close()


async def test_one_that_gave_way_to_a_connection_that_was_not_kept_is_removed_all_the_same(tmp_path: Path) -> None:
    """Memory forgot it, and its row stayed."""
    database = Database(tmp_path / "d.sqlite3")
    store = SqliteConnectionStore(database, FakeClock())
    for number in range(MAX_PER_USER):
        await store.add(f"{number}", ANN, now_ms=number)
    other = await hold(database, tmp_path / "d.sqlite3")
    with pytest.raises(StoreUnavailable):
        await store.add("new", ANN, now_ms=99)
    other.close()
    assert "0" not in [one.connection_id for one in await store.subscribers("ann")]
    for connection_id in ["new", *map(str, range(MAX_PER_USER))]:
        await store.remove(connection_id)
    assert await outlived(store, database) == []
    await database.close()


async def test_a_start_lets_everybody_leave_who_was_there(tmp_path: Path) -> None:
    """At that moment: when they lost the process before this one nobody noted. Who had left before stays so."""
    database, clock = Database(tmp_path / "d.sqlite3"), FakeClock()
    before = SqliteConnectionStore(database, clock)
    for name, user in (("one", "ann"), ("two", "ann"), ("three", "ben")):
        await before.add(name, Session(user, 10**13), now_ms=clock.now_ms())
    await before.remove("three")
    gone_ms = clock.now_ms()
    clock.advance(60)
    after = SqliteConnectionStore(database, clock)
    await after.clear()
    clock.advance(60)
    assert await after.left_ms("ann") == clock.now_ms() - 60_000
    assert await after.left_ms("ben") == gone_ms
    assert await outlived(after, database) == []
    await database.close()


async def test_a_start_forgets_who_left_longer_ago_than_a_session_lasts(tmp_path: Path) -> None:
    """Or the file would name everybody who ever was there."""
    database, clock = Database(tmp_path / "d.sqlite3"), FakeClock()
    store = SqliteConnectionStore(database, clock)
    for user in ("ann", "ben"):
        await store.add(user, Session(user, 10**13), now_ms=0)
        await store.remove(user)
        clock.advance(SESSION_S)
    await store.clear()
    assert await store.left_ms("ann") is None
    assert await store.left_ms("ben") == clock.now_ms() - SESSION_S * 1000
    await database.close()


async def test_what_a_connection_holds_is_in_its_row(tmp_path: Path) -> None:
    """With the time at which it last said so, also where it said the same again."""
    database = Database(tmp_path / "d.sqlite3")
    store = SqliteConnectionStore(database, FakeClock())
    await store.add("one", ANN, now_ms=0)
    for now_ms in (7, 8):
        await store.receive("one", {"run": 3}, now_ms=now_ms)
        await database.write(lambda _connection: None)
        assert database.read("SELECT receipts, received_ms FROM connections") == [('{"run":3}', now_ms)]
    await database.close()
