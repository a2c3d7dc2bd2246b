"""The numbers on the disk: they add up, in buckets as wide as one asks for, and are forgotten after three days."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.metrics import CountingLog
from local.metrics_store import BUCKET_MS, KEPT_MS, MetricsStore, Window
from local.sketch import slot
from tests.fakes.log import FakeLog

NOW = 1_750_000_000_000
assert NOW % BUCKET_MS == 0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ops.sqlite3"


@pytest.fixture
def store(path: Path) -> Iterator[MetricsStore]:
    with contextlib.closing(MetricsStore(path)) as opened:
        yield opened


def add(store: MetricsStore, at_ms: int, *ages_ms: float, audited: int | None = None) -> None:
    """Add jobs that were so old, and what a sweep saw."""
    log = CountingLog(FakeLog())
    for age_ms in ages_ms:
        log.event("job_taken", age_ms=age_ms)
    if audited is not None:
        log.event("audit_swept", open=audited)
    store.add(log.drain(), at_ms)


def window(store: MetricsStore, from_ms: int = NOW, to_ms: int = NOW + BUCKET_MS, width_ms: int = BUCKET_MS) -> Window:
    return store.window(from_ms=from_ms, to_ms=to_ms, width_ms=width_ms)


def test_seconds_add_up_to_a_bucket(store: MetricsStore) -> None:
    """Count, sum, the largest, and how many fell into each slot."""
    add(store, NOW, 5, 100)
    add(store, NOW + 9_999, 100, 100, 7)
    (point,) = window(store).points["JobAge"]
    assert (point.at_ms, point.count, point.total, point.high) == (NOW, 5, 312, 100)
    assert point.slots == {slot(5): 1, slot(7): 1, slot(100): 3}


def test_the_lowest_is_kept(store: MetricsStore, path: Path) -> None:
    """Whichever second it came in."""
    for age_ms in (9, 5, 7):
        add(store, NOW, age_ms)
    with contextlib.closing(sqlite3.connect(path)) as other:
        assert other.execute("SELECT low, high FROM counted").fetchall() == [(5, 9)]


def test_a_process_goes_on_where_the_last_one_was(store: MetricsStore, path: Path) -> None:
    """The bucket in which it was started anew holds both."""
    add(store, NOW, 5)
    store.close()
    with contextlib.closing(MetricsStore(path)) as next_one:
        add(next_one, NOW + 1000, 5)
        (point,) = window(next_one).points["JobAge"]
    assert (point.count, point.slots) == (2, {slot(5): 2})


def test_buckets_are_as_wide_as_one_asks_for(store: MetricsStore) -> None:
    """Each wide one holds what is in it, in order; one without a value is left out."""
    for place in (0, 1, 2, 9):
        add(store, NOW + place * BUCKET_MS, 10, 20)
    points = window(store, to_ms=NOW + 10 * BUCKET_MS, width_ms=3 * BUCKET_MS).points["JobAge"]
    assert [(point.at_ms - NOW, point.count, sum(point.slots.values())) for point in points] == [
        (-10_000, 4, 4),  # wide ones begin at multiples of their width
        (20_000, 2, 2),
        (80_000, 2, 2),
    ]


def test_a_window_has_ends(store: MetricsStore) -> None:
    """What is before it or after it is not in it."""
    for at_ms in (NOW - 1, NOW, NOW + BUCKET_MS - 1, NOW + BUCKET_MS):
        add(store, at_ms, 1)
    assert [point.count for point in window(store).points["JobAge"]] == [2]


def test_the_last_of_a_gauge_is_that_of_its_last_bucket(store: MetricsStore) -> None:
    """Not the largest there was."""
    add(store, NOW, audited=9)
    add(store, NOW + BUCKET_MS, audited=2)
    found = window(store, to_ms=NOW + 2 * BUCKET_MS, width_ms=2 * BUCKET_MS)
    assert found.last["OpenRuns"] == 2
    assert max(point.high for point in found.points["OpenRuns"]) == 9


def test_what_is_older_than_three_days_is_forgotten_in_steps(store: MetricsStore, path: Path) -> None:
    """A few buckets each time something is added, until none is left that is too old."""
    for place in range(20):
        add(store, NOW + place * BUCKET_MS, 1)
    later = NOW + KEPT_MS + 15 * BUCKET_MS
    left = []
    for _ in range(4):
        add(store, later, 1)
        with contextlib.closing(sqlite3.connect(path)) as other:
            left.append(other.execute("SELECT count(*), min(bucket_ms) FROM counted").fetchone())
            assert other.execute("SELECT count(*), min(bucket_ms) FROM sketched").fetchone() == left[-1]
    assert [count for count, _oldest in left] == [15, 9, 6, 6]
    assert left[-1][1] == NOW + 15 * BUCKET_MS


def test_a_write_waits_for_no_disk(store: MetricsStore, path: Path) -> None:
    """The file is in WAL mode, and what is committed is not flushed: its numbers are worth a second, not more."""
    add(store, NOW, 1)
    assert store._connection is not None
    assert store._connection.execute("PRAGMA synchronous").fetchone() == (1,)
    assert store._connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_file_that_is_locked_takes_nothing_until_it_is_free(store: MetricsStore, path: Path) -> None:
    """Nothing is half written, and the store is good for the next second."""
    add(store, NOW, 1)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            add(store, NOW, 2)
    add(store, NOW, 4)
    (point,) = window(store).points["JobAge"]
    assert (point.count, point.total) == (2, 5)


def test_a_second_is_written_whole_or_not_at_all(store: MetricsStore, path: Path) -> None:
    """What fails half-way leaves nothing behind."""
    add(store, NOW, 1)
    assert store._connection is not None
    store._connection.execute("DROP TABLE sketched")
    with pytest.raises(sqlite3.OperationalError, match="sketched"):
        add(store, NOW, 2)
    (point,) = window(store).points["JobAge"]  # the file is opened anew, and has its tables
    assert (point.count, point.total) == (1, 1)


def test_a_file_that_is_no_database_is_an_error_each_time(path: Path) -> None:
    """It is tried anew, and good once it is mended."""
    path.write_bytes(b"This is no database." * 100)
    with contextlib.closing(MetricsStore(path)) as broken:
        for _ in range(2):
            with pytest.raises(sqlite3.DatabaseError):
                add(broken, NOW, 1)
        path.unlink()
        add(broken, NOW, 1)
        assert len(window(broken).points["JobAge"]) == 1
