"""A run as its reader sees it: events and pieces of the answer to follow, a result to wait for."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Generic, Protocol, TypeVar

from playbyplay.protocol import replies
from playbyplay.protocol.events import TERMINAL_TYPES, ErrorEvent, Event, FinalResponse
from playbyplay_client.errors import RunFailed, RunLost

_T = TypeVar("_T")


class Feed(Generic[_T]):
    """A list that only grows; any number of readers follow it from its beginning to its end."""

    def __init__(self) -> None:
        self.items: list[_T] = []
        self._closed = False
        self._error: Exception | None = None
        self._changed = asyncio.Event()

    def append(self, item: _T) -> None:
        """Add an item."""
        self.items.append(item)
        self._wake()

    def close(self, error: Exception | None = None) -> None:
        """End it, once; with an error, readers get that after the last item."""
        if not self._closed:
            self._closed, self._error = True, error
            self._wake()

    async def __aiter__(self) -> AsyncIterator[_T]:
        at = 0
        while at < len(self.items) or not self._closed:
            if at < len(self.items):
                at += 1
                yield self.items[at - 1]
            else:
                await self._changed.wait()
        if self._error is not None:
            raise self._error

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


class Asker(Protocol):
    """What a run needs of the client."""

    async def ask(self, kind: str, named: str, **fields: str | int) -> Any:  # noqa: ANN401 - as the kind
        """Send a command until it is answered."""


class Run:
    """One run: `async for event in run` yields its events once each, in order, and ends after the terminal.

    Attributes:
        thread_id, turn: where it belongs; None until a frame told.
        position: turns ahead of it when its message was accepted; None where no reply told that.
        duplicate: whether the message had been accepted before.
        run_input: the user's message, where the server told it.
        heartbeat: the last one.
    """

    def __init__(self, client: Asker, run_id: str) -> None:
        self._client = client
        self.run_id = run_id
        self.thread_id: str | None = None
        self.turn: int | None = None
        self.position: int | None = None
        self.duplicate = False
        self.run_input: replies.RunInput | None = None
        self.heartbeat: replies.Heartbeat | None = None
        self.events: Feed[Event] = Feed()
        self.pieces: Feed[replies.ResponseDelta] = Feed()

    def __aiter__(self) -> AsyncIterator[Event]:
        """Yield the events; raises RunLost or ConnectionLost where the rest cannot be had."""
        return self.events.__aiter__()

    def deltas(self) -> AsyncIterator[replies.ResponseDelta]:
        """Yield the answer as it is written. Hints: a higher `draft` starts over, `final_response` is the truth."""
        return self.pieces.__aiter__()

    async def result(self) -> FinalResponse | ErrorEvent:
        """Wait for the terminal and return it; raises RunLost or ConnectionLost where it cannot be had."""
        last: Event | None = None
        async for event in self:
            last = event
        assert isinstance(last, FinalResponse | ErrorEvent)  # noqa: S101 - only a terminal or an error ends the feed
        return last

    async def answer(self) -> str:
        """Return the whole answer, however long.

        Raises:
            RunFailed: there is none.
            RunLost, ConnectionLost, Rejected, Unanswered: it cannot be had.
        """
        final = await self.result()
        if isinstance(final, ErrorEvent):
            raise RunFailed(final.code, final.message)
        text = final.content.encode()
        while len(text) < (final.full_bytes or 0):
            part: replies.AnswerPart = await self._client.ask("answer", self.run_id, offset=len(text))
            if not part.text:
                raise RunLost("not_found", "The server does not hold the rest of the answer.")
            text += part.text.encode()
        return text.decode()

    async def cancel(self) -> None:
        """Ask that the run end, and return once that wish is durable; the terminal comes as an event.

        Raises:
            Rejected, Unanswered, ConnectionLost: the wish did not get through.
        """
        await self._client.ask("cancel", self.run_id)

    def take(self, frame: Event | replies.RunInput | replies.ResponseDelta | replies.MessageAccepted) -> None:
        """Take in the next frame, as the client's reassembly orders them."""
        self.thread_id = frame.thread_id
        if isinstance(frame, replies.ResponseDelta):
            self.pieces.append(frame)
            return
        self.turn = frame.turn
        if isinstance(frame, replies.RunInput):
            self.run_input = frame
        elif isinstance(frame, replies.MessageAccepted):
            self.position, self.duplicate = frame.position, frame.duplicate
        else:
            self.events.append(frame)
            if frame.type in TERMINAL_TYPES:
                self.end(None)

    def end(self, error: Exception | None) -> None:
        """End what readers follow."""
        self.events.close(error)
        self.pieces.close(error)
