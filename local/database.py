"""One SQLite file, one writer thread, group commit: many writes share one disk flush.

Each write runs in its own savepoint, so one whose condition fails spares its neighbours. A commit
that fails is an unknown outcome for all of them. Readers see only what is committed.
"""

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

from playbyplay.errors import OutcomeUnknown, PlaybyplayError, StoreUnavailable

T = TypeVar("T")
Operation = Callable[[sqlite3.Connection], T]
_MAX_BATCH = 256
_SCHEMA = """
CREATE TABLE IF NOT EXISTS runs (
    user TEXT NOT NULL, run_id TEXT NOT NULL, thread_id TEXT NOT NULL, turn INTEGER NOT NULL,
    client_message_id TEXT, content_digest TEXT NOT NULL, created_ms INTEGER NOT NULL, deadline_ms INTEGER NOT NULL,
    status TEXT NOT NULL, owner TEXT, lease_until_ms INTEGER NOT NULL, attempts INTEGER NOT NULL,
    cancel INTEGER NOT NULL,
    PRIMARY KEY (user, run_id)
) WITHOUT ROWID;
CREATE UNIQUE INDEX IF NOT EXISTS runs_by_message ON runs (user, client_message_id)
    WHERE client_message_id IS NOT NULL;
CREATE UNIQUE INDEX IF NOT EXISTS runs_by_turn ON runs (user, thread_id, turn);
CREATE INDEX IF NOT EXISTS open_runs ON runs (user, created_ms) WHERE status IN ('queued', 'running');
CREATE TABLE IF NOT EXISTS threads (
    user TEXT NOT NULL, thread_id TEXT NOT NULL, next_turn INTEGER NOT NULL, PRIMARY KEY (user, thread_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS journal (
    user TEXT NOT NULL, run_id TEXT NOT NULL, pos INTEGER NOT NULL, epoch INTEGER NOT NULL, token TEXT NOT NULL,
    last_seq INTEGER NOT NULL, entries TEXT NOT NULL,
    PRIMARY KEY (user, run_id, pos)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS jobs (job_id INTEGER PRIMARY KEY, user TEXT NOT NULL, run_id TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS connections (
    connection_id TEXT PRIMARY KEY, user TEXT NOT NULL, opened_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL,
    lagging INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS connections_by_user ON connections (user, opened_ms);
CREATE TABLE IF NOT EXISTS tickets (
    digest TEXT PRIMARY KEY, user TEXT NOT NULL, origin TEXT, expires_ms INTEGER NOT NULL,
    session_expires_ms INTEGER NOT NULL
) WITHOUT ROWID;
"""


class _Write(Generic[T]):
    """An operation on its way to the disk, and who waits for it."""

    __slots__ = ("error", "future", "operation", "result")

    def __init__(self, operation: Operation[T], future: "asyncio.Future[T]") -> None:
        self.operation = operation
        self.future = future
        self.result: T | None = None
        self.error: BaseException | None = None


class Database:
    """The file.

    Args:
        path: of the database file; made if missing.

    Raises:
        StoreUnavailable: the file cannot be opened, or is no database.
    """

    def __init__(self, path: Path) -> None:
        self._loop = asyncio.get_running_loop()
        self._writes: queue.SimpleQueue[_Write[Any] | None] = queue.SimpleQueue()
        try:
            self._writer = _open(path)
            self._writer.executescript(_SCHEMA)
            self._reader = _open(path)
        except sqlite3.Error as error:
            raise StoreUnavailable(f"cannot open the database: {error}") from error
        self._thread = threading.Thread(target=self._write_forever, name="sqlite-writer", daemon=True)
        self._thread.start()

    def read(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a query over what is committed.

        It runs on the caller's thread: every query here is a bounded range of an index, microseconds
        from the page cache, less than a hop to another thread would cost.

        Raises:
            StoreUnavailable: SQLite could not answer.
        """
        try:
            return self._reader.execute(sql, parameters).fetchall()
        except sqlite3.Error as error:
            raise StoreUnavailable(str(error)) from error

    async def write(self, operation: Operation[T]) -> T:
        """Run an operation in the writer's next transaction; return when it is on the disk.

        Raises:
            PlaybyplayError: what the operation raised; none of its writes took effect.
            StoreUnavailable: it did not take effect.
            OutcomeUnknown: the commit failed half-way.
        """
        write: _Write[T] = _Write(operation, self._loop.create_future())
        self._writes.put(write)
        return await write.future

    def close(self) -> None:
        """Finish what was asked for and close the file."""
        self._writes.put(None)
        self._thread.join()
        self._writer.close()
        self._reader.close()

    def _write_forever(self) -> None:
        while (batch := self._next_batch()) is not None:
            self._commit(batch)
            if not self._loop.is_closed():
                self._loop.call_soon_threadsafe(_resolve, batch)

    def _next_batch(self) -> list[_Write[Any]] | None:
        first = self._writes.get()
        if first is None:
            return None
        batch = [first]
        while len(batch) < _MAX_BATCH:
            try:
                following = self._writes.get_nowait()
            except queue.Empty:
                break
            if following is None:
                self._writes.put(None)
                break
            batch.append(following)
        return batch

    def _commit(self, batch: list[_Write[Any]]) -> None:
        try:
            self._writer.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            return _fail(batch, StoreUnavailable(str(error)))
        for write in batch:
            self._apply(write)
        try:
            self._writer.execute("COMMIT")
        except sqlite3.Error as error:
            _fail(batch, OutcomeUnknown(str(error)))
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")

    def _apply(self, write: _Write[Any]) -> None:
        self._writer.execute("SAVEPOINT operation")
        try:
            write.result = write.operation(self._writer)
        except PlaybyplayError as error:
            write.error = error
        except sqlite3.Error as error:
            write.error = StoreUnavailable(str(error))
        except Exception as error:  # noqa: BLE001 - a bug in one operation must not take its neighbours along
            write.error = error
        if write.error is not None and self._writer.in_transaction:
            self._writer.execute("ROLLBACK TO operation")
        self._writer.execute("RELEASE operation")


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=256)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA busy_timeout = 2000")
    connection.execute("PRAGMA temp_store = MEMORY")
    return connection


def _fail(batch: list[_Write[Any]], error: PlaybyplayError) -> None:
    for write in batch:
        write.error = write.error or error


def _resolve(batch: list[_Write[Any]]) -> None:
    for write in batch:
        if write.future.done():
            continue  # nobody waits any more
        if write.error is not None:
            write.future.set_exception(write.error)
        else:
            write.future.set_result(write.result)
