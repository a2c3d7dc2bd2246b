"""Lambda: POST /ticket."""

import functools
from typing import Unpack

from playbyplay.adapters.aws import Aws
from playbyplay.adapters.container import Answer, Container, Event, Parts
from playbyplay.adapters.dynamo_ticket_store import DynamoTicketStore
from playbyplay.adapters.system import SystemClock, SystemIds
from playbyplay.ports import Log
from playbyplay.settings import TicketSettings
from playbyplay.tickets import Doors, Tickets
from ticket.route import Route


def build(settings: TicketSettings, *, log: Log, **parts: Unpack[Parts]) -> Route:
    """Compose the function."""
    tickets = Tickets(
        doors=Doors.of(settings.origins),
        store=DynamoTicketStore(parts.get("aws") or Aws(log), settings.runs_table),
        clock=parts.get("clock", SystemClock()),
        ids=parts.get("ids", SystemIds()),
    )
    return Route(tickets=tickets)


@functools.cache
def _container() -> Container:
    return Container("ticket", TicketSettings, build)


def lambda_handler(event: Event, _context: object) -> Answer:
    """Give one ticket."""
    return _container().answer(event)
