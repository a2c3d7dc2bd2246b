"""Tickets in memory."""

from playbyplay.ports import Ticket
from tests.fakes.faults import Faults


class FakeTicketStore:
    """Implements `ports.TicketStore`.

    Attributes:
        tickets: those that can still be redeemed, by digest.
    """

    def __init__(self, faults: Faults | None = None) -> None:
        self.faults = faults or Faults()
        self.tickets: dict[str, Ticket] = {}

    async def put(self, ticket_digest: str, ticket: Ticket) -> None:
        async with self.faults.around("tickets.put"):
            self.tickets[ticket_digest] = ticket

    async def redeem(self, ticket_digest: str) -> Ticket | None:
        async with self.faults.around("tickets.redeem"):
            return self.tickets.pop(ticket_digest, None)
