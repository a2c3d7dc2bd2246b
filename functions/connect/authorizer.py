"""Lambda: the authorizer of `$connect`."""

import functools
from typing import Unpack

from connect.admission import Admission
from connect.handshake import Handshake
from playbyplay.adapters.aws import Aws
from playbyplay.adapters.container import Answer, Container, Event, Parts
from playbyplay.adapters.dynamo_ticket_store import DynamoTicketStore
from playbyplay.adapters.system import SystemClock, SystemIds
from playbyplay.ports import Log
from playbyplay.settings import AuthorizerSettings
from playbyplay.tickets import Doors, Tickets


def build(settings: AuthorizerSettings, *, log: Log, **parts: Unpack[Parts]) -> Handshake:
    """Compose the function."""
    clock, ids, doors = parts.get("clock", SystemClock()), parts.get("ids", SystemIds()), Doors.of(settings.origins)
    store = DynamoTicketStore(parts.get("aws") or Aws(log), settings.runs_table)
    tickets = Tickets(doors=doors, store=store, clock=clock, ids=ids)
    admission = Admission(doors=doors, tickets=tickets, clock=clock)
    return Handshake(admission=admission, ticket_in_query=settings.ticket_in_query)


@functools.cache
def _container() -> Container:
    return Container("authorizer", AuthorizerSettings, build)


def lambda_handler(event: Event, _context: object) -> Answer:
    """Let one handshake in or not."""
    return _container().answer(event)
