"""Tickets: good once."""

import asyncio

from playbyplay.ports import Ticket
from tests.contract.home import Home
from tests.histories import OTHER, USER


def ticket(home: Home, user: str = USER, origin: str | None = "http://localhost") -> Ticket:
    """Return a ticket that holds for 30 s."""
    now_ms = home.clock.now_ms()
    return Ticket(user, origin, now_ms + 30_000, now_ms + 43_200_000)


async def test_a_ticket_is_redeemed_as_it_was_put(home: Home) -> None:
    """User, origin and both times come back, an absent origin as absent."""
    with_origin, without = ticket(home), ticket(home, OTHER, None)
    await home.tickets.put("a" * 64, with_origin)
    await home.tickets.put("b" * 64, without)
    assert await home.tickets.redeem("b" * 64) == without
    assert await home.tickets.redeem("a" * 64) == with_origin


async def test_a_ticket_is_redeemed_once(home: Home) -> None:
    """The second time and ever after there is none; the others stay."""
    await home.tickets.put("a" * 64, ticket(home))
    await home.tickets.put("b" * 64, ticket(home))
    assert await home.tickets.redeem("a" * 64) is not None
    for _ in range(3):
        assert await home.tickets.redeem("a" * 64) is None
    assert await home.tickets.redeem("b" * 64) is not None


async def test_of_many_who_show_one_ticket_one_gets_in(home: Home) -> None:
    """Of 40 concurrent redemptions one returns it."""
    await home.tickets.put("a" * 64, ticket(home))
    outcomes = await asyncio.gather(*(home.tickets.redeem("a" * 64) for _ in range(40)))
    assert sum(outcome is not None for outcome in outcomes) == 1


async def test_an_unknown_ticket_is_none(home: Home) -> None:
    """What was never put, or only looks alike, is not redeemed."""
    await home.tickets.put("a" * 64, ticket(home))
    for digest in ("", "A" * 64, "a" * 63, "a%", "' OR 1=1 --"):
        assert await home.tickets.redeem(digest) is None


async def test_a_ticket_that_still_holds_is_kept_while_time_passes(home: Home) -> None:
    """Later tickets do not push out those nobody has redeemed in time yet."""
    await home.tickets.put("a" * 64, ticket(home))
    home.clock.advance(29)
    await home.tickets.put("b" * 64, ticket(home))
    assert await home.tickets.redeem("a" * 64) is not None
