"""Tickets in SQLite: redeeming deletes, so the second one to show a ticket finds none."""

import sqlite3
from dataclasses import astuple

from local.database import Database
from playbyplay.ports import Clock, Ticket


class SqliteTicketStore:
    """Implements `ports.TicketStore`."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def put(self, ticket_digest: str, ticket: Ticket) -> None:
        """Keep a ticket, and forget those nobody redeemed in time."""
        now_ms = self._clock.now_ms()

        def put(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM tickets WHERE expires_ms <= ?", (now_ms,))
            connection.execute(
                "INSERT INTO tickets (digest, user, origin, expires_ms, session_expires_ms) VALUES (?, ?, ?, ?, ?)",
                (ticket_digest, *astuple(ticket)),
            )

        await self._database.write(put)

    async def redeem(self, ticket_digest: str) -> Ticket | None:
        """Return a ticket the first time it is asked for."""

        def redeem(connection: sqlite3.Connection) -> Ticket | None:
            row = connection.execute(
                "DELETE FROM tickets WHERE digest = ? RETURNING user, origin, expires_ms, session_expires_ms",
                (ticket_digest,),
            ).fetchone()
            return Ticket(*row) if row is not None else None

        return await self._database.write(redeem)
