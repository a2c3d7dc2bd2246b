"""The door to AWS: every error becomes one of ours, and only what may be repeated is."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Iterator

import boto3
import pytest
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    NoCredentialsError,
    ParamValidationError,
    ReadTimeoutError,
)
from botocore.parsers import ResponseParserError

from playbyplay.adapters.aws import Answer, Aws, ConditionFailed, Params
from playbyplay.errors import OutcomeUnknown, PlaybyplayError, StoreDenied, StoreRefused, StoreUnavailable
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
    refusal("TransactionCanceledException"),  # without a reason
    EndpointConnectionError(endpoint_url=URL),
    ConnectTimeoutError(endpoint_url=URL),
    CredentialRetrievalError(provider="container", error_msg="later"),
]
DENIED = [refusal("AccessDeniedException"), refusal("ExpiredTokenException"), NoCredentialsError()]
REFUSED = [refusal("ValidationException"), ParamValidationError(report="wrong")]


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
        *(pytest.param(error, StoreDenied, id=f"denied {_id(error)}") for error in DENIED),
        *(pytest.param(error, StoreRefused, id=f"refused {_id(error)}") for error in REFUSED),
    ],
)
async def test_a_write_is_made_once_and_its_error_is_ours(
    log: FakeLog, error: Exception, ours: type[PlaybyplayError]
) -> None:
    """Unknown where it may have been written, else why it was not; told by operation and code alone."""
    aws = PlannedAws(log, error)
    with pytest.raises(ours) as raised:
        await aws.write("dynamodb", "put_item", {})
    assert type(raised.value) is ours
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


@pytest.mark.parametrize("error", [*DENIED, *REFUSED], ids=_id)
async def test_what_no_repeat_mends_is_not_repeated(log: FakeLog, error: Exception) -> None:
    """It is told once, as a write is told it."""
    aws = PlannedAws(log, error)
    with pytest.raises((StoreDenied, StoreRefused)):
        await aws.read("dynamodb", "query", {})
    assert (aws.made, len(log.events)) == (1, 1)


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


def test_a_post_is_given_up_by_its_socket_first(door: Aws) -> None:
    """Before the two seconds a post may take, so that no thread is left with a socket that is dead."""
    assert door.client("apigatewaymanagementapi").meta.config.read_timeout < 2.0


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


class Frozen:
    """A server whose connections die in a freeze: reset when they are used again, as their peers forgot them.

    Attributes:
        reused: how many requests came on a connection that is dead.
        asked: counts every other request.
        holds: cleared, it keeps the answers back.
    """

    def __init__(self) -> None:
        self.reused = 0
        self.asked = asyncio.Semaphore(0)
        self.holds = asyncio.Event()
        self.holds.set()
        self._writers: list[asyncio.StreamWriter] = []
        self._age = 0

    @property
    def opened(self) -> int:
        """How many connections there were."""
        return len(self._writers)

    def freeze(self) -> None:
        """Let every connection die."""
        self._age += 1

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of a connection."""
        self._writers.append(writer)
        age = self._age
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                if age != self._age:
                    self.reused += 1
                    writer.transport.abort()
                    return
                length = next(line[15:] for line in head.split("\r\n") if line.startswith("content-length:"))
                await reader.readexactly(int(length))
                self.asked.release()
                await self.holds.wait()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    async def close(self) -> None:
        """Let every answer go and every connection end."""
        self.holds.set()
        for writer in self._writers:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


class Idle:
    """A door to such a server, and its time.

    Attributes:
        now_s: what the door's clock tells.
    """

    def __init__(self, log: FakeLog, port: int, server: Frozen) -> None:
        self.now_s = 1_750_000_000.0
        self.server = server
        url = f"http://127.0.0.1:{port}"
        self.aws = Aws(log, {"dynamodb": url, "sqs": url}, now_s=lambda: self.now_s)

    async def write(self) -> Answer:
        """Write once."""
        return await self.aws.write("dynamodb", "put_item", {"TableName": "runs", "Item": {"pk": {"S": "a"}}})

    async def write_side_by_side(self) -> None:
        """Write twice, on a connection each."""
        self.server.holds.clear()
        writes = []
        for _ in range(2):
            writes.append(asyncio.ensure_future(self.write()))
            asked = asyncio.ensure_future(self.server.asked.acquire())
            await asyncio.wait({writes[-1], asked}, return_when=asyncio.FIRST_COMPLETED)
            asked.cancel()
        self.server.holds.set()
        await asyncio.gather(*writes)


@pytest.fixture
async def idle(log: FakeLog, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Idle]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    frozen = Frozen()
    server = await asyncio.start_server(frozen.serve, "127.0.0.1")
    opened = Idle(log, server.sockets[0].getsockname()[1], frozen)
    try:
        yield opened
    finally:
        await frozen.close()
        opened.aws.close()
        server.close()
        await server.wait_closed()


async def test_a_write_after_a_freeze_meets_no_dead_connection(idle: Idle) -> None:
    """The idle ones are closed before it, so its outcome is known; without a pause they are used again."""
    await idle.write()
    idle.now_s += 10.0
    await idle.write()
    assert idle.server.opened == 1
    idle.now_s += 10.1
    idle.server.freeze()
    await idle.write()
    assert (idle.server.opened, idle.server.reused) == (2, 0)


async def test_a_write_soon_after_a_freeze_may_meet_a_dead_connection(idle: Idle) -> None:
    """Its outcome is unknown: so the test before this one shows what the pause does."""
    await idle.write()
    idle.server.freeze()
    with pytest.raises(OutcomeUnknown):
        await idle.write()
    assert idle.server.reused == 1


async def test_what_fails_is_no_sign_of_life(idle: Idle) -> None:
    """A call that ends in an error of the connection, as one does that was under way in the freeze, renews nothing."""
    await idle.write_side_by_side()
    idle.server.freeze()
    idle.now_s += 9
    with pytest.raises(OutcomeUnknown):
        await idle.write()
    idle.now_s += 2
    await idle.write_side_by_side()
    assert (idle.server.opened, idle.server.reused) == (4, 1)


async def test_a_call_under_way_keeps_its_connection(idle: Idle, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is closed while a thread waits for its answer, be it that nobody waits for the thread any more."""
    await idle.write()
    await idle.server.asked.acquire()
    idle.server.holds.clear()
    given_up = asyncio.ensure_future(idle.write())
    await idle.server.asked.acquire()
    given_up.cancel()
    idle.now_s += 10.1
    closed: list[str] = []
    with monkeypatch.context() as patch:
        patch.setattr(idle.aws.client("dynamodb"), "close", lambda: closed.append("dynamodb"))
        another = asyncio.ensure_future(idle.write())
        await idle.server.asked.acquire()
        idle.server.holds.set()
        await another
    assert closed == []
