"""Connections in SQLite, in memory for the path of every event, and when each user's last one left.

No connection outlives the process and no other process writes the table, so it begins empty and
what memory says is what the table says.
"""

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import replace

from local.database import Database
from playbyplay.domain.connection import MAX_PER_USER, SESSION_S, Session, Subscriber
from playbyplay.ports import Clock

_INSERT = "INSERT INTO connections (connection_id, user, opened_ms, expires_ms, lagging) VALUES (?, ?, ?, ?, 0)"
_LEAVE = "INSERT OR REPLACE INTO departures SELECT user, ? FROM connections WHERE connection_id = ?"
_ALL_LEAVE = "INSERT OR REPLACE INTO departures SELECT DISTINCT user, ? FROM connections"
_LEFT = "SELECT left_ms FROM departures WHERE user = ?"
_FORGET = "DELETE FROM departures WHERE left_ms < ?"
_DELETE = "DELETE FROM connections WHERE connection_id = ?"
_MARK = "UPDATE connections SET lagging = ? WHERE connection_id = ?"
_RECEIVE = "UPDATE connections SET receipts = ?, received_ms = ? WHERE connection_id = ?"
_OUTLIVED = "SELECT connection_id FROM connections WHERE expires_ms <= ? ORDER BY expires_ms LIMIT ?"


class SqliteConnectionStore:
    """Implements `ports.ConnectionStore`.

    Args:
        database: where they are kept.
        clock: tells when a connection left.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._users: dict[str, str] = {}  # by connection
        self._subscribers: dict[str, dict[str, Subscriber]] = {}  # by user, oldest first

    async def clear(self) -> None:
        """Forget the connections of the process before this one: all of them leave now.

        Forget as well who left longer ago than any session lasts.
        """
        now_ms = self._clock.now_ms()

        def clear(connection: sqlite3.Connection) -> None:
            connection.execute(_ALL_LEAVE, (now_ms,))
            connection.execute("DELETE FROM connections")
            connection.execute(_FORGET, (now_ms - SESSION_S * 1000,))

        await self._database.write(clear)

    async def add(self, connection_id: str, session: Session, *, now_ms: int) -> list[str]:
        """Remember a connection; return the oldest ones that had to give way."""
        if connection_id in self._users:
            return []
        mine = self._subscribers.setdefault(session.user, {})
        oldest = list(mine)[: max(0, len(mine) + 1 - MAX_PER_USER)]
        for one in oldest:
            self._forget(one)
        self._users[connection_id] = session.user
        self._subscribers.setdefault(session.user, {})[connection_id] = Subscriber(connection_id, now_ms)

        row = (connection_id, session.user, now_ms, session.expires_ms)
        await self._database.apply(lambda connection: connection.execute(_INSERT, row).rowcount)
        for one in oldest:
            await self._delete(one)
        return oldest

    async def remove(self, connection_id: str) -> None:
        """Forget a connection, noting that it left; also one that only the disk still knows, for a delete can fail."""
        self._forget(connection_id)
        departure = (self._clock.now_ms(), connection_id)
        await self._database.apply(lambda connection: connection.execute(_LEAVE, departure).rowcount)
        await self._delete(connection_id)

    async def subscribers(self, user: str) -> list[Subscriber]:
        """Return a user's connections."""
        return list(self._subscribers.get(user, {}).values())

    async def left_ms(self, user: str) -> int | None:
        """Return since when a user has no connection."""
        if user in self._subscribers:
            return None
        row = await self._database.apply(lambda connection: connection.execute(_LEFT, (user,)).fetchone())
        return int(row[0]) if row is not None else None

    async def mark_lagging(self, connection_id: str, *, lagging: bool) -> None:
        """Note that a connection missed a live frame, or that it has resumed."""
        user = self._users.get(connection_id)
        if user is None or self._subscribers[user][connection_id].lagging == lagging:
            return
        mine = self._subscribers[user]
        mine[connection_id] = replace(mine[connection_id], lagging=lagging)
        await self._database.apply(lambda connection: connection.execute(_MARK, (lagging, connection_id)).rowcount)

    async def receive(self, connection_id: str, cursors: Mapping[str, int], *, now_ms: int) -> None:
        """Note a connection's receipts and when they came."""
        user = self._users.get(connection_id)
        if user is None:
            return
        mine, receipts = self._subscribers[user], dict(cursors)
        mine[connection_id] = replace(mine[connection_id], receipts=receipts, received_ms=now_ms)
        row = (json.dumps(receipts, separators=(",", ":")), now_ms, connection_id)
        await self._database.apply(lambda connection: connection.execute(_RECEIVE, row).rowcount)

    async def outlived(self, *, now_ms: int, limit: int) -> list[str]:
        """Return connections whose session is over, as far as the disk knows."""
        return [connection_id for (connection_id,) in self._database.read(_OUTLIVED, (now_ms, limit))]

    async def _delete(self, connection_id: str) -> None:
        await self._database.apply(lambda connection: connection.execute(_DELETE, (connection_id,)).rowcount)

    def _forget(self, connection_id: str) -> None:
        user = self._users.pop(connection_id, None)
        if user is None:
            return
        mine = self._subscribers[user]
        del mine[connection_id]
        if not mine:
            del self._subscribers[user]
