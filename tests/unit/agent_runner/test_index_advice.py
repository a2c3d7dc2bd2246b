"""Advice on indexes, and the plans it is read from."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from agent_runner.tools.database_analyzer import DataStatistics
from agent_runner.tools.index_advice import advise, schema_copy
from agent_runner.tools.query_plan import flat, in_words
from agent_runner.tools.workload_measurement import Query, open_read_only
from tests.unit.agent_runner.recorded_database import analyze, database, numbers


def advised(path: Path, *statements: str) -> list[str]:
    with open_read_only(path, 10.0) as opened:
        queries = [opened.measure(Query(f"q{place}", text, 1), 2.0) for place, text in enumerate(statements)]
        assert [query.outcome for query in queries] == ["measured"] * len(queries)
        with schema_copy(opened, 10.0) as copy:
            return [advice.index.ddl for advice in advise(copy, queries, DataStatistics(opened))]


ORDERS = "CREATE TABLE t (id INTEGER PRIMARY KEY, owner INT, day INT, kind INT, flag INT, note TEXT)"
ROWS = "INSERT INTO t " + numbers(20_000, "n", "n % 900", "n % 365", "n % 20", "n % 2", "'note ' || n")


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("SELECT note FROM t WHERE owner = 7", ["CREATE INDEX idx_t_owner ON t (owner)"]),
        ("SELECT x.note FROM t AS x WHERE x.owner = 7", ["CREATE INDEX idx_t_owner ON t (owner)"]),
        ('SELECT "x".note FROM "t" "x" WHERE x.owner IN (7, 8)', ["CREATE INDEX idx_t_owner ON t (owner)"]),
        ("SELECT note FROM main.t WHERE owner = 7", ["CREATE INDEX idx_t_owner ON t (owner)"]),
        ("SELECT note FROM of_owner_7", ["CREATE INDEX idx_t_owner ON t (owner)"]),
        ("SELECT note FROM t ORDER BY day DESC LIMIT 5", ["CREATE INDEX idx_t_day ON t (day)"]),
        (
            "SELECT note FROM t WHERE kind = 1 ORDER BY day LIMIT 5",
            ["CREATE INDEX idx_t_kind_day ON t (kind, day)"],
        ),
        ("SELECT max(note) FROM t WHERE owner = 7", ["CREATE INDEX idx_t_owner ON t (owner)"]),
        ("SELECT note FROM t WHERE owner = 7 AND flag = 1", ["CREATE INDEX idx_t_owner ON t (owner)"]),
        (
            "SELECT note FROM t WHERE owner = 7 OR day = 9",
            [],  # each index alone changes nothing: both branches of the OR need one
        ),
        ("SELECT a.id FROM t a JOIN t b ON b.owner = a.day", ["CREATE INDEX idx_t_owner ON t (owner)"]),
        ("SELECT note FROM t WHERE flag = 1", []),
        ("SELECT note FROM t WHERE note LIKE '%7%'", []),
        ("SELECT note FROM t WHERE owner + 0 = 7", []),
        ("SELECT note FROM t WHERE id = 7", []),
        ("SELECT count(*) FROM t", []),
        ("SELECT 1", []),
    ],
)
def test_the_advised_index_is_the_one_that_helps(tmp_path: Path, statement: str, expected: list[str]) -> None:
    """An index is advised where it saves most of the work, and nowhere else."""
    view = "CREATE VIEW of_owner_7 AS SELECT y.note FROM t y WHERE y.owner = 7"
    assert advised(database(tmp_path / "a.db", ORDERS, ROWS, view), statement) == expected


def test_statistics_of_the_planner_are_taken_along(tmp_path: Path) -> None:
    """A database that was analyzed gets the same advice from a copy that has its statistics."""
    path = database(tmp_path / "a.db", ORDERS, ROWS, "CREATE INDEX by_flag ON t (flag)", "ANALYZE")
    assert advised(path, "SELECT note FROM t WHERE owner = 7 AND flag = 1") == ["CREATE INDEX idx_t_owner ON t (owner)"]


def test_one_index_serves_several_queries(tmp_path: Path) -> None:
    """Queries that the same index helps share it, and a wider index takes the place of a narrower one."""
    path = database(tmp_path / "a.db", ORDERS, ROWS)
    owner = "SELECT note FROM t WHERE owner = 7"
    assert len(advised(path, owner, "SELECT day FROM t WHERE owner = 8")) == 1
    kind = "SELECT count(note) FROM t WHERE kind = 1"
    assert advised(path, owner, kind, "SELECT note FROM t WHERE kind = 1 ORDER BY day LIMIT 5") == [
        "CREATE INDEX idx_t_owner ON t (owner)",
        "CREATE INDEX idx_t_kind_day ON t (kind, day)",
    ]


def test_odd_names_give_statements_that_run(tmp_path: Path) -> None:
    """Names that are keywords or hold spaces and quotes are quoted, and taken index names avoided."""
    path = database(
        tmp_path / "a.db",
        'CREATE TABLE "order ""items" ("group" INT, note TEXT)',
        'INSERT INTO "order ""items" ' + numbers(20_000, "n % 900", "n"),
        'CREATE INDEX idx_order__items_group ON "order ""items" (note)',
    )
    found = advised(path, 'SELECT note FROM "order ""items" WHERE "group" = 7')
    assert found == ['CREATE INDEX idx_order__items_group_2 ON "order ""items" ("group")']
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(found[0])


def test_small_tables_need_no_index(tmp_path: Path) -> None:
    """A scan of a few hundred rows is neither reported nor advised on."""
    path = database(
        tmp_path / "a.db",
        ORDERS,
        "INSERT INTO t " + numbers(500, "n", "n", "n", "n", "n", "n"),
        workload=[("few", "SELECT note FROM t WHERE owner = 7", 1)],
    )
    assert advised(path, "SELECT note FROM t WHERE owner = 7") == []
    assert analyze(path).summary == "Found no slow queries"


def test_a_full_scan_is_reported_with_its_rows(tmp_path: Path) -> None:
    """A fast query's scan is reported too; a walk that a LIMIT ends is none."""
    path = database(
        tmp_path / "a.db",
        ORDERS,
        ROWS,
        workload=[
            ("scan", "SELECT count(*) FROM t AS x WHERE x.note = 'none'", 3),
            ("first", "SELECT note FROM t LIMIT 5", 2),
        ],
    )
    output = analyze(path, 1_000)
    assert output.summary == "Found no slow queries and 1 full scan"
    assert "| `t` | 20,000 | `scan` |" in output.content


def test_a_virtual_table_is_left_alone(tmp_path: Path) -> None:
    """A full-text table is measured and gets no advice."""
    path = database(tmp_path / "a.db", "CREATE VIRTUAL TABLE texts USING fts5(body)")
    assert (
        advised(path, "SELECT body FROM texts WHERE body = 'x'", "SELECT body FROM texts WHERE texts MATCH 'x'") == []
    )


# Plans in words.


def test_a_plan_is_told_in_words(tmp_path: Path) -> None:
    """Scans carry row counts; searches, their columns; sorts, their purpose."""
    path = database(tmp_path / "a.db", ORDERS, ROWS, "CREATE INDEX by_day ON t (day)")
    told = {
        "SELECT note FROM t ORDER BY note": "reads all 20,000 rows of t; sorts for ORDER BY",
        "SELECT note FROM t WHERE id = 3": "looks t up by primary key",
        "SELECT note FROM t WHERE day = 3": "searches t by day (by_day)",
        "SELECT note FROM t ORDER BY day": "walks t through index by_day",
        "SELECT day FROM t ORDER BY day": "reads all of t through index by_day",
        "SELECT max(note) FROM t": "reads all 20,000 rows of t",
        "SELECT 1": "reads no table",
        "SELECT (SELECT count(b.note) FROM t b WHERE b.owner = a.day) FROM t a WHERE a.id = 1": "looks t up by primary "
        "key; reads all 20,000 rows of t for each row found",
    }
    for statement, words in told.items():
        with open_read_only(path, 10.0) as opened:
            steps = opened.measure(Query("q", statement, 1), 1.0).steps
            assert in_words(steps, DataStatistics(opened)) == words


def test_an_index_built_at_every_run_is_a_full_scan(tmp_path: Path) -> None:
    """SQLite's automatic index reads the whole table."""
    path = database(tmp_path / "a.db", ORDERS, ROWS)
    with open_read_only(path, 10.0) as opened:
        steps = opened.measure(Query("q", "SELECT a.id FROM t a JOIN t b ON b.owner = a.day", 1), 1.0).steps
    assert [step.is_full_scan for step in flat(steps)] == [True, True]
