"""Jobs in SQS: ids and a count, at least once, in the fair order that SQS keeps among users.

A job that is sent or delivered twice is harmless: the journal lets one owner write.
"""

import hashlib
import math
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from playbyplay.adapters.aws import Aws
from playbyplay.errors import OutcomeUnknown, PlaybyplayError, StoreRefused, StoreUnavailable
from playbyplay.ports import MAX_HOPS, Job
from playbyplay.protocol.base import Text, Uuid

# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ChangeMessageVisibility.html
_MAX_HIDDEN_S = 43_200


class MalformedJob(PlaybyplayError):
    """A message of the queue that is no job of ours; the message never repeats its body."""


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)

    v: Annotated[int, Field(ge=1, le=1)]  # a Literal takes true for 1
    user: Text
    run_id: Uuid
    hops: Annotated[int, Field(ge=0, le=MAX_HOPS)] = 0


def job_body(job: Job) -> str:
    """Return the body of a job's message; a run that was never handed on has no `hops` in it."""
    return _Body(v=1, user=job.user, run_id=job.run_id, hops=job.hops).model_dump_json(exclude_defaults=True)


def read_job(body: str) -> Job:
    """Read the body of a message.

    Raises:
        MalformedJob: it is not what `job_body` writes.
    """
    try:
        read = _Body.model_validate_json(body)
    except ValidationError as error:
        raise MalformedJob("The message is no job.") from error
    return Job(read.user, read.run_id, read.hops)


class SqsRunQueue:
    """Implements `ports.RunQueue`."""

    def __init__(self, aws: Aws, queue_url: str) -> None:
        self._aws = aws
        self._queue_url = queue_url

    async def send(self, job: Job) -> None:
        """Ask for a runner; a message whose outcome is unknown is sent again.

        Raises:
            StoreUnavailable: no try was confirmed.
        """
        message = {"QueueUrl": self._queue_url, "MessageBody": job_body(job), "MessageGroupId": _group(job.user)}
        await self._aws.read("sqs", "send_message", message)


class SqsReceipt:
    """Implements `ports.Receipt`."""

    def __init__(self, aws: Aws, queue_url: str, receipt_handle: str) -> None:
        self._aws = aws
        self._queue_url = queue_url
        self._receipt_handle = receipt_handle

    async def extend(self, seconds: float) -> None:
        """Keep the job hidden for so long from now: whole seconds, rounded up, twelve hours at the most; one try.

        Raises:
            StoreUnavailable: the queue did not do it.
        """
        change = {
            "QueueUrl": self._queue_url,
            "ReceiptHandle": self._receipt_handle,
            "VisibilityTimeout": min(max(math.ceil(seconds), 0), _MAX_HIDDEN_S),
        }
        try:
            await self._aws.write("sqs", "change_message_visibility", change)
        except (OutcomeUnknown, StoreRefused) as trouble:  # refused: the receipt holds no more
            raise StoreUnavailable(str(trouble)) from trouble


def _group(user: str) -> str:
    """Return what SQS tells users apart by, of its alphabet and length, whatever the user is called."""
    return hashlib.sha256(user.encode("utf-8", "surrogatepass")).hexdigest()
