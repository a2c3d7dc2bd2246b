"""The open runs that should have been heard of, counted from the index of all open runs, shard by shard.

A run that began behind another turn and was never owned is left out: it may well be waiting its turn.
"""

import asyncio
from typing import Any

from playbyplay.adapters.aws import Aws
from playbyplay.adapters.dynamo_items import item
from playbyplay.adapters.tables import NEXT_CHECK, OPEN_BY_CHECK, OPEN_SHARD, OPEN_SHARDS, WAITS


class DynamoOverdueRuns:
    """Implements `ports.OverdueRuns`; the index is eventually consistent.

    Args:
        aws: the door.
        runs_table: where runs are.
    """

    def __init__(self, aws: Aws, runs_table: str) -> None:
        self._aws = aws
        self._table = runs_table

    async def count(self, *, now_ms: int) -> int:
        """Return how many open runs were to be looked at before now."""
        return sum(await asyncio.gather(*(self._of_shard(shard, now_ms) for shard in range(OPEN_SHARDS))))

    async def _of_shard(self, shard: int, now_ms: int) -> int:
        counted, page = 0, dict[str, Any]()
        while True:
            query = {
                "TableName": self._table,
                "IndexName": OPEN_BY_CHECK,
                "Select": "COUNT",
                "KeyConditionExpression": f"{OPEN_SHARD} = :shard AND {NEXT_CHECK} < :now",
                "FilterExpression": f"attribute_not_exists({WAITS}) OR attribute_exists(#owner)",
                "ExpressionAttributeNames": {"#owner": "owner"},
                "ExpressionAttributeValues": item({":shard": str(shard), ":now": now_ms}),
                **page,
            }
            answer = await self._aws.read("dynamodb", "query", query)
            counted += int(answer["Count"])
            if "LastEvaluatedKey" not in answer:
                return counted
            page = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}
