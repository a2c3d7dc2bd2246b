"""Lambda: `$connect` and `$disconnect`."""

import functools
from typing import Unpack

from connect.admission import Attendance
from connect.route import Route
from playbyplay.adapters.aws import Aws
from playbyplay.adapters.container import Answer, Container, Event, Parts
from playbyplay.adapters.dynamo_connection_store import DynamoConnectionStore
from playbyplay.adapters.system import SystemClock
from playbyplay.ports import Log
from playbyplay.settings import ConnectSettings


def build(settings: ConnectSettings, *, log: Log, **parts: Unpack[Parts]) -> Route:
    """Compose the function."""
    clock = parts.get("clock", SystemClock())
    connections = DynamoConnectionStore(parts.get("aws") or Aws(log), clock, settings.connections_table)
    return Route(attendance=Attendance(connections=connections, clock=clock, log=log))


@functools.cache
def _container() -> Container:
    return Container("connect", ConnectSettings, build)


def lambda_handler(event: Event, _context: object) -> Answer:
    """Open or close one connection."""
    return _container().answer(event)
