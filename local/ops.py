"""Composes what watches the one-machine home: the numbers, the auditor, and the page that shows both."""

from dataclasses import dataclass
from pathlib import Path

from auditor.audit import Audit
from auditor.sweep import Sweep
from local.auditor import Auditor
from local.database import Database
from local.faults_seen import FaultsSeen
from local.metrics import CountingLog
from local.metrics_keeper import MetricsKeeper
from local.metrics_store import MetricsStore
from local.ops_face import OpsFace
from local.overview import Overview
from local.sqlite_connection_store import SqliteConnectionStore
from local.sqlite_journal import SqliteJournal
from local.sqlite_recent_runs import RecentRuns
from local.sqlite_run_store import SqliteRunStore
from playbyplay.domain.timing import Timing
from playbyplay.ports import Clock, OverdueRuns
from playbyplay.tickets import Doors


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What is looked at: the stores, and nothing of what runs on them.

    Attributes:
        open_runs: tells of none while owners have had no time to renew: after a machine slept, all leases look over.
    """

    database: Database
    runs: SqliteRunStore
    open_runs: OverdueRuns
    journal: SqliteJournal
    connections: SqliteConnectionStore
    log: CountingLog
    clock: Clock
    timing: Timing


@dataclass(frozen=True, slots=True)
class Ops:
    """The composed parts."""

    metrics: MetricsKeeper
    auditor: Auditor
    face: OpsFace


def build_ops(watched: Watched, *, data: Path, doors: Doors, faults: FaultsSeen) -> Ops:
    """Return what watches a home; nothing runs yet.

    Args:
        watched: the home.
        data: where the numbers are kept.
        doors: who may see them.
        faults: what somebody let happen.
    """
    clock, log, timing = watched.clock, watched.log, watched.timing
    audit = Audit(
        runs=watched.runs, journal=watched.journal, connections=watched.connections, clock=clock, timing=timing
    )
    sweep = Sweep(
        open_runs=watched.open_runs, ended_runs=watched.runs, audit=audit, clock=clock, log=log, timing=timing
    )
    auditor = Auditor(sweep=sweep, clock=clock, log=log, every_s=timing.audit_s)
    metrics = MetricsKeeper(log=log, store=MetricsStore(data / "ops.sqlite3"), clock=clock)
    runs = RecentRuns(watched.database, clock)
    overview = Overview(metrics=metrics, auditor=auditor, runs=runs, faults=faults, clock=clock)
    face = OpsFace(overview=overview, runs=runs, auditor=auditor, clock=clock, doors=doors)
    return Ops(metrics, auditor, face)
