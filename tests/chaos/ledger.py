"""What the server's own process writes down: one JSON object a line, in the file before anything goes on.

A line that was written survives SIGKILL: it is in the kernel's hands. The effects of tools stand in a
database of their own, so that an effect and the word of it are one.
"""

import contextlib
import json
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from agent_runner.agent import Semantics, ToolContext

_EFFECTS = """
CREATE TABLE IF NOT EXISTS effects (at_ms REAL, key TEXT, run_id TEXT, call_id TEXT, semantics TEXT);
CREATE UNIQUE INDEX IF NOT EXISTS once ON effects (key) WHERE semantics = 'idempotent';
"""


def now_ms() -> int:
    """Return the campaign's time: the wall clock, which all its processes share, in whole milliseconds like SQLite's.

    Told more finely, what happened after a record was put could seem to come before it.
    """
    return time.time_ns() // 1_000_000


class Ledger:
    """Written by one process at a time, which may fall at any moment.

    Args:
        directory: where `ledger.jsonl` and `effects.sqlite3` are.
    """

    def __init__(self, directory: Path) -> None:
        self._file = (directory / "ledger.jsonl").open("ab", buffering=0)
        self._effects = sqlite3.connect(directory / "effects.sqlite3", isolation_level=None)
        self._effects.execute("PRAGMA journal_mode = WAL")
        self._effects.executescript(_EFFECTS)

    def note(self, kind: str, **fields: str | float | None) -> None:
        """Write a line."""
        self._file.write(json.dumps({"kind": kind, "at_ms": now_ms(), **fields}).encode() + b"\n")

    def enter(self, tool_name: str, semantics: Semantics, context: ToolContext) -> None:
        """Note that a tool was entered."""
        self.note(
            "called",
            run_id=context.run_id,
            call_id=context.call_id,
            tool_name=tool_name,
            semantics=semantics,
            key=context.idempotency_key,
        )

    def change_the_world(self, semantics: Semantics, context: ToolContext) -> None:
        """Let a tool take effect: an idempotent one once for each key it is given, another each time."""
        self._effects.execute(
            "INSERT OR IGNORE INTO effects VALUES (?, ?, ?, ?, ?)",
            (now_ms(), context.idempotency_key, context.run_id, context.call_id, semantics),
        )

    def close(self) -> None:
        """Close the files."""
        self._effects.close()
        self._file.close()


def lines(directory: Path) -> Iterator[dict[str, Any]]:
    """Read what all the processes wrote; the last line of one that fell may be half."""
    path = directory / "ledger.jsonl"
    for line in path.read_bytes().splitlines() if path.exists() else ():
        with contextlib.suppress(ValueError):
            yield json.loads(line)


def effects(directory: Path) -> list[tuple[float, str, str, str]]:
    """Return every effect: when, run, call and key."""
    with contextlib.closing(sqlite3.connect(directory / "effects.sqlite3")) as database:
        return database.execute("SELECT at_ms, run_id, call_id, key FROM effects ORDER BY at_ms").fetchall()
