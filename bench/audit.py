"""`python -m bench audit`: what one sweep of the auditor costs over 10 to 10,000 runs: timed on SQLite, counted on AWS.

Half of the runs are open and half ended in the time that the sweep looks at, so each is its business; whoever asked
is not connected, which costs more than if they were. AWS is in memory: it tells requests, not time.
"""

import asyncio
import json
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import boto3

from auditor.audit import Audit
from auditor.sweep import RUNS, Sweep, Swept
from bench.aws_calls import Calls
from bench.cloud_turn import cloud
from bench.prices import READ_UNIT
from local.database import Database
from local.sqlite_connection_store import SqliteConnectionStore
from local.sqlite_journal import SqliteJournal
from local.sqlite_run_store import SqliteRunStore
from playbyplay.adapters.dynamo_connection_store import DynamoConnectionStore
from playbyplay.adapters.dynamo_ended_runs import DynamoEndedRuns
from playbyplay.adapters.dynamo_items import Item, item
from playbyplay.adapters.dynamo_journal import DynamoJournal, record_item
from playbyplay.adapters.dynamo_overdue_runs import DynamoOverdueRuns
from playbyplay.adapters.dynamo_run_items import run_item
from playbyplay.adapters.dynamo_run_store import DynamoRunStore
from playbyplay.adapters.dynamo_shards import shard_of
from playbyplay.adapters.tables import ENDED, ENDED_SHARD, NEXT_CHECK, OPEN_SHARD, OPEN_SINCE
from playbyplay.domain.thread import Run, digest
from playbyplay.domain.timing import CLOUD, ONE_MACHINE, Timing
from playbyplay.ports import Acceptance
from tests.fakes.clock import FakeClock
from tests.fakes.ids import uuid
from tests.fakes.log import FakeLog
from tests.histories import MESSAGE, THREAD, TIME, TIME_MS, Story, call

SIZES = (10, 100, 1_000, 10_000)
SWEEPS = 9  # timed; the least counts, which the machine disturbed least
_AT_ONCE = 100
_BATCH = 25  # https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html
_CONTENT = "Why is it slow?"
_USER, _OWNER = "user ", "owner"
_HELD_MS = TIME_MS + 3_600_000
_A_MONTH = 30 * 24 * 60  # sweeps
_INDEXED = {OPEN_SHARD, OPEN_SINCE, NEXT_CHECK}  # a run that is open
Row = dict[str, Any]


def main(results: Path) -> None:
    """Sweep, count, print and keep.

    Args:
        results: the folder to keep it in.
    """
    timed, counted = asyncio.run(_on_sqlite()), asyncio.run(_on_aws())
    rows = [ours | theirs for ours, theirs in zip(timed, counted, strict=True)]
    head = tuple(rows[0])
    widths = [max(len(name), 8) for name in head]
    print("\nOne sweep of the auditor, by how many runs there are, half of them open")
    for line in (head, *(tuple(f"{value:,}" for value in row.values()) for row in rows)):
        print("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)))
    for target in _found(rows):
        print(target)
    results.mkdir(exist_ok=True)
    (results / "audit.json").write_text(json.dumps(rows, indent=1) + "\n")
    print(f"kept in {results.name}/audit.json")


def _found(rows: list[Row]) -> Iterator[str]:
    """Yield what more runs cost, where a page holds all of them and where it does not."""
    few, full, most = rows[0], rows[-2], rows[-1]
    slope = 1000 * (most["ms"] - few["ms"]) / (most["runs"] - few["runs"])
    met = most["requests"] == full["requests"] and most["ms"] < 1.5 * full["ms"]
    yield f"{slope:.2f} us more for each run from {few['runs']} to {most['runs']:,}"
    wanted = f"{most['runs']:,} runs: as many requests as {full['runs']:,}, and less than 1.5 times as long"
    yield f"{'met   ' if met else 'MISSED'}  {wanted}: {most['ms'] / full['ms']:.2f} times"
    yield f"${most['read units'] * READ_UNIT.dollars * _A_MONTH:.2f} of DynamoDB reads a month at the most"


def _run(number: int) -> Run:
    """Return a run of a user of its own; every other one has ended, the others are at work."""
    user, run_id = f"{_USER}{number}", uuid(100 + number)
    run = Run(user, run_id, THREAD, 1, MESSAGE, digest(_CONTENT), TIME_MS, TIME_MS + 7_200_000)
    return replace(run, status="completed") if number % 2 else run


def _story(run: Run) -> Story:
    """Return the journal of a run."""
    story = Story(_CONTENT, user=run.user, run_id=run.run_id).starts().asks(call(1))
    return story if run.is_open else story.returns("c1").answers().completes()


def _sweeps_at(timing: Timing) -> int:
    """Return when a sweep looks at the runs that ended when all of ours did."""
    return TIME_MS + round(1000 * (timing.receipt_s + timing.audit_s / 2))


def _saw(swept: Swept, runs: int) -> Row:
    """Return how many runs a sweep looked at, if it counts: it read all it took, and nothing was missing."""
    assert swept.audited == min(runs, 2 * RUNS), swept  # noqa: S101 - else no numbers
    assert not swept.found, swept.found  # noqa: S101 - else no numbers
    assert not swept.unread, swept  # noqa: S101 - else no numbers
    return {"runs": runs, "audited": swept.audited}


async def _on_sqlite() -> list[Row]:
    """Return how long a sweep takes on one machine."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        clock, database = FakeClock(TIME_MS), Database(Path(folder) / "bench.sqlite3")
        runs, journal = SqliteRunStore(database, clock), SqliteJournal(database)
        connections = SqliteConnectionStore(database, clock)
        audit = Audit(runs=runs, journal=journal, connections=connections, clock=clock, timing=ONE_MACHINE)
        sweep = Sweep(open_runs=runs, ended_runs=runs, audit=audit, clock=clock, log=FakeLog(), timing=ONE_MACHINE)
        try:
            for before, size in zip((0, *SIZES), SIZES, strict=False):
                clock.ms = TIME_MS
                for start in range(before, size, _AT_ONCE):
                    some = map(_run, range(start, min(size, start + _AT_ONCE)))
                    await asyncio.gather(*(_lived(runs, journal, run) for run in some))
                clock.ms = _sweeps_at(ONE_MACHINE)
                swept = await sweep()  # what is loaded on first use is no sweep's
                took_s = []
                for _ in range(SWEEPS):
                    began_s = time.perf_counter()
                    swept = await sweep()
                    took_s.append(time.perf_counter() - began_s)
                rows.append({**_saw(swept, size), "ms": round(1000 * min(took_s), 1)})
        finally:
            await database.close()
    return rows


async def _lived(runs: SqliteRunStore, journal: SqliteJournal, run: Run) -> None:
    """Let a run come as far as its journal tells."""
    _first, *records = _story(run).records
    wanted = replace(run, status="queued")
    await runs.accept(Acceptance(wanted, new_thread=True, content=_CONTENT, timestamp=TIME, token=uuid(1)))
    await runs.acquire(run.user, run.run_id, _OWNER, now_ms=TIME_MS, lease_until_ms=_HELD_MS)
    for record in records:
        await journal.append(run.user, run.run_id, record)
    if not run.is_open:
        await runs.settle(run, run.status)


async def _on_aws() -> list[Row]:
    """Return what a sweep asks of AWS."""
    rows: list[Row] = []
    async with cloud() as (aws, stored, _ids):
        clock = FakeClock(_sweeps_at(CLOUD))
        overdue, ended = DynamoOverdueRuns(aws, stored.runs), DynamoEndedRuns(aws, stored.runs)
        audit = Audit(
            runs=DynamoRunStore(aws, clock, stored.runs, stored.journal),
            journal=DynamoJournal(aws, clock, stored.journal),
            connections=DynamoConnectionStore(aws, clock, stored.connections),
            clock=clock,
            timing=CLOUD,
        )
        sweep = Sweep(
            open_runs=overdue,
            ended_runs=ended,
            audit=audit,
            clock=clock,
            log=FakeLog(),
            timing=CLOUD,
            monotonic=lambda: 0.0,  # AWS in memory is slow: that is no reason to end early
        )
        calls = Calls()
        calls.watch(aws, "dynamodb")
        for before, size in zip((0, *SIZES), SIZES, strict=False):
            _write(stored.runs, map(_run_item, map(_run, range(before, size))))
            # Journals of runs that no sweep comes to are never read, and AWS in memory is slow to write.
            first = await overdue.first(now_ms=_HELD_MS + TIME_MS, limit=RUNS)
            newest = await ended.between(from_ms=0, to_ms=TIME_MS + 1, limit=RUNS)
            looked_at = (int(job.user.removeprefix(_USER)) for job in (*first, *newest))
            _write(stored.journal, (one for number in looked_at for one in _records(number)))
            requests, units = calls.made.total(), calls.read_units
            seen = _saw(await sweep(), size)
            rows.append({**seen, "requests": calls.made.total() - requests, "read units": calls.read_units - units})
    return rows


def _run_item(run: Run) -> Item:
    """Return a run as the store leaves it."""
    if run.is_open:
        held = replace(run, status="running", owner=_OWNER, lease_until_ms=_HELD_MS, attempts=1)
        return run_item(held, waits=False, expires_s=TIME_MS)
    kept = run_item(run, waits=False, expires_s=TIME_MS)
    ended = item({ENDED_SHARD: shard_of(run.run_id), ENDED: TIME_MS})
    return {name: value for name, value in kept.items() if name not in _INDEXED} | ended


def _records(number: int) -> Iterator[Item]:
    """Yield the journal of a run as the store keeps it."""
    run = _run(number)
    for record in _story(run).records:
        yield record_item(run.user, run.run_id, record, TIME_MS)


def _write(table: str, items: Iterator[Item]) -> None:
    """Put items past the counted door."""
    client = boto3.client("dynamodb")
    while batch := [{"PutRequest": {"Item": one}} for one in islice(items, _BATCH)]:
        client.batch_write_item(RequestItems={table: batch})
