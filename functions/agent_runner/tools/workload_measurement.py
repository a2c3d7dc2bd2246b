"""Running a recorded workload against a database that must not change.

Three locks, each enough alone: the file is opened read-only, the connection is query-only, and an
authorizer refuses every statement that does more than read, before it runs. Time is bounded per
query and for the whole analysis. Sources: https://www.sqlite.org/c3ref/set_authorizer.html,
https://www.sqlite.org/uri.html.
"""

import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from agent_runner.tools.query_plan import Step, aliases, parse

Outcome = Literal["measured", "over the limit", "refused", "failed", "not reached"]

_ALLOWED = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE})
_FORBIDDEN_FUNCTIONS = frozenset({"load_extension", "fts3_tokenizer", "readfile", "writefile", "edit"})
_DEED = {
    sqlite3.SQLITE_INSERT: "INSERT",
    sqlite3.SQLITE_UPDATE: "UPDATE",
    sqlite3.SQLITE_DELETE: "DELETE",
    sqlite3.SQLITE_ATTACH: "ATTACH",
    sqlite3.SQLITE_DETACH: "DETACH",
    sqlite3.SQLITE_PRAGMA: "PRAGMA",
    sqlite3.SQLITE_TRANSACTION: "a transaction",
}
_FIRST_WORD = re.compile(r"(?:\s|;|--[^\n]*(?:\n|$)|/\*.*?\*/)*([A-Za-z]*)", re.DOTALL)
_READING_WORDS = frozenset({"SELECT", "WITH", "VALUES"})

_RUNS = 3
_REPEAT_WITHIN_S = 0.5  # a run longer than this is far above the noise a repetition removes
_BATCH = 1_000
_MAX_ROWS = 50_000
_CHECK_EVERY = 1_000  # virtual machine instructions between two looks at the clock: microseconds
_MAX_VALUE_BYTES = 10_000_000
_MAX_STATEMENT_BYTES = 100_000


@dataclass(frozen=True, slots=True)
class Query:
    """A recorded query: a literal statement and how often an hour sees it."""

    name: str
    statement: str
    calls_per_hour: int


@dataclass(frozen=True, slots=True)
class Measurement:
    """What became of one query.

    Attributes:
        query: the query.
        outcome: whether it ran; `over the limit` was stopped after `seconds`.
        seconds: the best of up to three runs, preparing and fetching included.
        steps: its plan, empty when it never got one.
        columns: the columns it reads, by base table, in the order SQLite met them.
        tables: base table by alias, to read another plan of the same statement.
        problem: why it was refused or failed, one sentence.
    """

    query: Query
    outcome: Outcome
    seconds: float = 0.0
    steps: tuple[Step, ...] = ()
    columns: tuple[tuple[str, tuple[str, ...]], ...] = ()
    tables: tuple[tuple[str, str], ...] = ()
    problem: str = ""


def quoted(name: str) -> str:
    """Quote an identifier for SQL."""
    return '"' + name.replace('"', '""') + '"'


class _Guard:
    """The authorizer: lets reads pass and remembers what was read and what was denied."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        self.columns: dict[str, dict[str, None]] = {}
        self.views: dict[str, None] = {}
        self.denied = ""

    def __call__(self, action: int, first: str | None, second: str | None, _: str | None, inner: str | None) -> int:
        if (action, first, second) == (sqlite3.SQLITE_PRAGMA, "data_version", None):
            return sqlite3.SQLITE_OK  # a full-text table looks whether another connection wrote
        if action not in _ALLOWED or (
            action == sqlite3.SQLITE_FUNCTION and (second or "").lower() in _FORBIDDEN_FUNCTIONS
        ):
            self.denied = self.denied or (
                f"it calls {second}"
                if action == sqlite3.SQLITE_FUNCTION
                else f"it would do {_DEED.get(action, 'more than read')}"
            )
            return sqlite3.SQLITE_DENY
        if inner:
            self.views[inner] = None
        if action == sqlite3.SQLITE_READ and first:
            self.columns.setdefault(first, {})
            if second:
                self.columns[first][second] = None
        return sqlite3.SQLITE_OK


class ReadOnlyDatabase:
    """A database that can only be read, each reading under a time limit.

    Raises:
        sqlite3.Error: the file is not a database, or cannot be read.
    """

    def __init__(self, connection: sqlite3.Connection, budget_s: float) -> None:
        self._connection = connection
        self._guard = _Guard()
        self._deadline = self._end = time.monotonic() + budget_s
        connection.text_factory = lambda raw: raw.decode(errors="replace")
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MAX_VALUE_BYTES)
        connection.setlimit(sqlite3.SQLITE_LIMIT_SQL_LENGTH, _MAX_STATEMENT_BYTES)
        connection.execute("PRAGMA query_only = ON").close()
        self._connect_virtual_tables()
        connection.set_authorizer(self._guard)
        connection.set_progress_handler(lambda: time.monotonic() > self._deadline, _CHECK_EVERY)
        self._base_tables = {str(row[0]) for row in self.rows("SELECT name FROM sqlite_schema WHERE type = 'table'")}

    def _connect_virtual_tables(self) -> None:
        # A full-text table declares itself by statements of its own at its first use, which the guard would deny.
        for (name,) in self._connection.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND sql LIKE 'CREATE VIRTUAL%'"
        ).fetchall():
            with suppress(sqlite3.Error):
                self._connection.execute(f"EXPLAIN SELECT * FROM {quoted(str(name))}").close()  # noqa: S608  quoted

    @property
    def out_of_time(self) -> bool:
        """Whether the time for the whole analysis is used up."""
        return time.monotonic() > self._end

    @contextmanager
    def _limit(self, seconds: float) -> Iterator[None]:
        self._deadline = min(self._end, time.monotonic() + seconds)
        try:
            yield
        finally:
            self._deadline = self._end

    def rows(self, sql: str, values: tuple[str | int, ...] = (), *, limit_s: float = 2.0) -> list[tuple[object, ...]]:
        """Read rows by the analysis' own SQL.

        Raises:
            sqlite3.Error: SQLite refused, or the limit passed.
        """
        with self._limit(limit_s), closing(self._connection.execute(sql, values)) as cursor:
            return cursor.fetchall()

    def measure(self, query: Query, limit_s: float) -> Measurement:
        """Plan and time one query; every trouble is an outcome, never an error."""
        if self.out_of_time:
            return Measurement(query, "not reached")
        self._guard.forget()
        try:
            with self._limit(limit_s):
                # Preparing the plan shows the whole statement to the authorizer, and runs nothing of it.
                plan = self._connection.execute(f"EXPLAIN QUERY PLAN {query.statement}").fetchall()
        except (sqlite3.Error, sqlite3.Warning, ValueError) as error:
            return self._unplanned(query, error)
        word = _FIRST_WORD.match(query.statement)
        if word is None or word[1].upper() not in _READING_WORDS:  # VACUUM passes the authorizer
            return Measurement(query, "refused", problem="only a single SELECT is run")
        read = self._guard.columns.items()
        columns = tuple((table, tuple(names)) for table, names in read if table in self._base_tables)
        tables = aliases([query.statement, *self._view_texts()], [table for table, _ in columns])
        steps = parse(((row[0], row[1], row[3]) for row in plan), tables)
        outcome, seconds, problem = self._time(query.statement, limit_s)
        return Measurement(query, outcome, seconds, steps, columns, tuple(tables.items()), problem)

    def _unplanned(self, query: Query, error: Exception) -> Measurement:
        if self._guard.denied:
            return Measurement(query, "refused", problem=f"only a single SELECT is run; {self._guard.denied}")
        if "one statement at a time" in str(error):
            return Measurement(query, "refused", problem="only a single SELECT is run; it holds several statements")
        return Measurement(query, "failed", problem=str(error))

    def _view_texts(self) -> list[str]:
        texts = []
        for view in tuple(self._guard.views):
            with suppress(sqlite3.Error):
                found = self.rows("SELECT sql FROM sqlite_schema WHERE type = 'view' AND name = ?", (view,))
                texts += [str(row[0]) for row in found]
        return texts

    def _time(self, statement: str, limit_s: float) -> tuple[Outcome, float, str]:
        best = 0.0
        started = time.perf_counter()
        with self._limit(limit_s):
            for _ in range(_RUNS):
                if best and time.perf_counter() - started > _REPEAT_WITHIN_S:
                    break
                begun = time.perf_counter()
                try:
                    self._run(statement)
                except (sqlite3.Error, sqlite3.Warning, ValueError) as error:
                    took = time.perf_counter() - begun
                    if time.monotonic() <= self._deadline:
                        return "failed", took, str(error)
                    if best:
                        break
                    return ("not reached" if self.out_of_time else "over the limit"), took, ""
                took = time.perf_counter() - begun
                best = min(best or took, took)
        return "measured", best, ""

    def _run(self, statement: str) -> None:
        with closing(self._connection.execute(statement)) as cursor:
            for _ in range(_MAX_ROWS // _BATCH):
                if not cursor.fetchmany(_BATCH):
                    return


@contextmanager
def open_read_only(path: Path, budget_s: float) -> Iterator[ReadOnlyDatabase]:
    """Open the database at `path` for `budget_s` seconds of reading.

    Raises:
        sqlite3.Error: it cannot be opened or is not a database.
    """
    uri = path.absolute().as_uri() + "?mode=ro"  # as_uri quotes `?`, `#` and `%`
    # No statement cache: each use is prepared, and so seen by the authorizer, anew.
    connection = sqlite3.connect(uri, uri=True, timeout=2.0, isolation_level=None, cached_statements=0)
    with closing(connection):
        yield ReadOnlyDatabase(connection, budget_s)
