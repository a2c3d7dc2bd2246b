"""The queue as a table: a job stays until it is done with, so a restart continues what was accepted."""

import asyncio
from dataclasses import dataclass

from local.database import Database
from playbyplay.ports import Job


@dataclass(frozen=True, slots=True)
class QueuedJob:
    """A job in the worker's hands."""

    job_id: int
    job: Job

    async def extend(self, seconds: float) -> None:
        """Nothing to do: this process alone delivers its jobs, and an end of the process shows them again."""


class SqliteRunQueue:
    """Implements `ports.RunQueue`, and its receiving side for the worker."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._visible: asyncio.Queue[QueuedJob] = asyncio.Queue()

    async def recover(self, heads: list[Job]) -> int:
        """Show again what was left, and send what was accepted but never sent; return how many jobs wait."""
        rows = self._database.read("SELECT job_id, user, run_id FROM jobs ORDER BY job_id")
        for job_id, user, run_id in rows:
            self._visible.put_nowait(QueuedJob(job_id, Job(user, run_id)))
        sent = {(user, run_id) for _job_id, user, run_id in rows}
        for job in heads:
            if (job.user, job.run_id) not in sent:
                await self.send(job)
        return self._visible.qsize()

    async def send(self, job: Job) -> None:
        """Put a job at the end."""
        job_id = await self._database.write(
            lambda connection: (
                connection.execute("INSERT INTO jobs (user, run_id) VALUES (?, ?)", (job.user, job.run_id)).lastrowid
            )
        )
        if job_id is not None:
            self._visible.put_nowait(QueuedJob(job_id, job))

    async def receive(self) -> QueuedJob:
        """Return the next job; it stays in the table until it is deleted."""
        return await self._visible.get()

    async def delete(self, queued: QueuedJob) -> None:
        """Forget a job that is done with."""
        await self._database.write(
            lambda connection: connection.execute("DELETE FROM jobs WHERE job_id = ?", (queued.job_id,)).rowcount
        )

    def show_again(self, queued: QueuedJob, delay_s: float) -> None:
        """Deliver a job once more, later."""
        asyncio.get_running_loop().call_later(delay_s, self._visible.put_nowait, queued)
