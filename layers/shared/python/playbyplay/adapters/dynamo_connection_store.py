"""Connections in DynamoDB: one row by id, and one among its user's, which is what a fan-out reads.

The row among the user's comes first and goes first: it alone decides whether a connection is there,
and the row by id stays until it is gone, so that a removal that broke off can be done again.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from playbyplay.adapters.aws import Aws, ConditionFailed
from playbyplay.adapters.dynamo_departures import Departures
from playbyplay.adapters.dynamo_shards import first_pages, shard_of
from playbyplay.adapters.tables import (
    ENDING_SESSIONS,
    PK,
    SESSION_ENDS,
    SESSION_SHARD,
    SK,
    TTL,
    connection_id_of,
    connection_key,
    subscriber_key,
    user_key,
    user_of,
)
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
        clock: tells which sessions are over, and when a connection left.
        table: the connections table.
    """

    def __init__(self, aws: Aws, clock: Clock, table: str) -> None:
        self._aws = aws
        self._clock = clock
        self._table = table
        self._departures = Departures(aws, table)
        self._users: OrderedDict[str, str] = OrderedDict()  # by connection, which never changes its user

    async def add(self, connection_id: str, session: Session, *, now_ms: int) -> list[str]:
        """Remember a connection; return the oldest ones that had to give way.

        One that gave way and asserts itself again has the oldest session, so it gives way again. When it left is
        not noted: the ones it gave way to are there, and the last of them notes when that left.
        """
        self._remember(connection_id, session.user)
        if not await self._subscribe(connection_id, session, now_ms):
            return []
        by_id = self._call("put_item", Item=_row(_connection_key(connection_id), session, user={"S": session.user}))
        _put, rows = await asyncio.gather(by_id, self._rows(session.user))
        rows.sort(key=lambda row: (*_age(row), _id(row) == connection_id))  # the new one is the last of its moment
        oldest = [_id(row) for row in rows[:-MAX_PER_USER]]
        await asyncio.gather(*(self._delete(one, session.user) for one in oldest))
        return oldest

    async def remove(self, connection_id: str) -> None:
        """Forget a connection, and note before that when it left."""
        user = await self._user(connection_id)
        if user is not None:
            await self._leave(connection_id, user)
            await self._delete(connection_id, user)

    async def subscribers(self, user: str) -> list[Subscriber]:
        """Return a user's connections, the oldest first, without those whose session is over."""
        now_ms = self._clock.now_ms()
        rows = [row for row in await self._rows(user) if int(row[SESSION_ENDS]["N"]) > now_ms]
        rows.sort(key=_age)
        newest = rows[-MAX_PER_USER:]
        for row in newest:
            self._remember(_id(row), user)
        return [_subscriber(row) for row in newest]

    async def left_ms(self, user: str) -> int | None:
        """Return since when a user has no connection; one whose session is over left with it, row or not."""
        ends = [int(row[SESSION_ENDS]["N"]) for row in await self._rows(user)]
        if any(end_ms > self._clock.now_ms() for end_ms in ends):
            return None
        noted_ms = await self._departures.last_ms(user)
        return max([*ends, *([noted_ms] if noted_ms is not None else [])], default=None)

    async def mark_lagging(self, connection_id: str, *, lagging: bool) -> None:
        """Note that a connection missed a live frame, or that it has resumed."""
        await self._note(connection_id, lagging={"BOOL": lagging})

    async def receive(self, connection_id: str, cursors: Mapping[str, int], *, now_ms: int) -> None:
        """Note a connection's receipts and when they came, in place of those before."""
        receipts = {"M": {run: {"N": str(seq)} for run, seq in cursors.items()}}
        await self._note(connection_id, receipts=receipts, received_ms={"N": str(now_ms)})

    async def outlived(self, *, now_ms: int, limit: int) -> list[str]:
        """Return connections whose session is over, those of the longest ago first.

        Their users come with them, so they are removed without a look.
        """
        over = {
            "TableName": self._table,
            "IndexName": ENDING_SESSIONS,
            "KeyConditionExpression": f"{SESSION_SHARD} = :shard AND {SESSION_ENDS} <= :now",
            "Limit": limit,
        }
        rows = await first_pages(self._aws, over, {":now": {"N": str(now_ms)}})
        rows.sort(key=lambda row: int(row[SESSION_ENDS]["N"]))
        for row in rows[:limit]:
            self._remember(_id(row), user_of(row[PK]["S"]))
        return [_id(row) for row in rows[:limit]]

    async def _note(self, connection_id: str, **attributes: _Item) -> None:
        """Set attributes of a connection that is there."""
        user = await self._user(connection_id)
        if user is None:
            return
        try:
            await self._call(
                "update_item",
                Key=_subscriber_key(connection_id, user),
                UpdateExpression="SET " + ", ".join(f"{name} = :{name}" for name in attributes),
                ConditionExpression=f"attribute_exists({PK})",
                ExpressionAttributeValues={f":{name}": value for name, value in attributes.items()},
            )
        except ConditionFailed:
            return  # it is gone by now

    async def _subscribe(self, connection_id: str, session: Session, now_ms: int) -> bool:
        """Put the row among the user's; False if it is there already."""
        opened_ms = {"N": str(now_ms)}
        row = _row(
            _subscriber_key(connection_id, session.user),
            session,
            opened_ms=opened_ms,
            lagging={"BOOL": False},
            **{SESSION_SHARD: {"S": shard_of(connection_id)}},
        )
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
            answer = await self._call("get_item", Key=_connection_key(connection_id), ConsistentRead=True)
            if "Item" not in answer:
                return None
            self._remember(connection_id, answer["Item"]["user"]["S"])
        return self._users[connection_id]

    async def _leave(self, connection_id: str, user: str) -> None:
        """Note when a connection that is there leaves, or left, if its session is over."""
        answer = await self._call("get_item", Key=_subscriber_key(connection_id, user), ConsistentRead=True)
        if "Item" in answer:
            await self._departures.note(user, min(self._clock.now_ms(), int(answer["Item"][SESSION_ENDS]["N"])))

    async def _delete(self, connection_id: str, user: str) -> None:
        await self._call("delete_item", Key=_subscriber_key(connection_id, user))
        await self._call("delete_item", Key=_connection_key(connection_id))
        self._users.pop(connection_id, None)

    def _remember(self, connection_id: str, user: str) -> None:
        self._users[connection_id] = user
        self._users.move_to_end(connection_id)
        if len(self._users) > _REMEMBERED:
            self._users.popitem(last=False)

    async def _call(self, operation: str, **params: Any) -> _Item:  # noqa: ANN401 - botocore's shapes
        return await self._aws.read("dynamodb", operation, {"TableName": self._table, **params})


def _connection_key(connection_id: str) -> _Item:
    return {PK: {"S": connection_key(connection_id)}, SK: {"S": _SORT}}


def _subscriber_key(connection_id: str, user: str) -> _Item:
    return {PK: {"S": user_key(user)}, SK: {"S": subscriber_key(connection_id)}}


def _row(key: _Item, session: Session, **attributes: _Item) -> _Item:
    return {
        **key,
        **attributes,
        SESSION_ENDS: {"N": str(session.expires_ms)},
        TTL: {"N": str(session.expires_ms // 1000 + _KEPT_S)},
    }


def _subscriber(row: _Item) -> Subscriber:
    receipts = {run: int(seq["N"]) for run, seq in row.get("receipts", {"M": {}})["M"].items()}
    received_ms = int(row.get("received_ms", {"N": "0"})["N"])
    return Subscriber(_id(row), int(row["opened_ms"]["N"]), row["lagging"]["BOOL"], receipts, received_ms)


def _id(row: _Item) -> str:
    return connection_id_of(row[SK]["S"])


def _age(row: _Item) -> tuple[int, int]:
    return int(row[SESSION_ENDS]["N"]), int(row["opened_ms"]["N"])
