"""Connections in DynamoDB: one row by id, and one among its user's, which is what a fan-out reads.

The row among the user's comes first and goes first: it alone decides whether a connection is there,
and the row by id stays until it is gone, so that a removal that broke off can be done again.
"""

import asyncio
from collections import OrderedDict
from typing import Any

from playbyplay.adapters.aws import Aws, ConditionFailed
from playbyplay.adapters.tables import PK, SK, TTL, connection_key, subscriber_key, user_key
from playbyplay.domain.connection import MAX_PER_USER, Session, Subscriber
from playbyplay.ports import Clock

_SORT = "CONN"
_PREFIX = subscriber_key("")
_KEPT_S = 3600  # beyond the session, for clocks that differ
_REMEMBERED = 4096

_Item = dict[str, Any]


class DynamoConnectionStore:
    """Implements `ports.ConnectionStore`.

    Args:
        aws: the door.
        clock: tells which sessions are over.
        table: the connections table.
    """

    def __init__(self, aws: Aws, clock: Clock, table: str) -> None:
        self._aws = aws
        self._clock = clock
        self._table = table
        self._users: OrderedDict[str, str] = OrderedDict()  # by connection, which never changes its user

    async def add(self, connection_id: str, session: Session, *, now_ms: int) -> list[str]:
        """Remember a connection; return the oldest ones that had to give way.

        One that gave way and asserts itself again has the oldest session, so it gives way again.
        """
        self._remember(connection_id, session.user)
        if not await self._subscribe(connection_id, session, now_ms):
            return []
        by_id = self._call("put_item", Item=_row(_connection(connection_id), session, user={"S": session.user}))
        _put, rows = await asyncio.gather(by_id, self._rows(session.user))
        rows.sort(key=lambda row: (*_age(row), _id(row) == connection_id))  # the new one is the last of its moment
        oldest = [_id(row) for row in rows[:-MAX_PER_USER]]
        await asyncio.gather(*(self._delete(one, session.user) for one in oldest))
        return oldest

    async def remove(self, connection_id: str) -> None:
        """Forget a connection."""
        user = await self._user(connection_id)
        if user is not None:
            await self._delete(connection_id, user)

    async def subscribers(self, user: str) -> list[Subscriber]:
        """Return a user's connections, the oldest first, without those whose session is over."""
        now_ms = self._clock.now_ms()
        rows = [row for row in await self._rows(user) if int(row["session_expires_ms"]["N"]) > now_ms]
        rows.sort(key=_age)
        newest = rows[-MAX_PER_USER:]
        for row in newest:
            self._remember(_id(row), user)
        return [Subscriber(_id(row), int(row["opened_ms"]["N"]), row["lagging"]["BOOL"]) for row in newest]

    async def mark_lagging(self, connection_id: str, *, lagging: bool) -> None:
        """Note that a connection missed a live frame, or that it has resumed."""
        user = await self._user(connection_id)
        if user is None:
            return
        try:
            await self._call(
                "update_item",
                Key=_subscriber(connection_id, user),
                UpdateExpression="SET lagging = :lagging",
                ConditionExpression=f"attribute_exists({PK})",
                ExpressionAttributeValues={":lagging": {"BOOL": lagging}},
            )
        except ConditionFailed:
            return  # it is gone by now

    async def _subscribe(self, connection_id: str, session: Session, now_ms: int) -> bool:
        """Put the row among the user's; False if it is there already."""
        opened_ms = {"N": str(now_ms)}
        row = _row(_subscriber(connection_id, session.user), session, opened_ms=opened_ms, lagging={"BOOL": False})
        try:
            await self._call(
                "put_item",
                Item=row,
                ConditionExpression=f"attribute_not_exists({PK})",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ConditionFailed as failed:
            there = failed.items[0] or {}
            return bool(there.get("opened_ms") == opened_ms)  # ours: the answer to an earlier try was lost
        return True

    async def _rows(self, user: str) -> list[_Item]:
        """Read a user's rows, strongly consistent; one page holds thousands."""
        answer = await self._call(
            "query",
            KeyConditionExpression=f"{PK} = :user AND begins_with({SK}, :prefix)",
            ExpressionAttributeValues={":user": {"S": user_key(user)}, ":prefix": {"S": _PREFIX}},
            ConsistentRead=True,
        )
        rows: list[_Item] = answer["Items"]
        return rows

    async def _user(self, connection_id: str) -> str | None:
        if connection_id not in self._users:
            answer = await self._call("get_item", Key=_connection(connection_id), ConsistentRead=True)
            if "Item" not in answer:
                return None
            self._remember(connection_id, answer["Item"]["user"]["S"])
        return self._users[connection_id]

    async def _delete(self, connection_id: str, user: str) -> None:
        await self._call("delete_item", Key=_subscriber(connection_id, user))
        await self._call("delete_item", Key=_connection(connection_id))
        self._users.pop(connection_id, None)

    def _remember(self, connection_id: str, user: str) -> None:
        self._users[connection_id] = user
        self._users.move_to_end(connection_id)
        if len(self._users) > _REMEMBERED:
            self._users.popitem(last=False)

    async def _call(self, operation: str, **params: Any) -> _Item:  # noqa: ANN401 - botocore's shapes
        return await self._aws.read("dynamodb", operation, {"TableName": self._table, **params})


def _connection(connection_id: str) -> _Item:
    return {PK: {"S": connection_key(connection_id)}, SK: {"S": _SORT}}


def _subscriber(connection_id: str, user: str) -> _Item:
    return {PK: {"S": user_key(user)}, SK: {"S": subscriber_key(connection_id)}}


def _row(key: _Item, session: Session, **attributes: _Item) -> _Item:
    return {
        **key,
        **attributes,
        "session_expires_ms": {"N": str(session.expires_ms)},
        TTL: {"N": str(session.expires_ms // 1000 + _KEPT_S)},
    }


def _id(row: _Item) -> str:
    sort: str = row[SK]["S"]
    return sort.removeprefix(_PREFIX)


def _age(row: _Item) -> tuple[int, int]:
    return int(row["session_expires_ms"]["N"]), int(row["opened_ms"]["N"])
