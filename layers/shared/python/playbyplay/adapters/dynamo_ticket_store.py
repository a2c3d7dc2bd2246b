"""Tickets in the runs table: redeeming marks the item on the condition that nobody marked it before.

What the mark holds is new for each redemption, so a try that is repeated because its answer was lost
finds its own mark and is no second redemption.
"""

import contextlib
import secrets
from typing import Any

from playbyplay.adapters.aws import Aws, ConditionFailed
from playbyplay.adapters.tables import PK, SK, TTL, ticket_key
from playbyplay.ports import Ticket

_SORT = "TICKET"
_UNUSED = f"attribute_exists({PK}) AND (attribute_not_exists(used) OR used = :mark)"


class DynamoTicketStore:
    """Implements `ports.TicketStore`.

    Args:
        aws: the door.
        table: the runs table.
    """

    def __init__(self, aws: Aws, table: str) -> None:
        self._aws = aws
        self._table = table

    async def put(self, ticket_digest: str, ticket: Ticket) -> None:
        """Keep a ticket; the table forgets it when nobody redeemed it in time."""
        item: dict[str, Any] = {
            **_key(ticket_digest),
            "user": {"S": ticket.user},
            "expires_ms": {"N": str(ticket.expires_ms)},
            "session_expires_ms": {"N": str(ticket.session_expires_ms)},
            TTL: {"N": str(ticket.expires_ms // 1000 + 1)},
        }
        if ticket.origin is not None:
            item["origin"] = {"S": ticket.origin}
        put = {"TableName": self._table, "Item": item, "ConditionExpression": f"attribute_not_exists({PK})"}
        with contextlib.suppress(ConditionFailed):  # an earlier try put it, and it may be redeemed by now
            await self._aws.read("dynamodb", "put_item", put)

    async def redeem(self, ticket_digest: str) -> Ticket | None:
        """Return a ticket the first time it is asked for; one call."""
        update = {
            "TableName": self._table,
            "Key": _key(ticket_digest),
            "UpdateExpression": "SET used = :mark",
            "ConditionExpression": _UNUSED,
            "ExpressionAttributeValues": {":mark": {"S": secrets.token_hex(16)}},
            "ReturnValues": "ALL_NEW",
        }
        try:
            answer = await self._aws.read("dynamodb", "update_item", update)
        except ConditionFailed:
            return None
        item = answer["Attributes"]
        return Ticket(
            user=item["user"]["S"],
            origin=item["origin"]["S"] if "origin" in item else None,
            expires_ms=int(item["expires_ms"]["N"]),
            session_expires_ms=int(item["session_expires_ms"]["N"]),
        )


def _key(digest: str) -> dict[str, dict[str, str]]:
    return {PK: {"S": ticket_key(digest)}, SK: {"S": _SORT}}
