"""When a connection of a user left last: one small item among the user's connections.

It says nothing while one of them is there. So it is written before a connection goes: whoever falls in between
leaves the connection, and once the last is gone the item is right.
"""

from playbyplay.adapters.aws import Aws, ConditionFailed
from playbyplay.adapters.dynamo_items import Item, item
from playbyplay.adapters.tables import LEFT, LEFT_AT, PK, SK, TTL, user_key
from playbyplay.domain.connection import SESSION_S

_KEPT_S = SESSION_S + 3600  # as long as the row of a connection


class Departures:
    """The departures of the connections table.

    Args:
        aws: the door.
        table: the connections table.
    """

    def __init__(self, aws: Aws, table: str) -> None:
        self._aws = aws
        self._table = table

    async def note(self, user: str, at_ms: int) -> None:
        """Note that a connection left, unless it is known that one left later.

        An update, not a put: who may forget connections need not be able to make one.
        """
        change = {
            "TableName": self._table,
            "Key": _key(user),
            "UpdateExpression": f"SET {LEFT_AT} = :at, {TTL} = :expires",
            "ConditionExpression": f"attribute_not_exists({PK}) OR {LEFT_AT} < :at",
            "ExpressionAttributeValues": item({":at": at_ms, ":expires": at_ms // 1000 + _KEPT_S}),
        }
        try:
            await self._aws.read("dynamodb", "update_item", change)
        except ConditionFailed:
            return

    async def last_ms(self, user: str) -> int | None:
        """Return when a connection of a user left last, strongly consistent; None where it is not known."""
        wanted = {"TableName": self._table, "Key": _key(user), "ConsistentRead": True}
        answer = await self._aws.read("dynamodb", "get_item", wanted)
        return int(answer["Item"][LEFT_AT]["N"]) if "Item" in answer else None


def _key(user: str) -> Item:
    return item({PK: user_key(user), SK: LEFT})
