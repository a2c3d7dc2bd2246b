"""The functions as AWS calls them: events in the shapes of its guides, a queue that delivers, sockets of a fake.

A client is one connection: it has a ticket, is let in by the authorizer, and sends frames on its route.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from agent_runner import handler as runner
from agent_runner.model import ModelClient
from agent_runner.registry import Registry
from agent_runner.scripted_model import ScriptedModel
from auditor import handler as auditor
from bench.canonical import REGISTRY
from connect import authorizer
from connect import handler as connect
from message import handler as message
from playbyplay.adapters.container import Answer, Event, Serve
from playbyplay.ports import Gateway
from playbyplay.settings import (
    AuditorSettings,
    AuthorizerSettings,
    ConnectSettings,
    MessageSettings,
    RunnerSettings,
    TicketSettings,
    WatchdogSettings,
)
from tests.contract.moto_lock import locked_moto
from tests.contract.tables import Stored
from tests.fakes.clock import FakeClock
from tests.fakes.gateway import FakeGateway
from tests.fakes.ids import FakeIds
from tests.fakes.log import FakeLog
from tests.unit.playbyplay.adapters.recording_aws import RecordingAws
from ticket import handler as ticket
from watchdog import handler as watchdog

ORIGIN = "https://app.example.com"
CALLBACK = "https://abc123.execute-api.us-east-1.amazonaws.com/live"
METHOD = "arn:aws:execute-api:us-east-1:123456789012:abc123/live/$connect"


@dataclass(slots=True)
class CloudHouse:
    """One deployment.

    Attributes:
        aws: the door of all functions, with a record of their calls.
        gateway: the sockets, unless the functions post through API Gateway's own calls.
    """

    aws: RecordingAws
    stored: Stored
    log: FakeLog
    clock: FakeClock = field(default_factory=FakeClock)
    ids: FakeIds = field(default_factory=FakeIds)
    gateway: FakeGateway = field(default_factory=FakeGateway)

    @property
    def names(self) -> dict[str, Any]:
        """The settings of every function that touches runs."""
        return {
            "runs_table": self.stored.runs,
            "journal_table": self.stored.journal,
            "connections_table": self.stored.connections,
            "queue_url": self.stored.queue_url,
            "callback_url": CALLBACK,
        }

    async def ticket(self, user: str) -> str:
        """Return a ticket of a user who is signed in."""
        build = ticket.build(
            TicketSettings(runs_table=self.stored.runs, origins=ORIGIN),
            log=self.log,
            aws=self.aws,
            clock=self.clock,
            ids=self.ids,
        )
        context = {"authorizer": {"jwt": {"claims": {"sub": user}}}}
        answer = await build({"requestContext": context, "headers": {"origin": ORIGIN}})
        assert answer["statusCode"] == 200
        return str(json.loads(answer["body"])["ticket"])

    async def authorize(self, ticket_text: str, connection_id: str, origin: str = ORIGIN) -> Answer:
        """Return the authorizer's answer to a handshake."""
        serve = authorizer.build(
            AuthorizerSettings(runs_table=self.stored.runs, origins=ORIGIN),
            log=self.log,
            aws=self.aws,
            clock=self.clock,
            ids=self.ids,
        )
        event = {"type": "REQUEST", "methodArn": METHOD, **self._handshake(ticket_text, connection_id, origin)}
        return await serve(event)

    async def client(self, connection_id: str, user: str) -> "Client":
        """Open a connection, from the ticket to the answer of `$connect`."""
        shown = await self.ticket(user)
        policy = await self.authorize(shown, connection_id)
        assert policy["policyDocument"]["Statement"][0]["Effect"] == "Allow"
        event = self._handshake(shown, connection_id, ORIGIN)
        event["requestContext"]["authorizer"] = {**policy["context"], "principalId": policy["principalId"]}
        answer = await self.connect(event)
        assert answer == {"statusCode": 200, "headers": {"Sec-WebSocket-Protocol": "playbyplay.v1"}}
        return Client(self, connection_id, policy["context"])

    async def connect(self, event: Event) -> Answer:
        """Call the connect function."""
        settings = ConnectSettings(connections_table=self.stored.connections)
        return await connect.build(settings, log=self.log, aws=self.aws, clock=self.clock)(event)

    def message(self, gateway: Gateway | None = None) -> Serve:
        """Return a container of the message function."""
        return message.build(
            MessageSettings(**self.names),
            log=self.log,
            aws=self.aws,
            gateway=gateway or self.gateway,
            clock=self.clock,
            ids=self.ids,
        )

    def runner(
        self,
        *,
        model: ModelClient | None = None,
        registry: Registry = REGISTRY,
        gateway: Gateway | None = None,
        aws: RecordingAws | None = None,
        **settings: str,
    ) -> Serve:
        """Return a container of the runner; the scripted model answers unless told."""
        return runner.build(
            RunnerSettings(**self.names | settings),
            log=self.log,
            aws=aws or self.aws,
            gateway=gateway or self.gateway,
            clock=self.clock,
            ids=self.ids,
            registry=registry,
            **({"model": model or ScriptedModel()} if not settings else {}),
        )

    def watchdog(self) -> Serve:
        """Return a container of the watchdog."""
        return watchdog.build(
            WatchdogSettings(**self.names),
            log=self.log,
            aws=self.aws,
            gateway=self.gateway,
            clock=self.clock,
            ids=self.ids,
        )

    async def sweep(self) -> Answer:
        """Let the watchdog look, as the schedule does."""
        return await self.watchdog()({"detail-type": "Scheduled Event", "source": "aws.events"})

    async def audit(self, aws: RecordingAws | None = None) -> Answer:
        """Let the auditor look, as the schedule does."""
        names = ("runs_table", "journal_table", "connections_table")
        settings = AuditorSettings(**{name: self.names[name] for name in names})
        build = auditor.build(settings, log=self.log, aws=aws or self.aws, clock=self.clock)
        return await build({"detail-type": "Scheduled Event", "source": "aws.events"})

    async def received(self) -> list[dict[str, Any]]:
        """Receive what waits in the queue, as the event source mapping hands it over."""
        wanted = {"QueueUrl": self.stored.queue_url, "MaxNumberOfMessages": 10, "AttributeNames": ["All"]}
        answer = await self.aws.call("sqs", "receive_message", wanted)
        return [
            {
                "messageId": sent["MessageId"],
                "receiptHandle": sent["ReceiptHandle"],
                "body": sent["Body"],
                "attributes": {name: sent["Attributes"][name] for name in ("ApproximateReceiveCount", "SentTimestamp")},
                "eventSource": "aws:sqs",
            }
            for sent in answer.get("Messages", [])
        ]

    async def deliver(self, serve: Serve | None = None) -> int:
        """Run what waits in the queue, and delete what is done; return how many jobs it was."""
        records = await self.received()
        answer = await (serve or self.runner())({"Records": records})
        failed = {one["itemIdentifier"] for one in answer["batchItemFailures"]}
        for record in records:
            if record["messageId"] not in failed:
                done = {"QueueUrl": self.stored.queue_url, "ReceiptHandle": record["receiptHandle"]}
                await self.aws.call("sqs", "delete_message", done)
        return len(records)

    def _handshake(self, ticket_text: str, connection_id: str, origin: str) -> dict[str, Any]:
        return {
            "headers": {"Origin": origin, "Sec-WebSocket-Protocol": f"playbyplay.v1, ticket.{ticket_text}"},
            "requestContext": {
                "routeKey": "$connect",
                "eventType": "CONNECT",
                "connectionId": connection_id,
                "connectedAt": self.clock.now_ms(),
                "requestId": "request=",
            },
        }


@dataclass(slots=True)
class Client:
    """One connection of one user."""

    house: CloudHouse
    connection_id: str
    context: dict[str, str]

    def event(self, body: str) -> dict[str, Any]:
        """Return a frame as API Gateway hands it over."""
        context = {
            "routeKey": "$default",
            "eventType": "MESSAGE",
            "messageId": "message=",
            "connectionId": self.connection_id,
            "connectedAt": self.house.clock.now_ms(),
            "authorizer": self.context,
        }
        return {"requestContext": context, "body": body, "isBase64Encoded": False}

    async def send(self, serve: Serve | None = None, /, **frame: Any) -> dict[str, Any]:
        """Send a frame and return the reply."""
        answer = await (serve or self.house.message())(self.event(json.dumps(frame)))
        assert answer["statusCode"] == 200
        reply: dict[str, Any] = json.loads(answer["body"])
        return reply

    async def disconnect(self, **fields: Any) -> Answer:
        """Let API Gateway tell that the connection is closed."""
        context = {"routeKey": "$disconnect", "eventType": "DISCONNECT", "connectionId": self.connection_id, **fields}
        return await self.house.connect({"requestContext": context})

    def frames(self, *types: str) -> list[dict[str, Any]]:
        """Return what was posted to this connection."""
        return self.house.gateway.frames(self.connection_id, *types)


@asynccontextmanager
async def cloud_house() -> AsyncIterator[CloudHouse]:
    """Open a deployment on an AWS in memory."""
    with locked_moto():
        log = FakeLog()
        aws = RecordingAws(log, {"apigatewaymanagementapi": CALLBACK})
        try:
            yield CloudHouse(aws, await Stored.made(aws), log)
        finally:
            aws.close()
