"""The lines of the campaign do to a connection what they are told to, and nothing else."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from aiohttp import ClientSession, ClientWebSocketResponse, web

from tests.chaos.proxy import HOST, Cutter, Line

_FRAME = b"\x81\x03abc"
_LONG = b"\x81\x7e\x01\x00" + b"x" * 256
_MASKED = b"\x81\x82\x01\x02\x03\x04ab"


@contextlib.asynccontextmanager
async def echoing() -> AsyncIterator[tuple[Line, ClientWebSocketResponse]]:
    """Connect over a line to a server that sends each frame back."""

    async def echo(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            await socket.send_str(message.data)
        return socket

    app = web.Application()
    app.router.add_get("/ws", echo)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, HOST, 0)
    await site.start()
    port = runner.addresses[0][1]
    line = Line(lambda: port)
    await line.open()
    try:
        async with ClientSession() as http, http.ws_connect(f"http://{HOST}:{line.port}/ws") as socket:
            yield line, socket
    finally:
        await line.close()
        await runner.cleanup()


async def said(socket: ClientWebSocketResponse, text: str) -> str:
    """Send a frame and return the next one that comes."""
    await socket.send_str(text)
    return await socket.receive_str(timeout=5)


def test_frames_are_cut_one_by_one_wherever_the_stream_is() -> None:
    """HTTP goes through as it comes; after the upgrade a piece is a frame, however it was read."""
    stream = b"GET /ws HTTP/1.1\r\nA: b\r\n\r\n" + _FRAME + _LONG + _MASKED
    whole = Cutter(b"GET /ws").cut(stream)
    assert whole[1:] == [_FRAME, _LONG, _MASKED]
    cutter = Cutter(b"GET /ws")
    assert cutter.cut(b"POST /ticket HTTP/1.1\r\n\r\n{}") == [b"POST /ticket HTTP/1.1\r\n\r\n{}"]
    assert not cutter.is_upgraded
    drips = [piece for at in range(7, len(stream), 7) for piece in cutter.cut(stream[at - 7 : at])]
    assert drips == whole[: len(drips)]
    assert cutter.is_upgraded


async def test_a_black_hole_swallows_frames_and_tells_nobody() -> None:
    """What was said in it never arrives, what is said after it does, on the same connection."""
    async with echoing() as (line, socket):
        assert await said(socket, "before") == "before"
        line.swallow()
        await socket.send_str("lost")
        await asyncio.sleep(0.1)
        line.heal()
        assert await said(socket, "after") == "after"


async def test_a_handshake_begun_in_a_black_hole_goes_on_after_it() -> None:
    """It is late, not lost."""
    async with echoing() as (line, _socket), ClientSession() as http:
        line.swallow()
        connecting = asyncio.create_task(http.ws_connect(f"http://{HOST}:{line.port}/ws"))
        await asyncio.sleep(0.1)
        assert not connecting.done()
        line.heal()
        assert await said(await connecting, "hello") == "hello"


async def test_a_dead_connection_stays_dead_and_others_live() -> None:
    """Nothing passes on it ever again; a new one is whole."""
    async with echoing() as (line, socket), ClientSession() as http:
        assert line.deaden() == 1
        await socket.send_str("lost")
        with pytest.raises(TimeoutError):
            await socket.receive_str(timeout=0.1)
        assert await said(await http.ws_connect(f"http://{HOST}:{line.port}/ws"), "hello") == "hello"


async def test_a_reset_ends_every_connection_at_once() -> None:
    """The client's socket is closed without a closing frame."""
    async with echoing() as (line, socket):
        assert line.reset() == 1
        message = await socket.receive(timeout=5)
        assert socket.closed
        assert message.data is None or isinstance(message.data, Exception)
        assert socket.close_code == 1006


async def test_slow_lines_bring_everything_late() -> None:
    """A reader of tiny pieces and a late line lose nothing."""
    async with echoing() as (line, socket):
        line.sips = True
        assert await said(socket, "x" * 500) == "x" * 500
        line.heal()
        line.delay_s = 0.1
        began_s = asyncio.get_running_loop().time()
        assert await said(socket, "late") == "late"
        assert asyncio.get_running_loop().time() - began_s >= 0.2
