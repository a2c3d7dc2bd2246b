"""The numbers on the disk: three days of buckets in a file of their own, beside the one everything else is in.

Everything written adds to what is there, so a bucket in which the process was started anew is whole.
Used from one thread. The file is opened when it is first wanted, and again after an error.
"""

import contextlib
import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from local.metric_cells import cells
from local.metrics import Happened

BUCKET_MS: Final = 10_000
KEPT_MS: Final = 3 * 86_400_000
_BUCKETS_A_STEP: Final = 6  # so many are deleted at a time: each time a second's numbers are added
_BUSY_S: Final = 1.0
_TABLES = """
CREATE TABLE IF NOT EXISTS counted (
    bucket_ms INTEGER NOT NULL, series TEXT NOT NULL, count INTEGER NOT NULL, total REAL NOT NULL,
    low REAL NOT NULL, high REAL NOT NULL,
    PRIMARY KEY (bucket_ms, series)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sketched (
    bucket_ms INTEGER NOT NULL, series TEXT NOT NULL, slot INTEGER NOT NULL, count INTEGER NOT NULL,
    PRIMARY KEY (bucket_ms, series, slot)
) WITHOUT ROWID;
"""
_COUNT = """
INSERT INTO counted VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
    count = count + excluded.count, total = total + excluded.total,
    low = min(low, excluded.low), high = max(high, excluded.high)
"""
_SKETCH = "INSERT INTO sketched VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count"
_NUMBERS = """
SELECT bucket_ms / ? * ?, series, sum(count), sum(total), max(high) FROM counted
WHERE bucket_ms >= ? AND bucket_ms < ? GROUP BY 1, 2 ORDER BY 1
"""
_SLOTS = """
SELECT bucket_ms / ? * ?, series, slot, sum(count) FROM sketched
WHERE bucket_ms >= ? AND bucket_ms < ? GROUP BY 1, 2, 3
"""
# Of a query with one max() SQLite takes the other columns from the row that has it.
_LAST = "SELECT series, high, max(bucket_ms) FROM counted WHERE bucket_ms >= ? AND bucket_ms < ? GROUP BY series"
_FORGET = (
    ("SELECT min(bucket_ms) FROM counted", "DELETE FROM counted WHERE bucket_ms < ?"),
    ("SELECT min(bucket_ms) FROM sketched", "DELETE FROM sketched WHERE bucket_ms < ?"),
)


@dataclass(slots=True)
class Point:
    """A series in one bucket of a window.

    Attributes:
        at_ms: the bucket's beginning.
        slots: of the sketch; empty where the unit is no time.
    """

    at_ms: int
    count: int
    total: float
    high: float
    slots: dict[int, int] = field(default_factory=dict)


@dataclass(slots=True)
class Window:
    """What was counted in a time.

    Attributes:
        points: of each series that has any, in order.
        last: the largest value of each series in the last bucket it is in.
    """

    points: dict[str, list[Point]] = field(default_factory=lambda: defaultdict(list))
    last: dict[str, float] = field(default_factory=dict)


class MetricsStore:
    """The file.

    Args:
        path: made if missing.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None

    def add(self, counted: Mapping[Happened, list[int]], at_ms: int) -> None:
        """Add what was counted to the bucket of a time; forget a little of what is too old by then.

        Raises:
            sqlite3.Error: nothing was added.
        """
        every, bucket_ms = cells(counted).items(), at_ms - at_ms % BUCKET_MS
        rows = [(bucket_ms, series, one.count, one.total, one.low, one.high) for series, one in every]
        slots = [(bucket_ms, series, *some) for series, one in every for some in (one.slots or {}).items()]
        with self._open() as connection, connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(_COUNT, rows)
            connection.executemany(_SKETCH, slots)
            _forget(connection, at_ms - KEPT_MS)

    def window(self, *, from_ms: int, to_ms: int, width_ms: int) -> Window:
        """Return what was counted, in buckets of a width.

        Raises:
            sqlite3.Error: it cannot be read.
        """
        span, found = (from_ms, to_ms), Window()
        with self._open() as connection:
            slots: dict[tuple[int, str], dict[int, int]] = defaultdict(dict)
            for at_ms, series, slot, count in connection.execute(_SLOTS, (width_ms, width_ms, *span)):
                slots[at_ms, series][slot] = count
            for at_ms, series, count, total, high in connection.execute(_NUMBERS, (width_ms, width_ms, *span)):
                found.points[series].append(Point(at_ms, count, total, high, slots.get((at_ms, series), {})))
            found.last = {series: high for series, high, _at_ms in connection.execute(_LAST, span)}
        return found

    def close(self) -> None:
        """Close the file; it is opened again when it is wanted."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):
                connection.close()

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """Give the connection; one that met an error is not used again."""
        try:
            if self._connection is None:
                self._connection = sqlite3.connect(
                    self._path, isolation_level=None, timeout=_BUSY_S, check_same_thread=False
                )
                self._connection.execute("PRAGMA journal_mode = WAL")
                self._connection.execute("PRAGMA synchronous = NORMAL")
                self._connection.executescript(_TABLES)
            yield self._connection
        except BaseException:
            self.close()
            raise


def _forget(connection: sqlite3.Connection, before_ms: int) -> None:
    """Delete the oldest buckets of those before a time, a few: what is left is deleted the next times."""
    for find, delete in _FORGET:
        ((oldest_ms,),) = connection.execute(find)
        if oldest_ms is not None and oldest_ms < before_ms:
            connection.execute(delete, (min(before_ms, oldest_ms + _BUCKETS_A_STEP * BUCKET_MS),))
