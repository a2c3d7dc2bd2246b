"""Admission: whose a connection is, and what is remembered of it."""

import pytest

from connect.admission import Admission, Attendance
from playbyplay.domain.connection import Session
from playbyplay.tickets import AdmissionRefused, Doors, Tickets
from tests.fakes.clock import FakeClock
from tests.fakes.connection_store import FakeConnectionStore
from tests.fakes.ids import FakeIds
from tests.fakes.log import FakeLog
from tests.fakes.ticket_store import FakeTicketStore
from tests.histories import USER

ORIGIN = "https://app.example.com"
HALF_A_DAY_MS = 43_200_000


class Porch:
    """An admission on fakes."""

    def __init__(self, *, guest: str | None = None) -> None:
        self.clock = FakeClock()
        self.connections = FakeConnectionStore()
        self.log = FakeLog()
        doors = Doors(frozenset({ORIGIN}), guest)
        self.tickets = Tickets(doors=doors, store=FakeTicketStore(), clock=self.clock, ids=FakeIds())
        self.admission = Admission(doors=doors, tickets=self.tickets, clock=self.clock)
        self.attendance = Attendance(connections=self.connections, clock=self.clock, log=self.log)

    async def refused(self, origin: str | None, *tickets: str) -> int:
        """Return the status nobody comes in with."""
        with pytest.raises(AdmissionRefused) as refusal:
            await self.admission(origin, list(tickets))
        return refusal.value.status


async def test_a_ticket_admits_its_user_once() -> None:
    """For half a day from the moment it was given."""
    porch = Porch()
    ticket = await porch.tickets.give(USER, ORIGIN)
    given_ms = porch.clock.now_ms()
    porch.clock.advance(10)
    assert await porch.admission(ORIGIN, [ticket]) == Session(USER, given_ms + HALF_A_DAY_MS)
    assert await porch.refused(ORIGIN, ticket) == 401


async def test_a_guest_comes_in_without_origin_and_ticket() -> None:
    """A terminal on the same machine is the local user; a browser is not, with whatever origin."""
    porch = Porch(guest="local")
    assert await porch.admission(None, []) == Session("local", porch.clock.now_ms() + HALF_A_DAY_MS)
    assert await porch.refused(ORIGIN) == 401
    assert await porch.refused("https://evil.tld") == 403
    assert await porch.refused(None, "x") == 401
    ticket = await porch.tickets.give(USER, None)
    assert (await porch.admission(None, [ticket])).user == USER
    browsers = await porch.tickets.give(USER, ORIGIN)
    assert await porch.refused(None, browsers) == 401


async def test_where_there_are_no_guests_a_client_needs_origin_and_ticket() -> None:
    """Without an origin it is forbidden, whatever it shows."""
    porch = Porch()
    ticket = await porch.tickets.give(USER, ORIGIN)
    assert await porch.refused(None) == 403
    assert await porch.refused(None, ticket) == 403
    assert await porch.refused(ORIGIN) == 401


async def test_an_opened_connection_is_remembered() -> None:
    """From now on it gets its user's live frames, until it is closed, once or twice."""
    porch = Porch()
    session = Session(USER, porch.clock.now_ms() + 1)
    assert await porch.attendance.open("one=", session) == []
    assert [one.connection_id for one in await porch.connections.subscribers(USER)] == ["one="]
    for _ in range(2):
        await porch.attendance.close("one=", 1001)
        assert await porch.connections.subscribers(USER) == []
    assert porch.log.events == [
        ("connection_opened", {"connection_id": "one="}),
        ("connection_closed", {"connection_id": "one=", "code": 1001}),
        ("connection_closed", {"connection_id": "one=", "code": 1001}),
    ]


async def test_the_eleventh_connection_makes_the_oldest_give_way() -> None:
    """And no other, neither of this user nor of another; who may close it is told which."""
    porch = Porch()
    gave_way = []
    for number in range(11):
        porch.clock.advance(1)
        gave_way += await porch.attendance.open(f"{number}=", Session(USER, porch.clock.now_ms() + 1))
        assert await porch.attendance.open(f"theirs {number % 2}=", Session("bob", porch.clock.now_ms() + 1)) == []
    assert gave_way == ["0="]
    assert len(await porch.connections.subscribers(USER)) == 10
