"""What is asked of a server beside its socket: where, how, and what it means when nobody answers."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from playbyplay_client import endpoint
from playbyplay_client.endpoint import ask
from playbyplay_client.errors import CannotConnect


@contextlib.asynccontextmanager
async def serving(answer: bytes) -> AsyncIterator[tuple[str, list[bytes]]]:
    """Answer every request with these bytes, or with none at all; give the host, and what is asked."""
    asked: list[bytes] = []
    at_work: list[asyncio.Task[None] | None] = []

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        at_work.append(asyncio.current_task())
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answer)
        if not answer:
            await reader.read()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(one, "127.0.0.1", 0)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}", asked
        await asyncio.gather(*(task for task in at_work if task is not None))


@pytest.mark.parametrize("url", ["http://{host}", "http://{host}/", "ws://{host}/ws"])
async def test_the_path_stands_where_the_socket_does(url: str) -> None:
    """Whichever address of the server one has."""
    async with serving(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nHi") as (host, asked):
        reply = await ask(url.format(host=host), "/faults", method="GET")
    assert (reply.address, reply.status, reply.body) == (f"http://{host}/faults", 200, "Hi")
    assert asked[0].startswith(b"GET /faults HTTP/1.1\r\n")


async def test_nobody_is_followed_elsewhere() -> None:
    """A redirection is an answer like another."""
    async with serving(b"HTTP/1.1 307 Go\r\nLocation: http://evil.example/\r\nContent-Length: 0\r\n\r\n") as (
        host,
        asked,
    ):
        assert (await ask(f"http://{host}", "/faults", method="POST", json={})).status == 307
    assert len(asked) == 1


async def test_who_does_not_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """For longer than an answer may take."""
    monkeypatch.setattr(endpoint, "ANSWER_S", 0.05)
    async with serving(b"") as (host, _asked):
        with pytest.raises(CannotConnect, match=r"did not answer within 0\.05 s"):
            await ask(f"http://{host}", "/ops/audit", method="POST")


async def test_what_is_no_http_is_said() -> None:
    """In one line, without a word of what it said."""
    async with serving(b"SSH-2.0-OpenSSH_9.2\r\n\r\n") as (host, _asked):
        with pytest.raises(CannotConnect, match=rf"^What answers at http://{host}/faults does not speak HTTP\.$"):
            await ask(f"http://{host}", "/faults", method="GET")
