"""What each role may not do, tried with the very keys its function has."""

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.local_cloud_stack import Deployment
from tests.cloud.people import Person, audit, eventually, sweep, workers

KEY = {"pk": {"S": "U#x#RUN#y"}, "sk": {"S": "0000000000"}}
ITEM_KEY = {"pk": {"S": "U#x"}, "sk": {"S": "RUN#y"}}
Newcomer = Callable[[], Person]


def keys_of(deployed: Deployment, function: str) -> dict[str, str]:
    """Return the keys that a function's process holds."""
    eventually(lambda: workers(deployed, function), f"{function} has run")
    env = workers(deployed, function)[0].environ()
    return {name.lower(): env[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")}


def journal_key(deployed: Deployment) -> dict[str, Any]:
    """Return what names a record of the journal."""
    return {"TableName": deployed.outputs["JournalTable"], "Key": KEY}


def runs(deployed: Deployment, **rest: Any) -> dict[str, Any]:
    """Return parameters of a call on the runs table."""
    return {"TableName": deployed.outputs["RunsTable"], **rest}


def update(where: dict[str, Any]) -> dict[str, Any]:
    """Return parameters that change an item."""
    value = {":x": {"S": "x"}}
    return {**where, "UpdateExpression": "SET forged = :x", "ExpressionAttributeValues": value}


FORBIDDEN: list[tuple[str, str, str, Callable[[Deployment], dict[str, Any]]]] = [
    ("Runner", "dynamodb", "delete_item", journal_key),
    ("Runner", "dynamodb", "update_item", lambda it: update(journal_key(it))),
    ("Runner", "dynamodb", "delete_item", lambda it: runs(it, Key=ITEM_KEY)),
    ("Runner", "dynamodb", "put_item", lambda it: runs(it, Item=ITEM_KEY)),
    ("Runner", "dynamodb", "scan", runs),
    ("Runner", "secretsmanager", "get_secret_value", lambda _: {"SecretId": "any"}),
    ("Runner", "lambda", "list_functions", lambda _: {}),
    ("Runner", "cognito-idp", "list_users", lambda it: {"UserPoolId": it.outputs["UserPoolId"]}),
    ("Message", "dynamodb", "delete_item", journal_key),
    ("Message", "dynamodb", "update_item", lambda it: update(journal_key(it))),
    ("Message", "dynamodb", "scan", runs),
    ("Message", "secretsmanager", "get_secret_value", lambda _: {"SecretId": "any"}),
    ("Message", "sqs", "receive_message", lambda it: {"QueueUrl": it.outputs["QueueUrl"]}),
    ("Message", "sqs", "purge_queue", lambda it: {"QueueUrl": it.outputs["QueueUrl"]}),
    ("Watchdog", "dynamodb", "delete_item", journal_key),
    ("Watchdog", "dynamodb", "update_item", lambda it: update(journal_key(it))),
    ("Watchdog", "dynamodb", "scan", runs),
    ("Watchdog", "dynamodb", "delete_item", lambda it: runs(it, Key=ITEM_KEY)),
    ("Watchdog", "secretsmanager", "get_secret_value", lambda _: {"SecretId": "any"}),
    ("Watchdog", "sqs", "receive_message", lambda it: {"QueueUrl": it.outputs["QueueUrl"]}),
    (
        "Watchdog",
        "sqs",
        "send_message",
        lambda it: {"QueueUrl": it.outputs["DeadLetterQueueUrl"], "MessageBody": "x"},
    ),
    ("Watchdog", "sqs", "purge_queue", lambda it: {"QueueUrl": it.outputs["DeadLetterQueueUrl"]}),
    ("Auditor", "dynamodb", "put_item", lambda it: runs(it, Item=ITEM_KEY)),
    ("Auditor", "dynamodb", "update_item", lambda it: update(runs(it, Key=ITEM_KEY))),
    ("Auditor", "dynamodb", "update_item", lambda it: update(journal_key(it))),
    ("Auditor", "dynamodb", "delete_item", journal_key),
    ("Auditor", "dynamodb", "scan", runs),
    ("Auditor", "sqs", "send_message", lambda it: {"QueueUrl": it.outputs["QueueUrl"], "MessageBody": "x"}),
    ("Connect", "dynamodb", "get_item", lambda it: runs(it, Key=ITEM_KEY)),
    ("Connect", "dynamodb", "get_item", journal_key),
    ("Connect", "sqs", "send_message", lambda it: {"QueueUrl": it.outputs["QueueUrl"], "MessageBody": "x"}),
    ("Authorizer", "dynamodb", "put_item", lambda it: runs(it, Item=ITEM_KEY)),
    ("Authorizer", "dynamodb", "get_item", lambda it: runs(it, Key=ITEM_KEY)),
    ("Authorizer", "dynamodb", "get_item", journal_key),
    ("Ticket", "dynamodb", "update_item", lambda it: update(runs(it, Key=ITEM_KEY))),
    ("Ticket", "dynamodb", "get_item", lambda it: runs(it, Key=ITEM_KEY)),
    ("Ticket", "dynamodb", "get_item", journal_key),
]


@pytest.fixture(scope="module")
def keys(deployed: Deployment) -> dict[str, dict[str, str]]:
    """The keys of every function; all have run, the watchdog and the auditor at the latest now."""
    sweep(deployed)
    audit(deployed)
    functions = ("Runner", "Message", "Connect", "Authorizer", "Ticket", "Watchdog", "Auditor")
    return {name: keys_of(deployed, name) for name in functions}


@pytest.mark.parametrize(
    ("function", "service", "operation", "params"),
    FORBIDDEN,
    ids=[f"{one[0]}-{one[2]}-{n}" for n, one in enumerate(FORBIDDEN)],
)
def test_a_role_may_not(
    deployed: Deployment,
    keys: dict[str, dict[str, str]],
    function: str,
    service: str,
    operation: str,
    params: Callable[[Deployment], dict[str, Any]],
) -> None:
    """The call is refused for want of a right, not for any other reason."""
    client = deployed.cloud.client(service, **keys[function])
    with pytest.raises(ClientError) as refusal:
        getattr(client, operation)(**params(deployed))
    assert refusal.value.response["Error"]["Code"] in {"AccessDenied", "AccessDeniedException"}


@pytest.mark.parametrize("function", ["Connect", "Authorizer", "Ticket"])
async def test_only_who_sends_may_post(
    deployed: Deployment, keys: dict[str, dict[str, str]], newcomer: Newcomer, function: str
) -> None:
    """A function that has nothing to say cannot post to a connection that is open."""
    person = newcomer()
    callback = "http" + deployed.socket_url.removeprefix("ws")
    async with person.device() as device:
        subscriptions = deployed.cloud.client("dynamodb").query(
            TableName=deployed.outputs["ConnectionsTable"],
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": f"U#{person.user}"}},
        )["Items"]
        connection_id = subscriptions[0]["sk"]["S"].removeprefix("SUB#")
        for operation, more in (("post_to_connection", {"Data": b"{}"}), ("delete_connection", {})):
            posts = deployed.cloud.client_at(callback, "apigatewaymanagementapi", **keys[function])
            with pytest.raises(ClientError) as refusal:
                getattr(posts, operation)(ConnectionId=connection_id, **more)
            assert refusal.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
        await device.send(type="ping")
        await device.until("pong")
    assert [frame["type"] for frame in device.frames] == ["pong"]


def test_a_role_may_what_it_must(deployed: Deployment, keys: dict[str, dict[str, str]]) -> None:
    """The keys are good: the runner reads the journal and the message function the runs."""
    query = {"KeyConditionExpression": "pk = :pk", "ExpressionAttributeValues": {":pk": {"S": "U#x"}}}
    for function, table in (("Runner", "JournalTable"), ("Message", "RunsTable"), ("Connect", "ConnectionsTable")):
        client = deployed.cloud.client("dynamodb", **keys[function])
        assert client.query(TableName=deployed.outputs[table], **query)["Items"] == []
