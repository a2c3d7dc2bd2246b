"""Admission: one fresh ticket, from an exact origin, once; and what is remembered of a connection."""

import asyncio
import hashlib
import re
from collections.abc import Sequence

import pytest

from connect.admission import Admission, AdmissionRefused, Doors
from playbyplay.domain.connection import Session
from tests.fakes.clock import FakeClock
from tests.fakes.connection_store import FakeConnectionStore
from tests.fakes.gateway import FakeGateway
from tests.fakes.ids import FakeIds
from tests.fakes.log import FakeLog
from tests.fakes.ticket_store import FakeTicketStore
from tests.histories import USER

ORIGIN = "https://app.example.com"
OTHER_ORIGIN = "https://two.example.com"
HALF_A_DAY_MS = 43_200_000


class Porch:
    """An admission on fakes."""

    def __init__(self, *, guest: str | None = None) -> None:
        self.clock = FakeClock()
        self.tickets = FakeTicketStore()
        self.connections = FakeConnectionStore()
        self.gateway = FakeGateway()
        self.log = FakeLog()
        self.admission = Admission(
            doors=Doors(frozenset({ORIGIN, OTHER_ORIGIN}), guest),
            tickets=self.tickets,
            connections=self.connections,
            gateway=self.gateway,
            clock=self.clock,
            ids=FakeIds(),
            log=self.log,
        )

    async def refused(self, origin: str | None, tickets: Sequence[str]) -> int:
        """Return the status nobody comes in with."""
        with pytest.raises(AdmissionRefused) as refusal:
            await self.admission.admit(origin, list(tickets))
        assert refusal.value.message
        return refusal.value.status


async def test_a_ticket_admits_its_user() -> None:
    """For half a day from the moment it was given."""
    porch = Porch()
    ticket = await porch.admission.give_ticket(USER, ORIGIN)
    given_ms = porch.clock.now_ms()
    porch.clock.advance(29.999)
    assert await porch.admission.admit(ORIGIN, [ticket]) == Session(USER, given_ms + HALF_A_DAY_MS)


async def test_only_the_hash_of_a_ticket_is_kept() -> None:
    """Who reads the store cannot come in with what stands there; a ticket is 256 bits of base64url."""
    porch = Porch()
    ticket = await porch.admission.give_ticket(USER, ORIGIN)
    assert list(porch.tickets.tickets) == [hashlib.sha256(ticket.encode()).hexdigest()]
    assert ticket not in repr(porch.tickets.tickets)
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", ticket)
    assert ticket not in repr(porch.log.events)
    for digest in list(porch.tickets.tickets):
        assert await porch.refused(ORIGIN, [digest]) == 401


async def test_a_ticket_is_good_once() -> None:
    """The second connection with it is refused, were they at the same moment."""
    porch = Porch()
    ticket = await porch.admission.give_ticket(USER, ORIGIN)
    outcomes = await asyncio.gather(
        *(porch.admission.admit(ORIGIN, [ticket]) for _ in range(5)), return_exceptions=True
    )
    assert sum(isinstance(outcome, Session) for outcome in outcomes) == 1
    assert await porch.refused(ORIGIN, [ticket]) == 401


@pytest.mark.parametrize("late_s", [30, 31, 3600])
async def test_a_ticket_is_good_for_30_seconds(late_s: float) -> None:
    """After them it is refused, and is used up."""
    porch = Porch()
    ticket = await porch.admission.give_ticket(USER, ORIGIN)
    porch.clock.advance(late_s)
    assert await porch.refused(ORIGIN, [ticket]) == 401
    porch.clock.advance(-late_s)
    assert await porch.refused(ORIGIN, [ticket]) == 401


async def test_a_ticket_is_good_for_its_origin_alone() -> None:
    """Another allowed origin, or none, is not it."""
    for guest in (None, "local"):
        porch = Porch(guest=guest)
        ticket = await porch.admission.give_ticket(USER, ORIGIN)
        assert await porch.refused(OTHER_ORIGIN, [ticket]) == 401
        other = await porch.admission.give_ticket(USER, ORIGIN)
        assert await porch.refused(None, [other]) == (401 if guest else 403)


@pytest.mark.parametrize(
    "origin",
    [
        "https://app.example.com.evil.tld", "https://evilapp.example.com", "http://app.example.com", "null", "",
        "https://app.example.com:443", "https://APP.example.com", "https://app.example.com.", "https://app.example.com/",
        " https://app.example.com", "https://app.example.com\n", f"{ORIGIN},{OTHER_ORIGIN}", None,
    ],
    ids=ascii,
)  # fmt: skip
async def test_any_other_origin_is_forbidden(origin: str | None) -> None:
    """Compared letter by letter, for tickets and for connections; a good ticket stays unused."""
    porch = Porch()
    ticket = await porch.admission.give_ticket(USER, ORIGIN)
    assert await porch.refused(origin, [ticket]) == 403
    with pytest.raises(AdmissionRefused) as refusal:
        await porch.admission.give_ticket(USER, origin)
    assert refusal.value.status == 403
    assert len(porch.tickets.tickets) == 1


async def test_without_a_ticket_or_with_two_nobody_comes_in() -> None:
    """Two good ones are not used up."""
    porch = Porch()
    one, two = await porch.admission.give_ticket(USER, ORIGIN), await porch.admission.give_ticket(USER, ORIGIN)
    assert one != two
    assert await porch.refused(ORIGIN, []) == 401
    assert await porch.refused(ORIGIN, [one, two]) == 401
    assert await porch.refused(ORIGIN, [one, one]) == 401
    assert len(porch.tickets.tickets) == 2
    assert (await porch.admission.admit(ORIGIN, [one])).user == USER


@pytest.mark.parametrize("bad", ["", "x", "a" * 10_000, "é😀", "\x00", "' OR 1=1 --", "\udcff\udcfe"], ids=ascii)
async def test_a_ticket_nobody_gave_is_refused(bad: str) -> None:
    """Whatever bytes a header holds: a server reads those that are no UTF-8 as lone surrogates."""
    assert await Porch().refused(ORIGIN, [bad]) == 401


async def test_a_guest_comes_in_without_origin_and_ticket() -> None:
    """A terminal on the same machine is the local user; a browser is not, with whatever origin."""
    porch = Porch(guest="local")
    assert await porch.admission.admit(None, []) == Session("local", porch.clock.now_ms() + HALF_A_DAY_MS)
    assert await porch.refused(ORIGIN, []) == 401
    assert await porch.refused("https://evil.tld", []) == 403
    assert await porch.refused(None, ["x"]) == 401
    ticket = await porch.admission.give_ticket(USER, None)
    assert (await porch.admission.admit(None, [ticket])).user == USER


async def test_an_opened_connection_is_remembered() -> None:
    """From now on it gets its user's live frames, until it is closed, once or twice."""
    porch = Porch()
    session = Session(USER, porch.clock.now_ms() + 1)
    await porch.admission.open("one=", session)
    assert [one.connection_id for one in await porch.connections.subscribers(USER)] == ["one="]
    for _ in range(2):
        await porch.admission.close("one=", 1001)
        assert await porch.connections.subscribers(USER) == []
    assert porch.log.events == [
        ("connection_opened", {"connection_id": "one="}),
        ("connection_closed", {"connection_id": "one=", "code": 1001}),
        ("connection_closed", {"connection_id": "one=", "code": 1001}),
    ]


async def test_the_eleventh_connection_closes_the_oldest() -> None:
    """And no other, neither of this user nor of another."""
    porch = Porch()
    for number in range(11):
        porch.clock.advance(1)
        await porch.admission.open(f"{number}=", Session(USER, porch.clock.now_ms() + 1))
        await porch.admission.open(f"theirs {number % 2}=", Session("bob", porch.clock.now_ms() + 1))
    assert porch.gateway.closed == ["0="]
    assert len(await porch.connections.subscribers(USER)) == 10
