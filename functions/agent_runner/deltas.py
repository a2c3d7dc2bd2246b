"""Streamed text as `response_delta` frames, gathered to one frame each `delta_s`.

Deltas are hints: never stored, never waited for; `final_response` supersedes them all.
"""

import asyncio

from playbyplay.domain.journal import History
from playbyplay.domain.text import clean, prefix
from playbyplay.domain.timing import Timing
from playbyplay.notifier import Notifier
from playbyplay.protocol.replies import ResponseDelta

_MAX_TEXT_BYTES = 8 * 1024
_ATTEMPTS = 64  # drafts one model call can count up to


class Deltas:
    """The text of one model call on its way to the page.

    The draft of a later call, a later attempt or a later owner is higher, so a page always knows
    which text is the newest.
    """

    def __init__(self, history: History, notifier: Notifier, timing: Timing) -> None:
        self._history = history
        self._notifier = notifier
        self._timing = timing
        self._base = (history.epoch * 10_000 + len(history.checkpoints)) * _ATTEMPTS
        self._attempt = 0
        self._index = 0
        self._waiting = ""
        self._closed = False
        self._timer: asyncio.TimerHandle | None = None
        self._flushing: asyncio.Task[None] | None = None

    async def on_text(self, attempt: int, text: str) -> None:
        """Take a piece; a higher attempt starts over, and nothing is taken after the end."""
        if self._closed:
            return
        if attempt > self._attempt:
            self._attempt, self._index, self._waiting = attempt, 0, ""
        self._waiting += clean(text)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._timing.delta_s, self._start_flush)

    async def close(self) -> None:
        """Stop. What still waits is not sent: the event that supersedes it follows at once."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        if self._flushing is not None:
            await asyncio.gather(self._flushing, return_exceptions=True)

    def _start_flush(self) -> None:
        loop = asyncio.get_running_loop()
        if self._flushing is not None and not self._flushing.done():  # a slow post: gather on
            self._timer = loop.call_later(self._timing.delta_s, self._start_flush)
            return
        self._timer = None
        self._flushing = loop.create_task(self._flush())

    async def _flush(self) -> None:
        """Send what has gathered; what comes meanwhile waits for the timer, however long a post takes."""
        attempt, due, self._waiting = self._attempt, self._waiting, ""
        while due and attempt == self._attempt and not self._closed:
            text = prefix(due, _MAX_TEXT_BYTES)
            due = due[len(text) :]
            frame = ResponseDelta(
                run_id=self._history.run_id,
                thread_id=self._history.input.thread_id,
                draft=self._base + min(attempt, _ATTEMPTS - 1),
                index=self._index,
                text=text,
            )
            self._index += 1
            await self._notifier.tell(
                self._history.user, self._history.run_id, frame, last_seq=self._history.state.last_seq
            )
