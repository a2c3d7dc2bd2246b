"""Events of API Gateway, in the shapes it sends them."""

import base64
from copy import deepcopy
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from playbyplay.adapters.api_gateway_events import (
    AuthorizerEvent,
    ConnectEvent,
    DisconnectEvent,
    HttpEvent,
    MessageEvent,
)
from playbyplay.domain.connection import Session

CONNECTION = "Q7kPbcKtoAMCIqw="
SESSION = Session("ann", 1_750_043_200_000)
AUTHORIZER = {
    "principalId": "ann",
    "user": "ann",
    "session_expires_ms": "1750043200000",
    "integrationLatency": 41,
}
CONTEXT: dict[str, Any] = {
    "routeKey": "$connect",
    "eventType": "CONNECT",
    "extendedRequestId": "Q7kPaFAxoAMF9Yw=",
    "requestTime": "15/Jun/2025:15:06:40 +0000",
    "messageDirection": "IN",
    "stage": "live",
    "connectedAt": 1_750_000_000_123,
    "requestTimeEpoch": 1_750_000_000_125,
    "identity": {"sourceIp": "198.51.100.7", "userAgent": "Browser/1.0"},
    "requestId": "Q7kPaFAxoAMF9Yw=",
    "domainName": "a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com",
    "connectionId": CONNECTION,
    "apiId": "a1b2c3d4e5",
}
HEADERS = {
    "Host": "a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com",
    "Origin": "https://page.example",
    "Sec-WebSocket-Key": "c2FtcGxlIGtleSAxMjM0NQ==",
    "Sec-WebSocket-Protocol": "playbyplay.v1, ticket.abc",
    "Sec-WebSocket-Version": "13",
    "X-Forwarded-For": "198.51.100.7",
}
CONNECT: dict[str, Any] = {
    "headers": HEADERS,
    "multiValueHeaders": {name: [value] for name, value in HEADERS.items()},
    "requestContext": {**CONTEXT, "authorizer": AUTHORIZER},
    "isBase64Encoded": False,
}
AUTHORIZE: dict[str, Any] = {
    "type": "REQUEST",
    "methodArn": "arn:aws:execute-api:eu-central-1:123456789012:a1b2c3d4e5/live/$connect",
    "headers": {**HEADERS, "Connection": "upgrade", "content-length": "0", "Upgrade": "websocket"},
    "multiValueHeaders": {},
    "queryStringParameters": {"ticket": "abc"},
    "multiValueQueryStringParameters": {"ticket": ["abc"]},
    "stageVariables": {},
    "requestContext": CONTEXT,
}
MESSAGE: dict[str, Any] = {
    "requestContext": {
        **CONTEXT,
        "routeKey": "$default",
        "eventType": "MESSAGE",
        "messageId": "Q7kQ1dLmIAMCIqw=",
        "authorizer": AUTHORIZER,
    },
    "body": '{"type":"ping"}',
    "isBase64Encoded": False,
}
DISCONNECT: dict[str, Any] = {
    "headers": {"Host": HEADERS["Host"], "x-api-key": "", "X-Forwarded-For": "", "x-restapi": ""},
    "multiValueHeaders": {"Host": [HEADERS["Host"]]},
    "requestContext": {
        **CONTEXT,
        "routeKey": "$disconnect",
        "eventType": "DISCONNECT",
        "disconnectStatusCode": 1005,
        "disconnectReason": "Client-side close frame status not set",
        "authorizer": AUTHORIZER,
    },
    "isBase64Encoded": False,
}
HTTP: dict[str, Any] = {
    "version": "2.0",
    "routeKey": "POST /ticket",
    "rawPath": "/ticket",
    "rawQueryString": "",
    "headers": {"origin": "https://page.example", "content-type": "application/json"},
    "requestContext": {
        "authorizer": {"jwt": {"claims": {"sub": "ann", "exp": "1750003600", "scope": "chat"}, "scopes": None}},
        "http": {"method": "POST", "path": "/ticket", "protocol": "HTTP/1.1", "sourceIp": "198.51.100.7"},
        "requestId": "Q7kR0gYrliAEJwg=",
        "stage": "$default",
    },
    "body": "{}",
    "isBase64Encoded": False,
}
ALL: list[tuple[type[BaseModel], dict[str, Any]]] = [
    (ConnectEvent, CONNECT),
    (AuthorizerEvent, AUTHORIZE),
    (MessageEvent, MESSAGE),
    (DisconnectEvent, DISCONNECT),
    (HttpEvent, HTTP),
]


def without(event: dict[str, Any], *path: str) -> dict[str, Any]:
    """Return an event without one field."""
    changed = deepcopy(event)
    place = changed
    for name in path[:-1]:
        place = place[name]
    del place[path[-1]]
    return changed


def test_connect() -> None:
    """Connection and origin, and the session in the authorizer's words."""
    event = ConnectEvent.model_validate(CONNECT)
    assert event.connection_id == CONNECTION
    assert event.session == SESSION
    assert event.origin == "https://page.example"
    assert event.protocols == ["playbyplay.v1", "ticket.abc"]


def test_authorizer() -> None:
    """What is asked for, and every place a ticket may stand."""
    event = AuthorizerEvent.model_validate(AUTHORIZE)
    assert event.method_arn.endswith("/live/$connect")
    assert event.query_string_parameters == {"ticket": "abc"}
    assert event.protocols == ["playbyplay.v1", "ticket.abc"]
    assert AuthorizerEvent.model_validate(without(AUTHORIZE, "queryStringParameters")).query_string_parameters == {}
    assert AuthorizerEvent.model_validate({**AUTHORIZE, "queryStringParameters": None}).query_string_parameters == {}


def test_message() -> None:
    """The frame as it came, and whose it is; no headers come with it."""
    event = MessageEvent.model_validate(MESSAGE)
    assert event.body == '{"type":"ping"}'
    assert event.connection_id == CONNECTION
    assert event.session == SESSION
    assert not event.is_base64_encoded
    assert MessageEvent.model_validate({**MESSAGE, "body": "AA==", "isBase64Encoded": True}).is_base64_encoded


def test_disconnect() -> None:
    """With its code or without, whatever the authorizer left in it."""
    event = DisconnectEvent.model_validate(DISCONNECT)
    assert event.connection_id == CONNECTION
    assert event.disconnect_status_code == 1005
    bare = without(without(DISCONNECT, "requestContext", "disconnectStatusCode"), "requestContext", "authorizer")
    assert DisconnectEvent.model_validate(bare).disconnect_status_code is None
    for authorizer in ({}, {"principalId": "nobody", "integrationLatency": 3}):
        context = {**DISCONNECT["requestContext"], "authorizer": authorizer}
        assert DisconnectEvent.model_validate({"requestContext": context}).connection_id == CONNECTION


def test_http() -> None:
    """Who asks, from where, and the body as it was sent."""
    event = HttpEvent.model_validate(HTTP)
    assert event.subject == "ann"
    assert event.claims["exp"] == "1750003600"
    assert event.origin == "https://page.example"
    assert event.content == b"{}"
    encoded = {**HTTP, "body": base64.b64encode(b'{"a":1}').decode(), "isBase64Encoded": True}
    assert HttpEvent.model_validate(encoded).content == b'{"a":1}'
    assert HttpEvent.model_validate(without(HTTP, "body")).content == b""


def test_a_connection_needs_no_times() -> None:
    """What nobody reads may be absent."""
    bare = without(without(CONNECT, "requestContext", "connectedAt"), "requestContext", "requestId")
    assert ConnectEvent.model_validate(bare).connection_id == CONNECTION


def test_a_body_that_is_null_is_empty() -> None:
    """As one that is absent."""
    assert MessageEvent.model_validate({**MESSAGE, "body": None}).body == ""
    assert MessageEvent.model_validate(without(MESSAGE, "body")).body == ""
    assert HttpEvent.model_validate({**HTTP, "body": None}).content == b""


def test_a_token_without_subject_is_nobodys() -> None:
    """Absent, empty, or no text."""
    for claims in ({}, {"sub": ""}, {"sub": 7}):
        context = {"authorizer": {"jwt": {"claims": claims}}}
        assert HttpEvent.model_validate({**HTTP, "requestContext": context}).subject is None


@pytest.mark.parametrize("name", ["Origin", "origin", "ORIGIN", "oRiGiN"])
def test_header_names_come_in_any_case(name: str) -> None:
    """As the client wrote them, or lower-cased on the way."""
    event = AuthorizerEvent.model_validate({**AUTHORIZE, "headers": {"X": "y", name: "https://page.example"}})
    assert event.header("Origin") == event.header("origin") == event.origin == "https://page.example"
    assert event.header("absent") is None


@pytest.mark.parametrize(
    ("offered", "protocols"),
    [
        ("playbyplay.v1,ticket.abc", ["playbyplay.v1", "ticket.abc"]),
        (" playbyplay.v1 ,\tticket.abc ", ["playbyplay.v1", "ticket.abc"]),
        ("playbyplay.v1", ["playbyplay.v1"]),
        ("a,,b,", ["a", "b"]),
        ("", []),
        (None, []),
    ],
)
def test_protocols_are_split_and_trimmed(offered: str | None, protocols: list[str]) -> None:
    """In the client's order, an absent header as none."""
    headers = {} if offered is None else {"sec-websocket-protocol": offered}
    assert AuthorizerEvent.model_validate({**AUTHORIZE, "headers": headers}).protocols == protocols


@pytest.mark.parametrize("headers", [None, {}])
def test_headers_may_be_absent(headers: dict[str, str] | None) -> None:
    """Null counts as none."""
    assert ConnectEvent.model_validate({**CONNECT, "headers": headers}).origin is None


def test_the_session_end_may_come_as_a_number() -> None:
    """Context values are texts on the way, and not everywhere."""
    context = {**MESSAGE["requestContext"], "authorizer": {**AUTHORIZER, "session_expires_ms": 1_750_043_200_000}}
    assert MessageEvent.model_validate({**MESSAGE, "requestContext": context}).session == SESSION


@pytest.mark.parametrize(("model", "event"), ALL)
def test_an_event_is_frozen_and_holds_what_is_used(model: type[BaseModel], event: dict[str, Any]) -> None:
    """The rest is left out, and nothing can be changed."""
    read = model.model_validate({**event, "secret": "secret words"})
    assert "secret words" not in repr(read)
    assert "198.51.100.7" not in repr(read.model_dump(exclude={"headers"}))
    with pytest.raises(ValidationError):
        read.headers = {}  # type: ignore[attr-defined]  # the very thing that is refused


@pytest.mark.parametrize(
    ("model", "event", "path"),
    [
        (ConnectEvent, CONNECT, ("requestContext", "connectionId")),
        (ConnectEvent, CONNECT, ("requestContext", "authorizer")),
        (ConnectEvent, CONNECT, ("requestContext", "authorizer", "user")),
        (MessageEvent, MESSAGE, ("requestContext",)),
        (MessageEvent, MESSAGE, ("requestContext", "authorizer")),
        (MessageEvent, MESSAGE, ("requestContext", "authorizer", "session_expires_ms")),
        (DisconnectEvent, DISCONNECT, ("requestContext", "connectionId")),
        (AuthorizerEvent, AUTHORIZE, ("methodArn",)),
        (HttpEvent, HTTP, ("requestContext", "authorizer")),
    ],
)
def test_an_event_without_what_is_needed_is_malformed(
    model: type[BaseModel], event: dict[str, Any], path: tuple[str, ...]
) -> None:
    """And the error repeats nothing of it."""
    with pytest.raises(ValidationError) as caught:
        model.model_validate(without(event, *path))
    assert CONNECTION not in str(caught.value)
    assert "ticket.abc" not in str(caught.value)


def test_a_value_that_is_wrong_is_not_repeated() -> None:
    """Neither a user that is no text nor an end that is no number."""
    for wrong in ({"user": ["secret words"]}, {"user": ""}, {"session_expires_ms": "secret words"}):
        context = {**MESSAGE["requestContext"], "authorizer": {**AUTHORIZER, **wrong}}
        with pytest.raises(ValidationError) as caught:
            MessageEvent.model_validate({**MESSAGE, "requestContext": context})
        assert "secret words" not in str(caught.value)
