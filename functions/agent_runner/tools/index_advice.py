"""Which indexes a workload misses: proposed from the columns a query reads, kept only if a plan proves them.

The schema is rebuilt empty in memory, with the planner's statistics if the database has any, so its
planner decides there as it would on the real data. Each candidate is created, the statement is planned
again, and the index stays only when the new plan visits far fewer rows.
"""

import re
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field

from agent_runner.tools.query_plan import Statistics, Step, flat, in_words, parse, work
from agent_runner.tools.workload_measurement import Measurement, ReadOnlyDatabase, quoted

_MAX_COLUMNS = 30  # of one table tried as the first of an index
_MAX_LEADING = 6  # of those, tried with a second column
_MAX_INDEXES_PER_QUERY = 3
_WORTH = 0.6  # an index is kept when it leaves at most this share of the work
_SAVES_ROWS = 1_000.0  # and saves at least this many row visits
_GOOD_ENOUGH = 200.0  # row visits below which two plans count as equally good
_SECOND_COLUMN_PAYS = 5.0  # times less work a second column must bring
_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NOT_IN_A_COPY = frozenset(
    {sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH, sqlite3.SQLITE_PRAGMA, sqlite3.SQLITE_CREATE_VTABLE}
)


@dataclass(frozen=True, slots=True)
class Index:
    """An index that may be created.

    Attributes:
        name: free in the database.
        ddl: the statement that creates it, without `;`.
    """

    table: str
    columns: tuple[str, ...]
    name: str
    ddl: str


@dataclass(frozen=True, slots=True)
class Advice:
    """An index worth creating, the queries it helps and the plan each of them then has, in words."""

    index: Index
    becomes: tuple[tuple[str, str], ...] = field(default=())


class SchemaCopy:
    """The empty copy of a schema, on which plans are tried."""

    def __init__(self, connection: sqlite3.Connection, database: ReadOnlyDatabase, limit_s: float) -> None:
        self._connection = connection
        deadline = time.monotonic() + limit_s
        connection.set_progress_handler(lambda: time.monotonic() > deadline, 1_000)
        # The definitions come from the file: even a crafted one must not lead out of memory.
        connection.set_authorizer(
            lambda action, *_: sqlite3.SQLITE_DENY if action in _NOT_IN_A_COPY else sqlite3.SQLITE_OK
        )
        for (sql,) in database.rows(
            "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite~_%' ESCAPE '~'"
            " AND type IN ('table', 'index', 'view')"
            " ORDER BY CASE type WHEN 'table' THEN 0 WHEN 'index' THEN 1 ELSE 2 END, rowid"
        ):
            with suppress(sqlite3.Error):  # what cannot be copied (a virtual table) gets no advice
                connection.execute(str(sql))
        with suppress(sqlite3.Error):
            gathered = database.rows("SELECT tbl, idx, stat FROM sqlite_stat1")
            connection.execute("ANALYZE")
            connection.execute("DELETE FROM sqlite_stat1")
            connection.executemany("INSERT INTO sqlite_stat1 VALUES (?, ?, ?)", gathered)
            connection.execute("ANALYZE sqlite_schema")  # makes the planner read them

    def plan(self, measurement: Measurement) -> tuple[Step, ...]:
        """Plan a measured statement here.

        Raises:
            sqlite3.Error: it reads something the copy does not have.
        """
        rows = self._connection.execute(f"EXPLAIN QUERY PLAN {measurement.query.statement}").fetchall()
        return parse(((row[0], row[1], row[3]) for row in rows), dict(measurement.tables))

    def create(self, index: Index) -> None:
        """Create the index here.

        Raises:
            sqlite3.Error: it cannot be created.
        """
        self._connection.execute(index.ddl)

    def drop(self, index: Index) -> None:
        """Take the index away again."""
        self._connection.execute(f"DROP INDEX {quoted(index.name)}")

    def candidate(self, table: str, columns: tuple[str, ...]) -> Index:
        """Make the definition of an index, under a name that is free."""
        stem = re.sub(r"\W", "_", "_".join(("idx", table, *columns)))
        taken = {row[0].casefold() for row in self._connection.execute("SELECT name FROM sqlite_schema")}
        numbered = (stem if number == 1 else f"{stem}_{number}" for number in range(1, len(taken) + 2))
        name = next(name for name in numbered if name.casefold() not in taken)
        listed = ", ".join(self._identifier(column) for column in columns)
        ddl = f"CREATE INDEX {self._identifier(name)} ON {self._identifier(table)} ({listed})"
        return Index(table, columns, name, ddl)

    def _identifier(self, name: str) -> str:
        if _PLAIN_NAME.fullmatch(name):
            with suppress(sqlite3.Error):  # a keyword does not parse as a name
                self._connection.execute(f"EXPLAIN SELECT 1 AS {name}").close()
                return name
        return quoted(name)


@contextmanager
def schema_copy(database: ReadOnlyDatabase, limit_s: float) -> Iterator[SchemaCopy]:
    """Copy the schema into memory, for at most `limit_s` seconds of trials.

    Raises:
        sqlite3.Error: the schema cannot be read.
    """
    # No statement cache: a plan prepared before an index came or went would be told again as it was.
    connection = sqlite3.connect(":memory:", isolation_level=None, cached_statements=0)
    with closing(connection):
        yield SchemaCopy(connection, database, limit_s)


def advise(copy: SchemaCopy, queries: Sequence[Measurement], statistics: Statistics) -> list[Advice]:
    """Choose indexes for the queries, dearest query first; few, and none twice.

    Raises:
        sqlite3.Error: the time for trials is over.
    """
    chosen: list[Index] = []
    for query in queries:
        with suppress(sqlite3.Error):
            chosen += _chosen_for(copy, query, statistics)
    for index in chosen[::-1]:
        if any(_serves_for(other, index) for other in chosen):
            chosen.remove(index)
            copy.drop(index)
    return _proven(copy, chosen, queries, statistics)


def _serves_for(wide: Index, narrow: Index) -> bool:
    begins_alike = wide.table == narrow.table and wide.columns[: len(narrow.columns)] == narrow.columns
    return wide is not narrow and begins_alike


def _proven(
    copy: SchemaCopy, chosen: Sequence[Index], queries: Sequence[Measurement], statistics: Statistics
) -> list[Advice]:
    plans: dict[str, tuple[Step, ...]] = {}
    for query in queries:
        with suppress(sqlite3.Error):
            plans[query.query.name] = copy.plan(query)
    advice = []
    for index in chosen:
        helped = [name for name, steps in plans.items() if any(step.index == index.name for step in flat(steps))]
        if helped:
            advice.append(Advice(index, tuple((name, in_words(plans[name], statistics)) for name in helped)))
    return advice


def _chosen_for(copy: SchemaCopy, query: Measurement, statistics: Statistics) -> list[Index]:
    chosen: list[Index] = []
    for _ in range(_MAX_INDEXES_PER_QUERY):
        now = _cost(copy, query, statistics)
        found = _best(_trials(copy, query, statistics))
        if found is None or found[0] > now * _WORTH or now - found[0] < _SAVES_ROWS:
            break
        copy.create(found[1])
        chosen.append(found[1])
    return [_narrowed(copy, index, query, statistics) for index in chosen]


def _narrowed(copy: SchemaCopy, index: Index, query: Measurement, statistics: Statistics) -> Index:
    """Leave the second column out when, with the other indexes there, it no longer pays."""
    if len(index.columns) == 1:
        return index
    wide = max(_cost(copy, query, statistics), _GOOD_ENOUGH)
    narrow = copy.candidate(index.table, index.columns[:1])
    copy.drop(index)
    copy.create(narrow)
    if max(_cost(copy, query, statistics), _GOOD_ENOUGH) <= wide * _SECOND_COLUMN_PAYS:
        return narrow
    copy.drop(narrow)
    copy.create(index)
    return index


def _cost(copy: SchemaCopy, query: Measurement, statistics: Statistics) -> float:
    limited = re.search(r"\bLIMIT\b", query.query.statement, re.IGNORECASE) is not None
    return work(copy.plan(query), statistics, limited=limited)


def _trials(copy: SchemaCopy, query: Measurement, statistics: Statistics) -> Iterator[tuple[float, Index]]:
    """Yield (cost, index) for each candidate the planner takes up."""
    for table, names in query.columns:
        columns = [name for name in names if name != "ROWID"][:_MAX_COLUMNS]
        singles = [
            found for column in columns if (found := _tried(copy, query, copy.candidate(table, (column,)), statistics))
        ]
        yield from singles
        for _, single in sorted(singles, key=lambda trial: trial[0])[:_MAX_LEADING]:
            leading = single.columns[0]
            for column in columns:
                if column != leading:
                    pair = _tried(copy, query, copy.candidate(table, (leading, column)), statistics)
                    if pair:
                        yield pair


def _tried(copy: SchemaCopy, query: Measurement, index: Index, statistics: Statistics) -> tuple[float, Index] | None:
    try:
        copy.create(index)
    except sqlite3.Error:  # a view or a virtual table takes no index
        return None
    try:
        used = any(step.index == index.name for step in flat(copy.plan(query)))
        return (_cost(copy, query, statistics), index) if used else None
    finally:
        copy.drop(index)


def _best(trials: Iterator[tuple[float, Index]]) -> tuple[float, Index] | None:
    best: tuple[float, Index] | None = None
    ranked = sorted(trials, key=lambda trial: (len(trial[1].columns), trial[0], trial[1].name))
    for cost, index in ranked:
        margin = 1.0 if best is None or len(best[1].columns) == len(index.columns) else _SECOND_COLUMN_PAYS
        if best is None or max(cost, _GOOD_ENOUGH) * margin < max(best[0], _GOOD_ENOUGH):
            best = cost, index
    return best
