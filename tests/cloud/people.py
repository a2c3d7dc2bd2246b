"""Users of a deployed stack, each on any number of devices; `websockets` speaks for them, not our own client."""

import asyncio
import base64
import contextlib
import json
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable
from typing import Any

import psutil
import websockets

from infra.local_cloud_stack import Deployment
from playbyplay.protocol.events import EVENT_TYPES, TERMINAL_TYPES

Frame = dict[str, Any]
TURN_S = 60.0
POLL_S = 0.1


class Device:
    """One connection of a user.

    Attributes:
        frames: all that came.
    """

    def __init__(self, socket: websockets.ClientConnection) -> None:
        self._socket = socket
        self.frames: list[Frame] = []

    async def send(self, **frame: object) -> None:
        """Send a frame."""
        await self._socket.send(json.dumps(frame))

    async def until(self, *kinds: str, run_id: str | None = None, seconds: float = TURN_S) -> Frame:
        """Read on to the first frame of one of these types, of one run if told."""
        async with asyncio.timeout(seconds):
            while True:
                frame: Frame = json.loads(await self._socket.recv())
                self.frames.append(frame)
                if frame.get("type") in kinds and run_id in {None, frame.get("run_id")}:
                    return frame

    async def say(self, content: str = "hello", **fields: object) -> str:
        """Send a message and return its run."""
        await self.send(type="agent_message", content=content, **fields)
        return str((await self.until("message_accepted"))["run_id"])

    async def turn(self, content: str = "hello", **fields: object) -> str:
        """Send a message, wait for its terminal, and return its run."""
        run_id = await self.say(content, **fields)
        await self.ended(run_id)
        return run_id

    async def ended(self, run_id: str, seconds: float = TURN_S) -> None:
        """Wait for a run's terminal, which may have overtaken the reply."""
        if not any(event["type"] in TERMINAL_TYPES for event in self.events(run_id)):
            await self.until(*TERMINAL_TYPES, run_id=run_id, seconds=seconds)

    def events(self, run_id: str, *, replayed: bool = False) -> list[Frame]:
        """Return the events of a run as they came, live or replayed."""
        mine = (one for one in self.frames if one.get("type") in EVENT_TYPES and one["run_id"] == run_id)
        return [one for one in mine if one.get("replay", False) == replayed]


class Person:
    """A user.

    Attributes:
        token: an ID token.
        user: as the stack knows them.
    """

    def __init__(self, deployed: Deployment, name: str) -> None:
        self._deployed = deployed
        self.token = deployed.sign_up(name)
        claims = self.token.split(".")[1]
        self.user = str(json.loads(base64.urlsafe_b64decode(claims + "=="))["sub"])

    def ticket(self, origin: str | None = None) -> str:
        """Return a ticket."""
        status, answer = ask_for_ticket(self._deployed, self.token, origin or self._deployed.origin)
        assert status == 200, answer
        return str(answer["ticket"])

    @contextlib.asynccontextmanager
    async def device(self) -> AsyncIterator[Device]:
        """Connect."""
        ticket = await asyncio.to_thread(self.ticket)
        async with handshake(self._deployed, f"?ticket={ticket}", self._deployed.origin) as socket:
            yield Device(socket)


def handshake(deployed: Deployment, query: str, origin: str | None) -> websockets.connect:
    """Return a connection to be entered."""
    claimed = None if origin is None else websockets.Origin(origin)
    return websockets.connect(f"{deployed.socket_url}{query}", origin=claimed, open_timeout=TURN_S)


def ask_for_ticket(deployed: Deployment, token: str | None, origin: str) -> tuple[int, Frame]:
    """POST /ticket and return the status and the answer."""
    headers = {"Origin": origin} | ({} if token is None else {"Authorization": f"Bearer {token}"})
    asked = urllib.request.Request(deployed.ticket_url, method="POST", headers=headers)  # noqa: S310 - ours
    try:
        with urllib.request.urlopen(asked, timeout=TURN_S) as answer:  # noqa: S310 - ours
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code, json.load(refusal)


def workers(deployed: Deployment, function: str) -> list[psutil.Process]:
    """Return the processes that run a function, named as the stack names it."""
    found = []
    for process in psutil.Process(deployed.cloud.pid).children():
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            if f"-Functions{function}" in process.environ().get("AWS_LAMBDA_FUNCTION_NAME", ""):
                found.append(process)
    return found


def eventually(holds: Callable[[], object], what: str, seconds: float = TURN_S) -> None:
    """Wait until something holds."""
    ends = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < ends, f"not within {seconds:g} s: {what}"
        time.sleep(POLL_S)


def queue_is_empty(deployed: Deployment, name: str = "QueueUrl") -> bool:
    """Whether nothing waits in a queue or is in somebody's hands: in that of the jobs, or in another output."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    queue = deployed.cloud.client("sqs")
    told = queue.get_queue_attributes(QueueUrl=deployed.outputs[name], AttributeNames=names)["Attributes"]
    return all(told[name] == "0" for name in names)


def full_name(deployed: Deployment, function: str) -> str:
    """Return what the cloud calls a function, named as the stack names it."""
    functions = deployed.cloud.client("lambda").list_functions()["Functions"]
    (name,) = (one["FunctionName"] for one in functions if f"-Functions{function}" in one["FunctionName"])
    return str(name)


def sweep(deployed: Deployment) -> Frame:
    """Call the watchdog as the schedule does, and return what it found."""
    return call(deployed, "Watchdog")


def audit(deployed: Deployment) -> Frame:
    """Call the auditor as the schedule does, and return what it found."""
    return call(deployed, "Auditor")


def call(deployed: Deployment, function: str) -> Frame:
    """Call a function without an event, and return its answer."""
    answer = deployed.cloud.client("lambda").invoke(FunctionName=full_name(deployed, function), Payload=b"{}")
    told = answer["Payload"].read()
    assert "FunctionError" not in answer, told
    found: Frame = json.loads(told)
    return found


def journal(deployed: Deployment, person: Person, run_id: str) -> list[Frame]:
    """Return a run's records as the table holds them."""
    answer = deployed.cloud.client("dynamodb").query(
        TableName=deployed.outputs["JournalTable"],
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": f"U#{person.user}#RUN#{run_id}"}},
        ConsistentRead=True,
    )
    records: list[Frame] = answer["Items"]
    return records
