"""Lambda: the watchdog, called each minute."""

import functools
from typing import Unpack

from playbyplay.adapters.aws import Aws
from playbyplay.adapters.container import Answer, Container, Event, Parts
from playbyplay.adapters.dynamo_overdue_runs import DynamoOverdueRuns
from playbyplay.adapters.system import SystemClock
from playbyplay.ports import Log
from playbyplay.settings import WatchdogSettings
from watchdog.sweep import Sweep


def build(settings: WatchdogSettings, *, log: Log, **parts: Unpack[Parts]) -> Sweep:
    """Compose the function."""
    overdue = DynamoOverdueRuns(parts.get("aws") or Aws(log), settings.runs_table)
    return Sweep(overdue=overdue, clock=parts.get("clock", SystemClock()), log=log)


@functools.cache
def _container() -> Container:
    return Container("watchdog", WatchdogSettings, build)


def lambda_handler(event: Event, _context: object) -> Answer:
    """Sweep once."""
    return _container().answer(event)
