"""Threads in DynamoDB: which turns of one are open, by its map, and a map that says too much is mended.

The map and the runs are items of their own, so a run may be closed that its thread still lists.
"""

import asyncio

from playbyplay.adapters.dynamo_run_items import Thread, may_be_gone, run_of
from playbyplay.adapters.dynamo_runs_table import RunsTable
from playbyplay.adapters.tables import run_key, thread_key
from playbyplay.domain.thread import Run
from playbyplay.errors import StoreUnavailable
from playbyplay.ports import Clock

# A plain read can meet a transaction half applied, one item new and the next one old:
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html
_LOOKS = 3
_PAUSE_S = 0.05


class Threads:
    """The threads of the runs table.

    Args:
        table: where runs, threads and turns are.
        clock: tells how old a run is.
    """

    def __init__(self, table: RunsTable, clock: Clock) -> None:
        self._table = table
        self._clock = clock

    async def get(self, user: str, thread_id: str) -> Thread | None:
        """Return a thread."""
        return Thread.of(await self._table.get(user, thread_key(thread_id)))

    async def head(self, user: str, thread_id: str, thread: Thread | None) -> Run | None:
        """Return the first turn that is open, and take out of the thread those that only look it.

        Args:
            user: whose thread it is.
            thread_id: its id.
            thread: as it was read.

        Raises:
            StoreUnavailable: a run is not seen that must be there; taken out now, it would never be sent.
        """
        while thread is not None and thread.open:
            turn = min(thread.open)
            run = await self._surely(user, thread.open[turn])
            if run is not None and run.is_open:
                return run
            thread = await self.close(user, thread_id, turn, thread.open[turn])
        return None

    async def close(self, user: str, thread_id: str, turn: int, run_id: str) -> Thread | None:
        """Take a turn out of the open ones; return the thread as it is then."""
        closed, old = await self._table.update(
            user,
            thread_key(thread_id),
            "REMOVE #open.#turn ADD #rev :one",
            "#open.#turn = :run_id",
            {":one": 1, ":run_id": run_id},
            turn=turn,
        )
        return Thread.of(closed or old)

    async def _surely(self, user: str, run_id: str) -> Run | None:
        """Return a run its thread knows of; None only if it is absent each time, and of an age to be."""
        for look in range(_LOOKS):
            if look:
                await asyncio.sleep(_PAUSE_S)
            kept = await self._table.get(user, run_key(run_id))
            if kept is not None:
                return run_of(kept)
        if not may_be_gone(run_id, self._clock.now_ms()):
            raise StoreUnavailable("get_item: a run its thread lists is not seen")
        return None
