"""Posting to sockets: a reader that does not keep up is told so at once and holds up nobody."""

import asyncio
from contextlib import AsyncExitStack

import pytest
from aiohttp import web

from local.gateway import MAX_UNSENT_BYTES, SocketGateway
from playbyplay.errors import ConnectionGone, PostFailed
from playbyplay.protocol.base import MAX_EVENT_BYTES

FRAME = "x" * MAX_EVENT_BYTES
HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


class _Pair:
    """A socket of the server, known to a gateway, and a client that need not read."""

    def __init__(self) -> None:
        self.gateway = SocketGateway()
        self.attached = asyncio.Event()
        self.over = asyncio.Event()

    async def handler(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(compress=False, autoclose=False)
        await socket.prepare(request)
        assert request.transport is not None
        self.gateway.attach("one", socket, request.transport)
        self.attached.set()
        await self.over.wait()
        return socket


async def test_a_post_never_waits_for_a_reader() -> None:
    """Frames of the largest size to a client that reads nothing: soon "slow", and each post returns at once."""
    pair = _Pair()
    app = web.Application()
    app.router.add_get("/", pair.handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    async with AsyncExitStack() as closing:
        closing.push_async_callback(runner.cleanup)
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        _reader, writer = await asyncio.open_connection("127.0.0.1", runner.addresses[0][1], limit=1024)
        closing.push_async_callback(writer.wait_closed)
        closing.callback(writer.close)
        writer.write(HANDSHAKE)
        await pair.attached.wait()
        posted = 0
        while await _takes(pair.gateway):
            posted += 1
        pair.over.set()
    assert posted >= 1


async def test_a_cut_connection_is_reset_at_once() -> None:
    """The client gets RST, also where frames wait for it; there is nothing to cut a second time."""
    pair = _Pair()
    app = web.Application()
    app.router.add_get("/", pair.handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    async with AsyncExitStack() as closing:
        closing.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        reader, writer = await asyncio.open_connection("127.0.0.1", runner.addresses[0][1])
        closing.callback(writer.close)
        writer.write(HANDSHAKE)
        await pair.attached.wait()
        await reader.readuntil(b"\r\n\r\n")
        await pair.gateway.post("one", FRAME)
        assert pair.gateway.cut("one")
        assert not pair.gateway.cut("one")
        with pytest.raises(ConnectionResetError):
            await reader.read()
        pair.over.set()


async def _takes(gateway: SocketGateway) -> bool:
    """Whether the gateway takes one more frame; in any case it answers at once."""
    try:
        await asyncio.wait_for(gateway.post("one", FRAME), 0.5)
    except PostFailed as failed:
        assert failed.reason == "slow"  # noqa: PT017 - the other outcome is no error
        return False
    return True


async def test_an_unknown_connection_is_gone() -> None:
    """Posting raises ConnectionGone; closing is no error, and there is nothing to cut."""
    gateway = SocketGateway()
    with pytest.raises(ConnectionGone):
        await gateway.post("nobody", "{}")
    await gateway.close("nobody")
    assert not gateway.cut("nobody")


def test_one_more_frame_fits_below_the_mark_where_a_writer_waits() -> None:
    """Asyncio pauses a writer above 64 KiB (its default high-water mark)."""
    assert MAX_UNSENT_BYTES + MAX_EVENT_BYTES + 1024 < 64 * 1024
