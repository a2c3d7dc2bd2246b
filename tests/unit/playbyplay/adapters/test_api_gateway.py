"""Posting and closing through @connections: what each answer means, and what no answer means."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import pytest
from botocore.exceptions import NoCredentialsError, ReadTimeoutError
from botocore.parsers import ResponseParserError
from botocore.stub import Stubber

from playbyplay.adapters.api_gateway import ApiGatewayGateway
from playbyplay.errors import ConnectionGone, PostError, PostFailed
from tests.fakes.log import FakeLog
from tests.unit.playbyplay.adapters.recording_aws import RecordingAws

SERVICE = "apigatewaymanagementapi"
CONNECTION = "PJqB0fHsqRcCHlw="
ANSWERS = [
    (413, "PayloadTooLargeException", "too_large"),
    (429, "LimitExceededException", "slow"),
    (429, "TooManyRequestsException", "throttled"),
    (403, "ForbiddenException", "forbidden"),
    (400, "BadRequestException", "refused"),
    (500, "InternalServerError", "unavailable"),
    (503, "ServiceUnavailable", "unavailable"),
]
Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sign with keys that open nothing."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")


@pytest.fixture
def log() -> FakeLog:
    return FakeLog()


@pytest.fixture
def aws(log: FakeLog) -> Iterator[RecordingAws]:
    """Open a door to a stage that is not there."""
    door = RecordingAws(log, {SERVICE: "https://api.example/stage"})
    yield door
    door.close()


@pytest.fixture
def stub(aws: RecordingAws) -> Iterator[Stubber]:
    """Answer in the stage's place."""
    with Stubber(aws.client(SERVICE)) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


@pytest.fixture
def gateway(aws: RecordingAws) -> ApiGatewayGateway:
    return ApiGatewayGateway(aws)


@contextlib.asynccontextmanager
async def stage(log: FakeLog, answer: Answer, post_s: float = 2.0) -> AsyncIterator[ApiGatewayGateway]:
    """Serve a stage on a port of this machine."""
    served: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.append(writer)
        await answer(reader, writer)

    server = await asyncio.start_server(serve, "127.0.0.1")
    aws = RecordingAws(log, {SERVICE: f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/stage"})
    aws.client(SERVICE)  # made before the time of a post runs
    try:
        yield ApiGatewayGateway(aws, post_s)
    finally:
        for writer in served:
            writer.close()  # a thread that still waits for an answer ends with it
            with contextlib.suppress(OSError):
                await writer.wait_closed()
        aws.close()
        server.close()
        await server.wait_closed()


async def request(reader: asyncio.StreamReader) -> tuple[str, bytes]:
    """Read one request; return its first line and its body."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    length = next((line[15:] for line in head.split("\r\n") if line.lower().startswith("content-length:")), "0")
    return head.split("\r\n")[0], await reader.readexactly(int(length))


async def test_a_frame_is_posted_once(stub: Stubber, gateway: ApiGatewayGateway, aws: RecordingAws) -> None:
    """As the bytes of its text."""
    stub.add_response("post_to_connection", {}, {"ConnectionId": CONNECTION, "Data": '{"é":1}'.encode()})
    await gateway.post(CONNECTION, '{"é":1}')
    assert aws.operations == ["post_to_connection"]


async def test_a_closed_connection_is_gone(stub: Stubber, gateway: ApiGatewayGateway, log: FakeLog) -> None:
    """Nothing to complain of."""
    stub.add_client_error("post_to_connection", "GoneException", http_status_code=410)
    with pytest.raises(ConnectionGone):
        await gateway.post(CONNECTION, "{}")
    assert log.events == []


@pytest.mark.parametrize(("status", "code", "reason"), ANSWERS)
async def test_a_refused_post_has_a_reason(
    stub: Stubber, gateway: ApiGatewayGateway, aws: RecordingAws, status: int, code: str, reason: str
) -> None:
    """A short word, and it is not tried again here."""
    stub.add_client_error("post_to_connection", code, http_status_code=status)
    with pytest.raises(PostFailed) as caught:
        await gateway.post(CONNECTION, "{}")
    assert caught.value.reason == reason
    assert len(aws.calls) == 1


@pytest.mark.parametrize(("status", "code", "reason"), ANSWERS)
async def test_a_misconfiguration_is_told(
    stub: Stubber, gateway: ApiGatewayGateway, log: FakeLog, status: int, code: str, reason: str
) -> None:
    """What no retry mends is logged by its code, what a busy stage answers is not."""
    stub.add_client_error("post_to_connection", code, "secret words", http_status_code=status)
    with pytest.raises(PostFailed):
        await gateway.post(CONNECTION, "secret words")
    told = [{"operation": "post_to_connection", "code": code}] if reason in ("forbidden", "refused") else []
    assert log.of("aws_failed") == told
    assert "secret words" not in str(log.events)


@pytest.mark.parametrize("error", [NoCredentialsError(), ResponseParserError("secret words")])
async def test_missing_credentials_and_strange_answers_are_told(
    gateway: ApiGatewayGateway, aws: RecordingAws, log: FakeLog, error: Exception
) -> None:
    """The frame is lost like any other."""
    aws.fail("post_to_connection", error)
    with pytest.raises(PostFailed, match="unavailable"):
        await gateway.post(CONNECTION, "{}")
    assert log.of("aws_failed") == [{"operation": "post_to_connection", "code": type(error).__name__}]


async def test_closing_is_one_call(stub: Stubber, gateway: ApiGatewayGateway) -> None:
    """Of the connection that is meant."""
    stub.add_response("delete_connection", {}, {"ConnectionId": CONNECTION})
    await gateway.close(CONNECTION)


async def test_closing_an_unknown_connection_is_no_error(stub: Stubber, gateway: ApiGatewayGateway) -> None:
    """It is as closed as it can be."""
    stub.add_client_error("delete_connection", "GoneException", http_status_code=410)
    await gateway.close(CONNECTION)


@pytest.mark.parametrize(("status", "code", "reason"), ANSWERS)
async def test_a_close_that_failed_says_so(
    stub: Stubber, gateway: ApiGatewayGateway, status: int, code: str, reason: str
) -> None:
    """With the words of a post."""
    stub.add_client_error("delete_connection", code, http_status_code=status)
    with pytest.raises(PostFailed, match=reason):
        await gateway.close(CONNECTION)


async def test_what_goes_over_the_wire(log: FakeLog) -> None:
    """The stage's path, the id encoded, the text as the body; the status alone tells what is meant."""
    seen: list[tuple[str, bytes]] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for status in (b"200 OK", b"410 Gone", b"204 No Content"):
            seen.append(await request(reader))
            writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n")

    async with stage(log, answer) as gateway:
        await gateway.post(CONNECTION, '{"é":1}')
        with pytest.raises(ConnectionGone):
            await gateway.post(CONNECTION, "{}")
        await gateway.close(CONNECTION)
    path = "/stage/%40connections/PJqB0fHsqRcCHlw%3D HTTP/1.1"
    assert [(line.replace("/@", "/%40"), body) for line, body in seen] == [
        (f"POST {path}", '{"é":1}'.encode()),
        (f"POST {path}", b"{}"),
        (f"DELETE {path}", b""),
    ]


async def test_a_stage_that_never_answers_times_out(log: FakeLog) -> None:
    """The post ends in its time, whatever the call goes on doing."""

    async def answer(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await request(reader)

    async with stage(log, answer, post_s=0.1) as gateway:
        with pytest.raises(PostFailed, match="timeout"):
            await asyncio.wait_for(gateway.post(CONNECTION, "{}"), 1)
        with pytest.raises(PostFailed, match="timeout"):
            await asyncio.wait_for(gateway.close(CONNECTION), 1)


async def test_a_connection_to_the_stage_that_breaks_is_a_failed_post(log: FakeLog) -> None:
    """Before the answer, or before its status is known."""
    for part in (b"", b"HTTP/1.1 2"):

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, part: bytes = part) -> None:
            await request(reader)
            writer.write(part)
            writer.close()

        async with stage(log, answer) as gateway:
            with pytest.raises(PostFailed, match="unavailable"):
                await gateway.post(CONNECTION, "{}")
    assert log.events == []


async def test_a_stage_that_is_not_there_is_a_failed_post(log: FakeLog) -> None:
    """A refused connection."""
    server = await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1")
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    aws = RecordingAws(log, {SERVICE: f"http://127.0.0.1:{port}"})
    with pytest.raises(PostFailed, match="unavailable"):
        await ApiGatewayGateway(aws).post(CONNECTION, "{}")
    aws.close()


async def test_the_clients_own_time_limit_is_a_time_out(gateway: ApiGatewayGateway, aws: RecordingAws) -> None:
    """Whichever of the two limits comes first."""
    aws.fail("post_to_connection", ReadTimeoutError(endpoint_url="https://api.example"))
    with pytest.raises(PostFailed, match="timeout"):
        await gateway.post(CONNECTION, "{}")


async def test_a_post_takes_two_seconds_at_the_most(gateway: ApiGatewayGateway) -> None:
    """As the port promises; every failure is a PostError."""
    assert gateway._post_s == 2.0
    assert issubclass(PostFailed, PostError)
