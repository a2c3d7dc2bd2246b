"""One look at a run that nobody was heard of: settle it, end it, send its job again, or leave it to who is at work.

For a run that is overdue and for one whose job became a dead letter: neither is a verdict. Whatever is done
here may be done twice, and by two at once.
"""

import contextlib
from dataclasses import replace
from typing import Literal, TypeAlias

from playbyplay.domain.journal import History, is_whole
from playbyplay.domain.thread import Run
from playbyplay.domain.timing import Timing, milliseconds
from playbyplay.domain.verdict import verdict
from playbyplay.errors import Demoted, OutcomeUnknown, StoreUnavailable
from playbyplay.ports import Acquired, Clock, Ids, Job, Journal, Log, OverdueRuns, RunQueue, RunStore
from playbyplay.settlement import Settlement

Finding: TypeAlias = Literal["unknown", "over", "settled", "held", "ended", "waits", "sent", "unreadable", "taken"]
"""There is no such run; it was over, and the store knew; it was over, and the store knows now; its owner is at work; it
was to end and has; an earlier turn of its thread is open; its job was sent again; its journal is not whole, or holds
what this version does not know; somebody took it meanwhile."""


class Look:
    """Looks at one run."""

    def __init__(
        self,
        *,
        runs: RunStore,
        journal: Journal,
        queue: RunQueue,
        overdue: OverdueRuns,
        settlement: Settlement,
        clock: Clock,
        ids: Ids,
        log: Log,
        timing: Timing,
    ) -> None:
        self._runs = runs
        self._journal = journal
        self._queue = queue
        self._overdue = overdue
        self._settlement = settlement
        self._clock = clock
        self._ids = ids
        self._log = log
        self._timing = timing

    async def __call__(self, job: Job) -> Finding:
        """Return what was found, once it is done with.

        Raises:
            StoreUnavailable, OutcomeUnknown: it is not; the next look begins anew.
        """
        run = await self._runs.get(job.user, job.run_id)
        if run is None:
            return "unknown"
        if not run.is_open:
            return "over"
        history = await self._history(run)
        if history is None:
            await self._postpone(run)
            return "unreadable"
        return await self._judge(run, history, job)

    async def put_off(self, job: Job) -> None:
        """Have a run looked at again soon, but after those that wait already.

        Raises:
            StoreUnavailable, OutcomeUnknown: it stays as it was.
        """
        soon_ms = self._clock.now_ms() + int(self._timing.check_again_s * 1000)
        await self._overdue.postpone(job.user, job.run_id, until_ms=soon_ms)

    async def _history(self, run: Run) -> History | None:
        """Return a run's journal; None where it cannot be gone on from, by this version or at all."""
        try:
            records = await self._journal.read(run.user, run.run_id)
            if is_whole(records):
                return History.of(run.user, run.run_id, records)
            reason = "expired"
        except (StoreUnavailable, OutcomeUnknown):
            raise
        except Exception as error:  # noqa: BLE001 - a later version wrote it, and may go on with it
            reason = type(error).__name__
        self._log.event("run_unreadable", run_id=run.run_id, reason=reason)
        return None

    async def _judge(self, run: Run, history: History, job: Job) -> Finding:
        now_ms = self._clock.now_ms()
        if history.state.phase == "ended":
            await self._settlement.settle(run, history)
            return "settled"
        if run.owner is not None and run.lease_until_ms > now_ms:
            after_ms = run.lease_until_ms + int(self._timing.after_lease_s * 1000)
            await self._overdue.postpone(run.user, run.run_id, until_ms=after_ms)
            return "held"
        # As the next one who takes it would find it: taking it counts as an attempt.
        found = replace(run, attempts=run.attempts + 1)
        if verdict(found, history, now_ms=now_ms, timing=self._timing) is not None:
            return await self._end(run)
        # Before anything is asked: whoever settles the turn before, or takes this one, sets the next look anew.
        await self._postpone(run, history)
        try:
            if run.turn > 1 and await self._waits(run):
                return "waits"
            await self._queue.send(job)
        except Exception:
            with contextlib.suppress(StoreUnavailable, OutcomeUnknown):
                await self.put_off(job)
            raise
        self._log.event("job_sent_again", run_id=run.run_id, silent_ms=self._silent_ms(run, history))
        return "sent"

    async def _end(self, run: Run) -> Finding:
        """Take a run, as a runner would, and end it; its journal is read only now that it is ours."""
        owner, now_ms = self._ids.uuid(), self._clock.now_ms()
        lease_until_ms = now_ms + int(self._timing.lease_s * 1000)
        acquired = await self._runs.acquire(run.user, run.run_id, owner, now_ms=now_ms, lease_until_ms=lease_until_ms)
        if not isinstance(acquired, Acquired):
            return "taken"
        try:
            return await self._end_taken(acquired.run, owner)
        except Demoted:
            return "taken"
        except Exception:
            await self._release(run, owner)
            raise

    async def _end_taken(self, run: Run, owner: str) -> Finding:
        """End a run that is ours now, if it is still to end."""
        history = History.of(run.user, run.run_id, await self._journal.read(run.user, run.run_id))
        if history.state.phase != "ended":
            ends = verdict(run, history, now_ms=self._clock.now_ms(), timing=self._timing)
            if ends is None:  # it got on meanwhile
                await self._release(run, owner)
                return "taken"
            await self._settlement.take_and_fail(history, ends)
        await self._settlement.settle(run, history)
        return "ended"

    async def _release(self, run: Run, owner: str) -> None:
        """Give a lease back; one that cannot be given back ends by itself."""
        with contextlib.suppress(StoreUnavailable, OutcomeUnknown):
            await self._runs.release(run.user, run.run_id, owner)

    async def _waits(self, run: Run) -> bool:
        """Whether an earlier turn of its thread is open: whoever settles that one sends this one."""
        head = await self._runs.head(run.user, run.thread_id)
        return head is not None and head.turn < run.turn

    async def _postpone(self, run: Run, history: History | None = None) -> None:
        """Look again when it has been silent for half as long again: a queue that is far behind is not filled up."""
        wait_ms = max(self._timing.check_again_s * 1000, self._silent_ms(run, history) / 2)
        await self._overdue.postpone(run.user, run.run_id, until_ms=self._clock.now_ms() + int(wait_ms))

    def _silent_ms(self, run: Run, history: History | None) -> int:
        """Return since when nobody was heard of: neither its user, nor an owner, nor an event."""
        told_ms = milliseconds(history.events[-1].timestamp) if history and history.events else 0
        return max(0, self._clock.now_ms() - max(run.created_ms, run.lease_until_ms, told_ms))
