"""A WebSocket client that can say anything, also what no client may say: bytes on asyncio streams.

answer, socket = await upgrade(port, upgrade_request(port, origin="http://localhost:8787"))
socket.send(frame(TEXT, b"hello", masked=False))
await socket.close_code()
"""

import asyncio
import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

HOST = "127.0.0.1"
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
NO_CODE = 1005  # the close frame was empty (RFC 6455, 7.1.5)
NO_CLOSE = 1006  # there was no close frame
PATIENCE_S = 10.0

_KEY = base64.b64encode(b"sixteen letters.").decode()
_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, 1.3
_MASK = bytes.fromhex("1f2e3d4c")
_SHORT, _MEDIUM = 126, 1 << 16
Headers: TypeAlias = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What came back for an HTTP request.

    Attributes:
        headers: by their names in lower case.
    """

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the body as JSON."""
        return json.loads(self.body)


class ClosedByServerError(Exception):
    """A frame was awaited and the connection ended.

    Args:
        code: of the close frame; 1006 without one.
    """

    def __init__(self, code: int) -> None:
        super().__init__(f"closed with {code}")
        self.code = code


class RefusedError(Exception):
    """The handshake was refused.

    Args:
        answer: what the server said instead of 101.
    """

    def __init__(self, answer: HttpAnswer) -> None:
        super().__init__(f"{answer.status} {answer.body!r}")
        self.answer = answer


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, reserved: int = 0, masked: bool = True) -> bytes:
    """Render one frame.

    Args:
        opcode: any of 0 to 15.
        payload: as it is before masking.
        fin: whether it ends its message.
        reserved: the three RSV bits as a number; 4 is the one that marks compression.
        masked: as every frame of a client must be.
    """
    size, flag = len(payload), 0x80 if masked else 0
    head = bytes([(0x80 if fin else 0) | reserved << 4 | opcode])
    if size < _SHORT:
        head += bytes([flag | size])
    elif size < _MEDIUM:
        head += bytes([flag | 126]) + size.to_bytes(2, "big")
    else:
        head += bytes([flag | 127]) + size.to_bytes(8, "big")
    if not masked:
        return head + payload
    mask = (_MASK * (size // 4 + 1))[:size]
    hidden = int.from_bytes(payload, "big") ^ int.from_bytes(mask, "big")
    return head + _MASK + hidden.to_bytes(size, "big")


def fragments(payload: bytes, size: int, *, opcode: int = TEXT) -> list[bytes]:
    """Render one message as frames of at most `size` bytes of payload."""
    starts = range(0, len(payload), size)
    return [
        frame(CONTINUATION if at else opcode, payload[at : at + size], fin=at + size >= len(payload)) for at in starts
    ]


def close_frame(code: int | None, reason: bytes = b"") -> bytes:
    """Render a close frame, with any number for a code."""
    return frame(CLOSE, b"" if code is None else code.to_bytes(2, "big") + reason)


def request(method: str, target: str, headers: Headers = (), body: bytes = b"") -> bytes:
    """Render an HTTP/1.1 request as it stands here, nothing normalised; text is sent as Latin-1."""
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers)]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body


def upgrade_request(
    port: int,
    *,
    target: str = "/ws",
    origin: str | None = None,
    protocols: str | None = None,
    version: str = "13",
    key: str = _KEY,
    more: Headers = (),
) -> bytes:
    """Render a handshake; what is left out is as a good client would say it."""
    headers = [
        ("Host", f"{HOST}:{port}"),
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Version", version),
        ("Sec-WebSocket-Key", key),
        *more,
    ]
    if origin is not None:
        headers.append(("Origin", origin))
    if protocols is not None:
        headers.append(("Sec-WebSocket-Protocol", protocols))
    return request("GET", target, headers)


async def exchange(port: int, data: bytes) -> HttpAnswer:
    """Send an HTTP request on a connection of its own; return what the server says and leave."""
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        writer.write(data)
        async with asyncio.timeout(PATIENCE_S):
            return await _answer(reader)
    finally:
        await _leave(writer)


async def upgrade(port: int, data: bytes) -> "tuple[HttpAnswer, RawSocket]":
    """Send a handshake; return the server's answer and the open socket.

    Raises:
        RefusedError: the server did not switch protocols.
    """
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        writer.write(data)
        async with asyncio.timeout(PATIENCE_S):
            answer = await _answer(reader)
        _check_accepted(answer)
    except BaseException:
        await _leave(writer)
        raise
    return answer, RawSocket(reader, writer)


async def refusal(port: int, data: bytes) -> HttpAnswer:
    """Send a handshake that must be refused; return the answer."""
    try:
        _answer_101, socket = await upgrade(port, data)
    except RefusedError as refused:
        return refused.answer
    await socket.end()
    raise AssertionError("the handshake was accepted")


class RawSocket:
    """An open WebSocket. The server's frames are read as they come; a close frame is answered.

    Args:
        reader: after the handshake's answer.
        writer: of the same connection.

    Attributes:
        count: how many frames have come, the close frame aside.
        largest: size of the largest of them, in bytes.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.count = 0
        self.largest = 0
        self._reader = reader
        self._writer = writer
        self._arrived: asyncio.Queue[tuple[int, bytes] | None] = asyncio.Queue()
        self._code: int | None = None
        self._closing = False
        self._reading = asyncio.create_task(self._read())

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._writer.write(data)

    def say(self, text: str | bytes) -> None:
        """Send one text message."""
        self.send(frame(TEXT, text.encode() if isinstance(text, str) else text))

    def ask(self, **fields: Any) -> None:
        """Send one JSON object."""
        self.say(json.dumps(fields))

    def close(self, code: int | None = 1000, reason: bytes = b"") -> None:
        """Begin the closing handshake with any code."""
        self._closing = True
        self.send(close_frame(code, reason))

    async def text(self) -> str:
        """Return the next text frame.

        Raises:
            ClosedByServerError: the connection ended first.
        """
        opcode, payload = await self._next()
        assert opcode == TEXT, f"opcode {opcode}: {payload!r}"
        return payload.decode()

    async def reply(self) -> dict[str, Any]:
        """Return the next text frame as an object."""
        value = json.loads(await self.text())
        assert isinstance(value, dict)
        return value

    async def control(self) -> tuple[int, bytes]:
        """Return the next frame, of any kind: its opcode and payload."""
        return await self._next()

    async def close_code(self) -> int:
        """Skip to the end of the connection; return the code it was closed with."""
        while True:
            try:
                await self._next()
            except ClosedByServerError as closed:
                return closed.code

    @property
    def is_open(self) -> bool:
        """Whether the connection has neither ended nor begun to."""
        return self._code is None and not self._reading.done()

    async def end(self) -> None:
        """Leave without a word."""
        self._reading.cancel()
        (outcome,) = await asyncio.gather(self._reading, return_exceptions=True)
        await _leave(self._writer)
        if isinstance(outcome, AssertionError):
            raise outcome

    async def _next(self) -> tuple[int, bytes]:
        async with asyncio.timeout(PATIENCE_S):
            arrived = await self._arrived.get()
        if arrived is None:
            self._arrived.put_nowait(None)
            raise ClosedByServerError(NO_CLOSE if self._code is None else self._code)
        return arrived

    async def _read(self) -> None:
        """Take frames until the connection ends; its end is told as None."""
        try:
            while True:
                opcode, payload = await self._frame()
                assert self._code is None, "a frame came after the close frame"
                if opcode == CLOSE:
                    self._code = int.from_bytes(payload[:2], "big") if payload else NO_CODE
                    self._answer_close(payload[:2])
                else:
                    self.count += 1
                    self.largest = max(self.largest, len(payload))
                    self._arrived.put_nowait((opcode, payload))
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            self._arrived.put_nowait(None)

    def _answer_close(self, code: bytes) -> None:
        if not self._closing and not self._writer.is_closing():
            self._writer.write(frame(CLOSE, code))

    async def _frame(self) -> tuple[int, bytes]:
        first, second = await self._reader.readexactly(2)
        assert first & 0xF0 == 0x80, "the server's frames are whole and not compressed"
        assert second < 0x80, "the server's frames are not masked"
        size = second
        if size == 126:
            size = int.from_bytes(await self._reader.readexactly(2), "big")
        elif size == 127:
            size = int.from_bytes(await self._reader.readexactly(8), "big")
        return first & 0x0F, await self._reader.readexactly(size)


def _check_accepted(answer: HttpAnswer) -> None:
    if answer.status != 101:
        raise RefusedError(answer)
    accept = base64.b64encode(hashlib.sha1((_KEY + _GUID).encode(), usedforsecurity=False).digest()).decode()
    assert answer.headers["sec-websocket-accept"] == accept


async def _answer(reader: asyncio.StreamReader) -> HttpAnswer:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    status_line, *lines = head.rstrip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _colon, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return HttpAnswer(int(status_line.split()[1]), headers, body)


async def _leave(writer: asyncio.StreamWriter) -> None:
    writer.close()
    try:
        await writer.wait_closed()
    except ConnectionError:
        return
