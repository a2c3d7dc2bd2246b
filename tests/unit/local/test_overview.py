"""What the ops page shows at a glance: the numbers of a window, and what is missing now."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from auditor.sweep import Found, Swept
from local.auditor import Auditor
from local.database import Database
from local.faults_seen import FaultsSeen
from local.metrics import CountingLog
from local.metrics_keeper import MetricsKeeper
from local.metrics_store import BUCKET_MS, MetricsStore
from local.overview import MAX_POINTS, Overview, bucket_ms
from local.sqlite_recent_runs import RecentRuns
from playbyplay.domain.audit import Finding
from playbyplay.observability import METRICS
from tests.fakes.clock import FakeClock
from tests.fakes.log import FakeLog

NOW = 1_750_000_005_000
FIRST = NOW - NOW % BUCKET_MS


class Desk:
    """An overview, and what it is made of."""

    def __init__(self, path: Path) -> None:
        self.clock = FakeClock(NOW)
        self.log = CountingLog(FakeLog())
        self.swept = Swept()
        self.auditor = Auditor(sweep=self._sweep, clock=self.clock, log=self.log, every_s=60)
        self.metrics = MetricsKeeper(log=self.log, store=MetricsStore(path / "ops.sqlite3"), clock=self.clock)
        self.database = Database(path / "playbyplay.sqlite3")
        self.faults = FaultsSeen(self.log, self.clock)
        self.overview = Overview(
            metrics=self.metrics,
            auditor=self.auditor,
            runs=RecentRuns(self.database, self.clock),
            faults=self.faults,
            clock=self.clock,
        )

    async def _sweep(self) -> Swept:
        return self.swept

    async def audit(self, *found: Found) -> None:
        """Let the auditor find this."""
        self.swept = Swept(audited=9, found=[*found])
        task = asyncio.create_task(self.auditor.watch())
        await self.auditor.audit()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest_asyncio.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    made = Desk(tmp_path)
    yield made
    await made.metrics.close()
    await made.database.close()


async def test_a_server_that_nobody_used(desk: Desk) -> None:
    """Nothing was counted and nobody has looked: that is told as it is, and what could be counted stands beside it."""
    told = await desk.overview(15)
    catalogue = told.pop("catalogue")
    assert told == {
        "now": NOW,
        "from": FIRST + BUCKET_MS - 15 * 60_000,
        "bucket_s": 10,
        "series": {},
        "totals": {},
        "open_runs": 0,
        "connections": 0,
        "absence": {
            "AcceptedWithoutAgentStarted": 0,
            "ToolExecutingWithoutToolCompleted": 0,
            "RunsWithoutTerminal": 0,
            "PostedWithoutReceipt": 0,
            "JournalViolations": 0,
            "AbandonedWhileRunning": 0,
        },
        "findings": [],
        "audited_ms": None,
        "faults": [],
        "fault_kinds": [],
    }
    assert set(catalogue) == {metric.name for metric in METRICS}
    assert catalogue["OpenRuns"]["gauge"] is True
    assert set(catalogue["OpenRuns"]) == {"group", "unit", "meaning", "gauge"}


async def test_counts_are_added_up(desk: Desk) -> None:
    """In each bucket, and in all of the window."""
    for number in (1, 2):
        desk.log.event("events_appended", events=number)
    await desk.metrics.flush()
    desk.clock.advance(10)
    await desk.metrics.flush()
    desk.log.event("events_appended", events=5)
    told = await desk.overview(15)
    assert told["series"]["EventsAppended"] == {"t": [FIRST, FIRST + BUCKET_MS], "v": [3, 5]}
    assert told["totals"] == {"EventsAppended": 8}


async def test_gauges_are_not_added_up(desk: Desk) -> None:
    """Of each bucket the largest, of the window the last."""
    for number in (1, 4, 2):
        desk.log.event("audit_swept", open=number)
    await desk.metrics.flush()
    desk.clock.advance(10)
    await desk.metrics.flush()
    desk.log.event("audit_swept", open=3)
    told = await desk.overview(15)
    assert told["series"]["OpenRuns"]["v"] == [4, 3]
    assert told["totals"]["OpenRuns"] == 3


async def test_times_have_percentiles(desk: Desk) -> None:
    """Half and all but one in a hundred, within 5 %, and never more than the longest."""
    for age_ms in range(1, 1001):
        desk.log.event("job_taken", age_ms=age_ms)
    series = (await desk.overview(15))["series"]["JobAge"]
    assert series["t"] == [FIRST]
    assert series["n"] == [1000]
    assert series["p50"][0] == pytest.approx(500, rel=0.05)
    assert series["p99"][0] == pytest.approx(990, rel=0.05)
    desk.clock.advance(86_400)
    await desk.metrics.flush()
    desk.log.event("job_taken", age_ms=100)
    series = (await desk.overview(1))["series"]["JobAge"]
    assert series["p99"][0] <= 100


async def test_a_dimension_is_part_of_the_name(desk: Desk) -> None:
    """One series for each of its values."""
    desk.log.event("run_settled", status="failed")
    assert set((await desk.overview(1))["series"]) == {"TerminalReached.failed"}


async def test_what_no_version_knows_any_more_is_left_out(desk: Desk) -> None:
    """A metric of an earlier one may still be in the file."""
    desk.log.event("run_settled", status="failed")
    await desk.metrics.flush()
    connection = desk.metrics._store._connection
    assert connection is not None
    connection.execute("UPDATE counted SET series = 'Renamed'")
    told = await desk.overview(1)
    assert (told["series"], told["totals"]) == ({}, {})


@pytest.mark.parametrize("minutes", [1, 2, 15, 29, 30, 31, 59, 60, 61, 240, 719, 1440])
async def test_there_are_few_points(desk: Desk, minutes: int) -> None:
    """Buckets are as wide as it takes, and the window is as long as was asked for."""
    told = await desk.overview(minutes)
    width_ms = told["bucket_s"] * 1000
    first, last = told["from"] // width_ms, told["now"] // width_ms
    assert last - first + 1 <= MAX_POINTS
    assert width_ms % BUCKET_MS == 0
    assert told["from"] % width_ms == 0
    assert minutes * 60_000 - width_ms <= told["now"] - told["from"] <= minutes * 60_000 + width_ms


@pytest.mark.parametrize(("minutes", "seconds"), [(1, 10), (30, 10), (31, 20), (60, 20), (1440, 480)])
def test_buckets_widen(minutes: int, seconds: int) -> None:
    """From the ten seconds that are stored."""
    assert bucket_ms(minutes) == seconds * 1000


async def test_what_the_auditor_found_is_told(desk: Desk) -> None:
    """By name, counted, and with its runbook."""
    await desk.audit(Found("r", Finding("terminal", 7000)), Found("s", Finding("terminal", 9000)))
    told = await desk.overview(15)
    assert told["absence"]["RunsWithoutTerminal"] == 2
    assert sum(told["absence"].values()) == 2
    assert [finding["run_id"] for finding in told["findings"]] == ["s", "r"]
    assert told["audited_ms"] == NOW
    await desk.audit()
    assert sum((await desk.overview(15))["absence"].values()) == 0


async def test_faults_are_told(desk: Desk) -> None:
    """So that nobody wonders why something is missing."""
    desk.faults.event("fault_injected", fault="drop_post", run_id=None)
    told = await desk.overview(15)
    assert told["faults"] == [{"at": NOW, "fault": "drop_post", "run_id": None}]
    (kind,) = told["fault_kinds"]
    assert (kind["fault"], kind["times"], kind["runbook"]) == ("drop_post", 1, "operations.md#postedneverreceived")
    assert json.loads(json.dumps(told)) == told
