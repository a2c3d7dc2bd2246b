"""A message while an earlier one of its thread is answered: what a deployment does with it.

`queue`: it is accepted and waits. `reject`: the store refuses it, `thread_busy`; if that is only because an end is
not noted yet, it is noted. `interrupt`: it is accepted, and what is ahead of it is cancelled.
"""

import asyncio
import contextlib

from message.caller import Caller
from message.cancel import Cancel
from playbyplay.domain.journal import History
from playbyplay.domain.thread import Run
from playbyplay.errors import PlaybyplayError
from playbyplay.ports import Journal, Log, RunStore
from playbyplay.protocol.commands import Cancel as CancelCommand
from playbyplay.settlement import Settlement

_INTERRUPT_S = 15.0  # after the 5 s the store may take; in all well below the 25 s the function has
_REPAIR_S = 2.0  # of the 5 s the store may take


class Interrupt:
    """Cancels the turns ahead of a message."""

    def __init__(self, *, runs: RunStore, cancel: Cancel, log: Log) -> None:
        self._runs = runs
        self._cancel = cancel
        self._log = log

    async def __call__(self, caller: Caller, run: Run) -> None:
        """Cancel every open turn ahead of a run, as far as that can be done in time; the others are waited for.

        All at once: one after the other, each would be begun when the one before it has ended.
        """
        try:
            async with asyncio.timeout(_INTERRUPT_S):
                await asyncio.gather(*(self._end(caller, turn) for turn in await turns_ahead(self._runs, run)))
        except Exception as error:  # noqa: BLE001 - the message is accepted, and its reply must say so
            self._log.event("interrupt_failed", run_id=run.run_id, error=type(error).__name__)

    async def _end(self, caller: Caller, turn: Run) -> None:
        try:
            await self._cancel.end(caller, CancelCommand(run_id=turn.run_id))
        except Exception as error:  # noqa: BLE001 - the other turns are cancelled all the same
            self._log.event("interrupt_failed", run_id=turn.run_id, error=type(error).__name__)


class Repair:
    """Settles the turn a thread is busy with, where its journal has the end: that is told before it is noted."""

    def __init__(self, *, runs: RunStore, journal: Journal, settlement: Settlement) -> None:
        self._runs = runs
        self._journal = journal
        self._settlement = settlement

    async def __call__(self, user: str, thread_id: str) -> bool:
        """Return whether the thread is busy with that turn no more; what fails here leaves it busy."""
        # A ValueError: what cannot be read may be of a later version, whose runner is at work.
        with contextlib.suppress(PlaybyplayError, ValueError, TimeoutError):
            async with asyncio.timeout(_REPAIR_S):
                head = await self._runs.head(user, thread_id)
                return head is None or await self._has_ended(head)
        return False

    async def _has_ended(self, run: Run) -> bool:
        history = History.of(run.user, run.run_id, await self._journal.read(run.user, run.run_id))
        if history.state.phase != "ended":
            return False
        await self._settlement.settle(run, history)
        return True


async def turns_ahead(runs: RunStore, run: Run) -> list[Run]:
    """Return the open turns of a run's thread that come before it."""
    head = await runs.head(run.user, run.thread_id)
    if head is None or head.turn >= run.turn:
        return []
    earlier = await runs.turns(run.user, run.thread_id, from_turn=head.turn, to_turn=run.turn - 1)
    return [turn for turn in earlier if turn.is_open]
