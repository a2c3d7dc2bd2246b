"""Tickets in DynamoDB: the item, what it costs, and a lost answer."""

import asyncio
from dataclasses import replace

import boto3
import pytest

from playbyplay.adapters.dynamo_ticket_store import DynamoTicketStore
from playbyplay.errors import StoreUnavailable
from playbyplay.ports import Ticket
from tests.unit.playbyplay.adapters.recording_aws import RecordingAws, refusal

NOW = 1_750_000_000_500
DIGEST = "a" * 64
TICKET = Ticket("ann", "https://example", NOW + 30_000, NOW + 43_200_000)


@pytest.fixture
def store(aws: RecordingAws, table: str) -> DynamoTicketStore:
    return DynamoTicketStore(aws, table)


async def test_a_ticket_is_one_item(store: DynamoTicketStore, table: str) -> None:
    """By its digest, without a mark, and the table forgets it in the second after it expired."""
    await store.put(DIGEST, TICKET)
    assert boto3.client("dynamodb").scan(TableName=table)["Items"] == [
        {
            "pk": {"S": f"TICKET#{DIGEST}"},
            "sk": {"S": "TICKET"},
            "user": {"S": "ann"},
            "origin": {"S": "https://example"},
            "expires_ms": {"N": "1750000030500"},
            "session_expires_ms": {"N": "1750043200500"},
            "expires": {"N": "1750000031"},
        }
    ]


async def test_an_absent_origin_is_absent(store: DynamoTicketStore, table: str) -> None:
    """In the item and in the ticket that comes back."""
    await store.put(DIGEST, replace(TICKET, origin=None))
    assert "origin" not in boto3.client("dynamodb").scan(TableName=table)["Items"][0]
    assert await store.redeem(DIGEST) == replace(TICKET, origin=None)


async def test_a_put_that_comes_late_clears_no_mark(store: DynamoTicketStore, aws: RecordingAws) -> None:
    """A first try that took effect after all, or a second one: what was redeemed stays so, and it is no error."""
    aws.lose_answer("put_item")
    await store.put(DIGEST, TICKET)
    assert aws.operations == ["put_item"] * 2
    assert await store.redeem(DIGEST) == TICKET
    await store.put(DIGEST, TICKET)
    assert await store.redeem(DIGEST) is None


async def test_redeeming_is_one_call(store: DynamoTicketStore, aws: RecordingAws) -> None:
    """Whether there is a ticket, was one, or never was."""
    await store.put(DIGEST, TICKET)
    aws.calls.clear()
    assert [await store.redeem(digest) for digest in (DIGEST, DIGEST, "b" * 64)] == [TICKET, None, None]
    assert aws.operations == ["update_item"] * 3


async def test_an_unknown_ticket_leaves_nothing_behind(store: DynamoTicketStore, table: str) -> None:
    """An update makes no item."""
    assert await store.redeem(DIGEST) is None
    assert boto3.client("dynamodb").scan(TableName=table)["Items"] == []


async def test_a_lost_answer_burns_no_ticket(store: DynamoTicketStore, aws: RecordingAws) -> None:
    """The next try finds its own mark and returns the ticket; nobody else gets it."""
    await store.put(DIGEST, TICKET)
    aws.lose_answer("update_item")
    assert await store.redeem(DIGEST) == TICKET
    assert await store.redeem(DIGEST) is None


async def test_of_many_at_once_one_redeems(store: DynamoTicketStore, aws: RecordingAws) -> None:
    """Also where the answer to it got lost twice."""
    await store.put(DIGEST, TICKET)
    for _ in range(2):
        aws.lose_answer("update_item")
    outcomes = await asyncio.gather(*(store.redeem(DIGEST) for _ in range(16)))
    assert [outcome for outcome in outcomes if outcome] == [TICKET]


async def test_a_store_that_cannot_answer_says_so(store: DynamoTicketStore, aws: RecordingAws) -> None:
    """A redemption that was never tried burns nothing."""
    await store.put(DIGEST, TICKET)
    aws.fail("update_item", *[refusal("ThrottlingException")] * 3)
    with pytest.raises(StoreUnavailable):
        await store.redeem(DIGEST)
    assert await store.redeem(DIGEST) == TICKET
