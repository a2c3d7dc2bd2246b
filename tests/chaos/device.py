"""One device of a user: the real client on a line of its own, and all it sends, sees and hands on, written down."""

import asyncio
from types import TracebackType
from typing import Self

from playbyplay.protocol import replies
from playbyplay.protocol.events import TERMINAL_TYPES, Event, EventFrame
from playbyplay_client.client import PlaybyplayClient
from playbyplay_client.run import Run
from tests.chaos.ledger import now_ms
from tests.chaos.proxy import HOST, Line
from tests.simulation.evidence import Delivered, Evidence, Frame, Link


class Device:
    """Implements `playbyplay_client.observer.Observer` for its own client.

    Args:
        name: of the device, unique.
        user: whose it is.
        line: how it reaches the server.
        evidence: where everything is written down.

    Attributes:
        known: the runs it was told of, with the last seq it handed on.
        ended: those whose terminal it handed on.
        is_connected: whether it believes to have a connection.
        has_new_connection: set with each connection.
    """

    def __init__(self, name: str, user: str, line: Line, evidence: Evidence) -> None:
        self.name = name
        self.user = user
        self.line = line
        self._evidence = evidence
        self.known: dict[str, int] = {}
        self.ended: set[str] = set()
        self.is_connected = False
        self.has_new_connection = asyncio.Event()
        self.client: PlaybyplayClient

    async def __aenter__(self) -> Self:
        """Connect."""
        url = f"http://{HOST}:{self.line.port}"
        self.client = PlaybyplayClient(url, user=self.user, on_run=self._know, observer=self)
        await self.client.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave."""
        await self.client.__aexit__(kind, error, trace)

    def opened(self, connection: int) -> None:
        """Note that a connection stands."""
        self.is_connected = True
        self.has_new_connection.set()
        self._evidence.links.append(Link(now_ms(), self.name, self._wire(connection), "opened"))

    def closed(self, connection: int) -> None:
        """Note that a connection has ended."""
        self.is_connected = False
        self._evidence.links.append(Link(now_ms(), self.name, self._wire(connection), "closed"))

    def sent(self, connection: int, text: str) -> None:
        """Note a frame to the server."""
        self._evidence.frames.append(Frame(now_ms(), self.name, self._wire(connection), "sent", text))

    def received(self, connection: int, text: str) -> None:
        """Note a frame of the server."""
        self._evidence.frames.append(Frame(now_ms(), self.name, self._wire(connection), "received", text))

    def delivered(self, frame: Event | replies.RunInput | replies.ResponseDelta) -> None:
        """Note an event that was handed on."""
        if isinstance(frame, EventFrame):
            self._evidence.delivered.append(Delivered(now_ms(), self.name, frame.run_id, frame.seq, frame.type))
            self.known[frame.run_id] = frame.seq
            if frame.type in TERMINAL_TYPES:
                self.ended.add(frame.run_id)

    def _know(self, run: Run) -> None:
        self.known.setdefault(run.run_id, 0)

    def _wire(self, connection: int) -> str:
        return f"{self.name}.{connection}"
