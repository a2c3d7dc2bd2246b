"""The client and its command line where a token gets the tickets, against a gateway that notes what it is shown."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from playbyplay_client.cli import NO_SERVER, TOKEN, main
from playbyplay_client.client import PlaybyplayClient
from playbyplay_client.dialer import SignIn
from playbyplay_client.errors import CannotConnect

BEARER = "a.good.token"  # not a secret: the gateway below is its only friend
TICKET = "one+fresh.ticket"  # what a URL must not take literally


@dataclass
class Gateway:
    """A ticket endpoint and a socket in different places.

    Attributes:
        echoes: whether it answers subprotocols.
        asked: the headers of each POST for a ticket.
        opened: origin, tickets in the query, and subprotocols of each handshake.
    """

    echoes: bool
    base: str = ""
    asked: list[tuple[str | None, str | None]] = field(default_factory=list)
    opened: list[tuple[str | None, list[str], str | None]] = field(default_factory=list)

    async def ticket(self, request: web.Request) -> web.Response:
        """Give a ticket for the one token."""
        self.asked.append((request.headers.get("Authorization"), request.headers.get("Origin")))
        if request.headers.get("Authorization") != f"Bearer {BEARER}":
            return web.json_response({"message": "Unauthorized"}, status=401)
        return web.json_response({"ticket": TICKET, "expires_in": 30})

    async def elsewhere(self, request: web.Request) -> web.Response:
        """Send on to the ticket endpoint."""
        raise web.HTTPTemporaryRedirect(f"{self.base}/api/ticket")

    async def socket(self, request: web.Request) -> web.WebSocketResponse:
        """Open for anybody."""
        offered = request.headers.get("Sec-WebSocket-Protocol")
        self.opened.append((request.headers.get("Origin"), request.query.getall("ticket", []), offered))
        socket = web.WebSocketResponse(protocols=("playbyplay.v1",) if self.echoes else ())
        await socket.prepare(request)
        async for _ in socket:
            pass
        return socket


@contextlib.asynccontextmanager
async def gateway(*, echoes: bool) -> AsyncIterator[Gateway]:
    """Serve a gateway on a free port."""
    serving = Gateway(echoes)
    app = web.Application()
    app.router.add_post("/api/ticket", serving.ticket)
    app.router.add_post("/moved", serving.elsewhere)
    app.router.add_get("/stage", serving.socket)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        serving.base = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield serving
    finally:
        await runner.cleanup()


def client(serving: Gateway, path: str = "/api/ticket", **how: str | bool | None) -> PlaybyplayClient:
    """Return a client that signs in with a token, the good one unless told."""
    token = how.pop("token", BEARER)
    sign_in = SignIn(
        ticket_url=f"{serving.base}{path}",
        token=None if token is None else str(token),
        in_query=bool(how.pop("in_query", False)),
    )
    return PlaybyplayClient(f"ws{serving.base.removeprefix('http')}/stage", sign_in=sign_in)


async def test_a_token_gets_the_ticket_and_goes_nowhere_else() -> None:
    """The bearer is shown to the ticket endpoint only; the socket sees the ticket as a subprotocol."""
    async with gateway(echoes=True) as serving, client(serving):
        pass
    assert serving.asked == [(f"Bearer {BEARER}", serving.base)]
    ((origin, tickets, offered),) = serving.opened
    assert (origin, tickets) == (serving.base, [])
    assert offered is not None
    assert [one.strip() for one in offered.split(",")] == ["playbyplay.v1", f"ticket.{TICKET}"]


async def test_a_ticket_goes_into_the_query_where_it_is_told_to() -> None:
    """Whatever is in it, it arrives whole, and a gateway that answers no subprotocol is good enough."""
    async with gateway(echoes=False) as serving, client(serving, in_query=True):
        pass
    ((origin, tickets, offered),) = serving.opened
    assert (origin, tickets, offered) == (serving.base, [TICKET], "playbyplay.v1")


async def test_without_the_query_an_answer_to_the_subprotocol_is_wanted() -> None:
    """A gateway that does not speak ours is no Playbyplay server."""
    async with gateway(echoes=False) as serving:
        with pytest.raises(CannotConnect, match="does not speak"):
            async with client(serving):
                pass


@pytest.mark.parametrize("token", [None, "another.bad.token"])
async def test_no_ticket_is_told_without_what_was_shown(token: str | None) -> None:
    """The sentence names the place and the status, never the token; the socket is not tried."""
    async with gateway(echoes=True) as serving:
        with pytest.raises(CannotConnect, match="gave no ticket \\(HTTP 401\\): Unauthorized") as refusal:
            async with client(serving, token=token):
                pass
    assert "bad.token" not in str(refusal.value)
    assert serving.opened == []


async def test_a_token_is_not_sent_on() -> None:
    """An endpoint that redirects does not get the token to another place."""
    async with gateway(echoes=True) as serving:
        with pytest.raises(CannotConnect):
            async with client(serving, "/moved"):
                pass
    assert serving.asked == []


def test_an_address_that_is_none_is_refused() -> None:
    """A ticket URL that is no URL is told at once."""
    with pytest.raises(CannotConnect, match="Not the URL of a server"):
        PlaybyplayClient("ws://127.0.0.1:1/x", sign_in=SignIn(ticket_url="nowhere"))


async def test_the_command_takes_the_token_from_its_environment() -> None:
    """`playbyplay chat --ticket-url` shows the token to that place; the token is in no argument."""
    async with gateway(echoes=False) as serving:
        socket = f"ws{serving.base.removeprefix('http')}/stage"
        where = ["--url", socket, "--ticket-url", f"{serving.base}/api/ticket", "--ticket-in-query", "--timeout", "0.5"]
        command = [sys.executable, "-m", "playbyplay_client.cli", "chat", "hello", *where]
        process = await asyncio.create_subprocess_exec(
            *command,
            env={**os.environ, TOKEN: BEARER},
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        _, said = await asyncio.wait_for(process.communicate(), 30)
    assert b"Not done within 0.5 s" in said
    assert BEARER.encode() not in said
    assert serving.asked[0] == (f"Bearer {BEARER}", serving.base)
    assert serving.opened[0][1] == [TICKET]


def test_a_ticket_in_the_query_must_come_from_somewhere(capsys: pytest.CaptureFixture[str]) -> None:
    """The option means nothing without a ticket endpoint, and says so."""
    assert main(["chat", "hello", "--ticket-in-query"]) == NO_SERVER
    assert "--ticket-in-query needs --ticket-url" in capsys.readouterr().err
