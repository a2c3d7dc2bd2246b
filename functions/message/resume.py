"""`resume`: every later event in order, then live ones.

The order is what closes the gap: first the connection's row (from here on live frames come), then
the strongly consistent read, then the replay, then the head that was read. Before that is told, a run
whose end was read and of which the store does not know is settled.
"""

import asyncio
import contextlib
from collections.abc import Sequence

from message.caller import Caller
from message.present import Presence
from playbyplay.domain.journal import History, is_whole
from playbyplay.domain.thread import Run
from playbyplay.errors import OutcomeUnknown, PostError, PostFailed, Refused, StoreUnavailable
from playbyplay.notifier import Notifier
from playbyplay.ports import MAX_TURNS, ConnectionStore, Journal, Log, RunStore
from playbyplay.protocol.base import MAX_REPLAYED, Frame
from playbyplay.protocol.commands import Position
from playbyplay.protocol.commands import Resume as ResumeCommand
from playbyplay.protocol.replies import ReplayComplete, RunInput
from playbyplay.settlement import Settlement

_REPLAY_S = 15.0  # of the 20 s a resume may take; what a slow reader did not get by then it asks for again
_REPAIR_S = 2.0  # of what is left then


class Resume:
    """Replays runs and threads."""

    def __init__(
        self,
        *,
        runs: RunStore,
        journal: Journal,
        connections: ConnectionStore,
        present: Presence,
        notifier: Notifier,
        settlement: Settlement,
        log: Log,
    ) -> None:
        self._runs = runs
        self._journal = journal
        self._connections = connections
        self._present = present
        self._notifier = notifier
        self._settlement = settlement
        self._log = log

    async def __call__(self, caller: Caller, command: ResumeCommand) -> ReplayComplete:
        """Post what came after the position, and return the head it was read at.

        It is at most 200 events, and as many as the connection takes in time.

        Raises:
            Refused: `not_found`, `bad_value` (a position above the head), `overloaded` or `expired`: the run's
                events; of a thread, those before the run; without a run the connection, which gave way to newer ones.
        """
        until_s = asyncio.get_running_loop().time() + _REPLAY_S
        await self._present(caller)
        await self._connections.mark_lagging(caller.connection_id, lagging=False)
        try:
            if command.run_id is not None and command.after_seq is not None:
                return await self._run(caller, command.run_id, command.after_seq, until_s)
            assert command.thread_id is not None and command.after is not None  # noqa: S101, PT018 - the model's rule
            return await self._thread(caller, command.thread_id, command.after, until_s)
        except PostError:
            raise Refused("overloaded", "The replay could not be sent. Ask again.", run_id=command.run_id) from None

    async def _run(self, caller: Caller, run_id: str, after_seq: int, until_s: float) -> ReplayComplete:
        run = await self._runs.get(caller.user, run_id)
        if run is None:
            raise Refused("not_found", "There is no such run.", run_id=run_id)
        history = await self._history(run)
        if after_seq > history.state.last_seq:
            raise Refused("bad_value", "after_seq is above the head of this run.", run_id=run_id)
        frames = _frames(run, history, after_seq, MAX_REPLAYED)
        taken = await self._notifier.replay(caller.connection_id, frames, until_s=until_s)
        if taken < len(frames) and _reached(after_seq, taken) == after_seq:
            raise PostFailed("slow")
        self._log.event("replayed", frames=taken, reloaded=after_seq == 0 and _is_under_way(history))
        if _is_unsettled(run, history):
            await self._repair([(run, history)])
        return ReplayComplete(
            run_id=run_id, after_seq=after_seq, last_seq=history.state.last_seq, status=history.state.status
        )

    async def _thread(self, caller: Caller, thread_id: str, after: Position, until_s: float) -> ReplayComplete:
        first = max(1, after.turn)
        runs = await self._runs.turns(caller.user, thread_id, from_turn=first)
        if not runs:
            raise await self._none_from(caller.user, thread_id, first)
        # `through` stays in the first turn that is still open: whoever asks on from there misses nothing.
        left, through, whole = MAX_REPLAYED, after, True
        unsettled, sent, under_way = [], 0, False
        for turn, run in enumerate(runs, start=first):
            if run.turn != turn:
                raise _forgotten(run)
            history = await self._history(run)
            if _is_unsettled(run, history):
                unsettled.append((run, history))
            after_seq = after.seq if turn == after.turn else 0
            if after_seq > history.state.last_seq:
                raise Refused("bad_value", "after is above the head of its turn.")
            frames = _frames(run, history, after_seq, left)
            taken = await self._notifier.replay(caller.connection_id, frames, until_s=until_s)
            reached = Position(turn=turn, seq=_reached(after_seq, taken))
            through = reached if whole else through
            left -= reached.seq - after_seq
            sent += taken
            under_way = under_way or (after_seq == 0 and _is_under_way(history))
            if taken < len(frames) and through == after:
                raise PostFailed("slow")  # who is told the place it asked from takes it for the end
            if taken < len(frames) or left <= 0:
                break
            whole = whole and history.state.phase == "ended"
        self._log.event("replayed", frames=sent, reloaded=after.turn <= 1 and after.seq == 0 and under_way)
        await self._repair(unsettled)
        return ReplayComplete(thread_id=thread_id, through=through)

    async def _repair(self, unsettled: Sequence[tuple[Run, History]]) -> None:
        """Note the ends the store does not know of; what fails here is left to the next reader."""
        with contextlib.suppress(OutcomeUnknown, StoreUnavailable, TimeoutError):
            async with asyncio.timeout(_REPAIR_S):
                for run, history in unsettled:
                    await self._settlement.settle(run, history)

    async def _none_from(self, user: str, thread_id: str, first: int) -> Refused:
        """Say why a thread has no turns from one on: they are no longer kept, or never were, or it is not there."""
        head = await self._runs.head(user, thread_id)
        later = await self._runs.turns(user, thread_id, from_turn=first + MAX_TURNS)
        if later or (head is not None and head.turn >= first):
            return _forgotten(later[0] if head is None or head.turn < first else head)
        known = (
            head
            or await self._runs.turns(user, thread_id, from_turn=1, to_turn=1)
            or await self._runs.turns(user, thread_id, from_turn=max(1, first - MAX_TURNS), to_turn=first - 1)
        )
        return Refused("bad_value", "after is above the head of this thread.") if known else _no_thread()

    async def _history(self, run: Run) -> History:
        records = await self._journal.read(run.user, run.run_id)
        history = History.of(run.user, run.run_id, records if is_whole(records) else [])
        # A run that the store knows to have ended has a terminal, or its end is gone.
        if not history.records or (not run.is_open and history.state.phase != "ended"):
            raise Refused("expired", "The events of this run are no longer kept.", run_id=run.run_id)
        return history


def _is_unsettled(run: Run, history: History) -> bool:
    return run.is_open and history.state.phase == "ended"


def _is_under_way(history: History) -> bool:
    return history.state.phase != "ended" and history.state.last_seq > 0


def _no_thread() -> Refused:
    return Refused("not_found", "There is no such thread.")


def _forgotten(run: Run) -> Refused:
    """Say that turns before a run are gone. Without its id a client would take its session to be over."""
    return Refused("expired", "Earlier turns of this thread are no longer kept.", run_id=run.run_id)


def _reached(after_seq: int, taken: int) -> int:
    """Return the seq a connection has once it took so many of the frames after one: before the first is the message."""
    return after_seq + taken if after_seq > 0 else max(0, taken - 1)


def _frames(run: Run, history: History, after_seq: int, limit: int) -> list[Frame]:
    events: list[Frame] = list(history.events[after_seq : after_seq + limit])
    if after_seq > 0:
        return events
    said = history.input
    first = RunInput(
        run_id=run.run_id, thread_id=run.thread_id, turn=run.turn, content=said.content, timestamp=said.timestamp
    )
    return [first, *events]
