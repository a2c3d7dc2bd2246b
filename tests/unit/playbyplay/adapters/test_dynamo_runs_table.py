"""Calls on the runs table."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from playbyplay.adapters.dynamo_items import item
from playbyplay.adapters.dynamo_run_items import key
from playbyplay.adapters.dynamo_runs_table import RunsTable
from playbyplay.errors import StoreUnavailable
from tests.contract.aws_homes import AwsHome, moto_home
from tests.histories import USER

MINE = {"KeyConditionExpression": "pk = :pk", "ExpressionAttributeValues": item({":pk": f"U#{USER}"})}


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[AwsHome]:
    async with moto_home(tmp_path) as opened:
        yield opened


async def filled(home: AwsHome, count: int, size: int = 1) -> RunsTable:
    """Put items named by number."""
    for number in range(count):
        put = key(USER, f"{number:04d}") | item({"text": "x" * size})
        await home.aws.call("dynamodb", "put_item", {"TableName": home.stored.runs, "Item": put})
    home.aws.calls.clear()
    return RunsTable(home.aws, home.stored.runs)


async def test_many_items_are_asked_for_a_hundred_at_a_time(home: AwsHome) -> None:
    """All that are there come, strongly consistent; those that are not are left out."""
    table = await filled(home, 120)
    found = await table.get_all(USER, (f"{number:04d}" for number in range(0, 240, 2)))
    assert sorted(one["sk"]["S"] for one in found) == [f"{number:04d}" for number in range(0, 120, 2)]
    asked = [params["RequestItems"][table.name] for _operation, params in home.aws.calls]
    assert [len(one["Keys"]) for one in asked] == [100, 20]
    assert all(one["ConsistentRead"] for one in asked)


async def test_keys_left_unread_are_asked_for_again(home: AwsHome) -> None:
    """What a throttled batch did not answer comes with the next."""
    table = await filled(home, 3)
    left = {table.name: {"Keys": [key(USER, "0001")], "ConsistentRead": True}}
    home.aws.plan({"Responses": {table.name: [key(USER, "0000")]}, "UnprocessedKeys": left})
    found = await table.get_all(USER, ["0000", "0001"])
    assert [one["sk"]["S"] for one in found] == ["0000", "0001"]
    assert home.aws.calls[1][1]["RequestItems"] == left


async def test_keys_left_unread_for_good_are_told(home: AwsHome) -> None:
    """An answer that is not whole is never taken for one."""
    table = await filled(home, 1)
    left = {table.name: {"Keys": [key(USER, "0000")], "ConsistentRead": True}}
    home.aws.plan(*({"Responses": {}, "UnprocessedKeys": left} for _ in range(6)))
    with pytest.raises(StoreUnavailable):
        await table.get_all(USER, ["0000"])


async def test_a_query_goes_on_to_the_next_page_and_stops_at_its_limit(home: AwsHome) -> None:
    """A page ends at one megabyte; no item beyond the limit is read; each page is strongly consistent."""
    table = await filled(home, 8, size=300_000)
    assert len(await table.query(MINE, limit=7)) == 7
    assert all(params["ConsistentRead"] for _operation, params in home.aws.calls)
    limits = [params["Limit"] for _operation, params in home.aws.calls]
    assert len(limits) > 1
    assert limits[0] == 7 > limits[-1]
    assert len(await table.query(MINE, limit=99)) == 8


async def test_a_count_goes_on_to_the_next_page_and_stops_at_its_limit(home: AwsHome) -> None:
    """As a query does, and no item is brought."""
    table = await filled(home, 8, size=300_000)
    for limit, counted in ((7, 7), (100, 8), (0, 0)):
        home.aws.calls.clear()
        assert await table.count(MINE, limit=limit) == counted
        assert all(params["ConsistentRead"] for _operation, params in home.aws.calls)
        assert all(params["Select"] == "COUNT" for _operation, params in home.aws.calls)
    home.aws.plan({"Count": 3, "LastEvaluatedKey": key(USER, "0002")})
    home.aws.calls.clear()
    assert await table.count(MINE, limit=5) == 5
    assert [params["Limit"] for _operation, params in home.aws.calls] == [5, 2]
    assert home.aws.calls[1][1]["ExclusiveStartKey"] == key(USER, "0002")
