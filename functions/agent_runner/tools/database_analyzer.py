"""The tool that finds slow queries, full scans and missing indexes in a SQLite database.

It replays the workload recorded in the database's own table `workload(name, statement,
calls_per_hour)`, strictly reading. Here are the tool, what is known of the data, and the order of the
work; measuring, planning, advising and reporting have a file each.
"""

import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated

from pydantic import Field

from agent_runner.agent import ToolContext, ToolFailure, ToolOutput, tool
from agent_runner.tools.database_report import Findings, Scan, content, summary
from agent_runner.tools.index_advice import Advice, advise, schema_copy
from agent_runner.tools.query_plan import flat
from agent_runner.tools.workload_measurement import (
    Measurement,
    Query,
    ReadOnlyDatabase,
    open_read_only,
    quoted,
)

DEFAULT_SLOW_MS = 10
_QUERY_LIMIT_S = 2.0
_BUDGET_S = 40.0  # measuring and counting; leaves the tool's own time-out a margin
_TRIALS_LIMIT_S = 8.0
_MAX_QUERIES = 50
_MIN_SCANNED_ROWS = 1_000  # a smaller table is read whole in microseconds
_SAMPLE_ROWS = 20_000
_UNKNOWN_ROWS = 1_000_000


@tool(semantics="pure", running="Analyzing database performance", timeout_s=60)
def database_analyzer(
    context: ToolContext,
    slow_ms: Annotated[
        int, Field(ge=1, le=10_000, description="From how many milliseconds on a query counts as slow.")
    ] = DEFAULT_SLOW_MS,
) -> ToolOutput:
    """Analyze the performance of the database: slow queries, full table scans and missing indexes.

    Replays the recorded workload read-only, measures each query, reads its plan, and proposes indexes that
    were tried on a copy of the schema. Changes nothing. The result holds CREATE INDEX statements to review.
    """
    path = Path(context.resources.get("database", ""))
    if not context.resources.get("database") or not path.is_file():
        message = "There is no database to analyze: none is configured, or its file does not exist."
        raise ToolFailure(message)
    try:
        with open_read_only(path, _BUDGET_S) as database:
            findings = _analyze(database, slow_ms)
    except sqlite3.DatabaseError as error:
        message = f"The database cannot be analyzed: {error}."
        raise ToolFailure(message) from error
    return ToolOutput(summary(findings), content(findings))


def _analyze(database: ReadOnlyDatabase, slow_ms: int) -> Findings:
    workload = _workload(database)
    limit_s = max(_QUERY_LIMIT_S, slow_ms * 1.1 / 1000)  # a slow query must be able to show that it is
    measured = [database.measure(query, limit_s) for query in workload[:_MAX_QUERIES]]
    slow = sorted((one for one in measured if _is_slow(one, slow_ms)), key=_cost, reverse=True)
    statistics = DataStatistics(database)
    return Findings(
        slow_ms=slow_ms,
        measured=tuple(measured),
        slow=tuple(slow),
        scans=tuple(_scans(measured, slow, statistics)),
        advice=tuple(_advice(database, slow, statistics)),
        left_out=max(0, len(workload) - _MAX_QUERIES),
        statistics=statistics,
    )


def _workload(database: ReadOnlyDatabase) -> list[Query]:
    if not database.rows("SELECT 1 FROM sqlite_schema WHERE name = 'workload' AND type IN ('table', 'view')"):
        message = "The database has no table `workload(name, statement, calls_per_hour)` of recorded queries."
        raise ToolFailure(message)
    try:
        rows = database.rows(
            "SELECT CAST(name AS TEXT), CAST(statement AS TEXT), CAST(calls_per_hour AS INTEGER) FROM workload"
            " ORDER BY calls_per_hour DESC, name LIMIT 1000"
        )
    except sqlite3.Error as error:
        message = "The table `workload` cannot be read; it needs the columns name, statement and calls_per_hour."
        raise ToolFailure(message) from error
    return [
        Query(str(name), str(statement or ""), calls if isinstance(calls, int) else 0)
        for name, statement, calls in rows
    ]


def _is_slow(measurement: Measurement, slow_ms: int) -> bool:
    return measurement.outcome == "over the limit" or (
        measurement.outcome == "measured" and measurement.seconds * 1000 >= slow_ms
    )


def _cost(measurement: Measurement) -> float:
    return measurement.seconds * measurement.query.calls_per_hour


def _scans(measured: Sequence[Measurement], slow: Sequence[Measurement], statistics: "DataStatistics") -> list[Scan]:
    found: dict[tuple[str, str], Scan] = {}
    for one in measured:
        steps = flat(one.steps)
        # Without a sort a LIMIT ends the walk early; that a query is fast says that it did.
        if one not in slow and "LIMIT" in one.query.statement.upper() and not any(s.kind == "sort" for s in steps):
            continue
        for step in steps:
            if step.is_full_scan and (rows := statistics.rows(step.table)) >= _MIN_SCANNED_ROWS:
                found.setdefault((step.table, one.query.name), Scan(step.table, rows, one.query.name))
    return sorted(found.values(), key=lambda scan: (-scan.rows, scan.table, scan.query))


def _advice(database: ReadOnlyDatabase, slow: Sequence[Measurement], statistics: "DataStatistics") -> list[Advice]:
    if not slow:
        return []
    with suppress(sqlite3.Error), schema_copy(database, _TRIALS_LIMIT_S) as copy:
        return advise(copy, slow, statistics)
    return []


class DataStatistics:
    """Counts taken from the data, each once: exact rows, and values seen in a sample."""

    def __init__(self, database: ReadOnlyDatabase) -> None:
        self._database = database
        self._rows: dict[str, int] = {}
        self._distinct: dict[tuple[str, str], int] = {}

    def rows(self, table: str) -> int:
        """Count the rows of the table; a million when counting takes too long."""
        if table not in self._rows:
            self._rows[table] = self._number(f"SELECT count(*) FROM {quoted(table)}", _UNKNOWN_ROWS)  # noqa: S608  a quoted name of the schema
        return self._rows[table]

    def distinct(self, table: str, column: str) -> int:
        """Estimate the different values of the column from the first rows of the table."""
        if (table, column) not in self._distinct:
            sample = f"SELECT {quoted(column)} AS v FROM {quoted(table)} LIMIT {_SAMPLE_ROWS}"  # noqa: S608  quoted names
            seen = self._number(f"SELECT count(DISTINCT v) FROM ({sample})", 1)  # noqa: S608  the line above
            rows = self.rows(table)
            sampled = max(1, min(rows, _SAMPLE_ROWS))
            # Many values in a sample: more of them come with more rows. Few: they are all there are.
            self._distinct[table, column] = max(1, seen * rows // sampled if seen > sampled // 10 else seen)
        return self._distinct[table, column]

    def _number(self, sql: str, otherwise: int) -> int:
        with suppress(sqlite3.Error):
            number = self._database.rows(sql, limit_s=1.0)[0][0]
            return number if isinstance(number, int) else otherwise
        return otherwise
