"""Takes jobs and lets the supervisor run them, many at a time."""

import asyncio
import functools

from agent_runner.supervisor import Supervisor
from local.owners_first import OwnersFirst
from local.run_queue import LocalRunQueue, QueuedJob
from playbyplay.ports import Log

RETRY_S = 1.0


class Worker:
    """The runner of this home.

    Args:
        owners_first: keeps a job that comes once more from the run of an owner that has had no time to renew.
        visibility_s: how long a job is hidden, from the last time its runner was heard of.
        concurrent_runs: how many runs are worked on at a time.
    """

    def __init__(
        self,
        *,
        queue: LocalRunQueue,
        supervisor: Supervisor,
        owners_first: OwnersFirst,
        log: Log,
        visibility_s: float,
        concurrent_runs: int,
    ) -> None:
        self._queue = queue
        self._supervisor = supervisor
        self._owners_first = owners_first
        self._log = log
        self._visibility_s = visibility_s
        self._slots = asyncio.Semaphore(concurrent_runs)
        self._tasks: set[asyncio.Task[float | None]] = set()
        self._working = True

    async def work(self) -> None:
        """Run jobs until cancelled; what is at work then is left as by a crash and goes on at the next start."""
        try:
            while True:
                await self._slots.acquire()
                queued = await self._queue.receive()
                await self._owners_first.renewed()
                await queued.extend(self._visibility_s)
                self._log.event("job_taken", age_ms=round(queued.age_s * 1000))
                task = asyncio.create_task(self._supervisor.run(queued.job, queued), name=queued.job.run_id)
                self._tasks.add(task)
                task.add_done_callback(functools.partial(self._done, queued))
        finally:
            self._working = False
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def kill(self, run_id: str | None = None) -> list[str]:
        """End the runners of one run or of all, as a crash would; return the runs they were at."""
        killed = [task for task in self._tasks if run_id in {None, task.get_name()}]
        for task in killed:
            task.cancel()
        return [task.get_name() for task in killed]

    def _done(self, queued: QueuedJob, task: asyncio.Task[float | None]) -> None:
        """See what became of a job. One whose runner fell comes again like one of SQS: when it is hidden no longer."""
        self._tasks.discard(task)
        self._slots.release()
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if not self._working:
            return
        if error is None:
            retry_s = task.result()
            if retry_s is not None:
                self._queue.show_again(queued, retry_s)
            return
        if isinstance(error, Exception):
            self._queue.show_again(queued, RETRY_S)
        else:
            self._queue.show_when_due(queued)
        self._log.event("run_retried", run_id=queued.job.run_id, reason=type(error).__name__)
