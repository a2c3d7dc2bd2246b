"""The AWS home's stores on moto, in this process, and on MiniStack, a process of its own.

Their failures are raised where botocore raises them, so that the translation in `adapters/aws.py` runs.
"""

import functools
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeVar

import boto3
import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from playbyplay.adapters.aws import Answer, Aws, Params
from playbyplay.adapters.dynamo_cancel_watch import DynamoCancelWatch
from playbyplay.adapters.dynamo_connection_store import DynamoConnectionStore
from playbyplay.adapters.dynamo_ended_runs import DynamoEndedRuns
from playbyplay.adapters.dynamo_journal import DynamoJournal
from playbyplay.adapters.dynamo_overdue_runs import DynamoOverdueRuns
from playbyplay.adapters.dynamo_run_store import DynamoRunStore
from playbyplay.adapters.dynamo_ticket_store import DynamoTicketStore
from playbyplay.adapters.sqs_run_queue import SqsRunQueue, read_job
from playbyplay.ports import Job
from tests.contract.home import Home
from tests.contract.moto_lock import locked_moto
from tests.contract.tables import Stored
from tests.fakes.clock import FakeClock
from tests.fakes.log import FakeLog

T = TypeVar("T")
Fault: TypeAlias = Literal["throttled", "lost", "unanswered"]
Meets: TypeAlias = Fault | ClientError | Answer | Callable[[], Awaitable[object]] | None
_READS = frozenset({"get_item", "batch_get_item", "query"})
_LOOK_EVERY_S = 0.02  # at a run for its cancel; two seconds in the product


class FaultyAws(Aws):
    """AWS that fails when told.

    Attributes:
        calls: operation and parameters of every call, in order.
        fault: what every call meets; `lost` has no effect and `unanswered` has it, and neither is answered. Reads
            meet only what is not about an outcome.
    """

    def __init__(self, log: FakeLog, endpoints: Mapping[str, str]) -> None:
        super().__init__(log, endpoints)
        self.calls: list[tuple[str, Params]] = []
        self.fault: Fault | None = None
        self._planned: deque[Meets] = deque()

    def plan(self, *meets: Meets) -> None:
        """Let the next calls meet these, in order: a fault, an error, an answer, what is done first; None passes."""
        self._planned.extend(meets)

    async def call(self, service: str, operation: str, params: Params) -> Answer:
        self.calls.append((operation, params))
        fault = None if operation in _READS and self.fault != "throttled" else self.fault
        meets = fault or (self._planned.popleft() if self._planned else None)
        if isinstance(meets, ClientError):
            raise meets
        if isinstance(meets, dict):
            return meets
        if meets == "throttled":
            raise refusal("ThrottlingException", operation)
        if meets == "lost":
            raise ReadTimeoutError(endpoint_url=service)
        if callable(meets):
            await meets()
        answer = await super().call(service, operation, params)
        if meets == "unanswered":
            raise ReadTimeoutError(endpoint_url=service)
        return answer


def refusal(code: str, operation: str = "Operation", *, status: int = 400, **fields: Any) -> ClientError:
    """Return what botocore raises for an error response."""
    response = {"Error": {"Code": code, "Message": code}, "ResponseMetadata": {"HTTPStatusCode": status}, **fields}
    return ClientError(response, operation)


class AwsRuns(DynamoRunStore):
    """Both sides of a run store."""

    def __init__(self, aws: Aws, clock: FakeClock, stored: Stored) -> None:
        super().__init__(aws, clock, stored.runs, stored.journal)
        self._watch = DynamoCancelWatch(aws, stored.runs, every_s=_LOOK_EVERY_S)

    def requested(self, user: str, run_id: str) -> Awaitable[None]:
        return self._watch.requested(user, run_id)


class AwsHome(Home):
    """What stands behind the ports on AWS."""

    def __init__(self, aws: FaultyAws, stored: Stored, endpoint: str | None) -> None:
        self.endpoint = endpoint
        self._ambiguous = 0
        self.clock = FakeClock()
        self.stored = stored
        self.compose(aws)

    def compose(self, aws: FaultyAws) -> None:
        """Compose the ports on the tables."""
        self.aws = aws
        self.journal = DynamoJournal(aws, self.clock, self.stored.journal)
        self.runs = AwsRuns(aws, self.clock, self.stored)
        self.overdue = DynamoOverdueRuns(aws, self.stored.runs)
        self.ended = DynamoEndedRuns(aws, self.stored.runs)
        self.queue = SqsRunQueue(aws, self.stored.queue_url)
        self.connections = DynamoConnectionStore(aws, self.clock, self.stored.connections)
        self.tickets = DynamoTicketStore(aws, self.stored.runs)

    async def reopen(self) -> None:
        self.aws.close()
        self.compose(faulty_aws(self.endpoint))

    async def unavailable(self, operation: str, call: Callable[[], Awaitable[T]]) -> T:
        with self._meets("throttled"):
            return await call()

    async def ambiguous(self, operation: str, call: Callable[[], Awaitable[T]]) -> T:
        self._ambiguous += 1
        with self._meets("unanswered" if self._ambiguous % 2 else "lost"):
            return await call()

    async def received(self) -> Job:
        """Take a job on the receiving side of the queue."""
        wanted = {"QueueUrl": self.stored.queue_url, "MaxNumberOfMessages": 1, "WaitTimeSeconds": 1}
        answer = await self.aws.call("sqs", "receive_message", wanted)
        return read_job(answer["Messages"][0]["Body"])

    @contextmanager
    def _meets(self, fault: Fault) -> Iterator[None]:
        self.aws.fault = fault
        try:
            yield
        finally:
            self.aws.fault = None


def faulty_aws(endpoint: str | None = None) -> FaultyAws:
    """Open the door to an AWS; moto's has no endpoint."""
    return FaultyAws(FakeLog(), {"dynamodb": endpoint, "sqs": endpoint} if endpoint else {})


@functools.cache
def _session() -> boto3.Session:
    """Return one session for all homes: what takes long, it reads the services' descriptions once."""
    return boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name="us-east-1")  # noqa: S106


@asynccontextmanager
async def aws_home(endpoint: str | None) -> AsyncIterator[AwsHome]:
    """Open a home on fresh tables."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(boto3, "DEFAULT_SESSION", _session())
        aws = faulty_aws(endpoint)
        home = AwsHome(aws, await Stored.made(aws), endpoint)
        try:
            yield home
        finally:
            home.aws.close()


@asynccontextmanager
async def moto_home(_folder: Path) -> AsyncIterator[AwsHome]:
    """Open a home on moto."""
    with locked_moto():
        async with aws_home(None) as home:
            yield home
