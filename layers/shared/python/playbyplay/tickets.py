"""Tickets: how a user who is known over HTTPS becomes the owner of a connection.

256 random bits, good once, for 30 s, for one user and one origin; only their hash is kept. `POST
/ticket` gives them, the handshake of the socket redeems them.
"""

import hashlib
from dataclasses import dataclass

from playbyplay.domain.connection import SESSION_S, TICKET_S, Session
from playbyplay.errors import PlaybyplayError
from playbyplay.ports import Clock, Ids, Ticket, TicketStore


class AdmissionRefused(PlaybyplayError):
    """Nobody comes in with this.

    Args:
        status: the HTTP status of the refusal, 401 or 403.
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

    @classmethod
    def of(cls, origins: str) -> "Doors":
        """Return the doors of a deployment: origins separated by spaces, and no guests."""
        return cls(frozenset(origins.split()))

    def check(self, origin: str | None) -> None:
        """Let an allowed origin pass, compared letter by letter, or its absence where guests are admitted.

        Raises:
            AdmissionRefused: 403.
        """
        if origin is None and self.guest is not None:
            return
        if origin not in self.origins:
            raise AdmissionRefused(403, "This origin is not allowed.")


class Tickets:
    """Gives tickets and redeems them."""

    def __init__(self, *, doors: Doors, store: TicketStore, clock: Clock, ids: Ids) -> None:
        self._doors = doors
        self._store = store
        self._clock = clock
        self._ids = ids

    async def give(self, user: str, origin: str | None) -> str:
        """Return the text of a new ticket.

        Raises:
            AdmissionRefused: 403, for an origin that is not allowed.
        """
        self._doors.check(origin)
        text, now_ms = self._ids.secret(), self._clock.now_ms()
        ticket = Ticket(user, origin, now_ms + TICKET_S * 1000, now_ms + SESSION_S * 1000)
        await self._store.put(_digest(text), ticket)
        return text

    async def redeem(self, origin: str | None, shown: list[str]) -> Session:
        """Return whose connection this will be.

        Args:
            origin: the Origin header, None if absent.
            shown: every ticket the client showed, wherever it showed it.

        Raises:
            AdmissionRefused: 403 for the origin, 401 for no ticket, two, or one that does not hold.
        """
        self._doors.check(origin)
        ticket = await self._store.redeem(_digest(shown[0])) if len(shown) == 1 else None
        if ticket is None or ticket.expires_ms <= self._clock.now_ms() or ticket.origin != origin:
            raise AdmissionRefused(401, "A connection needs one fresh ticket.")
        return Session(ticket.user, ticket.session_expires_ms)


def _digest(ticket: str) -> str:
    return hashlib.sha256(ticket.encode("utf-8", "surrogatepass")).hexdigest()
