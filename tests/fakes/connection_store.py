"""Connections in memory."""

from collections.abc import Mapping
from dataclasses import replace

from playbyplay.domain.connection import MAX_PER_USER, Session, Subscriber
from playbyplay.ports import Clock
from tests.fakes.clock import FakeClock
from tests.fakes.faults import Faults


class FakeConnectionStore:
    """Implements `ports.ConnectionStore`.

    Args:
        clock: tells when a connection left.

    Attributes:
        rows: user and subscription, by connection id.
        ends_ms: when the session of each is over.
        departures: when a connection of each user left last.
    """

    def __init__(self, faults: Faults | None = None, *, clock: Clock | None = None) -> None:
        self.faults = faults or Faults()
        self.rows: dict[str, tuple[str, Subscriber]] = {}
        self.ends_ms: dict[str, int] = {}
        self.departures: dict[str, int] = {}
        self._clock = clock or FakeClock()

    async def add(self, connection_id: str, session: Session, *, now_ms: int) -> list[str]:
        async with self.faults.around("connections.add"):
            if connection_id in self.rows:
                return []
            others = [one.connection_id for one in self._of(session.user)]
            self.rows[connection_id] = session.user, Subscriber(connection_id, now_ms)
            self.ends_ms[connection_id] = session.expires_ms
            oldest = others[: max(0, len(others) - MAX_PER_USER + 1)]
            for one in oldest:
                del self.rows[one]
            return oldest

    async def remove(self, connection_id: str) -> None:
        async with self.faults.around("connections.remove"):
            if connection_id in self.rows:
                user, _subscriber = self.rows.pop(connection_id)
                self.departures[user] = self._clock.now_ms()

    async def subscribers(self, user: str) -> list[Subscriber]:
        async with self.faults.around("connections.subscribers"):
            return self._of(user)

    async def left_ms(self, user: str) -> int | None:
        async with self.faults.around("connections.left_ms"):
            return None if self._of(user) else self.departures.get(user)

    async def mark_lagging(self, connection_id: str, *, lagging: bool) -> None:
        async with self.faults.around("connections.mark_lagging"):
            if connection_id in self.rows:
                user, subscriber = self.rows[connection_id]
                self.rows[connection_id] = user, replace(subscriber, lagging=lagging)

    async def receive(self, connection_id: str, cursors: Mapping[str, int], *, now_ms: int) -> None:
        async with self.faults.around("connections.receive"):
            if connection_id in self.rows:
                user, subscriber = self.rows[connection_id]
                self.rows[connection_id] = user, replace(subscriber, receipts=dict(cursors), received_ms=now_ms)

    async def outlived(self, *, now_ms: int, limit: int) -> list[str]:
        async with self.faults.around("connections.outlived"):
            return [one for one in self.rows if self.ends_ms[one] <= now_ms][:limit]

    def _of(self, user: str) -> list[Subscriber]:
        mine = (subscriber for owner, subscriber in self.rows.values() if owner == user)
        return sorted(mine, key=lambda one: (one.opened_ms, one.connection_id))
