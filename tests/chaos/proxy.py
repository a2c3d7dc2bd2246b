"""The network between one device and the server: a TCP proxy on loopback that can be told to misbehave.

A frame is swallowed whole or not at all, since a stream with a hole in it is nothing that TCP would
deliver. A handshake begun in a black hole goes on after it, as its retransmission would.
"""

import asyncio
import contextlib
import math
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

HOST: Final = "127.0.0.1"
_NO_FAREWELL: Final = struct.pack("ii", 1, 0)  # struct linger: on, 0 s; closing then sends RST
_READ_BYTES = 64 * 1024
_SIP_BYTES, _SIP_PAUSE_S = 48, 0.02
_HEAD_END = b"\r\n\r\n"
_REQUEST, _RESPONSE = b"GET /ws", b"HTTP/1.1 101"


class Cutter:
    """Cuts one direction of a connection where it may be cut: HTTP as it comes, then WebSocket frames one by one.

    Args:
        upgrade: what the HTTP message begins with that frames follow.
    """

    def __init__(self, upgrade: bytes) -> None:
        self._upgrade = upgrade
        self._kept = b""
        self.is_upgraded = False

    def cut(self, data: bytes) -> list[bytes]:
        """Take in what was read; return the pieces that are whole."""
        self._kept += data
        pieces: list[bytes] = []
        while (size := self._size()) <= len(self._kept) and self._kept:
            pieces.append(self._kept[: int(size)])
            self._kept = self._kept[int(size) :]
        return pieces

    def _size(self) -> float:
        """Return how long the first piece is, infinity while that is not known."""
        kept = self._kept
        if self.is_upgraded:
            return _frame_size(kept)
        if not kept.startswith(self._upgrade):
            return len(kept)
        end = kept.find(_HEAD_END)
        if end < 0:
            return math.inf
        self.is_upgraded = True
        return end + len(_HEAD_END)


def _frame_size(data: bytes) -> float:
    """Return the length of a WebSocket frame, header included (RFC 6455, 5.2)."""
    if len(data) < 2:
        return math.inf
    told = data[1] & 0x7F
    wide = {126: 2, 127: 8}.get(told, 0)
    if len(data) < 2 + wide:
        return math.inf
    length = int.from_bytes(data[2 : 2 + wide]) if wide else told
    return 2 + wide + (4 if data[1] & 0x80 else 0) + length


@dataclass(slots=True, eq=False)
class _Pair:
    """A connection of the device, and the one to the server that belongs to it.

    Attributes:
        dead: nothing ever passes again; neither side is told.
    """

    near: asyncio.StreamWriter
    far: asyncio.StreamWriter | None = None
    dead: bool = False
    upgraded: list[Cutter] = field(default_factory=list)


class Line:
    """The line of one device.

    Args:
        server: returns the port of the server; it changes with each start.

    Attributes:
        port: where the device finds the server.
        delay_s: how much later everything arrives.
        sips: whether the device reads a few bytes at a time.
    """

    def __init__(self, server: Callable[[], int]) -> None:
        self._server_port = server
        self._whole = asyncio.Event()
        self._whole.set()
        self._pairs: set[_Pair] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._listening: asyncio.Server
        self.port = 0
        self.delay_s = 0.0
        self.sips = False

    async def open(self) -> None:
        """Listen."""
        self._listening = await asyncio.start_server(self._take, HOST, 0)
        self.port = self._listening.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """End everything that passes here."""
        self._listening.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._listening.wait_closed()

    def reset(self) -> int:
        """Tear every connection off with a TCP reset, to both sides; return how many there were."""
        for pair in list(self._pairs):
            _abort(pair.near)
            _abort(pair.far)
        return len(self._pairs)

    def swallow(self) -> None:
        """Let nothing pass any more; nobody is told."""
        self._whole.clear()

    def heal(self) -> None:
        """Let all pass again."""
        self._whole.set()
        self.delay_s, self.sips = 0.0, False

    def deaden(self) -> int:
        """Let nothing ever pass again on the connections that stand; return how many there are."""
        for pair in self._pairs:
            pair.dead = True
        return len(self._pairs)

    def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        pair = _Pair(writer)
        self._pairs.add(pair)
        try:
            await self._whole.wait()
            far_reader, pair.far = await asyncio.open_connection(HOST, self._server_port())
            async with asyncio.TaskGroup() as pumps:
                pumps.create_task(self._pump(pair, reader, pair.far, Cutter(_REQUEST)))
                pumps.create_task(self._pump(pair, far_reader, writer, Cutter(_RESPONSE), sips=True))
        except (OSError, ExceptionGroup):
            pass  # one side is gone; the other is told below
        finally:
            self._pairs.discard(pair)
            for end in (pair.near, pair.far):
                if end is not None:
                    end.close()

    async def _pump(
        self,
        pair: _Pair,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        cutter: Cutter,
        *,
        sips: bool = False,
    ) -> None:
        """Carry one direction to its end; that ends the other one too."""
        while data := await reader.read(_READ_BYTES):
            if self.delay_s:
                await asyncio.sleep(self.delay_s)
            was_upgraded = cutter.is_upgraded
            for piece in cutter.cut(data):
                if pair.dead:
                    continue
                if not self._whole.is_set():
                    if was_upgraded:
                        continue  # lost on its way
                    await self._whole.wait()
                await self._write(writer, piece, sips=sips and self.sips)
        await self._whole.wait()  # the end of a side is not heard of through a black hole either
        raise ConnectionResetError

    async def _write(self, writer: asyncio.StreamWriter, piece: bytes, *, sips: bool) -> None:
        """Write a piece; in sips while the device is slow, and nothing more is read meanwhile."""
        while sips and len(piece) > _SIP_BYTES and self.sips:
            writer.write(piece[:_SIP_BYTES])
            piece = piece[_SIP_BYTES:]
            await asyncio.sleep(_SIP_PAUSE_S)
        writer.write(piece)
        await writer.drain()


def _abort(writer: asyncio.StreamWriter | None) -> None:
    if writer is None or writer.transport.is_closing():
        return
    with contextlib.suppress(OSError):
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_FAREWELL)
    writer.transport.abort()
