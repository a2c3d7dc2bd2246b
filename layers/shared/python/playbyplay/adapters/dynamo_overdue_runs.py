"""The open runs that should have been heard of, counted from the index of all open runs, shard by shard.

A run that began behind another turn and that nobody owns may well be waiting its turn, so it is left out
for an hour. By then it was to have begun; if it has not, it is lost or as good as that.
"""

import asyncio
from typing import Any

from playbyplay.adapters.aws import Aws
from playbyplay.adapters.dynamo_items import item
from playbyplay.adapters.tables import NEXT_CHECK, OPEN_BY_CHECK, OPEN_SHARD, OPEN_SHARDS, WAITS
from playbyplay.domain.timing import CLOUD

_WAIT_MS = int(CLOUD.queue_s * 1000)
_MAY_WAIT = {
    "FilterExpression": f"attribute_not_exists({WAITS}) OR attribute_exists(#owner)",
    "ExpressionAttributeNames": {"#owner": "owner"},
}


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
        counts = []
        for shard in range(OPEN_SHARDS):  # two ranges each, for a filter may not name a key of the index
            counts.append(self._between(shard, 0, now_ms - _WAIT_MS - 1, {}))
            counts.append(self._between(shard, now_ms - _WAIT_MS, now_ms - 1, _MAY_WAIT))
        return sum(await asyncio.gather(*counts))

    async def _between(self, shard: int, first_ms: int, last_ms: int, only: dict[str, Any]) -> int:
        counted, page = 0, dict[str, Any]()
        while True:
            query = {
                "TableName": self._table,
                "IndexName": OPEN_BY_CHECK,
                "Select": "COUNT",
                "KeyConditionExpression": f"{OPEN_SHARD} = :shard AND {NEXT_CHECK} BETWEEN :first AND :last",
                "ExpressionAttributeValues": item({":shard": str(shard), ":first": first_ms, ":last": last_ms}),
                **only,
                **page,
            }
            answer = await self._aws.read("dynamodb", "query", query)
            counted += int(answer["Count"])
            if "LastEvaluatedKey" not in answer:
                return counted
            page = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}
