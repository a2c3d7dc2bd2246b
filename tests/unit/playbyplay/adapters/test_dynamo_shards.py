"""The global indexes by shards."""

from typing import Any

import pytest

from playbyplay.adapters.dynamo_items import item
from playbyplay.adapters.dynamo_shards import first_pages, shard_of
from playbyplay.adapters.tables import SHARDS
from playbyplay.errors import StoreUnavailable
from tests.fakes.ids import uuid
from tests.unit.playbyplay.adapters.recording_aws import RecordingAws, refusal

QUERY = {"TableName": "table", "KeyConditionExpression": "pk = :shard AND sk < :last", "Limit": 3}


async def filled(aws: RecordingAws, table: str, count: int) -> None:
    """Put so many items of each shard."""
    for shard in range(SHARDS):
        for number in range(count):
            put = item({"pk": str(shard), "sk": f"{number}", "text": "x" * 1000})
            await aws.call("dynamodb", "put_item", {"TableName": table, "Item": put})
    aws.calls.clear()


def test_a_name_has_one_shard_and_names_are_spread() -> None:
    """The same in every process, or what one wrote another would not find."""
    assert [shard_of(name) for name in ("one=", uuid(1), uuid(2))] == ["0", "0", "2"]
    assert {shard_of(uuid(number)) for number in range(200)} == {str(shard) for shard in range(SHARDS)}


async def test_one_page_of_each_shard_is_read(aws: RecordingAws, table: str) -> None:
    """The first items of each, and no next page however many there are."""
    await filled(aws, table, 5)
    found = await first_pages(aws, QUERY, item({":last": "4"}))
    read = [(one["pk"]["S"], one["sk"]["S"]) for one in found]
    assert read == [(str(shard), str(number)) for shard in range(SHARDS) for number in range(3)]
    assert aws.operations == ["query"] * SHARDS


async def test_a_shard_that_is_not_read_is_no_empty_one(aws: RecordingAws, table: str) -> None:
    """One that fails again and again fails all; a single refusal is not noticed."""
    await filled(aws, table, 1)
    aws.fail("query", refusal("ThrottlingException"))
    assert len(await first_pages(aws, QUERY, item({":last": "9"}))) == SHARDS
    errors: list[Any] = [refusal("ThrottlingException")] * 100
    aws.fail("query", *errors)
    with pytest.raises(StoreUnavailable):
        await first_pages(aws, QUERY, item({":last": "9"}))
