"""The route of all frames: an event of API Gateway in, a route response out."""

import json
import traceback
from typing import Any

import pytest

from message.route import Route
from message.violations import Violations
from playbyplay.errors import ConnectionGone, PostFailed, StoreUnavailable
from playbyplay.ports import Quota
from tests.fakes.faults import before
from tests.histories import MESSAGE, USER
from tests.house import House

SECRET = "SECRET-TEXT"  # noqa: S105 - a word to look for


def event(house: House, body: str, **fields: Any) -> dict[str, Any]:
    """Return a frame as API Gateway hands it over, its authorizer's values as strings."""
    session = house.caller().session
    authorizer = {"principalId": "x", "user": session.user, "session_expires_ms": str(session.expires_ms)}
    context = {
        "routeKey": "$default",
        "eventType": "MESSAGE",
        "connectionId": "routed=",
        "connectedAt": house.clock.now_ms(),
        "authorizer": authorizer,
    }
    return {"requestContext": context, "body": body, "isBase64Encoded": False, **fields}


def routed(house: House) -> Route:
    """Return the function as one container has it."""
    return Route(dispatch=house.dispatch, violations=Violations(house.clock), gateway=house.gateway, log=house.log)


async def answered(house: House, sent: dict[str, Any], route: Route | None = None) -> dict[str, Any]:
    answer = await (route or routed(house))(sent)
    assert answer["statusCode"] == 200
    frame: dict[str, Any] = json.loads(answer["body"])
    return frame


async def test_a_frame_is_answered_on_its_own_route() -> None:
    """The reply is the body of the response; the user is the authorizer's."""
    house = House()
    sent = {"type": "agent_message", "content": "Hi.", "client_message_id": MESSAGE}
    reply = await answered(house, event(house, json.dumps(sent)))
    assert (reply["type"], reply["client_message_id"], reply["duplicate"]) == ("message_accepted", MESSAGE, False)
    assert list(house.runs.runs) == [(USER, reply["run_id"])]


async def test_a_refusal_is_an_answer_too() -> None:
    """With status 200: for any other API Gateway sends nothing at all."""
    house = House()
    assert (await answered(house, event(house, "nonsense")))["code"] == "bad_json"
    without_body = event(house, "")
    del without_body["body"]
    assert (await answered(house, without_body))["code"] == "bad_json"


async def test_a_binary_frame_is_refused() -> None:
    """As no text, though what it holds in base64 would be a command."""
    house = House()
    reply = await answered(house, event(house, "eyJ0eXBlIjoicGluZyJ9", isBase64Encoded=True))
    assert (reply["type"], reply["code"]) == ("message_rejected", "bad_encoding")
    assert house.log.events == [("frame_rejected", {"connection_id": "routed=", "code": "bad_encoding"})]
    assert house.connections.rows == {}


async def test_a_session_that_is_over_is_refused() -> None:
    """By the time the authorizer said."""
    house = House()
    late = event(house, '{"type":"ping"}')
    house.clock.advance(43_200)
    assert (await answered(house, late))["code"] == "expired"


def _chained() -> Exception:
    error = StoreUnavailable(SECRET)
    error.__cause__ = ValueError(SECRET)
    return error


@pytest.mark.parametrize("error", [KeyError(SECRET), _chained()], ids=["plain", "with a cause"])
async def test_a_crash_is_logged_and_raised_by_its_type_alone(error: Exception) -> None:
    """API Gateway then tells the client, which sends again; what Lambda prints holds nothing of the frame."""
    house = House()

    class Broken(Quota):
        async def wait_s(self, user: str, connection_id: str, kind: str) -> float:
            raise error

    house.quota = Broken()  # type: ignore[assignment]  # a bug, of all things
    with pytest.raises(RuntimeError) as crash:
        await answered(house, event(house, json.dumps({"type": "agent_message", "content": SECRET})))
    name = type(error).__name__
    assert house.log.events == [("frame_crashed", {"connection_id": "routed=", "error": name})]
    assert str(crash.value) == name
    assert SECRET not in "".join(traceback.format_exception(crash.value))


async def test_a_frame_without_a_user_is_served_nobody() -> None:
    """An API without its authorizer is a deployment gone wrong, not a guest."""
    house = House()
    orphan = event(house, '{"type":"ping"}')
    del orphan["requestContext"]["authorizer"]
    with pytest.raises(RuntimeError, match=r"^ValidationError$"):
        await answered(house, orphan)
    assert house.log.of("frame_crashed") == [{"connection_id": None, "error": "ValidationError"}]
    assert house.connections.rows == {}


async def test_a_connection_that_sends_no_commands_is_closed() -> None:
    """At its tenth such frame in a minute, binary ones counted; it is told why first, while it can be."""
    house = House()
    route = routed(house)
    codes = []
    for number in range(10):
        assert house.gateway.closed == []
        assert house.gateway.frames("routed=") == []
        sent = event(house, "nonsense", isBase64Encoded=number % 2 == 1)
        codes.append((await answered(house, sent, route))["code"])
    assert codes == ["bad_json", "bad_encoding"] * 5
    assert [frame["code"] for frame in house.gateway.frames("routed=", "message_rejected")] == ["bad_encoding"]
    assert house.faults.calls == ["gateway.post", "gateway.close"]
    assert house.gateway.closed == ["routed="]


@pytest.mark.parametrize("trouble", [PostFailed("slow"), ConnectionGone()], ids=["slow", "gone"])
async def test_a_connection_that_does_not_take_the_reason_is_closed(trouble: PostFailed | ConnectionGone) -> None:
    """It had nine before."""
    house = House()
    route = routed(house)
    house.gateway.always("routed=", trouble)
    for _ in range(10):
        await answered(house, event(house, "nonsense"), route)
    assert house.gateway.closed == ["routed="]


async def test_a_connection_that_cannot_be_closed_is_answered() -> None:
    """Its next such frame tries again."""
    house = House()
    route = routed(house)
    house.faults.plan("gateway.close", before(PostFailed("throttled")))
    for _ in range(10):
        assert (await answered(house, event(house, "nonsense"), route))["code"] == "bad_json"
    assert house.gateway.closed == []
    await answered(house, event(house, "nonsense"), route)
    assert house.gateway.closed == ["routed="]
