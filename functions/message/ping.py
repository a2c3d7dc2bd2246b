"""`ping`: the heads of a user's runs, from the store, so it answers even when the runner is dead.

The cursors are the client's receipts, and are noted as such.
"""

import asyncio
import contextlib
from collections.abc import Mapping

from message.caller import Caller
from message.present import Presence
from playbyplay.domain.thread import Run
from playbyplay.errors import OutcomeUnknown, StoreRefused, StoreUnavailable
from playbyplay.ports import Clock, ConnectionStore, Journal, Log, RunStore
from playbyplay.protocol.base import MAX_CURSORS, RunStatus
from playbyplay.protocol.commands import Ping as PingCommand
from playbyplay.protocol.replies import Head, Pong

MAX_HEADS = 16
_RECEIPTS_S = 0.5  # of the 2 s a pong may take


class Ping:
    """Tells heads."""

    def __init__(
        self,
        *,
        runs: RunStore,
        journal: Journal,
        connections: ConnectionStore,
        present: Presence,
        clock: Clock,
        log: Log,
    ) -> None:
        self._runs = runs
        self._journal = journal
        self._connections = connections
        self._present = present
        self._clock = clock
        self._log = log

    async def __call__(self, caller: Caller, command: PingCommand) -> Pong:
        """Return the heads of the cursors' runs and of the open runs; foreign and absent ones are left out.

        Raises:
            Refused: `expired`: the connection gave way to newer ones.
        """
        await self._present(caller)
        wanted: dict[str, Run] = {}
        for run_id in command.cursors or {}:
            run = await self._runs.get(caller.user, run_id)
            if run is not None:
                wanted[run_id] = run
        for run in await self._runs.open_runs(caller.user, limit=MAX_CURSORS):
            if len(wanted) < MAX_HEADS:
                wanted.setdefault(run.run_id, run)
        heads = {}
        for run in wanted.values():
            last_seq = await self._journal.last_seq(caller.user, run.run_id)
            if last_seq is not None:
                heads[run.run_id] = Head(last_seq=last_seq, status=_status(run, last_seq))
        await self._receive(caller, command, heads)
        return Pong(heads=heads)

    async def _receive(self, caller: Caller, command: PingCommand, heads: Mapping[str, Head]) -> None:
        """Note what the client holds; a receipt that is not noted comes again with the next ping."""
        receipts = {
            run_id: seq
            for run_id, seq in (command.cursors or {}).items()
            if run_id in heads and seq <= heads[run_id].last_seq
        }
        if receipts:
            behind = sum(heads[run_id].last_seq - seq for run_id, seq in receipts.items())
            self._log.event("receipts_noted", behind=behind)
            with contextlib.suppress(OutcomeUnknown, StoreRefused, StoreUnavailable, TimeoutError):
                async with asyncio.timeout(_RECEIPTS_S):
                    await self._connections.receive(caller.connection_id, receipts, now_ms=self._clock.now_ms())


def _status(run: Run, last_seq: int) -> RunStatus:
    """Return the status that goes with a head: the store calls a run running that its runner gave back unbegun."""
    if not run.is_open:
        return run.status
    return "running" if last_seq > 0 else "queued"
