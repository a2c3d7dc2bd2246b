"""`$connect` and `$disconnect`: the row comes, our subprotocol is echoed, the row goes."""

import traceback
from typing import Any

import pytest

from connect.admission import Attendance
from connect.route import Route
from playbyplay.domain.connection import MAX_PER_USER
from tests.fakes.clock import FakeClock
from tests.fakes.connection_store import FakeConnectionStore
from tests.fakes.faults import before
from tests.fakes.log import FakeLog
from tests.histories import USER

SECRET = "SECRET-TEXT"  # noqa: S105 - a word to look for


class Hall:
    """The function on fakes."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.connections = FakeConnectionStore()
        self.log = FakeLog()
        self.route = Route(attendance=Attendance(connections=self.connections, clock=self.clock, log=self.log))

    async def connect(self, connection_id: str = "new=", protocols: str | None = None) -> dict[str, Any]:
        """Open a connection."""
        context = {
            "routeKey": "$connect",
            "eventType": "CONNECT",
            "connectionId": connection_id,
            "connectedAt": self.clock.now_ms(),
            "requestId": "request=",
            "authorizer": {"user": USER, "session_expires_ms": str(self.clock.now_ms() + 1_000)},
        }
        headers = {} if protocols is None else {"sec-websocket-protocol": protocols}
        return await self.route({"headers": headers, "requestContext": context})

    async def disconnect(self, connection_id: str = "new=", **fields: Any) -> dict[str, Any]:
        """Tell that a connection is closed."""
        context = {"routeKey": "$disconnect", "eventType": "DISCONNECT", "connectionId": connection_id, **fields}
        return await self.route({"requestContext": context})


async def test_a_connection_is_remembered_as_its_users() -> None:
    """By the authorizer's word."""
    hall = Hall()
    assert (await hall.connect())["statusCode"] == 200
    assert [one.connection_id for one in await hall.connections.subscribers(USER)] == ["new="]


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        ("playbyplay.v1, ticket.abc", {"Sec-WebSocket-Protocol": "playbyplay.v1"}),
        ("ticket.abc,playbyplay.v1", {"Sec-WebSocket-Protocol": "playbyplay.v1"}),
        ("ticket.abc", {}),
        ("", {}),
        (None, {}),
    ],
)
async def test_our_subprotocol_is_echoed_where_it_was_offered(offered: str | None, chosen: dict[str, str]) -> None:
    """And nothing else: never the ticket, and nothing to a client that offered none."""
    assert await Hall().connect(protocols=offered) == {"statusCode": 200, "headers": chosen}


async def test_a_disconnect_forgets_the_connection_as_often_as_it_comes() -> None:
    """With its code; a connection that was never let in has no row and no authorizer."""
    hall = Hall()
    await hall.connect()
    for _ in range(2):
        assert await hall.disconnect(disconnectStatusCode=1001, disconnectReason="Going away") == {"statusCode": 200}
        assert hall.connections.rows == {}
    assert await hall.disconnect("stranger=") == {"statusCode": 200}
    assert hall.log.of("connection_closed") == [
        {"connection_id": "new=", "code": 1001},
        {"connection_id": "new=", "code": 1001},
        {"connection_id": "stranger=", "code": None},
    ]


async def test_one_connection_too_many_takes_the_row_of_the_oldest() -> None:
    """It is let in; who gave way is closed elsewhere."""
    hall = Hall()
    for number in range(MAX_PER_USER + 1):
        hall.clock.advance(1)
        assert (await hall.connect(f"{number}="))["statusCode"] == 200
    assert list(hall.connections.rows) == [f"{number}=" for number in range(1, MAX_PER_USER + 1)]


@pytest.mark.parametrize("operation", ["connections.add", "connections.remove"])
async def test_what_goes_wrong_is_raised_by_its_type_alone(operation: str) -> None:
    """API Gateway refuses the handshake; what Lambda prints holds nothing of who came."""
    hall = Hall()
    hall.connections.faults.plan(operation, before(KeyError(SECRET)))
    with pytest.raises(RuntimeError) as crash:
        await (hall.connect() if operation == "connections.add" else hall.disconnect())
    assert str(crash.value) == "KeyError"
    assert SECRET not in "".join(traceback.format_exception(crash.value))


async def test_an_event_without_a_user_is_raised_by_its_type_alone() -> None:
    """An API without its authorizer is a deployment gone wrong."""
    hall = Hall()
    context = {"routeKey": "$connect", "connectionId": "new="}
    with pytest.raises(RuntimeError, match=r"^ValidationError$"):
        await hall.route({"headers": {}, "requestContext": context})
    assert hall.connections.rows == {}
