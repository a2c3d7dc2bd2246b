"""The open runs that should have been heard of, from the index of all open runs; it is a moment old.

A sweep reads one page of each shard, so it costs the same however many runs are open.
"""

from typing import Any

from playbyplay.adapters.aws import Aws, ConditionFailed
from playbyplay.adapters.dynamo_items import item, plain
from playbyplay.adapters.dynamo_run_items import key
from playbyplay.adapters.dynamo_shards import first_pages
from playbyplay.adapters.tables import (
    CREATED,
    NEXT_CHECK,
    OPEN_BY_NEXT_CHECK,
    OPEN_SHARD,
    PK,
    SK,
    STATUS,
    WAITS,
    run_id_of,
    run_key,
    user_of,
)
from playbyplay.ports import Job

_SEEN = 1_000  # of a shard, for who waits: all that are open, but for a great many
_SHARED_BY = 3  # users: two who wait are held back by how many runs each may have open


class DynamoOverdueRuns:
    """Implements `ports.OverdueRuns`.

    Args:
        aws: the door.
        runs_table: where runs are.
    """

    def __init__(self, aws: Aws, runs_table: str) -> None:
        self._aws = aws
        self._table = runs_table

    async def first(self, *, now_ms: int, limit: int) -> list[Job]:
        """Return runs that were to be looked at before now, those of the longest ago first.

        Each shard is asked for as many as are wanted in all, for they may all be in one; they are small.
        """
        before = self._query(f"{OPEN_SHARD} = :shard AND {NEXT_CHECK} < :now", limit)
        rows = await first_pages(self._aws, before, item({":now": now_ms}))
        due = sorted(map(plain, rows), key=lambda row: (row[NEXT_CHECK], row[SK]))
        return [Job(user_of(row[PK]), run_id_of(row[SK])) for row in due[:limit]]

    async def postpone(self, user: str, run_id: str, *, until_ms: int) -> None:
        """Have an open run looked at then; one that has ended stays out of the index."""
        change = {
            "TableName": self._table,
            "Key": key(user, run_key(run_id)),
            "UpdateExpression": f"SET {NEXT_CHECK} = :until",
            "ConditionExpression": f"attribute_exists({NEXT_CHECK})",
            "ExpressionAttributeValues": item({":until": until_ms}),
        }
        try:
            await self._aws.read("dynamodb", "update_item", change)
        except ConditionFailed:
            return

    async def behind_since_ms(self) -> int | None:
        """Return since when three users at least wait for a runner; None where fewer do.

        Of each user the oldest run counts that no runner ever took, and of these moments the third. The queue serves
        users in turn, so how long one user's last run waits tells how much that user asked for, not how far the
        runners are behind: all others would be refused for it. That user is held back by the limit of open runs. A
        run accepted behind another turn is left out: until that turn ends it waits for its thread, not for a runner.

        Where a shard has more open runs than are looked at, those looked at are the ones next due, and among them
        are the oldest that nobody was sent for anew.
        """
        unstarted = self._query(f"{OPEN_SHARD} = :shard", _SEEN) | {
            "FilterExpression": f"#status = :queued AND attribute_not_exists({WAITS})",
            "ExpressionAttributeNames": {"#status": STATUS},
        }
        oldest: dict[str, int] = {}
        for row in map(plain, await first_pages(self._aws, unstarted, item({":queued": "queued"}))):
            oldest[row[PK]] = min(row[CREATED], oldest.get(row[PK], row[CREATED]))
        since = sorted(oldest.values())
        return since[_SHARED_BY - 1] if len(since) >= _SHARED_BY else None

    def _query(self, condition: str, limit: int) -> dict[str, Any]:
        return {
            "TableName": self._table,
            "IndexName": OPEN_BY_NEXT_CHECK,
            "KeyConditionExpression": condition,
            "Limit": limit,
        }
