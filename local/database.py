"""One SQLite file with group commit: writes that arrive together share one flush to the disk.

Statements run on the event loop's thread, where they cost microseconds; the flush, which may take
milliseconds, runs in the writer thread, and what arrives meanwhile makes the next batch. Each write
has its own savepoint: one whose condition fails spares its neighbours. A commit that fails is an
unknown outcome for all of them.
"""

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from local.schema import prepare
from playbyplay.errors import OutcomeUnknown, PlaybyplayError, StoreUnavailable

T = TypeVar("T")
Operation = Callable[[sqlite3.Connection], T]
MAX_BATCH = 128
LINGER_S = 0.005  # how long writes that nobody waits for may stay unflushed


class _Write:
    """An operation on its way to the disk, and who waits for it."""

    __slots__ = ("durable", "error", "future", "operation", "result", "savepoint")

    def __init__(
        self, operation: Operation[Any], future: "asyncio.Future[Any]", *, durable: bool, savepoint: bool
    ) -> None:
        self.operation = operation
        self.future = future
        self.durable = durable
        self.savepoint = savepoint
        self.result: Any = None
        self.error: BaseException | None = None

    def resolve(self) -> None:
        """Tell the one who waits, if there still is one."""
        if self.future.done():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)


class Database:
    """The file. Made and used on one event loop.

    Args:
        path: of the database file; made if missing.

    Raises:
        StoreUnavailable: the file cannot be opened, or is no database.
    """

    def __init__(self, path: Path) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiting: list[_Write] = []
        self._unflushed: list[_Write] = []
        self._flushing = False
        self._scheduled = False
        self._timer: asyncio.TimerHandle | None = None
        self._commits: queue.SimpleQueue[bool] = queue.SimpleQueue()
        try:
            self._writer = _open(path)
            prepare(self._writer)
            self._reader = _open(path)
        except sqlite3.Error as error:
            raise StoreUnavailable(f"cannot open the database: {error}") from error
        self._thread = threading.Thread(target=self._flush_forever, name="sqlite-writer", daemon=True)
        self._thread.start()

    def read(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a query over what is on the disk.

        Every query here is a range of an index: microseconds from the page cache, less than a hop to
        another thread would cost; a journal of a megabyte takes some 10 ms.

        Raises:
            StoreUnavailable: SQLite could not answer.
        """
        try:
            return self._reader.execute(sql, parameters).fetchall()
        except sqlite3.Error as error:
            raise StoreUnavailable(str(error)) from error

    async def write(self, operation: Operation[T]) -> T:
        """Run an operation in the next transaction; return when it is on the disk.

        Raises:
            PlaybyplayError: what the operation raised; none of its writes took effect.
            StoreUnavailable: it did not take effect.
            OutcomeUnknown: the commit failed half-way.
        """
        return await self._enqueue(operation, durable=True)

    async def execute(self, sql: str, parameters: Sequence[object]) -> None:
        """Run one statement in the next transaction; return when it is on the disk.

        One statement needs no savepoint: SQLite undoes a failed one by itself.

        Raises:
            sqlite3.IntegrityError: its condition failed; it did not take effect.
            StoreUnavailable: it did not take effect.
            OutcomeUnknown: the commit failed half-way.
        """
        await self._enqueue(lambda connection: connection.execute(sql, parameters), durable=True, savepoint=False)

    async def apply(self, operation: Operation[T]) -> T:
        """Run an operation after all before it; it is on the disk with the next write, or 5 ms later.

        For reads that must see every write, and for writes a crash may forget: leases, caches. It tells
        nothing of a durable write before that is on the disk. It has no savepoint, so it holds one
        statement that writes at the most.

        Raises:
            PlaybyplayError: what the operation raised; none of its writes took effect.
            StoreUnavailable: it did not take effect.
            OutcomeUnknown: it followed a durable write whose commit failed half-way.
        """
        return await self._enqueue(operation, durable=False, savepoint=False)

    async def close(self) -> None:
        """Finish what was asked for and close the file."""
        await self.write(lambda _connection: None)
        self._commits.put(False)
        await asyncio.to_thread(self._thread.join)
        self._writer.close()
        self._reader.close()

    def _enqueue(self, operation: Operation[T], *, durable: bool, savepoint: bool = True) -> "asyncio.Future[T]":
        future: asyncio.Future[T] = self._loop.create_future()
        self._waiting.append(_Write(operation, future, durable=durable, savepoint=savepoint))
        if self._flushing or self._scheduled:
            return future
        if durable:
            self._scheduled = True
            self._loop.call_soon(self._take)  # what else this turn of the loop brings joins the batch
        else:
            self._take()
        return future

    def _take(self) -> None:
        """Run what waits; flush if somebody waits for the disk."""
        self._scheduled = False
        if self._flushing or not self._waiting:
            return None
        batch, self._waiting = self._waiting[:MAX_BATCH], self._waiting[MAX_BATCH:]
        try:
            if not self._writer.in_transaction:
                self._writer.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            _fail(batch, StoreUnavailable(str(error)))
            return self._enqueue_rest()
        must_flush = False
        for write in batch:
            self._run(write)
            must_flush = must_flush or write.durable
            if not must_flush:  # what runs after a durable write may have seen it, and waits with it
                write.resolve()
        self._unflushed += batch
        if must_flush:
            return self._flush()
        if self._timer is None:
            self._timer = self._loop.call_later(LINGER_S, self._flush)
        return self._enqueue_rest()

    def _enqueue_rest(self) -> None:
        if self._waiting and not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._take)

    def _run(self, write: _Write) -> None:
        try:
            write.result = self._in_savepoint(write.operation) if write.savepoint else write.operation(self._writer)
        except sqlite3.IntegrityError as error:
            write.error = error
        except sqlite3.Error as error:
            write.error = StoreUnavailable(str(error))
        except Exception as error:  # noqa: BLE001 - a failing operation must not take its neighbours along
            write.error = error

    def _in_savepoint(self, operation: Operation[T]) -> T:
        self._writer.execute("SAVEPOINT operation")
        try:
            return operation(self._writer)
        except BaseException:
            self._writer.execute("ROLLBACK TO operation")
            raise
        finally:
            self._writer.execute("RELEASE operation")

    def _flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._flushing and self._unflushed:
            self._flushing = True
            self._commits.put(True)

    def _flush_forever(self) -> None:
        while self._commits.get():
            error: sqlite3.Error | None = None
            try:
                self._writer.execute("COMMIT")
            except sqlite3.Error as failed:
                error = failed
            if self._loop.is_closed():
                return
            self._loop.call_soon_threadsafe(self._flushed, error)

    def _flushed(self, error: sqlite3.Error | None) -> None:
        batch, self._unflushed, self._flushing = self._unflushed, [], False
        if error is not None:
            _fail(batch, OutcomeUnknown(str(error)))
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
        for write in batch:
            write.resolve()
        self._enqueue_rest()


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=256)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA busy_timeout = 2000")
    connection.execute("PRAGMA temp_store = MEMORY")
    return connection


def _fail(batch: list[_Write], error: PlaybyplayError) -> None:
    for write in batch:
        write.error = write.error or error
        write.resolve()
