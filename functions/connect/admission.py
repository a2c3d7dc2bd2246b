"""Open and close a connection: who may come in, and what is remembered of who is there."""

from playbyplay.domain.connection import SESSION_S, Session
from playbyplay.ports import Clock, ConnectionStore, Log
from playbyplay.tickets import Doors, Tickets


class Admission:
    """Says whose connection a new one is."""

    def __init__(self, *, doors: Doors, tickets: Tickets, clock: Clock) -> None:
        self._doors = doors
        self._tickets = tickets
        self._clock = clock

    async def __call__(self, origin: str | None, tickets: list[str]) -> Session:
        """Return whose connection this will be.

        Args:
            origin: the Origin header, None if absent.
            tickets: every ticket the client showed, wherever it showed it.

        Raises:
            AdmissionRefused: 403 for the origin, 401 for no ticket, two, or one that does not hold.
        """
        if not tickets and origin is None and self._doors.guest is not None:
            return Session(self._doors.guest, self._clock.now_ms() + SESSION_S * 1000)
        return await self._tickets.redeem(origin, tickets)


class Attendance:
    """Remembers connections while they are there."""

    def __init__(self, *, connections: ConnectionStore, clock: Clock, log: Log) -> None:
        self._connections = connections
        self._clock = clock
        self._log = log

    async def open(self, connection_id: str, session: Session) -> list[str]:
        """Remember a connection, and return those that give way: the oldest of a user with too many."""
        gave_way = await self._connections.add(connection_id, session, now_ms=self._clock.now_ms())
        self._log.event("connection_opened", connection_id=connection_id)
        return gave_way

    async def close(self, connection_id: str, code: int | None) -> None:
        """Forget a connection. Repeats change nothing."""
        await self._connections.remove(connection_id)
        self._log.event("connection_closed", connection_id=connection_id, code=code)
