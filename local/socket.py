"""One connection, with API Gateway's rules where a client can see them.

A message above 32 KiB closes with 1009, a binary one with 1003, idleness and age with 1001; nothing
is compressed; a crash of ours is answered with API Gateway's own frame and the connection stays.
"""

import asyncio
import json
from dataclasses import dataclass

from aiohttp import WSCloseCode, WSMessage, WSMsgType, web

from local.gateway import SocketGateway
from local.quota import LocalQuota
from local.settings import LocalSettings
from message.caller import Caller
from message.dispatch import Dispatch
from message.violations import VIOLATIONS
from playbyplay.domain.connection import MAX_VIOLATIONS, VIOLATION_WINDOW_S, SlidingWindow
from playbyplay.errors import PostError, PostFailed
from playbyplay.ports import Ids, Log
from playbyplay.protocol.base import SUBPROTOCOL
from playbyplay.protocol.replies import MessageRejected, Reply

REPLY_TRIES, REPLY_PAUSE_S = 200, 0.01  # 2 s in all
MAX_MESSAGE_BYTES = 32 * 1024  # API Gateway's limit of one frame; it takes 128 KB in several


@dataclass(frozen=True, slots=True)
class SocketRules:
    """What every connection of this server shares."""

    settings: LocalSettings
    dispatch: Dispatch
    gateway: SocketGateway
    quota: LocalQuota
    ids: Ids
    log: Log


def new_socket(*, offered: bool) -> web.WebSocketResponse:
    """Return a socket that keeps API Gateway's limits.

    Args:
        offered: whether the client offered our subprotocol, which is then echoed.
    """
    return web.WebSocketResponse(
        protocols=(SUBPROTOCOL,) if offered else (),
        max_msg_size=MAX_MESSAGE_BYTES + 1,
        compress=False,
        autoclose=False,
        timeout=2.0,
    )


class Connection:
    """Reads one socket to its end."""

    def __init__(self, rules: SocketRules, socket: web.WebSocketResponse, caller: Caller) -> None:
        self._rules = rules
        self._socket = socket
        self._caller = caller
        self._violations = SlidingWindow(MAX_VIOLATIONS - 1, VIOLATION_WINDOW_S)

    async def serve(self) -> int:
        """Answer frames until the connection ends; return its close code."""
        loop = asyncio.get_running_loop()
        ends_s = loop.time() + self._rules.settings.age_s
        while not self._socket.closed:
            try:
                # Both limits: aiohttp starts its own anew with every WebSocket ping.
                async with asyncio.timeout_at(ends_s):
                    message = await self._socket.receive(timeout=self._rules.settings.idle_s)
            except TimeoutError:
                await self._close(WSCloseCode.GOING_AWAY, b"Going away")
                break
            if loop.time() >= ends_s:  # what waited already is read without a wait
                await self._close(WSCloseCode.GOING_AWAY, b"Going away")
                break
            if not await self._take(message):
                break
        return self._socket.close_code or WSCloseCode.ABNORMAL_CLOSURE

    async def _take(self, message: WSMessage) -> bool:
        """Serve one message; return whether the connection goes on."""
        if message.type is WSMsgType.TEXT:
            return await self._answer(message.data)
        if message.type is WSMsgType.BINARY:
            await self._close(WSCloseCode.UNSUPPORTED_DATA, b"Binary messages are not supported")
        elif message.type is WSMsgType.CLOSE:
            await self._close(_echo(message.data), b"")
        return False

    async def _answer(self, text: str) -> bool:
        try:
            answered = await self._rules.dispatch(self._caller, text)
            reply: Reply | None = answered
            frame = answered.to_json()
        except Exception as error:  # noqa: BLE001 - as API Gateway: the frame failed, the connection stays
            self._rules.log.event("frame_crashed", connection_id=self._caller.connection_id, error=type(error).__name__)
            reply, frame = None, gateway_error("Internal server error", self._caller.connection_id, self._rules.ids)
        try:
            await self._reply(frame)
        except PostError:
            return not self._socket.closed  # the client asks again
        return await self._tolerate(reply)

    async def _reply(self, frame: str) -> None:
        """Post an answer at the pace the connection can take; nobody else waits for its reader."""
        for _ in range(REPLY_TRIES):
            try:
                return await self._rules.gateway.post(self._caller.connection_id, frame)
            except PostFailed:
                await asyncio.sleep(REPLY_PAUSE_S)
        return await self._rules.gateway.post(self._caller.connection_id, frame)

    async def _tolerate(self, reply: Reply | None) -> bool:
        """Count a violation; the tenth in a minute ends the connection."""
        if not isinstance(reply, MessageRejected) or reply.code not in VIOLATIONS:
            return True
        if self._violations.wait_s(asyncio.get_running_loop().time()) <= 0:
            return True
        await self._close(WSCloseCode.POLICY_VIOLATION, b"Too many invalid frames")
        return False

    async def _close(self, code: int, reason: bytes) -> None:
        await self._socket.close(code=code, message=reason, drain=False)


def gateway_error(text: str, connection_id: str, ids: Ids) -> str:
    """Render API Gateway's own typeless frame, in its own spacing."""
    request_id = ids.secret()[:15] + "="
    return f'{{"message": {json.dumps(text)}, "connectionId":"{connection_id}", "requestId":"{request_id}"}}'


def _echo(code: object) -> int:
    """Return the code that answers a close frame: the client's own where it may be sent (RFC 6455, 7.4)."""
    if not code:  # an empty close frame
        return WSCloseCode.OK
    if isinstance(code, int) and (1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999):  # noqa: PLR2004
        return code
    return WSCloseCode.PROTOCOL_ERROR
