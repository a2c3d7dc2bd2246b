"""The HTTP face: the page, its tickets, and the handshake of the socket, on one port, loopback only."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from aiohttp import WSCloseCode, web

from connect.admission import Admission, Attendance
from local.fault_face import FaultFace
from local.gateway import SocketGateway
from local.ops_face import OpsFace
from local.settings import LocalSettings
from local.socket import Connection, SocketRules, new_socket
from message.caller import Caller
from playbyplay.domain.connection import TICKET_S, SlidingWindow
from playbyplay.protocol.base import SUBPROTOCOL
from playbyplay.tickets import AdmissionRefused, Tickets

LOCAL_USER = "local"
MAX_URL = 4096  # API Gateway's
_PAGE = Path(__file__).parent / "page"
_TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
_TICKET_PREFIX = "ticket."
_USER = re.compile(r"[A-Za-z0-9_.@-]{1,64}")
_KEY = re.compile(r"[A-Za-z0-9+/]{22}==")
_MAX_TICKET_BODY = 1024
SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-cache",
}


class HttpFace:
    """The routes.

    Args:
        model_name: shown by the page, so that nobody takes the scripted model for more than it is.
        ops: the routes of those who watch.
        faults: the fault switch, where it was asked for.
    """

    def __init__(
        self,
        *,
        settings: LocalSettings,
        tickets: Tickets,
        admission: Admission,
        attendance: Attendance,
        gateway: SocketGateway,
        rules: SocketRules,
        model_name: str,
        ops: OpsFace,
        faults: FaultFace | None = None,
    ) -> None:
        self._settings = settings
        self._tickets = tickets
        self._admission = admission
        self._attendance = attendance
        self._gateway = gateway
        self._rules = rules
        self._model_name = model_name
        self._ops = ops
        self._faults = faults
        self._assets = {path.name: path for path in _PAGE.iterdir() if path.suffix in _TYPES}
        self._connects: dict[str, SlidingWindow] = {}

    def app(self) -> web.Application:
        """Return the application."""
        app = web.Application(middlewares=[_limits], client_max_size=_MAX_TICKET_BODY)
        app.router.add_get("/", self._page)
        app.router.add_get("/assets/{name}", self._page)
        app.router.add_get("/config.json", self._config)
        app.router.add_post("/ticket", self._ticket)
        app.router.add_route("*", "/ws", self._socket)
        self._ops.add_to(app, SECURITY_HEADERS)
        if self._faults is not None:
            self._faults.add_to(app)
        return app

    async def _page(self, request: web.Request) -> web.StreamResponse:
        asset = self._assets.get(request.match_info.get("name", "index.html"))
        if asset is None:
            raise web.HTTPNotFound
        return web.Response(
            body=asset.read_bytes(), content_type=_TYPES[asset.suffix], charset="utf-8", headers=SECURITY_HEADERS
        )

    async def _config(self, _request: web.Request) -> web.StreamResponse:
        config: dict[str, str | int] = {"model": self._model_name, "socket": "/ws", "ticket": "/ticket", "v": 1}
        if self._faults is not None:
            config["faults"] = True
        return web.json_response(config, headers=SECURITY_HEADERS)

    async def _ticket(self, request: web.Request) -> web.StreamResponse:
        user = LOCAL_USER
        body = await request.read()
        if body:
            try:
                asked = json.loads(body)
            except (ValueError, RecursionError):
                return _message(400, "The body is not JSON.")
            if not isinstance(asked, dict) or set(asked) - {"user"}:
                return _message(400, "The body takes nothing but a user.")
            if "user" in asked:
                user = asked["user"]
                if not self._settings.test_users:
                    return _message(403, "Users cannot be named here; PLAYBYPLAY_TEST_USERS=1 allows it.")
                if not isinstance(user, str) or not _USER.fullmatch(user):
                    return _message(400, "A user is 1 to 64 letters, digits, or one of _ . @ -")
        try:
            ticket = await self._tickets.give(user, request.headers.get("Origin"))
        except AdmissionRefused as refused:
            return _message(refused.status, refused.message)
        return web.json_response({"ticket": ticket, "expires_in": TICKET_S}, headers={"Cache-Control": "no-store"})

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        lines = request.headers.getall("Sec-WebSocket-Protocol", [])
        offered = [one.strip() for one in ",".join(lines).split(",") if one.strip()]
        refusal = self._refusal(request, offered)
        if refusal is not None:
            return refusal
        tickets = [one.removeprefix(_TICKET_PREFIX) for one in offered if one.startswith(_TICKET_PREFIX)]
        try:
            session = await self._admission(request.headers.get("Origin"), tickets)
        except AdmissionRefused as refused:
            return _message(refused.status, refused.message)
        socket = new_socket(offered=bool(offered))
        try:
            await socket.prepare(request)
        except ConnectionError:
            return socket  # the client left during the handshake
        assert request.transport is not None  # noqa: S101 - the handshake has just gone over it
        caller = Caller(self._rules.ids.secret()[:15] + "=", session)
        code: int = WSCloseCode.ABNORMAL_CLOSURE
        self._gateway.attach(caller.connection_id, socket, request.transport)
        try:
            for oldest in await self._attendance.open(caller.connection_id, session):
                await self._gateway.close(oldest)
            code = await Connection(self._rules, socket, caller).serve()
        finally:
            self._gateway.detach(caller.connection_id)
            self._rules.quota.forget(caller.connection_id)
            await self._attendance.close(caller.connection_id, code)
        return socket

    def _refusal(self, request: web.Request, offered: list[str]) -> web.Response | None:
        """Return the answer to a handshake that is none, or None."""
        if request.method != "GET" or request.headers.get("Upgrade", "").lower() != "websocket":
            return _message(426, "This is a WebSocket.", headers={"Upgrade": "websocket"})
        if not self._admits(request.remote or ""):
            return _message(429, "Too many connections. Slow down.", headers={"Retry-After": "1"})
        if request.headers.get("Sec-WebSocket-Version") != "13" or not _is_key(request.headers):
            return _message(400, "This is no WebSocket handshake.", headers={"Sec-WebSocket-Version": "13"})
        if offered and SUBPROTOCOL not in offered:
            return _message(400, f"This server speaks {SUBPROTOCOL}.")
        if "ticket" in request.query:
            return _message(401, "A ticket in the URL is not allowed here.")
        return None

    def _admits(self, address: str) -> bool:
        window = self._connects.setdefault(address, SlidingWindow(self._settings.connects_per_minute, 60.0))
        return window.wait_s(asyncio.get_running_loop().time()) <= 0


@web.middleware
async def _limits(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    if len(request.raw_path) > MAX_URL:
        return _message(414, "The URL is too long.")
    return await handler(request)


def _is_key(headers: Mapping[str, str]) -> bool:
    """Whether a handshake's key is 16 bytes in base64 (RFC 6455, 4.2.1)."""
    return _KEY.fullmatch(headers.get("Sec-WebSocket-Key", "")) is not None


def _message(status: int, text: str, headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response({"message": text}, status=status, headers=headers)
