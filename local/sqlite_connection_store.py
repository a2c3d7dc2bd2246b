"""Connections in SQLite: none of them outlives the process, so it begins with none."""

import sqlite3

from local.database import Database
from playbyplay.domain.connection import MAX_PER_USER, Session, Subscriber


class SqliteConnectionStore:
    """Implements `ports.ConnectionStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def clear(self) -> None:
        """Forget the connections of the process before this one."""
        await self._database.write(lambda connection: connection.execute("DELETE FROM connections").rowcount)

    async def add(self, connection_id: str, session: Session, *, now_ms: int) -> list[str]:
        """Remember a connection; return the oldest ones that had to give way."""
        if self._database.read("SELECT 1 FROM connections WHERE connection_id = ?", (connection_id,)):
            return []

        def add(connection: sqlite3.Connection) -> list[str]:
            connection.execute(
                "INSERT OR IGNORE INTO connections (connection_id, user, opened_ms, expires_ms, lagging)"
                " VALUES (?, ?, ?, ?, 0)",
                (connection_id, session.user, now_ms, session.expires_ms),
            )
            oldest = connection.execute(
                "SELECT connection_id FROM connections WHERE user = ? AND connection_id <> ?"
                " ORDER BY opened_ms DESC, connection_id DESC LIMIT -1 OFFSET ?",
                (session.user, connection_id, MAX_PER_USER - 1),
            ).fetchall()
            connection.executemany("DELETE FROM connections WHERE connection_id = ?", oldest)
            return [row[0] for row in oldest]

        return await self._database.write(add)

    async def remove(self, connection_id: str) -> None:
        """Forget a connection."""
        await self._database.write(
            lambda connection: (
                connection.execute("DELETE FROM connections WHERE connection_id = ?", (connection_id,)).rowcount
            )
        )

    async def subscribers(self, user: str) -> list[Subscriber]:
        """Return a user's connections."""
        rows = self._database.read(
            "SELECT connection_id, opened_ms, lagging FROM connections WHERE user = ? ORDER BY opened_ms", (user,)
        )
        return [Subscriber(connection_id, opened_ms, bool(lagging)) for connection_id, opened_ms, lagging in rows]

    async def mark_lagging(self, connection_id: str, *, lagging: bool) -> None:
        """Note that a connection missed a live frame, or that it has resumed."""
        marked = self._database.read("SELECT lagging FROM connections WHERE connection_id = ?", (connection_id,))
        if not marked or bool(marked[0][0]) == lagging:
            return
        await self._database.write(
            lambda connection: (
                connection.execute(
                    "UPDATE connections SET lagging = ? WHERE connection_id = ?", (lagging, connection_id)
                ).rowcount
            )
        )
