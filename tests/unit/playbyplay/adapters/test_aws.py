"""The door to AWS: every error becomes one of ours, and only what may be repeated is."""

import threading
from collections.abc import Iterator

import boto3
import pytest
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ParamValidationError,
    ReadTimeoutError,
)
from botocore.parsers import ResponseParserError

from playbyplay.adapters.aws import Answer, Aws, ConditionFailed, Params
from playbyplay.errors import OutcomeUnknown, PlaybyplayError, StoreUnavailable
from tests.fakes.log import FakeLog
from tests.unit.playbyplay.adapters.recording_aws import refusal

URL = "https://example"
UNKNOWN = [
    ReadTimeoutError(endpoint_url=URL),
    ConnectionClosedError(endpoint_url=URL),
    ResponseParserError("not JSON"),
    refusal("InternalServerError", 500),
    refusal("ServiceUnavailable", 503),
    refusal("", 502),
]
UNAVAILABLE = [
    refusal("ProvisionedThroughputExceededException"),
    refusal("ThrottlingException"),
    refusal("RequestLimitExceeded"),
    refusal("TransactionConflictException"),
    refusal("ThrottlingException", 503),
    refusal("AccessDeniedException"),
    refusal("ResourceNotFoundException"),
    refusal("ValidationException"),
    EndpointConnectionError(endpoint_url=URL),
    ConnectTimeoutError(endpoint_url=URL),
    NoCredentialsError(),
    ParamValidationError(report="wrong"),
]


class PlannedAws(Aws):
    """Meets errors and answers by plan; nothing is called.

    Attributes:
        made: how many calls there were.
    """

    def __init__(self, log: FakeLog, *plan: Exception | Answer) -> None:
        super().__init__(log)
        self.made = 0
        self._plan = list(plan)

    async def call(self, service: str, operation: str, params: Params) -> Answer:
        self.made += 1
        outcome = self._plan.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


@pytest.fixture
def log() -> FakeLog:
    return FakeLog()


@pytest.fixture
def door(log: FakeLog, monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    """A door whose clients can be made, not used."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    aws = Aws(log, {"sqs": "http://127.0.0.1:1"})
    yield aws
    aws.close()


def _id(error: Exception) -> str:
    return str(error.response["Error"]["Code"]) if isinstance(error, ClientError) else type(error).__name__


@pytest.mark.parametrize(
    ("error", "ours"),
    [
        *(pytest.param(error, OutcomeUnknown, id=f"unknown {_id(error)}") for error in UNKNOWN),
        *(pytest.param(error, StoreUnavailable, id=f"unavailable {_id(error)}") for error in UNAVAILABLE),
    ],
)
async def test_a_write_is_made_once_and_its_error_is_ours(
    log: FakeLog, error: Exception, ours: type[PlaybyplayError]
) -> None:
    """Unknown where it may have been written, unavailable where it was not; told by operation and code alone."""
    aws = PlannedAws(log, error)
    with pytest.raises(ours) as raised:
        await aws.write("dynamodb", "put_item", {})
    assert raised.value.__cause__ is error
    assert aws.made == 1
    ((name, fields),) = log.events
    assert (name, set(fields), fields["operation"]) == ("aws_failed", {"operation", "code"}, "put_item")


@pytest.mark.parametrize("error", [*UNKNOWN, *UNAVAILABLE], ids=_id)
async def test_a_read_is_tried_three_times(log: FakeLog, error: Exception) -> None:
    """After that it is unavailable, whatever it was: nothing was to be written, or what may be written again."""
    aws = PlannedAws(log, error, error, error)
    with pytest.raises(StoreUnavailable):
        await aws.read("dynamodb", "query", {})
    assert aws.made == 3


async def test_a_read_that_succeeds_later_tells_nothing(log: FakeLog) -> None:
    """The third answer is as good as the first."""
    aws = PlannedAws(log, UNKNOWN[0], UNAVAILABLE[0], {"Items": []})
    assert await aws.read("dynamodb", "query", {}) == {"Items": []}


@pytest.mark.parametrize("way", ["read", "write"])
async def test_a_failed_condition_is_an_answer(log: FakeLog, way: str) -> None:
    """It is not tried again and not logged, and brings the item where it was asked for."""
    error = refusal("ConditionalCheckFailedException")
    error.response["Item"] = {"pk": {"S": "there"}}
    aws = PlannedAws(log, error)
    with pytest.raises(ConditionFailed) as raised:
        await getattr(aws, way)("dynamodb", "update_item", {})
    assert (raised.value.items, aws.made, log.events) == ([{"pk": {"S": "there"}}], 1, [])


async def test_a_failed_condition_without_an_item_brings_none(log: FakeLog) -> None:
    """There is one place, and it is empty."""
    with pytest.raises(ConditionFailed) as raised:
        await PlannedAws(log, refusal("ConditionalCheckFailedException")).write("dynamodb", "put_item", {})
    assert raised.value.items == [None]


async def test_a_cancelled_transaction_tells_each_reason(log: FakeLog) -> None:
    """One code and one item for each operation, in their order."""
    error = refusal("TransactionCanceledException")
    error.response["CancellationReasons"] = [
        {"Code": "None"},
        {"Code": "ConditionalCheckFailed", "Item": {"rev": {"N": "3"}}},
        {"Code": "TransactionConflict"},
    ]
    with pytest.raises(ConditionFailed) as raised:
        await PlannedAws(log, error).write("dynamodb", "transact_write_items", {})
    assert raised.value.codes == ["None", "ConditionalCheckFailed", "TransactionConflict"]
    assert raised.value.items == [None, {"rev": {"N": "3"}}, None]


def test_a_service_has_one_client(door: Aws) -> None:
    """Made when first asked for, at its own place, without retries of its own and with short times."""
    client = door.client("dynamodb")
    assert door.client("dynamodb") is client
    assert door.client("sqs") is not client
    assert door.client("sqs").meta.endpoint_url == "http://127.0.0.1:1"
    assert client.meta.endpoint_url == "https://dynamodb.us-east-1.amazonaws.com"
    config = client.meta.config
    assert config.retries["total_max_attempts"] == 1
    assert (config.connect_timeout, config.read_timeout) == (1.0, 2.0)


async def test_calls_wait_in_threads_that_end_with_the_door(door: Aws) -> None:
    """The loop never waits, and after `close` no thread is left."""

    class Client:
        def get_item(self, **params: str) -> Answer:
            return {"thread": threading.current_thread(), **params}

        def close(self) -> None:
            pass

    door._clients["dynamodb"] = Client()
    answer = await door.call("dynamodb", "get_item", {"TableName": "runs"})
    assert answer["TableName"] == "runs"
    assert answer["thread"] is not threading.main_thread()
    door.close()
    assert not answer["thread"].is_alive()
