"""What only the SQLite connection store promises: a row that memory has forgotten can still be removed."""

import sqlite3
from pathlib import Path

import pytest

from local.database import Database
from local.sqlite_connection_store import SqliteConnectionStore
from playbyplay.domain.connection import MAX_PER_USER, Session
from playbyplay.errors import StoreUnavailable

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
    database = Database(tmp_path / "d.sqlite3")
    store = SqliteConnectionStore(database)
    await store.add("one", ANN, now_ms=0)
    other = await hold(database, tmp_path / "d.sqlite3")
    with pytest.raises(StoreUnavailable):
        await store.remove("one")
    other.close()
    assert await store.subscribers("ann") == []
    assert await outlived(store, database) == ["one"]
    await store.remove("one")
    assert await outlived(store, database) == []
    await database.close()


async def test_one_that_gave_way_to_a_connection_that_was_not_kept_is_removed_all_the_same(tmp_path: Path) -> None:
    """Memory forgot it, and its row stayed."""
    database = Database(tmp_path / "d.sqlite3")
    store = SqliteConnectionStore(database)
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
