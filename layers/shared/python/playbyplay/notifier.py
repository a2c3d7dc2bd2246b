"""Append, then fan out: the only way an event leaves the house.

Every event is committed to the journal before any connection gets it, and every frame is rendered
from the entry that was committed. A post never fails a run; a failed append ends the ownership.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Sequence

from playbyplay.domain.connection import Subscriber
from playbyplay.domain.journal import Entry, History, Record
from playbyplay.domain.timing import Timing
from playbyplay.errors import (
    ConnectionGone,
    Demoted,
    OutcomeUnknown,
    PostError,
    PostFailed,
    SlotTaken,
    StoreUnavailable,
)
from playbyplay.ports import Clock, ConnectionStore, Gateway, Ids, Journal, Log
from playbyplay.protocol.base import Frame
from playbyplay.protocol.events import Event
from playbyplay.protocol.replies import Lagging

_Post = Callable[[str, str], Awaitable[None]]
_PACE_S = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.8)  # a replay waits for a slow reader, 1.6 s in all
_PROMPT_S = 0.5  # for one post that somebody else's reply waits for
_OTHERS_S = 1.0  # for all of them, with the marks and hints that follow


class Notifier:
    """Commits what happened and tells it to every connection of the run's user."""

    def __init__(
        self,
        *,
        journal: Journal,
        connections: ConnectionStore,
        gateway: Gateway,
        clock: Clock,
        ids: Ids,
        log: Log,
        timing: Timing,
    ) -> None:
        self._journal = journal
        self._connections = connections
        self._gateway = gateway
        self._clock = clock
        self._ids = ids
        self._log = log
        self._timing = timing

    async def append(self, history: History, entries: Sequence[Entry]) -> int | None:
        """Append one record, take it into the history, and post its events to all subscribers.

        Returns:
            When the first of them took its first event, milliseconds since the epoch; None where none did.

        Raises:
            Demoted: another owner wrote this slot; nothing was posted.
            GrammarError: the entries may not follow; nothing was written.
            StoreUnavailable: the store did not confirm the record in time; nothing was posted.
        """
        record = history.record(self._ids.uuid(), entries)
        await self._commit(history, record)
        history.extend(record)
        if record.frames:
            self._log.event("events_appended", events=len(record.frames))
            taken = await self._fan_out(history.user, history.run_id, record.frames, record.last_seq)
            self._log.event("events_posted", posts=len(taken))
            return min(taken, default=None)
        return None

    async def tell(self, user: str, run_id: str, frame: Frame, *, last_seq: int) -> None:
        """Post a frame that is no event (a heartbeat, a delta) to all subscribers."""
        await self._fan_out(user, run_id, (frame.to_json(),), last_seq)

    async def tell_others(self, user: str, run_id: str, frame: Frame, *, but: str) -> None:
        """Post a frame to all subscribers but one, who waits for an answer meanwhile: a second at the most.

        So each gets one short try; whom it does not reach in time lags until it resumes.
        """
        try:
            async with asyncio.timeout(_OTHERS_S):
                await self._fan_out(user, run_id, (frame.to_json(),), 0, but=but)
        except TimeoutError:
            self._log.event("post_failed", run_id=run_id, reason="timeout")

    async def replay(self, connection_id: str, frames: Iterable[Event | Frame], *, until_s: float | None = None) -> int:
        """Post frames to one connection, in order, flagged as a replay where they are events.

        Args:
            connection_id: the connection.
            frames: what to post.
            until_s: when to stop, by the loop's time; None for never.

        Returns:
            How many the connection took: all, unless the time was up.

        Raises:
            PostError: the connection did not take one of them; the rest was not tried.
        """
        taken = 0
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(until_s):
                for frame in frames:
                    replays = "replay" in type(frame).model_fields
                    flagged = frame.model_copy(update={"replay": True}) if replays else frame
                    await self._post_patiently(connection_id, flagged.to_json())
                    taken += 1
        return taken

    async def _commit(self, history: History, record: Record) -> None:
        """Append by condition; an unknown outcome is read back, never guessed."""
        if await self._try_append(history, record):
            return
        try:
            async with asyncio.timeout(self._timing.store_s):
                while not await self._try_append(history, record):  # noqa: ASYNC110 - a back-off, nothing signals
                    await asyncio.sleep(self._timing.retry_s / 10 * (1 + self._ids.fraction()))
        except TimeoutError:
            raise StoreUnavailable("the journal confirmed no record in time") from None

    async def _try_append(self, history: History, record: Record) -> bool:
        try:
            await self._journal.append(history.user, history.run_id, record)
        except (SlotTaken, OutcomeUnknown, StoreUnavailable) as trouble:
            self._log.event("append_in_doubt", run_id=history.run_id, reason=type(trouble).__name__)
        else:
            return True
        try:
            written = await self._journal.read(history.user, history.run_id, from_pos=record.pos)
        except (OutcomeUnknown, StoreUnavailable):
            return False
        if not written:
            return False
        if written[0].token != record.token:
            raise Demoted(f"slot {record.pos} is another owner's")
        return True

    async def _fan_out(
        self, user: str, run_id: str, frames: Sequence[str], last_seq: int, *, but: str | None = None
    ) -> list[int]:
        """Post in parallel across connections, serial within one; return when they took each frame, in milliseconds."""
        try:
            subscribers = await self._connections.subscribers(user)
        except (OutcomeUnknown, StoreUnavailable):
            self._log.event("post_failed", run_id=run_id, reason="subscribers")
            return []
        wanted = [one for one in subscribers if not one.lagging and one.connection_id != but]
        post = self._post_twice if but is None else self._post_promptly
        posts = [self._serve(post, one, run_id, frames, last_seq) for one in wanted]
        if len(posts) == 1:
            return await posts[0]
        return [when_ms for taken in await asyncio.gather(*posts) for when_ms in taken]

    async def _serve(
        self, post: _Post, subscriber: Subscriber, run_id: str, frames: Sequence[str], last_seq: int
    ) -> list[int]:
        connection_id = subscriber.connection_id
        taken: list[int] = []
        try:
            for text in frames:
                await post(connection_id, text)
                taken.append(self._clock.now_ms())
        except ConnectionGone:
            self._log.event("post_failed", run_id=run_id, reason="gone")
            if self._clock.now_ms() - subscriber.opened_ms >= self._timing.gone_grace_s * 1000:
                with contextlib.suppress(OutcomeUnknown, StoreUnavailable):  # the next post finds it gone again
                    await self._connections.remove(connection_id)
        except PostFailed as failed:
            self._log.event("post_failed", run_id=run_id, reason=failed.reason)
            with contextlib.suppress(OutcomeUnknown, StoreUnavailable):  # the next post finds it slow again
                await self._connections.mark_lagging(connection_id, lagging=True)
            await self._hint(connection_id, Lagging(run_id=run_id, last_seq=last_seq))
        return taken

    async def _hint(self, connection_id: str, frame: Frame) -> None:
        try:
            await self._gateway.post(connection_id, frame.to_json())
        except PostError:
            return  # the client's own ping finds the gap

    async def _post_twice(self, connection_id: str, text: str) -> None:
        try:
            await self._gateway.post(connection_id, text)
        except PostFailed:
            await asyncio.sleep(0.1 * (1 + self._ids.fraction()))
            await self._gateway.post(connection_id, text)

    async def _post_promptly(self, connection_id: str, text: str) -> None:
        try:
            async with asyncio.timeout(_PROMPT_S):
                await self._gateway.post(connection_id, text)
        except TimeoutError:
            raise PostFailed("timeout") from None

    async def _post_patiently(self, connection_id: str, text: str) -> None:
        """Post at the pace the connection can take."""
        for pause_s in _PACE_S:
            try:
                return await self._gateway.post(connection_id, text)
            except PostFailed:
                await asyncio.sleep(pause_s)
        return await self._gateway.post(connection_id, text)
