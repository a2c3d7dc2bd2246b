"""Lambda: the auditor, called each minute. It reads the three tables; nothing else of the product is composed in it."""

import functools
from typing import Unpack

from auditor.audit import Audit
from auditor.route import Route
from auditor.sweep import Sweep
from playbyplay.adapters.aws import Aws
from playbyplay.adapters.container import Answer, Container, Event, Parts
from playbyplay.adapters.dynamo_connection_store import DynamoConnectionStore
from playbyplay.adapters.dynamo_ended_runs import DynamoEndedRuns
from playbyplay.adapters.dynamo_journal import DynamoJournal
from playbyplay.adapters.dynamo_overdue_runs import DynamoOverdueRuns
from playbyplay.adapters.dynamo_run_store import DynamoRunStore
from playbyplay.adapters.system import SystemClock
from playbyplay.domain.timing import CLOUD
from playbyplay.ports import Log
from playbyplay.settings import AuditorSettings


def build(settings: AuditorSettings, *, log: Log, **parts: Unpack[Parts]) -> Route:
    """Compose the function."""
    clock, aws = parts.get("clock", SystemClock()), parts.get("aws") or Aws(log)
    audit = Audit(
        runs=DynamoRunStore(aws, clock, settings.runs_table, settings.journal_table),
        journal=DynamoJournal(aws, clock, settings.journal_table),
        connections=DynamoConnectionStore(aws, clock, settings.connections_table),
        clock=clock,
        timing=CLOUD,
    )
    sweep = Sweep(
        open_runs=DynamoOverdueRuns(aws, settings.runs_table),
        ended_runs=DynamoEndedRuns(aws, settings.runs_table),
        audit=audit,
        clock=clock,
        log=log,
        timing=CLOUD,
    )
    return Route(sweep=sweep, log=log)


@functools.cache
def _container() -> Container:
    return Container("auditor", AuditorSettings, build)


def lambda_handler(event: Event, _context: object) -> Answer:
    """Look once."""
    return _container().answer(event)
