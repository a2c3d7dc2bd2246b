"""Small databases with a recorded workload, and the analysis of one."""

import hashlib
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from agent_runner.agent import ToolContext, ToolOutput
from agent_runner.tools.database_analyzer import DEFAULT_SLOW_MS, database_analyzer


def analyze(path: Path, slow_ms: int = DEFAULT_SLOW_MS) -> ToolOutput:
    context = ToolContext("someone", "run", "call", "run:call", {"database": str(path)})
    output = database_analyzer.function(context, slow_ms)
    assert isinstance(output, ToolOutput)
    return output


def database(path: Path, *statements: str, workload: Iterable[tuple[object, object, object]] | None = ()) -> Path:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN")
        if workload is not None:
            connection.execute("CREATE TABLE workload (name TEXT PRIMARY KEY, statement, calls_per_hour)")
            connection.executemany("INSERT INTO workload VALUES (?, ?, ?)", workload)
        for statement in statements:
            connection.execute(statement)
        connection.execute("COMMIT")
    return path


def numbers(count: int, *columns: str) -> str:
    """SQL for rows made of the numbers n from 1 to count."""
    return (
        f"WITH RECURSIVE every (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM every WHERE n < {count}) "  # noqa: S608
        f"SELECT {', '.join(columns)} FROM every"
    )


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
