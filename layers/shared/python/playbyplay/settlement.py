"""Settle a run and start what waited for it; end a run that nobody owns; hand one on to the next runner.

`runs.status` is a cache: settling repairs it from the journal, as often as anyone looks.
"""

from dataclasses import replace

from playbyplay.domain.ending import answer_of, completed, failed, fence
from playbyplay.domain.journal import Entry, History
from playbyplay.domain.thread import Run
from playbyplay.domain.timing import milliseconds
from playbyplay.errors import OutcomeUnknown, RunError, StoreUnavailable
from playbyplay.notifier import Notifier
from playbyplay.ports import Clock, Job, Log, RunQueue, RunStore
from playbyplay.protocol.events import ErrorEvent


class Settlement:
    """Ends runs and sends the next turn of their thread to the queue."""

    def __init__(self, *, runs: RunStore, queue: RunQueue, notifier: Notifier, clock: Clock, log: Log) -> None:
        self._runs = runs
        self._queue = queue
        self._notifier = notifier
        self._clock = clock
        self._log = log

    async def take_and_fail(self, history: History, error: RunError) -> None:
        """Fence a run and end it in one record; a run whose answer is known ends with its answer.

        Raises:
            Demoted: another owner was faster.
            StoreUnavailable: the store did not take the record.
        """
        entries: list[Entry] = [fence(history)]
        if answer_of(history) is None:
            entries += failed(history, error, self._clock.now_ms(), taken_over=True)
        await self._notifier.append(history, entries)
        if history.state.phase != "ended":
            await self.finish(history)

    async def end(self, history: History, error: RunError) -> None:
        """End an owned run: with its answer if that is known, else with the error.

        Raises:
            Demoted: another owner was faster.
            StoreUnavailable: the store did not take the record.
        """
        if answer_of(history) is not None:
            await self.finish(history)
        else:
            await self._notifier.append(history, failed(history, error, self._clock.now_ms()))

    async def finish(self, history: History) -> None:
        """End an owned run with the answer its last checkpoint holds.

        Raises:
            Demoted: another owner was faster.
            StoreUnavailable: the store did not take the record.
        """
        await self._notifier.append(history, completed(history, self._clock.now_ms()))

    async def settle(self, run: Run, history: History) -> None:
        """Note the end of an ended run, and send the next turn of its thread.

        The log tells of an end that was not noted before, and of no other: the ends that are counted are its.
        """
        status = history.state.status
        try:
            settled = await self._runs.settle(run, status)
            if settled.changed:
                end = history.events[-1]
                self._log.event(
                    "run_settled",
                    run_id=run.run_id,
                    status=status,
                    code=end.code if isinstance(end, ErrorEvent) else None,
                    events=history.state.last_seq,
                    elapsed_ms=milliseconds(end.timestamp) - run.created_ms,  # it may be noted long after
                )
            await self._send(run, settled.head)
        except (OutcomeUnknown, StoreUnavailable):
            self._log.event("run_retried", run_id=run.run_id, reason="settle")
            raise

    async def send_head(self, run: Run) -> None:
        """Send the first open turn of a run's thread, if it comes after that run or nobody owns it."""
        await self._send(run, await self._runs.head(run.user, run.thread_id))

    async def hand_on(self, job: Job) -> None:
        """Send the job of a run that was let go, for the next runner to go on from the journal.

        Raises:
            StoreUnavailable: it was not sent.
        """
        onward = replace(job, hops=job.hops + 1)
        await self._queue.send(onward)
        self._log.event("run_handed_on", run_id=job.run_id, hops=onward.hops)

    async def _send(self, run: Run, head: Run | None) -> None:
        # An earlier turn that is owned is at work. A later one may only look owned, by a canceller that failed.
        if head is not None and (head.turn > run.turn or head.owner is None):
            await self._queue.send(Job(head.user, head.run_id))
