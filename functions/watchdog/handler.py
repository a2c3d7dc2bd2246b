"""Lambda: the watchdog, called each minute, and for dead letters."""

import functools
from typing import Unpack

from playbyplay.adapters.cloud import Cloud
from playbyplay.adapters.container import Answer, Container, Event, Parts
from playbyplay.adapters.dynamo_overdue_runs import DynamoOverdueRuns
from playbyplay.ports import Log
from playbyplay.settings import WatchdogSettings
from watchdog.behind import Behind
from watchdog.dead_letters import DeadLetters
from watchdog.look import Look
from watchdog.route import Route
from watchdog.sweep import Sweep


def build(settings: WatchdogSettings, *, log: Log, **parts: Unpack[Parts]) -> Route:
    """Compose the function."""
    on = Cloud.of(settings, log, parts)
    overdue = DynamoOverdueRuns(on.aws, settings.runs_table)
    look = Look(
        runs=on.runs,
        journal=on.journal,
        queue=on.queue,
        overdue=overdue,
        settlement=on.settlement,
        clock=on.clock,
        ids=on.ids,
        log=log,
        timing=on.timing,
    )
    behind = Behind(oldest_ms=overdue.behind_since_ms, note=on.backlog.note, clock=on.clock)
    connections, gateway = on.connections, on.gateway
    sweep = Sweep(
        overdue=overdue, look=look, connections=connections, gateway=gateway, clock=on.clock, log=log, behind=behind
    )
    return Route(sweep=sweep, dead_letters=DeadLetters(look=look, log=log), log=log)


@functools.cache
def _container() -> Container:
    return Container("watchdog", WatchdogSettings, build)


def lambda_handler(event: Event, _context: object) -> Answer:
    """Sweep once, or look at the runs of dead letters."""
    return _container().answer(event)
