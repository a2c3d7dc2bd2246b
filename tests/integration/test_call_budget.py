"""What one turn costs in calls to AWS, counted at botocore's own hook; `docs/aws.md` says the same numbers.

A call's depth is one more than the deepest call whose answer was there when it was made, so calls made side by
side share a depth, and the depth of a path is how many answers it waits for.
"""

import json
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse

from bench.canonical import PROMPT, TYPES
from playbyplay.adapters.api_gateway import ApiGatewayGateway
from playbyplay.adapters.aws import Answer, Params
from tests.contract.moto_lock import locked_moto
from tests.contract.tables import Stored
from tests.fakes.log import FakeLog
from tests.histories import USER
from tests.integration.cloud_house import CALLBACK, Client, CloudHouse
from tests.unit.playbyplay.adapters.recording_aws import RecordingAws

SERVICES = ("dynamodb", "sqs", "apigatewaymanagementapi")


class _Nothing:
    """The body of API Gateway's answer to a post."""

    def stream(self) -> Iterator[bytes]:
        """Yield no bytes."""
        return iter(())


class CountingAws(RecordingAws):
    """Counts calls where botocore makes them, and their depth where the functions make them.

    Attributes:
        made: service and operation of each call that botocore made.
        depths: the same of each call, with its depth, in the order they were made.
        posted: the frames that reached API Gateway.
    """

    def __init__(self, log: FakeLog) -> None:
        super().__init__(log, {"apigatewaymanagementapi": CALLBACK})
        self.made: Counter[str] = Counter()
        self.depths: list[tuple[str, int]] = []
        self.posted: list[bytes] = []
        self._answered = 0
        self._counting = threading.Lock()

    def listen(self) -> None:
        """Hook every client, and answer the posts that moto would take for any connection."""
        for service in SERVICES:
            events = self.client(service).meta.events
            events.register("before-call", self._before_call)
            events.register_first("before-send.apigatewaymanagementapi", self._taken)

    def begin(self) -> None:
        """Count anew: what was answered before this is no part of what comes."""
        self.made.clear()
        self.depths.clear()
        self.posted.clear()
        self._answered = 0

    async def call(self, service: str, operation: str, params: Params) -> Answer:
        depth = self._answered + 1
        self.depths.append((operation, depth))
        answer = await super().call(service, operation, params)
        self._answered = max(self._answered, depth)
        return answer

    @property
    def depth(self) -> int:
        """How many answers were waited for, one after the other."""
        return max(depth for _operation, depth in self.depths)

    def _before_call(self, model: Any, **_others: Any) -> None:
        with self._counting:
            self.made[f"{model.service_model.service_name} {model.name}"] += 1

    def _taken(self, request: Any, **_others: Any) -> AWSResponse:
        with self._counting:
            self.posted.append(request.body)
        return AWSResponse(request.url, 200, {}, _Nothing())


class Turn:
    """A deployment whose calls are counted, with one connection."""

    def __init__(self, aws: CountingAws, house: CloudHouse, client: Client) -> None:
        self.aws, self.house, self.client = aws, house, client
        self.serve = house.message(ApiGatewayGateway(aws))
        self.run = house.runner(gateway=ApiGatewayGateway(aws))

    async def accept(self, **fields: str) -> dict[str, Any]:
        """Send a message; count from there."""
        self.aws.begin()
        reply = await self.client.send(self.serve, type="agent_message", content=PROMPT, **fields)
        assert reply["type"] == "message_accepted"
        return reply

    async def work(self) -> None:
        """Let the runner do the job; count from the moment it has it."""
        records = await self.house.received()
        self.aws.begin()
        assert await self.run({"Records": records}) == {"batchItemFailures": []}


@pytest.fixture
async def turn() -> AsyncIterator[Turn]:
    with locked_moto():
        log = FakeLog()
        aws = CountingAws(log)
        house = CloudHouse(aws, await Stored.made(aws), log)
        aws.listen()
        yield Turn(aws, house, await house.client("counted=", USER))
        aws.close()


async def test_an_accept_in_a_new_thread(turn: Turn) -> None:
    """The user's open runs, one transaction; then the queue, beside the look for the user's other connections.

    Beside those a container asks every 15 s how far the runners are behind.
    """
    await turn.accept()
    assert turn.aws.depths == [
        ("query", 1),
        ("transact_write_items", 2),
        ("send_message", 3),
        ("get_item", 3),
        ("query", 3),
    ]
    await turn.accept()
    assert turn.aws.depths == [("query", 1), ("transact_write_items", 2), ("send_message", 3), ("query", 3)]
    assert turn.aws.made.total() == 4


async def test_an_accept_in_a_thread_that_exists(turn: Turn) -> None:
    """It reads the thread beside the user's open runs, so it waits for no more answers."""
    first = await turn.accept()
    await turn.work()
    await turn.accept(thread_id=first["thread_id"])
    assert turn.aws.depths == [
        ("get_item", 1),
        ("query", 1),
        ("transact_write_items", 2),
        ("send_message", 3),
        ("query", 3),
    ]
    assert turn.aws.made.total() == 5


async def test_the_first_event_of_a_job(turn: Turn) -> None:
    """Lease, journal and visibility at once, the append, the subscribers, the post: the fourth answer away."""
    await turn.accept()
    await turn.work()
    assert sorted(turn.aws.depths[:3]) == [("change_message_visibility", 1), ("query", 1), ("update_item", 1)]
    posts = [depth for operation, depth in turn.aws.depths if operation == "post_to_connection"]
    assert posts[0] == 4
    assert json.loads(turn.aws.posted[0])["type"] == "agent_started"


async def test_a_whole_turn(turn: Turn) -> None:
    """Seven events in order, 24 calls, none of them made twice; the look at the backlog is not every turn's."""
    await turn.accept()
    accepted = turn.aws.made.copy()
    await turn.work()
    assert [json.loads(post)["type"] for post in turn.aws.posted] == list(TYPES)
    assert turn.aws.made == {
        "sqs ChangeMessageVisibility": 1,
        "dynamodb UpdateItem": 3,  # the lease; the thread and the run settled
        "dynamodb Query": 5,  # the journal; the subscribers of each record
        "dynamodb PutItem": 4,
        "apigatewaymanagementapi PostToConnection": 7,
    }
    assert accepted.pop("dynamodb GetItem") == 1  # the backlog
    assert accepted.total() + turn.aws.made.total() == 24
    assert turn.house.log.of("aws_failed") == []


async def test_the_end_of_a_turn_with_a_next_one(turn: Turn) -> None:
    """The next turn is seen, brought forward and sent: three calls more than the end of a lone one."""
    first = await turn.accept()
    await turn.accept(thread_id=first["thread_id"])
    await turn.work()
    settling = ["update_item", "get_item", "update_item", "update_item", "send_message"]
    assert [operation for operation, _depth in turn.aws.depths][-5:] == settling


async def test_a_turn_in_a_thread_that_exists(turn: Turn) -> None:
    """Costs one call more to accept, and in the runner what reading the conversation costs."""
    first = await turn.accept()
    await turn.work()
    await turn.accept(thread_id=first["thread_id"])
    assert turn.aws.made.total() == 5
    await turn.work()
    posts = [depth for operation, depth in turn.aws.depths if operation == "post_to_connection"]
    assert posts[0] == 4
