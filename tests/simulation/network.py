"""The wire between clients and a gateway that works as API Gateway does, with all its ways of losing a frame."""

import asyncio
import itertools
import random
from collections import deque
from collections.abc import Awaitable, Callable
from contextvars import Context
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from playbyplay.errors import ConnectionGone, PostFailed
from playbyplay_client.errors import CannotConnect
from tests.simulation.evidence import Evidence, Frame, Gone, Link

_POST_S = 2.0  # as the gateway of the product gives up
Takes = Callable[["Wire", str], Awaitable[None]]


@dataclass(slots=True, eq=False)
class Wire:
    """One connection. The client's end is what aiohttp gives a client: `send_str`, `close`, and the frames to follow.

    Attributes:
        black_until_s: till when it swallows what is sent either way; both ends take it for sent.
        stuck_until_s: till when its client reads nothing: a post waits in vain.
    """

    network: "Network"
    connection_id: str
    client: str
    user: str
    black_until_s: float = 0.0
    stuck_until_s: float = 0.0
    closed: bool = False
    _inbox: asyncio.Queue[str | None] = field(default_factory=asyncio.Queue)
    _under_way: deque[str] = field(default_factory=deque)
    _last_s: float = 0.0

    async def send_str(self, text: str) -> None:
        """Send a frame to the gateway."""
        if self.closed:
            raise aiohttp.ClientConnectionResetError("Cannot write to closing transport")
        self.network.note(self, "sent", text)
        if self.network.now_s >= self.black_until_s:
            self.network.later(self.network.takes, self, text)

    def arrive(self, text: str) -> None:
        """Bring a frame to the client; frames of one connection stay in order."""
        loop = asyncio.get_running_loop()
        self._last_s = max(self._last_s, loop.time() + self.network.latency_s())
        self._under_way.append(text)  # timers of the same moment come in no order
        loop.call_at(self._last_s, self._reach, context=Context())

    def _reach(self) -> None:
        text = self._under_way.popleft()
        if not self.closed and self.network.now_s >= self.black_until_s:
            self._inbox.put_nowait(text)

    async def close(self) -> None:
        """Close it, from either end."""
        if not self.closed:
            self.closed = True
            self._inbox.put_nowait(None)
            self.network.closed(self)

    def __aiter__(self) -> "Wire":
        return self

    async def __anext__(self) -> aiohttp.WSMessage:
        text = None if self.closed and self._inbox.empty() else await self._inbox.get()
        if text is None:
            raise StopAsyncIteration
        self.network.note(self, "received", text)
        return aiohttp.WSMessage(aiohttp.WSMsgType.TEXT, text, None)


class Network:
    """Every wire there is; implements `ports.Gateway`.

    Args:
        evidence: where every frame is written down.
        chance: for how long things take.
        takes: what the gateway does with a client's frame.
        left: what it does when a connection has ended.

    Attributes:
        wires: those that are open, by connection.
        is_down: whether nobody gets in.
        leaks: whether frames reach strangers too.
        flaky: whether each third frame is posted in vain the first time.
    """

    def __init__(
        self, evidence: Evidence, chance: random.Random, takes: Takes, left: Callable[[str], Awaitable[None]]
    ) -> None:
        self.takes = takes
        self.wires: dict[str, Wire] = {}
        self.is_down = False
        self.leaks = False
        self.flaky = False
        self._tried: set[tuple[str, str]] = set()
        self._left = left
        self._evidence = evidence
        self._chance = chance
        self._numbers = itertools.count(1)

    @property
    def now_s(self) -> float:
        """The time."""
        return asyncio.get_running_loop().time()

    def latency_s(self) -> float:
        """Return how long a frame takes."""
        return 0.001 + 0.03 * self._chance.random()

    def later(self, work: Callable[..., Awaitable[None]], *args: object) -> None:
        """Let something happen at the gateway soon, as nobody's."""
        loop = asyncio.get_running_loop()
        loop.call_later(self.latency_s(), lambda: asyncio.ensure_future(work(*args)), context=Context())

    def note(self, wire: Wire, way: Any, text: str) -> None:
        """Write a frame down."""
        self._evidence.frames.append(Frame(self.now_s * 1000, wire.client, wire.connection_id, way, text))

    async def open(self, client: str, user: str, admit: Callable[[Wire], Awaitable[None]]) -> Wire:
        """Open a connection for a client.

        Raises:
            CannotConnect: the network is down, or nobody admitted it.
        """
        await asyncio.sleep(self.latency_s())
        if self.is_down:
            raise CannotConnect("The network is down.")
        wire = Wire(self, f"c{next(self._numbers)}=", client, user)
        await admit(wire)
        self.wires[wire.connection_id] = wire
        self._link(wire, "opened")
        return wire

    def closed(self, wire: Wire) -> None:
        """Forget a connection, and tell the gateway soon."""
        self.wires.pop(wire.connection_id, None)
        self._link(wire, "closed")
        self.later(self._left, wire.connection_id)

    async def post(self, connection_id: str, text: str) -> None:
        """Send a frame to a client."""
        wire = self.wires.get(connection_id)
        if wire is None:
            self._evidence.gone.append(Gone(self.now_s * 1000, connection_id))
            raise ConnectionGone(connection_id)
        if self.now_s < wire.stuck_until_s:
            await asyncio.sleep(_POST_S)
            raise PostFailed("timeout")
        if self.flaky and (connection_id, text) not in self._tried:
            self._tried.add((connection_id, text))
            if len(self._tried) % 3 == 0:
                raise PostFailed("unavailable")
        wire.arrive(text)
        for other in self.wires.values() if self.leaks else ():
            other.arrive(text)

    async def close(self, connection_id: str) -> None:
        """Close a connection."""
        wire = self.wires.get(connection_id)
        if wire is not None:
            await wire.close()

    def _link(self, wire: Wire, change: Any) -> None:
        self._evidence.links.append(Link(self.now_s * 1000, wire.client, wire.connection_id, change))
