"""Takes jobs and lets the supervisor run them, many at a time."""

import asyncio

from agent_runner.supervisor import Supervisor
from local.run_queue import LocalRunQueue, QueuedJob
from playbyplay.ports import Log

RETRY_S = 1.0


class Worker:
    """The runner of this home.

    Args:
        concurrent_runs: how many runs are worked on at a time.
    """

    def __init__(self, *, queue: LocalRunQueue, supervisor: Supervisor, log: Log, concurrent_runs: int) -> None:
        self._queue = queue
        self._supervisor = supervisor
        self._log = log
        self._slots = asyncio.Semaphore(concurrent_runs)
        self._tasks: set[asyncio.Task[None]] = set()

    async def work(self) -> None:
        """Run jobs until cancelled; what is at work then is left as by a crash and goes on at the next start."""
        try:
            while True:
                await self._slots.acquire()
                task = asyncio.create_task(self._do(await self._queue.receive()))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _do(self, queued: QueuedJob) -> None:
        try:
            retry_s = await self._supervisor.run(queued.job, queued)
            if retry_s is not None:
                self._queue.show_again(queued, retry_s)
        except Exception as error:  # noqa: BLE001 - one job must not stop the worker
            self._again(queued, error)
        finally:
            self._slots.release()

    def _again(self, queued: QueuedJob, error: Exception) -> None:
        self._queue.show_again(queued, RETRY_S)
        self._log.event("run_retried", run_id=queued.job.run_id, reason=type(error).__name__)
