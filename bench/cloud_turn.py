"""One turn through the handlers' own composition, on AWS in memory (moto): what it calls, sends and logs.

Only the edges are ours here: API Gateway, the poller of the queue and the model. Two paces: a model that
answers at once, and one that thinks and streams for twenty seconds while the client pings.
"""

import asyncio
import contextlib
import io
import json
import math
import os
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import boto3
from moto import mock_aws

import agent_runner.handler
import message.handler
from agent_runner.model import ModelClient, ModelRequest, ModelResponse, OnText
from agent_runner.scripted_model import ScriptedModel
from bench.aws_calls import Calls
from bench.canonical import PROMPT, REGISTRY, TYPES
from playbyplay.adapters.aws import Answer, Aws, Params
from playbyplay.adapters.dynamo_connection_store import DynamoConnectionStore
from playbyplay.adapters.powertools_log import PowertoolsLog
from playbyplay.adapters.system import SystemClock, SystemIds
from playbyplay.domain.connection import Session
from playbyplay.ports import Log
from playbyplay.settings import MessageSettings, RunnerSettings
from tests.contract.tables import Stored

USER, CONNECTION = "ann", "Qyi07eCbtjMCJKw="
PING_S = 5.0  # what a client does while a run is open
_CALLBACK = "https://bench.execute-api.us-east-1.amazonaws.com/live"
_FRAME_BYTES = 32 * 1024  # API Gateway counts a message for each begun piece of so much
_POST = "apigatewaymanagementapi PostToConnection"


@dataclass(slots=True)
class Turn:
    """What one turn took.

    Attributes:
        messages: of API Gateway, both directions.
        message_calls: invocations of the message function.
        log_bytes: what the functions wrote, embedded metrics included.
        runner_s: how long the runner ran, with AWS in memory.
        events: the types of the events the connection got.
    """

    calls: Calls
    messages: int = 0
    message_calls: int = 0
    log_bytes: int = 0
    runner_s: float = 0
    events: list[str] = field(default_factory=list)

    def carried(self, frame: str | bytes) -> None:
        """Count one frame."""
        size = len(frame.encode() if isinstance(frame, str) else frame)
        self.messages += math.ceil(size / _FRAME_BYTES)
        told = json.loads(frame).get("type")
        if told in TYPES:
            self.events.append(told)


class OneAtATime(Aws):
    """Calls one after the other: moto is not safe under threads. Posts are counted as what they carry."""

    def __init__(self, log: Log, endpoints: Mapping[str, str]) -> None:
        super().__init__(log, endpoints)
        self.on_post: Callable[[bytes], None] | None = None
        self._one = asyncio.Lock()

    async def call(self, service: str, operation: str, params: Params) -> Answer:
        """Make one call."""
        async with self._one:
            answer = await super().call(service, operation, params)
        if operation == "post_to_connection" and self.on_post is not None:
            self.on_post(params["Data"])
        return answer


class Thinking:
    """A model that takes its time: it thinks, then streams its answer at the pace of a service.

    Args:
        think_s: before each response.
        pieces: of the streamed answer, each some four characters.
        piece_s: the pause before each.
    """

    name = "thinking"

    def __init__(self, think_s: float, pieces: int, piece_s: float) -> None:
        self._think_s, self._pieces, self._piece_s = think_s, pieces, piece_s
        self._words = ScriptedModel()

    async def respond(self, request: ModelRequest, on_text: OnText) -> ModelResponse:
        """Answer as the scripted model does, later."""
        response = await self._words.respond(request, _unheard)
        await asyncio.sleep(self._think_s)
        if not response.calls:
            for _ in range(self._pieces):
                await asyncio.sleep(self._piece_s)
                await on_text(1, "text ")
        return response


async def turn(model: ModelClient) -> Turn:
    """Run the canonical turn, the first of a new thread, for one open connection.

    Raises:
        AssertionError: it was not the canonical turn.
    """
    written = io.StringIO()
    async with cloud() as (aws, stored, ids):
        counted = Turn(Calls())
        log = PowertoolsLog("bench")
        settings: dict[str, Any] = {
            "runs_table": stored.runs,
            "journal_table": stored.journal,
            "connections_table": stored.connections,
            "queue_url": stored.queue_url,
            "callback_url": _CALLBACK,
        }
        frame = message.handler.build(MessageSettings(**settings), log=log, aws=aws)
        jobs = agent_runner.handler.build(RunnerSettings(**settings), log=log, aws=aws, registry=REGISTRY, model=model)
        aws.on_post = counted.carried
        counted.calls.watch(aws, "dynamodb", "sqs", "apigatewaymanagementapi")

        async def sent(**command: str | dict[str, int]) -> None:
            body = json.dumps(command)
            counted.carried(body)
            counted.message_calls += 1
            counted.carried((await frame(_event(body)))["body"])

        with contextlib.redirect_stdout(written):
            await sent(type="agent_message", content=PROMPT, client_message_id=ids.uuid())
            began = asyncio.get_running_loop().time()
            working = asyncio.create_task(jobs(_received(stored.queue_url)))
            while not (await asyncio.wait({working}, timeout=PING_S))[0]:
                await sent(type="ping")
            assert working.result() == {"batchItemFailures": []}, working.result()  # noqa: S101 - else no numbers
            counted.runner_s = asyncio.get_running_loop().time() - began
            log.flush()
    counted.log_bytes = len(written.getvalue().encode())
    assert tuple(counted.events) == TYPES, counted.events  # noqa: S101 - else no numbers
    return counted


@contextlib.asynccontextmanager
async def cloud() -> AsyncIterator[tuple[OneAtATime, Stored, SystemIds]]:
    """Yield AWS in memory, with our tables, our queue and one connection."""
    elsewhere = {name: "" for name in os.environ if name.startswith("AWS_ENDPOINT_URL")}
    with patch.dict(os.environ, elsewhere | {"AWS_DEFAULT_REGION": "us-east-1"}), mock_aws():
        for name in elsewhere:
            del os.environ[name]
        with patch.object(boto3, "DEFAULT_SESSION", None):
            aws = OneAtATime(PowertoolsLog("bench"), {"apigatewaymanagementapi": _CALLBACK})
            try:
                stored = await Stored.made(aws)
                now_ms = SystemClock().now_ms()
                connections = DynamoConnectionStore(aws, SystemClock(), stored.connections)
                await connections.add(CONNECTION, Session(USER, now_ms + 3_600_000), now_ms=now_ms)
                yield aws, stored, SystemIds()
            finally:
                aws.close()


def _event(body: str) -> dict[str, Any]:
    """Return a client frame as API Gateway hands it over."""
    session = {"user": USER, "session_expires_ms": str(SystemClock().now_ms() + 3_600_000)}
    return {"requestContext": {"connectionId": CONNECTION, "authorizer": session}, "body": body}


def _received(queue_url: str) -> dict[str, Any]:
    """Return what the queue's poller hands over; its own calls are not the home's."""
    (record,) = boto3.client("sqs").receive_message(QueueUrl=queue_url)["Messages"]
    return {
        "Records": [
            {
                "messageId": record["MessageId"],
                "receiptHandle": record["ReceiptHandle"],
                "body": record["Body"],
                "attributes": {"ApproximateReceiveCount": "1"},
            }
        ]
    }


async def _unheard(_attempt: int, _text: str) -> None:
    return
