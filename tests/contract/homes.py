"""The homes whose ports are tested, each with ways to make its store fail."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TypeVar

from local.database import Database
from local.run_queue import LocalRunQueue
from local.sqlite_connection_store import SqliteConnectionStore
from local.sqlite_journal import SqliteJournal
from local.sqlite_run_store import SqliteRunStore
from local.sqlite_ticket_store import SqliteTicketStore
from playbyplay.domain.timing import ONE_MACHINE
from tests.contract.aws_homes import moto_home
from tests.contract.home import Home
from tests.fakes.clock import FakeClock
from tests.fakes.connection_store import FakeConnectionStore
from tests.fakes.faults import Faults, fail_after, fail_before, lost
from tests.fakes.journal import FakeJournal
from tests.fakes.run_queue import FakeRunQueue
from tests.fakes.run_store import FakeRunStore
from tests.fakes.ticket_store import FakeTicketStore

T = TypeVar("T")


class FakeHome(Home):
    """Everything in memory."""

    def __init__(self) -> None:
        self._faults = Faults()
        self._ambiguous = 0
        self.clock = FakeClock()
        self.journal = journal = FakeJournal(self._faults)
        self.overdue = self.ended = self.runs = FakeRunStore(
            journal, self._faults, clock=self.clock, timing=self.timing
        )
        self.queue = FakeRunQueue(self._faults)
        self.connections = FakeConnectionStore(self._faults, clock=self.clock)
        self.tickets = FakeTicketStore(self._faults)

    async def unavailable(self, operation: str, call: Callable[[], Awaitable[T]]) -> T:
        self._faults.plan(operation, fail_before())
        return await call()

    async def ambiguous(self, operation: str, call: Callable[[], Awaitable[T]]) -> T:
        self._ambiguous += 1
        self._faults.plan(operation, fail_after() if self._ambiguous % 2 else lost())
        return await call()

    async def reopen(self) -> None:
        """Nothing to do: what is in memory stays."""


class SqliteHome(Home):
    """What stands behind the ports on one machine."""

    timing = ONE_MACHINE

    def __init__(self, folder: Path) -> None:
        self._path = folder / "playbyplay.db"
        self.clock = FakeClock()
        self.open()

    def open(self) -> None:
        """Open the file and compose the ports on it."""
        self.database = Database(self._path)
        self.journal = SqliteJournal(self.database)
        self.overdue = self.ended = self.runs = SqliteRunStore(self.database, self.clock, self.timing)
        self.queue = LocalRunQueue()
        self.connections = SqliteConnectionStore(self.database, self.clock)
        self.tickets = SqliteTicketStore(self.database, self.clock)

    async def reopen(self) -> None:
        await self.database.close()
        self.open()

    async def unavailable(self, operation: str, call: Callable[[], Awaitable[T]]) -> T:
        """Make a call while another process holds the file."""
        await self.database.write(lambda connection: connection.execute("PRAGMA busy_timeout = 0").fetchall())
        other = sqlite3.connect(self._path, isolation_level=None)
        try:
            other.execute("BEGIN IMMEDIATE")
            return await call()
        finally:
            other.close()

    async def ambiguous(self, operation: str, call: Callable[[], Awaitable[T]]) -> T:
        """Make a call in one batch with a write that breaks the commit: a row that refers to nothing."""
        async with self._breaking_commits() as breaks:
            outcomes = await asyncio.gather(breaks(), call(), return_exceptions=True)
        if isinstance(outcomes[1], BaseException):
            raise outcomes[1]
        return outcomes[1]

    @asynccontextmanager
    async def _breaking_commits(self) -> AsyncIterator[Callable[[], Awaitable[None]]]:
        def prepare(connection: sqlite3.Connection) -> None:
            connection.execute("CREATE TABLE IF NOT EXISTS parents (id INTEGER PRIMARY KEY)")
            connection.execute(
                "CREATE TABLE IF NOT EXISTS orphans (id REFERENCES parents (id) DEFERRABLE INITIALLY DEFERRED)"
            )

        await self.database.write(prepare)
        self.database._writer.execute("PRAGMA foreign_keys = ON")

        async def breaks() -> None:
            await self.database.write(lambda connection: connection.execute("INSERT INTO orphans VALUES (1)").rowcount)

        yield breaks
        self.database._writer.execute("PRAGMA foreign_keys = OFF")


@asynccontextmanager
async def fake_home(_folder: Path) -> AsyncIterator[Home]:
    """Open the home of fakes."""
    yield FakeHome()


@asynccontextmanager
async def sqlite_home(folder: Path) -> AsyncIterator[Home]:
    """Open the one-machine home's stores on a file of their own."""
    home = SqliteHome(folder)
    try:
        yield home
    finally:
        await home.database.close()


HOMES: dict[str, Callable[[Path], AbstractAsyncContextManager[Home]]] = {
    "fake": fake_home,
    "sqlite": sqlite_home,
    "moto": moto_home,
}
MINISTACK = "ministack"  # needs the process of the session; see conftest
