"""The handshake: which tickets count, and the policy that API Gateway gets."""

import hashlib
import traceback
from collections.abc import Mapping
from typing import Any

import pytest

from connect.admission import Admission
from connect.handshake import Handshake
from playbyplay.ports import Ticket
from playbyplay.tickets import Doors, Tickets
from tests.fakes.clock import FakeClock
from tests.fakes.ids import FakeIds
from tests.fakes.ticket_store import FakeTicketStore
from tests.histories import USER

ORIGIN = "https://app.example.com"
ARN = "arn:aws:execute-api:us-east-1:123456789012:api/live/$connect"
SECRET = "SECRET-TEXT"  # noqa: S105 - a word to look for


class Gate:
    """An authorizer on fakes."""

    def __init__(self, *, ticket_in_query: bool = False) -> None:
        clock, doors = FakeClock(), Doors.of(ORIGIN)
        self.clock = clock
        self.store = FakeTicketStore()
        self.tickets = Tickets(doors=doors, store=self.store, clock=clock, ids=FakeIds())
        admission = Admission(doors=doors, tickets=self.tickets, clock=clock)
        self.handshake = Handshake(admission=admission, ticket_in_query=ticket_in_query)

    async def ticket(self, user: str = USER) -> str:
        """Return a fresh ticket."""
        return await self.tickets.give(user, ORIGIN)

    async def answer(
        self, protocols: str | None = None, *, origin: str | None = ORIGIN, query: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """Return the answer to a handshake."""
        headers = {"Sec-WebSocket-Protocol": protocols, "Origin": origin}
        return await self.handshake(
            {
                "type": "REQUEST",
                "methodArn": ARN,
                "headers": {name: value for name, value in headers.items() if value is not None},
                "queryStringParameters": query,
                "requestContext": {"routeKey": "$connect", "eventType": "CONNECT", "connectionId": "new="},
            }
        )

    async def is_unauthorized(
        self, protocols: str | None = None, *, origin: str | None = ORIGIN, query: Mapping[str, str] | None = None
    ) -> bool:
        """Whether the handshake is answered by the very word that makes API Gateway say 401."""
        with pytest.raises(Exception, match=r"^Unauthorized$") as refusal:
            await self.answer(protocols, origin=origin, query=query)
        return type(refusal.value) is Exception and refusal.value.__suppress_context__


async def test_a_fresh_ticket_lets_its_user_in() -> None:
    """To this method alone; the context says who it is and until when, in strings; the principal names nobody."""
    gate = Gate()
    answer = await gate.answer(f"playbyplay.v1, ticket.{await gate.ticket()}")
    assert answer == {
        "principalId": hashlib.sha256(USER.encode()).hexdigest(),
        "policyDocument": {
            "Version": "2012-10-17",
            "Statement": [{"Action": "execute-api:Invoke", "Effect": "Allow", "Resource": ARN}],
        },
        "context": {"user": USER, "session_expires_ms": str(gate.clock.now_ms() + 43_200_000)},
    }


@pytest.mark.parametrize(
    "protocols", ["ticket.{0},playbyplay.v1", " playbyplay.v1 ,ticket.{0} ", "x, ticket.{0}, playbyplay.v1"]
)
async def test_the_subprotocols_come_in_any_order(protocols: str) -> None:
    """With or without spaces, among others."""
    gate = Gate()
    assert "context" in await gate.answer(protocols.format(await gate.ticket()))


@pytest.mark.parametrize(
    "protocols",
    [
        None,
        "",
        "playbyplay.v1",
        "ticket.{0}",
        "playbyplay.v2, ticket.{0}",
        "playbyplay.v1, {0}",
        "playbyplay.v1, ticket.",
        "playbyplay.v1, ticket.{0}x",
        "playbyplay.v1, ticket.{0}, ticket.{0}",
    ],
)
async def test_both_subprotocols_must_be_there_once(protocols: str | None) -> None:
    """Otherwise 401, and a good ticket stays unused."""
    gate = Gate()
    ticket = await gate.ticket()
    assert await gate.is_unauthorized(protocols and protocols.format(ticket))
    assert len(gate.store.tickets) == 1


async def test_a_used_ticket_is_unauthorized() -> None:
    """And so is one that came too late."""
    gate = Gate()
    used, late = await gate.ticket(), await gate.ticket()
    await gate.answer(f"playbyplay.v1, ticket.{used}")
    assert await gate.is_unauthorized(f"playbyplay.v1, ticket.{used}")
    gate.clock.advance(30)
    assert await gate.is_unauthorized(f"playbyplay.v1, ticket.{late}")


@pytest.mark.parametrize("origin", [None, "https://evil.example.com", "http://app.example.com", "null"])
async def test_a_foreign_origin_is_denied(origin: str | None) -> None:
    """With a policy, which is 403, and no context; the ticket stays unused."""
    gate = Gate(ticket_in_query=True)
    ticket = await gate.ticket()
    for protocols, query in ((f"playbyplay.v1, ticket.{ticket}", None), (None, {"ticket": ticket}), (None, None)):
        answer = await gate.answer(protocols, origin=origin, query=query)
        assert answer["policyDocument"]["Statement"] == [
            {"Action": "execute-api:Invoke", "Effect": "Deny", "Resource": ARN}
        ]
        assert set(answer) == {"principalId", "policyDocument"}
    assert len(gate.store.tickets) == 1


async def test_a_ticket_in_the_url_is_unauthorized_unless_it_is_allowed() -> None:
    """Even beside a good one in its place, which stays unused."""
    gate = Gate()
    ticket, other = await gate.ticket(), await gate.ticket()
    assert await gate.is_unauthorized(query={"ticket": ticket})
    assert await gate.is_unauthorized("playbyplay.v1", query={"ticket": ticket})
    assert await gate.is_unauthorized(f"playbyplay.v1, ticket.{other}", query={"ticket": ticket})
    assert await gate.is_unauthorized(f"playbyplay.v1, ticket.{other}", query={"ticket": ""})
    assert len(gate.store.tickets) == 2


async def test_where_it_is_allowed_a_ticket_may_stand_in_the_url() -> None:
    """Without any subprotocol, or beside ours; a ticket in both places is two."""
    gate = Gate(ticket_in_query=True)
    assert "context" in await gate.answer(query={"ticket": await gate.ticket()})
    assert "context" in await gate.answer("playbyplay.v1", query={"ticket": await gate.ticket()})
    assert "context" in await gate.answer(f"playbyplay.v1, ticket.{await gate.ticket()}")
    ticket = await gate.ticket()
    assert await gate.is_unauthorized("other.v1", query={"ticket": ticket})
    assert await gate.is_unauthorized(f"playbyplay.v1, ticket.{ticket}", query={"ticket": ticket})
    assert await gate.is_unauthorized(query={"other": ticket})
    assert len(gate.store.tickets) == 1


async def test_what_goes_wrong_is_raised_by_its_type_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which is no "Unauthorized": the client may try again; what Lambda prints holds no ticket."""
    gate = Gate()

    async def broken(_digest: str) -> Ticket | None:
        raise KeyError(SECRET)

    monkeypatch.setattr(gate.store, "redeem", broken)
    with pytest.raises(RuntimeError) as crash:
        await gate.answer(f"playbyplay.v1, ticket.{SECRET}")
    assert str(crash.value) == "KeyError"
    assert SECRET not in "".join(traceback.format_exception(crash.value))
    with pytest.raises(RuntimeError, match=r"^ValidationError$"):
        await gate.handshake({"headers": {"Sec-WebSocket-Protocol": f"ticket.{SECRET}"}})
