"""Jobs as the queue hands them over: each is run, and those that must come again are named.

https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html: what is not named is deleted.
"""

import asyncio
import contextlib
import functools
from collections.abc import Callable

from agent_runner.supervisor import Supervisor
from playbyplay.adapters.container import Answer, Event, Serve
from playbyplay.adapters.sqs_events import SqsEvent, SqsRecord
from playbyplay.adapters.sqs_run_queue import MalformedJob, read_job
from playbyplay.errors import OutcomeUnknown, StoreUnavailable
from playbyplay.ports import Clock, Job, Log, Receipt


class Jobs:
    """Serves batches of the queue; a run that takes longer than the function may is handed on.

    Args:
        supervisor: runs a job.
        receipts: makes the receipt of a receipt handle.
        clock: tells how long a job took to get here.
        log: tells what was dropped or comes again.
        retry_s: how soon a job comes again that failed.
    """

    def __init__(
        self,
        *,
        supervisor: Supervisor,
        receipts: Callable[[str], Receipt],
        clock: Clock,
        log: Log,
        retry_s: float,
    ) -> None:
        self._supervisor = supervisor
        self._clock = clock
        self._receipts = receipts
        self._log = log
        self._retry_s = retry_s

    def until(self, ends_s: float) -> Serve:
        """Return what serves a batch that must be done with by a monotonic second."""
        return functools.partial(self, ends_s=ends_s)

    async def __call__(self, event: Event, *, ends_s: float | None = None) -> Answer:
        """Run every job of a batch; return which are to come again."""
        records = SqsEvent.model_validate(event).records
        again = await asyncio.gather(*(self._comes_again(record, ends_s) for record in records))
        failed = [record.message_id for record, failed in zip(records, again, strict=True) if failed]
        return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}

    async def _comes_again(self, record: SqsRecord, ends_s: float | None) -> bool:
        try:
            job = read_job(record.body)
        except MalformedJob:
            self._log.event("job_dropped", reason="malformed")  # it would be no better the next time
            return False
        if record.receive_count == 1:  # one that comes again is as old as the try before it was long
            self._log.event("job_taken", age_ms=max(0, self._clock.now_ms() - record.sent_ms))
        receipt = self._receipts(record.receipt_handle)
        retry_s = await self._run(job, receipt, ends_s)
        if retry_s is None:
            return False
        with contextlib.suppress(StoreUnavailable, OutcomeUnknown):  # it comes when its time is over
            await receipt.extend(retry_s)
        return True

    async def _run(self, job: Job, receipt: Receipt, ends_s: float | None) -> float | None:
        try:
            return await self._supervisor.run(job, receipt, ends_s=ends_s)
        except Exception as error:  # noqa: BLE001 - one job must not fail the others of its batch
            self._log.event("run_retried", run_id=job.run_id, reason=type(error).__name__)
            return self._retry_s
