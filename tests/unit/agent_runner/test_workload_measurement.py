"""Replaying a workload: nothing but reads is run, and nothing runs for long."""

import time
from pathlib import Path

import pytest

from agent_runner.tools.workload_measurement import Query, open_read_only
from tests.unit.agent_runner.recorded_database import analyze, database, digest


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO t VALUES (9)",
        "UPDATE t SET a = 9",
        "DELETE FROM t",
        "WITH d AS (SELECT 1) DELETE FROM t",
        "REPLACE INTO t VALUES (9)",
        "DROP TABLE t",
        "CREATE TABLE u AS SELECT * FROM t",
        "CREATE TEMP TABLE u (a)",
        "ATTACH DATABASE 'other.db' AS other",
        "VACUUM",
        "VACUUM INTO 'other.db'",
        "/* SELECT */ -- SELECT\n VACUUM INTO 'other.db'",
        "PRAGMA journal_mode = WAL",
        "PRAGMA query_only = OFF",
        "PRAGMA data_version",
        "SELECT * FROM pragma_journal_mode('wal')",
        "SELECT load_extension('other')",
        "SELECT 1; DELETE FROM t",
        "BEGIN IMMEDIATE",
        "REINDEX",
        "ANALYZE",
    ],
)
def test_a_statement_that_does_more_than_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, statement: str
) -> None:
    """It is reported as refused; the file keeps every byte and no file appears."""
    path = database(
        tmp_path / "a.db", "CREATE TABLE t (a)", "INSERT INTO t VALUES (1)", workload=[("bad", statement, 1)]
    )
    monkeypatch.chdir(tmp_path)
    before = digest(path)
    output = analyze(path)
    assert output.summary == "Found no slow queries; 1 query could not be measured"
    assert "`bad` was refused: only a single SELECT is run" in output.content
    assert digest(path) == before
    assert [found.name for found in tmp_path.iterdir()] == ["a.db"]


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("SELECT missing FROM t", "no such column: missing"),
        ("SELEC * FROM t", "syntax error"),
        ("SELECT * FROM t WHERE a = ?", "bindings"),
        ("EXPLAIN SELECT 1", "syntax error"),
        ("", "incomplete input"),
        ("SELECT 1\0", "null character"),
        ("SELECT zeroblob(1000000000)", "too big"),
        (None, "incomplete input"),
        ("SELECT abs(-9223372036854775807 - 1)", "integer overflow"),
    ],
)
def test_a_statement_that_fails_is_reported_with_its_message(
    tmp_path: Path, statement: str | None, message: str
) -> None:
    """Its own message stands in the report, and the other queries are measured."""
    workload = [("bad", statement, 1), ("good", "SELECT a FROM t", 1)]
    output = analyze(database(tmp_path / "a.db", "CREATE TABLE t (a)", workload=workload))
    assert output.summary == "Found no slow queries; 1 query could not be measured"
    line = next(line for line in output.content.splitlines() if line.startswith("- `bad` failed"))
    assert message in line


def test_a_query_that_never_ends_is_stopped_at_the_limit(tmp_path: Path) -> None:
    """An endless recursion counts as slow, and takes the limit and no more."""
    endless = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    path = database(tmp_path / "a.db", workload=[("endless", endless, 1), ("good", "SELECT 1", 9)])
    begun = time.monotonic()
    output = analyze(path)
    assert 1.5 < time.monotonic() - begun < 5
    assert output.summary == "Found 1 slow query"
    assert "| `endless` | over 2," in output.content


def test_endless_rows_are_fetched_in_part(tmp_path: Path) -> None:
    """A query is timed over a bounded number of rows."""
    endless = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n"
    with open_read_only(database(tmp_path / "a.db"), 10.0) as opened:
        assert opened.measure(Query("endless", endless, 1), 5.0).outcome == "measured"


def test_queries_beyond_the_time_of_the_analysis_are_not_reached(tmp_path: Path) -> None:
    """When the whole time is used up, what remains is said not to be measured."""
    path = database(tmp_path / "a.db")
    with open_read_only(path, 0.05) as opened:
        time.sleep(0.1)
        assert opened.measure(Query("late", "SELECT 1", 1), 1.0).outcome == "not reached"
