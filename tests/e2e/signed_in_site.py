"""The page as AWS serves it: static files, a ticket for a bearer, and a socket at another address.

Behind it is the one-machine server: this stands where CloudFront, the JWT authorizer and API Gateway stand.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from aiohttp import ClientSession, WSMsgType, web

from local import http
from local.http import SECURITY_HEADERS
from playbyplay.protocol.base import SUBPROTOCOL
from tests.e2e.home import RunningHome
from tests.e2e.identity_provider import HOST, IdentityProvider, listening

_PAGE = Path(http.__file__).parent / "page"
Socket = web.WebSocketResponse


class SignedInSite:
    """The site, and what it saw.

    Attributes:
        port: of the page.
        socket_port: of the socket.
        logout: whether the settings name an address for signing out.
        bearers: the token of every request for a ticket.
        refusing: answers every request for a ticket with 401.
        away: refuses connections, as a line that is down.
        arrived: set by a socket that opens after a cut.
        protocols: what every handshake offered.
    """

    def __init__(self, home: RunningHome, provider: IdentityProvider, client: ClientSession) -> None:
        self._home = home
        self._provider = provider
        self._client = client
        self._open: set[Socket] = set()
        self.port = 0
        self.socket_port = 0
        self.logout = True
        self.bearers: list[str] = []
        self.refusing = False
        self.away = False
        self.arrived = asyncio.Event()
        self.protocols: list[str] = []

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}/"

    async def cut(self) -> None:
        """Close every socket."""
        self.arrived.clear()
        await asyncio.gather(*(socket.close(code=1001) for socket in list(self._open)))

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/", self._page)
        app.router.add_get("/assets/{name}", self._page)
        app.router.add_get("/config.json", self._config)
        app.router.add_post("/ticket", self._ticket)
        return app

    def socket_app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/live", self._socket)
        return app

    async def _page(self, request: web.Request) -> web.StreamResponse:
        policy = SECURITY_HEADERS["Content-Security-Policy"]
        allowed = f"connect-src 'self' {self._provider.origin}/token ws://{HOST}:{self.socket_port}"
        headers = {**SECURITY_HEADERS, "Content-Security-Policy": policy.replace("connect-src 'self'", allowed)}
        return web.FileResponse(_PAGE / request.match_info.get("name", "index.html"), headers=headers)

    async def _config(self, _request: web.Request) -> web.StreamResponse:
        sign_in = self._provider.settings()
        if not self.logout:
            del sign_in["logout_url"]
        socket = f"ws://{HOST}:{self.socket_port}/live"
        config = {"v": 1, "model": "scripted", "socket": socket, "ticket": "/ticket", "sign_in": sign_in}
        return web.json_response(config, headers=SECURITY_HEADERS)

    async def _ticket(self, request: web.Request) -> web.StreamResponse:
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        self.bearers.append(token)
        user = self._provider.access.get(token)
        if kind != "Bearer" or user is None or self.refusing:
            return web.json_response({"message": "Unauthorized"}, status=401)
        ticket = await self._home.ticket(user, origin=self._home.origin)
        return web.json_response({"ticket": ticket, "expires_in": 30})

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        offered = request.headers["Sec-WebSocket-Protocol"]
        self.protocols.append(offered)
        if self.away or request.headers["Origin"] != self.url.rstrip("/"):
            raise web.HTTPForbidden
        near = Socket(protocols=(SUBPROTOCOL,), compress=False)
        async with self._client.ws_connect(
            f"http://{HOST}:{self._home.port}/ws",
            protocols=[one.strip() for one in offered.split(",")],
            headers={"Origin": self._home.origin},
        ) as far:
            try:
                await near.prepare(request)
            except ConnectionError:
                return near  # the page left during the handshake
            self._open.add(near)
            self.arrived.set()

            async def inward() -> None:
                async for message in far:
                    if message.type is WSMsgType.TEXT:
                        await near.send_str(message.data)

            reading = asyncio.create_task(inward())
            async for message in near:
                await far.send_str(message.data)
            self._open.discard(near)
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
        return near


@contextlib.asynccontextmanager
async def signed_in_site(home: RunningHome, provider: IdentityProvider) -> AsyncIterator[SignedInSite]:
    """Run the page and its socket, on a free port each, before a home."""
    async with ClientSession() as client:
        site = SignedInSite(home, provider, client)
        async with listening(site.socket_app()) as socket_port, listening(site.app()) as port:
            site.socket_port, site.port = socket_port, port
            try:
                yield site
            finally:
                await site.cut()
