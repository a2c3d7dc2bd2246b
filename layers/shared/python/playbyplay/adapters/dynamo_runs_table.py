"""Calls on the runs table: every read strongly consistent, every write one that may be repeated."""

import asyncio
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

from playbyplay.adapters.aws import Aws, ConditionFailed
from playbyplay.adapters.dynamo_items import Item, Plain, item, names
from playbyplay.adapters.dynamo_run_items import key
from playbyplay.errors import StoreUnavailable

_BATCH = 100  # https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html
_TRIES = 6
_PAUSE_S = 0.02


class RunsTable:
    """The table, for its store.

    Args:
        aws: the door.
        name: the table's.
    """

    def __init__(self, aws: Aws, name: str) -> None:
        self._aws = aws
        self.name = name

    async def get(self, user: str, sk: str) -> Item | None:
        """Return an item."""
        answer = await self._call("get_item", {"Key": key(user, sk), "ConsistentRead": True})
        found: Item | None = answer.get("Item")
        return found

    async def get_all(self, user: str, sks: Iterable[str]) -> list[Item]:
        """Return those items that are there, in no order.

        Raises:
            StoreUnavailable: some were left unread, again and again.
        """
        found: list[Item] = []
        left = iter(sks)
        while batch := [key(user, sk) for sk in islice(left, _BATCH)]:
            found += await self._batch(batch)
        return found

    async def query(self, query: Mapping[str, Any], *, limit: int) -> list[Item]:
        """Return the items of a query, page by page, up to a limit."""
        items: list[Item] = []
        page: dict[str, Any] = {}
        while len(items) < limit:
            params = {"ConsistentRead": True, "Limit": limit - len(items), **query, **page}
            answer = await self._call("query", params)
            items += answer["Items"]
            if "LastEvaluatedKey" not in answer:
                break
            page = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}
        return items

    async def count(self, query: Mapping[str, Any], *, limit: int) -> int:
        """Count the items of a query, page by page, up to a limit; one page holds a megabyte."""
        counted = 0
        page: dict[str, Any] = {}
        while counted < limit:
            params = {"ConsistentRead": True, "Select": "COUNT", "Limit": limit - counted, **query, **page}
            answer = await self._call("query", params)
            counted += answer["Count"]
            if "LastEvaluatedKey" not in answer:
                break
            page = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}
        return counted

    async def update(
        self, user: str, sk: str, update: str, condition: str, values: Mapping[str, Plain], *, turn: int = 0
    ) -> tuple[Item | None, Item | None]:
        """Change an item.

        Args:
            user: whose it is.
            sk: its sort key.
            update: an expression; each `#name` in it stands for itself.
            condition: an expression of the same kind.
            values: what the `:name` stand for.
            turn: what `#turn` stands for.

        Returns:
            The item as it is then and None; or None and the item as it stands, where the condition does not hold.
        """
        params = {
            "Key": key(user, sk),
            "UpdateExpression": update,
            "ConditionExpression": condition,
            "ExpressionAttributeNames": names(update, condition) | ({"#turn": str(turn)} if turn else {}),
            "ExpressionAttributeValues": item(values),
            "ReturnValues": "ALL_NEW",
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        try:
            answer = await self._call("update_item", params)
        except ConditionFailed as failed:
            return None, failed.items[0]
        return answer["Attributes"], None

    async def _batch(self, keys: list[Item]) -> list[Item]:
        found: list[Item] = []
        wanted = {self.name: {"Keys": keys, "ConsistentRead": True}}
        for attempt in range(_TRIES):
            answer = await self._aws.read("dynamodb", "batch_get_item", {"RequestItems": wanted})
            found += answer["Responses"].get(self.name, [])
            wanted = answer.get("UnprocessedKeys") or {}
            if not wanted:
                return found
            await asyncio.sleep(_PAUSE_S * 2**attempt)
        raise StoreUnavailable("batch_get_item: keys were left unread")

    async def _call(self, operation: str, params: Mapping[str, Any]) -> dict[str, Any]:
        return await self._aws.read("dynamodb", operation, {"TableName": self.name, **params})
