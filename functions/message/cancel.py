"""`cancel`: the wish is stored; a run nobody owns is ended here and now.

An owned run is ended by its owner, who looks for the wish. The terminal is whatever is appended first.
"""

import asyncio

from message.caller import Caller
from playbyplay.domain.journal import History
from playbyplay.domain.thread import Run
from playbyplay.domain.timing import Timing
from playbyplay.domain.verdict import cancelled
from playbyplay.errors import Demoted, OutcomeUnknown, Refused, StoreUnavailable
from playbyplay.ports import Acquired, Clock, Ids, Journal, Log, RunStore
from playbyplay.protocol.commands import Cancel as CancelCommand
from playbyplay.protocol.replies import CancelAccepted
from playbyplay.settlement import Settlement

_WISH_S = 5.0
_END_S = 10.0  # beside the store it waits for the connections that are told, the slowest of which takes 6 s


class Cancel:
    """Cancels runs."""

    def __init__(
        self,
        *,
        runs: RunStore,
        journal: Journal,
        settlement: Settlement,
        clock: Clock,
        ids: Ids,
        log: Log,
        timing: Timing,
    ) -> None:
        self._runs = runs
        self._journal = journal
        self._settlement = settlement
        self._clock = clock
        self._ids = ids
        self._log = log
        self._timing = timing

    async def __call__(self, caller: Caller, command: CancelCommand) -> CancelAccepted:
        """Return once the user's wish is durable.

        Raises:
            Refused: `not_found` or `overloaded`.
        """
        accepted = await self.end(caller, command)
        self._log.event("cancel_requested", run_id=command.run_id)
        return accepted

    async def end(self, caller: Caller, command: CancelCommand) -> CancelAccepted:
        """Return once the wish is durable, whosever it is.

        Raises:
            Refused: `not_found` or `overloaded`.
        """
        try:
            async with asyncio.timeout(_WISH_S):
                run = await self._runs.request_cancel(caller.user, command.run_id)
            if run is None:
                raise Refused("not_found", "There is no such run.", run_id=command.run_id)
            if run.is_open:
                async with asyncio.timeout(_END_S):
                    await self._end_unowned(run)
        except (OutcomeUnknown, StoreUnavailable, TimeoutError):
            raise Refused(
                "overloaded", "The run could not be cancelled now.", run_id=command.run_id, retry_after_ms=1000
            ) from None
        return CancelAccepted(run_id=command.run_id)

    async def _end_unowned(self, run: Run) -> None:
        owner, now_ms = self._ids.uuid(), self._clock.now_ms()
        lease_until_ms = now_ms + int(self._timing.lease_s * 1000)
        acquired = await self._runs.acquire(run.user, run.run_id, owner, now_ms=now_ms, lease_until_ms=lease_until_ms)
        if not isinstance(acquired, Acquired):
            return
        history = History.of(run.user, run.run_id, await self._journal.read(run.user, run.run_id))
        try:
            if history.state.phase != "ended":
                await self._settlement.take_and_fail(history, cancelled())
            await self._settlement.settle(run, history)
        except Demoted:
            return  # an owner was faster; it sees the wish
