"""Open and close a connection: who may come in, and as whom.

A ticket is 256 random bits, good once, for 30 s, for one user and one origin; only its hash is kept.
"""

import hashlib
from dataclasses import dataclass

from playbyplay.domain.connection import SESSION_S, TICKET_S, Session
from playbyplay.errors import PlaybyplayError
from playbyplay.ports import Clock, ConnectionStore, Gateway, Ids, Log, Ticket, TicketStore


class AdmissionRefused(PlaybyplayError):
    """Nobody comes in with this.

    Args:
        status: the HTTP status of the refused handshake, 401 or 403.
        message: a safe sentence.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


@dataclass(frozen=True, slots=True)
class Doors:
    """Where users come from.

    Attributes:
        origins: the exact origins a browser may come from.
        guest: the user a client without Origin and without ticket is admitted as; None admits nobody.
    """

    origins: frozenset[str]
    guest: str | None = None


class Admission:
    """Gives tickets, redeems them, and remembers connections."""

    def __init__(
        self,
        *,
        doors: Doors,
        tickets: TicketStore,
        connections: ConnectionStore,
        gateway: Gateway,
        clock: Clock,
        ids: Ids,
        log: Log,
    ) -> None:
        self._doors = doors
        self._tickets = tickets
        self._connections = connections
        self._gateway = gateway
        self._clock = clock
        self._ids = ids
        self._log = log

    def check_origin(self, origin: str | None) -> None:
        """Let an allowed origin pass, compared letter by letter, or its absence where guests are admitted.

        Raises:
            AdmissionRefused: 403.
        """
        if origin is None and self._doors.guest is not None:
            return
        if origin not in self._doors.origins:
            raise AdmissionRefused(403, "This origin is not allowed.")

    async def give_ticket(self, user: str, origin: str | None) -> str:
        """Return the text of a new ticket.

        Raises:
            AdmissionRefused: 403, for an origin that is not allowed.
        """
        self.check_origin(origin)
        text, now_ms = self._ids.secret(), self._clock.now_ms()
        ticket = Ticket(user, origin, now_ms + TICKET_S * 1000, now_ms + SESSION_S * 1000)
        await self._tickets.put(_digest(text), ticket)
        return text

    async def admit(self, origin: str | None, tickets: list[str]) -> Session:
        """Return whose connection this will be.

        Args:
            origin: the Origin header, None if absent.
            tickets: every ticket the client showed, wherever it showed it.

        Raises:
            AdmissionRefused: 403 for the origin, 401 for no ticket, two, or one that does not hold.
        """
        self.check_origin(origin)
        now_ms = self._clock.now_ms()
        if not tickets and origin is None and self._doors.guest is not None:
            return Session(self._doors.guest, now_ms + SESSION_S * 1000)
        ticket = await self._tickets.redeem(_digest(tickets[0])) if len(tickets) == 1 else None
        if ticket is None or ticket.expires_ms <= now_ms or ticket.origin != origin:
            raise AdmissionRefused(401, "A connection needs one fresh ticket.")
        return Session(ticket.user, ticket.session_expires_ms)

    async def open(self, connection_id: str, session: Session) -> None:
        """Remember a connection; the oldest of a user with too many gives way."""
        for oldest in await self._connections.add(connection_id, session, now_ms=self._clock.now_ms()):
            await self._gateway.close(oldest)
        self._log.event("connection_opened", connection_id=connection_id)

    async def close(self, connection_id: str, code: int) -> None:
        """Forget a connection. Repeats change nothing."""
        await self._connections.remove(connection_id)
        self._log.event("connection_closed", connection_id=connection_id, code=code)


def _digest(ticket: str) -> str:
    return hashlib.sha256(ticket.encode("utf-8", "surrogatepass")).hexdigest()
