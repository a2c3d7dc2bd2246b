"""POST /ticket: who may have one, and the shapes of the answers."""

import base64
import json
import traceback
from typing import Any

import pytest

from playbyplay.ports import Ticket
from playbyplay.tickets import Doors, Tickets
from tests.fakes.clock import FakeClock
from tests.fakes.ids import FakeIds
from tests.fakes.ticket_store import FakeTicketStore
from tests.histories import USER
from ticket.route import Route

ORIGIN = "https://app.example.com"
SECRET = "SECRET-TEXT"  # noqa: S105 - a word to look for


class Office:
    """The function on fakes."""

    def __init__(self) -> None:
        clock = FakeClock()
        self.store = FakeTicketStore()
        self.tickets = Tickets(doors=Doors.of(ORIGIN), store=self.store, clock=clock, ids=FakeIds())

    async def answer(self, claims: dict[str, Any], origin: str | None = ORIGIN, **fields: Any) -> dict[str, Any]:
        """Return the answer to a request whose token holds these claims."""
        context = {"authorizer": {"jwt": {"claims": claims, "scopes": None}}, "http": {"method": "POST"}}
        headers = {"origin": origin} if origin is not None else {}
        return await Route(tickets=self.tickets)({"requestContext": context, "headers": headers, **fields})

    async def refused(self, claims: dict[str, Any], origin: str | None = ORIGIN, **fields: Any) -> int:
        """Return the status of a refusal, which is one sentence and gives no ticket."""
        answer = await self.answer(claims, origin, **fields)
        assert set(json.loads(answer["body"])) == {"message"}
        assert self.store.tickets == {}
        assert answer["headers"]["Cache-Control"] == "no-store"
        return int(answer["statusCode"])


async def test_a_user_gets_a_ticket() -> None:
    """It is the user's, for this origin, and nothing on the way may keep it."""
    office = Office()
    answer = await office.answer({"sub": USER, "iss": "https://issuer.example.com"})
    body = json.loads(answer["body"])
    assert (answer["statusCode"], body["expires_in"], set(body)) == (200, 30, {"ticket", "expires_in"})
    assert answer["headers"] == {"Content-Type": "application/json", "Cache-Control": "no-store"}
    session = await office.tickets.redeem(ORIGIN, [body["ticket"]])
    assert session.user == USER


@pytest.mark.parametrize("origin", [None, "https://evil.example.com", "http://app.example.com"])
async def test_a_foreign_origin_is_forbidden(origin: str | None) -> None:
    """A page of somebody else gets none, though its visitor is signed in here."""
    assert await Office().refused({"sub": USER}, origin) == 403


@pytest.mark.parametrize("subject", ["", "a" * 256, "a\x00b", "a\nb", "\x7f", "\ud800", None, 7, ["a"]], ids=ascii)
async def test_a_subject_that_is_no_user_is_refused(subject: Any) -> None:
    """Too long, empty, no text, or with control characters or half a pair."""
    assert await Office().refused({"sub": subject}) == 400


async def test_a_token_without_a_subject_is_refused() -> None:
    """It names nobody."""
    assert await Office().refused({"aud": "app"}) == 400


@pytest.mark.parametrize("subject", ["a", "a" * 255, "auth0|5f7c8ec7", "Zoë Ångström", "名前", "a#b U#c"])
async def test_any_other_subject_is_a_user(subject: str) -> None:
    """As it stands in the token."""
    office = Office()
    answer = await office.answer({"sub": subject})
    assert [ticket.user for ticket in office.store.tickets.values()] == [subject]
    assert answer["statusCode"] == 200


@pytest.mark.parametrize("body", ["{}", '{"user":"bob"}', " "])
async def test_a_body_is_refused(body: str) -> None:
    """A request says nothing but who asks; an empty body is none."""
    office = Office()
    assert await office.refused({"sub": USER}, body=body) == 400
    encoded = base64.b64encode(body.encode()).decode()
    assert await office.refused({"sub": USER}, body=encoded, isBase64Encoded=True) == 400
    assert (await office.answer({"sub": USER}, body=""))["statusCode"] == 200


async def test_what_goes_wrong_is_raised_by_its_type_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """What Lambda prints holds neither ticket nor user."""
    office = Office()

    async def broken(_digest: str, _ticket: Ticket) -> None:
        raise KeyError(SECRET)

    monkeypatch.setattr(office.store, "put", broken)
    with pytest.raises(RuntimeError) as crash:
        await office.answer({"sub": SECRET})
    assert str(crash.value) == "KeyError"
    assert SECRET not in "".join(traceback.format_exception(crash.value))
    with pytest.raises(RuntimeError, match=r"^ValidationError$"):
        await Route(tickets=office.tickets)({"headers": {"authorization": SECRET}})
