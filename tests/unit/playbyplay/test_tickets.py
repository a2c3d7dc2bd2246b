"""Tickets: one fresh ticket, from an exact origin, once."""

import asyncio
import hashlib
import re
from collections.abc import Sequence

import pytest

from playbyplay.domain.connection import Session
from playbyplay.tickets import AdmissionRefused, Doors, Tickets
from tests.fakes.clock import FakeClock
from tests.fakes.ids import FakeIds
from tests.fakes.ticket_store import FakeTicketStore
from tests.histories import USER

ORIGIN = "https://app.example.com"
OTHER_ORIGIN = "https://two.example.com"
HALF_A_DAY_MS = 43_200_000


class Booth:
    """Tickets on fakes."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.store = FakeTicketStore()
        self.tickets = Tickets(
            doors=Doors.of(f"{ORIGIN} {OTHER_ORIGIN}"), store=self.store, clock=self.clock, ids=FakeIds()
        )

    async def refused(self, origin: str | None, tickets: Sequence[str]) -> int:
        """Return the status nobody comes in with."""
        with pytest.raises(AdmissionRefused) as refusal:
            await self.tickets.redeem(origin, list(tickets))
        assert refusal.value.message
        return refusal.value.status


async def test_a_ticket_admits_its_user() -> None:
    """For half a day from the moment it was given."""
    booth = Booth()
    ticket = await booth.tickets.give(USER, ORIGIN)
    given_ms = booth.clock.now_ms()
    booth.clock.advance(29.999)
    assert await booth.tickets.redeem(ORIGIN, [ticket]) == Session(USER, given_ms + HALF_A_DAY_MS)


async def test_only_the_hash_of_a_ticket_is_kept() -> None:
    """Who reads the store cannot come in with what stands there; a ticket is 256 bits of base64url."""
    booth = Booth()
    ticket = await booth.tickets.give(USER, ORIGIN)
    assert list(booth.store.tickets) == [hashlib.sha256(ticket.encode()).hexdigest()]
    assert ticket not in repr(booth.store.tickets)
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", ticket)
    for digest in list(booth.store.tickets):
        assert await booth.refused(ORIGIN, [digest]) == 401


async def test_a_ticket_is_good_once() -> None:
    """The second connection with it is refused, were they at the same moment."""
    booth = Booth()
    ticket = await booth.tickets.give(USER, ORIGIN)
    outcomes = await asyncio.gather(*(booth.tickets.redeem(ORIGIN, [ticket]) for _ in range(5)), return_exceptions=True)
    assert sum(isinstance(outcome, Session) for outcome in outcomes) == 1
    assert await booth.refused(ORIGIN, [ticket]) == 401


@pytest.mark.parametrize("late_s", [30, 31, 3600])
async def test_a_ticket_is_good_for_30_seconds(late_s: float) -> None:
    """After them it is refused, and is used up."""
    booth = Booth()
    ticket = await booth.tickets.give(USER, ORIGIN)
    booth.clock.advance(late_s)
    assert await booth.refused(ORIGIN, [ticket]) == 401
    booth.clock.advance(-late_s)
    assert await booth.refused(ORIGIN, [ticket]) == 401


async def test_a_ticket_is_good_for_its_origin_alone() -> None:
    """Another allowed origin is not it, and the ticket is used up."""
    booth = Booth()
    ticket = await booth.tickets.give(USER, ORIGIN)
    assert await booth.refused(OTHER_ORIGIN, [ticket]) == 401
    assert await booth.refused(ORIGIN, [ticket]) == 401


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
    booth = Booth()
    ticket = await booth.tickets.give(USER, ORIGIN)
    assert await booth.refused(origin, [ticket]) == 403
    with pytest.raises(AdmissionRefused) as refusal:
        await booth.tickets.give(USER, origin)
    assert refusal.value.status == 403
    assert len(booth.store.tickets) == 1


async def test_without_a_ticket_or_with_two_nobody_comes_in() -> None:
    """Two good ones are not used up."""
    booth = Booth()
    one, two = await booth.tickets.give(USER, ORIGIN), await booth.tickets.give(USER, ORIGIN)
    assert one != two
    assert await booth.refused(ORIGIN, []) == 401
    assert await booth.refused(ORIGIN, [one, two]) == 401
    assert await booth.refused(ORIGIN, [one, one]) == 401
    assert len(booth.store.tickets) == 2
    assert (await booth.tickets.redeem(ORIGIN, [one])).user == USER


@pytest.mark.parametrize("bad", ["", "x", "a" * 10_000, "é😀", "\x00", "' OR 1=1 --", "\udcff\udcfe"], ids=ascii)
async def test_a_ticket_nobody_gave_is_refused(bad: str) -> None:
    """Whatever bytes a header holds: a server reads those that are no UTF-8 as lone surrogates."""
    assert await Booth().refused(ORIGIN, [bad]) == 401


def test_the_origins_of_a_deployment_stand_in_one_line() -> None:
    """Separated by spaces; nobody is a guest there."""
    doors = Doors.of(f"  {ORIGIN}  {OTHER_ORIGIN} ")
    assert doors == Doors(frozenset({ORIGIN, OTHER_ORIGIN}))
    with pytest.raises(AdmissionRefused):
        doors.check(None)
    Doors(frozenset(), guest="local").check(None)
