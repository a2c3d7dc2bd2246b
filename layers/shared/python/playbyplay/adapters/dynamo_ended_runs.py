"""The runs that have ended, from the index by their end; it is a moment old.

A look reads one page of each shard, so it costs the same however many runs are kept.
"""

from playbyplay.adapters.aws import Aws
from playbyplay.adapters.dynamo_items import item, plain
from playbyplay.adapters.dynamo_shards import first_pages
from playbyplay.adapters.tables import ENDED, ENDED_SHARD, PK, RUNS_BY_END, SK, run_id_of, user_of
from playbyplay.ports import Job


class DynamoEndedRuns:
    """Implements `ports.EndedRuns`.

    Args:
        aws: the door.
        runs_table: where runs are.
    """

    def __init__(self, aws: Aws, runs_table: str) -> None:
        self._aws = aws
        self._table = runs_table

    async def between(self, *, from_ms: int, to_ms: int, limit: int) -> list[Job]:
        """Return runs whose end was noted within this time, the newest first.

        Each shard is asked for as many as are wanted in all, for they may all be in one; they are small.
        """
        if from_ms >= to_ms:
            return []  # DynamoDB refuses a range whose end comes before its start
        newest = {
            "TableName": self._table,
            "IndexName": RUNS_BY_END,
            "KeyConditionExpression": f"{ENDED_SHARD} = :shard AND {ENDED} BETWEEN :from AND :last",
            "ScanIndexForward": False,
            "Limit": limit,
        }
        rows = map(plain, await first_pages(self._aws, newest, item({":from": from_ms, ":last": to_ms - 1})))
        ended = sorted(rows, key=lambda row: (row[ENDED], row[SK]), reverse=True)
        return [Job(user_of(row[PK]), run_id_of(row[SK])) for row in ended[:limit]]
