"""Jobs that no runner could finish: each leads to a look at its run, for a dead letter is not a verdict.

https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html: what is not named is deleted.
"""

from playbyplay.adapters.container import Answer, Event
from playbyplay.adapters.sqs_events import SqsEvent, SqsRecord
from playbyplay.adapters.sqs_run_queue import MalformedJob, read_job
from playbyplay.ports import Log
from watchdog.look import Look


class DeadLetters:
    """Serves batches of the queue of dead letters."""

    def __init__(self, *, look: Look, log: Log) -> None:
        self._look = look
        self._log = log

    async def __call__(self, event: Event) -> Answer:
        """Look at the run of every letter; return which letters are to come again."""
        failed = [record for record in SqsEvent.model_validate(event).records if not await self._done(record)]
        return {"batchItemFailures": [{"itemIdentifier": record.message_id} for record in failed]}

    async def _done(self, record: SqsRecord) -> bool:
        try:
            job = read_job(record.body)
        except MalformedJob:
            self._log.event("dead_letter", finding="malformed")  # it would be no better the next time
            return True
        try:
            finding = await self._look(job)
        except Exception as error:  # noqa: BLE001 - one letter must not fail the others of its batch
            self._log.event("run_retried", run_id=job.run_id, reason=type(error).__name__)
            return False
        self._log.event("dead_letter", run_id=job.run_id, finding=finding)
        return True
