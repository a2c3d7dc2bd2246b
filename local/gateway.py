"""The sockets of this process, as the Gateway port sees them."""

import asyncio
import socket as sockets
import struct

from aiohttp import WSCloseCode, web

from playbyplay.errors import ConnectionGone, PostFailed

# One more frame stays below the 64 KiB at which asyncio makes a writer wait, so a post never waits.
MAX_UNSENT_BYTES = 36 * 1024
_NO_FAREWELL = struct.pack("ii", 1, 0)  # struct linger: on, 0 s; closing then sends RST


class SocketGateway:
    """Implements `ports.Gateway` on the open sockets."""

    def __init__(self) -> None:
        self._sockets: dict[str, tuple[web.WebSocketResponse, asyncio.Transport]] = {}

    def attach(self, connection_id: str, socket: web.WebSocketResponse, transport: asyncio.Transport) -> None:
        """Make a socket known."""
        self._sockets[connection_id] = (socket, transport)

    def detach(self, connection_id: str) -> None:
        """Forget a socket."""
        self._sockets.pop(connection_id, None)

    async def post(self, connection_id: str, text: str) -> None:
        """Write one text frame; a reader that does not keep up gets "slow" at once, like API Gateway's 429."""
        found = self._sockets.get(connection_id)
        if found is None or found[0].closed:
            raise ConnectionGone(connection_id)
        socket, transport = found
        if transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
            raise PostFailed("slow")
        try:
            await socket.send_str(text)
        except (ConnectionError, RuntimeError):
            raise ConnectionGone(connection_id) from None

    async def close(self, connection_id: str) -> None:
        """Close a socket as API Gateway's DeleteConnection does: 1000, no choice of code."""
        await self.close_with(connection_id, WSCloseCode.OK, b"Connection Closed Normally")

    async def close_with(self, connection_id: str, code: int, reason: bytes) -> None:
        """Close a socket by a rule of the gateway itself."""
        found = self._sockets.get(connection_id)
        if found is not None and not found[0].closed:
            await found[0].close(code=code, message=reason, drain=False)

    def cut(self, connection_id: str) -> bool:
        """Tear a connection off with a TCP reset; return whether it was there."""
        found = self._sockets.get(connection_id)
        if found is None or found[1].is_closing():
            return False
        found[1].get_extra_info("socket").setsockopt(sockets.SOL_SOCKET, sockets.SO_LINGER, _NO_FAREWELL)
        found[1].abort()
        return True

    async def close_all(self, code: int, reason: bytes) -> None:
        """Close every socket."""
        await asyncio.gather(*(self.close_with(connection_id, code, reason) for connection_id in list(self._sockets)))
