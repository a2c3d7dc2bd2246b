"""The keeper of the numbers: to the disk each second, and a disk that takes nothing costs numbers and no more."""

import asyncio
import contextlib
import os
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from local.metrics import CountingLog
from local.metrics_keeper import MetricsKeeper
from local.metrics_store import BUCKET_MS, MetricsStore, Window
from tests.fakes.clock import FakeClock
from tests.fakes.log import FakeLog

NOW = 1_750_000_000_000


class Desk:
    """A keeper, and all it has to do with."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.clock = FakeClock(NOW)
        self.lines = FakeLog()
        self.log = CountingLog(self.lines)
        self.keeper = MetricsKeeper(log=self.log, store=MetricsStore(path), clock=self.clock)

    def happens(self, times: int = 1) -> None:
        for _ in range(times):
            self.log.event("frame_answered", type="ping")

    async def window(self) -> Window:
        return await self.keeper.window(from_ms=NOW, to_ms=NOW + 10 * BUCKET_MS, width_ms=BUCKET_MS)

    async def counts(self) -> list[tuple[int, float]]:
        """Return when frames were answered, and how many."""
        found = (await self.window()).points.get("FramesAnswered", [])
        return [(point.at_ms - NOW, point.total) for point in found]

    def stored(self) -> list[tuple[int, float]]:
        with contextlib.closing(sqlite3.connect(self.path)) as other:
            return other.execute("SELECT bucket_ms - ?, total FROM counted", (NOW,)).fetchall()


@pytest_asyncio.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    made = Desk(tmp_path / "ops.sqlite3")
    yield made
    await made.keeper.close()


async def test_what_was_counted_is_asked_for_at_once(desk: Desk) -> None:
    """Whoever asks sees what happened up to now."""
    desk.happens(3)
    assert await desk.counts() == [(0, 3)]
    desk.happens()
    assert await desk.counts() == [(0, 4)]


async def test_what_was_counted_belongs_to_the_time_before_it_was_written(desk: Desk) -> None:
    """The second that ends with a bucket is written after it, and is of that bucket."""
    desk.clock.ms = NOW + 9_000
    await desk.keeper.flush()
    desk.happens()
    desk.clock.ms = NOW + 10_000
    await desk.keeper.flush()
    desk.happens(2)
    desk.clock.ms = NOW + 11_000
    assert await desk.counts() == [(0, 1), (10_000, 2)]


async def test_it_writes_at_each_full_second(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that no second belongs to two buckets; and only what there is."""
    waits: list[float] = []
    flushes = 0

    async def sleep(seconds: float) -> None:
        nonlocal flushes
        waits.append(seconds)
        if len(waits) > 2:
            raise asyncio.CancelledError
        desk.clock.ms += round(seconds * 1000) + 3  # a loop is never in time
        flushes += 1
        desk.happens(flushes)

    monkeypatch.setattr("local.metrics_keeper.asyncio.sleep", sleep)
    desk.clock.ms = NOW + 250
    with pytest.raises(asyncio.CancelledError):
        await desk.keeper.keep()
    assert waits == [0.75, 0.997, 0.997]
    assert desk.stored() == [(0, 3)]


async def test_a_locked_file_costs_numbers_and_nothing_else(desk: Desk) -> None:
    """What could not be written is lost and told once; the next second is written."""
    desk.happens()
    await desk.keeper.flush()
    with contextlib.closing(sqlite3.connect(desk.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        for _ in range(2):
            desk.happens(7)
            await desk.keeper.flush()
    assert desk.lines.of("metrics_lost") == [{"error": "OperationalError"}]
    desk.happens()
    assert await desk.counts() == [(0, 2)]


async def test_a_number_that_no_file_takes_costs_that_second(desk: Desk) -> None:
    """Whoever keeps the numbers goes on, whatever it meets: nobody would start it again."""
    desk.log.event("model_answered", tokens_in=2**70, tokens_out=1)
    await desk.keeper.flush()
    assert desk.lines.of("metrics_lost") == [{"error": "OverflowError"}]
    desk.happens()
    assert await desk.counts() == [(0, 1)]


async def test_each_outage_is_told(tmp_path: Path) -> None:
    """One that begins after numbers were written again."""
    desk = Desk(tmp_path / "none" / "ops.sqlite3")
    for _ in range(2):
        for _ in range(2):
            desk.happens()
            await desk.keeper.flush()
        (tmp_path / "none").mkdir()
        desk.happens()
        await desk.keeper.flush()
        desk.keeper._store.close()
        for path in (tmp_path / "none").iterdir():
            path.unlink()
        (tmp_path / "none").rmdir()
    assert desk.lines.of("metrics_lost") == [{"error": "OperationalError"}] * 2
    await desk.keeper.close()


async def test_where_nothing_can_be_read_there_are_no_numbers(tmp_path: Path) -> None:
    """A page without charts is better than none."""
    desk = Desk(tmp_path)  # a directory is no file
    desk.happens()
    assert await desk.window() == Window()
    await desk.keeper.close()


async def test_the_last_numbers_are_written_at_the_end(tmp_path: Path) -> None:
    """A server that ends cleanly loses none."""
    desk = Desk(tmp_path / "ops.sqlite3")
    desk.happens(5)
    await desk.keeper.close()
    assert desk.stored() == [(0, 5)]
    assert os.listdir(tmp_path) == ["ops.sqlite3"]  # noqa: PTH208 - closed: nothing of it waits beside it
