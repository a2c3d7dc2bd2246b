"""`ping`: the heads of a user's runs, from the store, so it answers even when the runner is dead."""

from message.caller import Caller
from message.present import Presence
from playbyplay.domain.thread import Run
from playbyplay.ports import Journal, RunStore
from playbyplay.protocol.base import MAX_CURSORS
from playbyplay.protocol.commands import Ping as PingCommand
from playbyplay.protocol.replies import Head, Pong

MAX_HEADS = 16


class Ping:
    """Tells heads."""

    def __init__(self, *, runs: RunStore, journal: Journal, present: Presence) -> None:
        self._runs = runs
        self._journal = journal
        self._present = present

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
                heads[run.run_id] = Head(last_seq=last_seq, status=run.status)
        return Pong(heads=heads)
