"""The journal in DynamoDB: one item per record, put on the condition that its key is free.

An append is tried once here: the notifier reads back and tries again. Entries too large for an item
go to side items first, so a record that can be read names only what is there.
"""

import asyncio
import hashlib
from typing import Any

from playbyplay.adapters.aws import Aws, ConditionFailed
from playbyplay.adapters.dynamo_items import Item, item, plain
from playbyplay.adapters.tables import JOURNAL_KEPT_S, PK, SK, TTL, blob_key, journal_key
from playbyplay.domain.journal import ENTRIES, Record
from playbyplay.errors import SlotTaken, StoreUnavailable
from playbyplay.ports import Clock

# An item holds 400 KB with the names of its attributes:
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
_INLINE_BYTES = 300 * 1024
_CHUNK_BYTES = 350 * 1024
_CHUNKS_KEPT_S = JOURNAL_KEPT_S + 7 * 86_400  # DynamoDB removes items days late: a record goes before its side items


class DynamoJournal:
    """Implements `ports.Journal`.

    Args:
        aws: the door.
        clock: for when a record may go.
        table: the journal table.
    """

    def __init__(self, aws: Aws, clock: Clock, table: str) -> None:
        self._aws = aws
        self._clock = clock
        self._table = table

    async def append(self, user: str, run_id: str, record: Record) -> None:
        """Put a record, once; a failed condition means a taken slot."""
        now_s = self._clock.now_ms() // 1000
        kept = record_item(user, run_id, record, now_s + JOURNAL_KEPT_S)
        entries = record.entries_json().encode()
        if len(entries) > _INLINE_BYTES:
            del kept["entries"]
            kept |= await self._put_aside(user, run_id, entries, now_s + _CHUNKS_KEPT_S)
        put = {"TableName": self._table, "Item": kept, "ConditionExpression": f"attribute_not_exists({PK})"}
        try:
            await self._aws.write("dynamodb", "put_item", put)
        except ConditionFailed:
            raise SlotTaken(f"slot {record.pos} is not empty") from None

    async def read(self, user: str, run_id: str, *, from_pos: int = 0) -> list[Record]:
        """Return the records from a position on.

        Raises:
            StoreUnavailable: no try was answered, or a record's side items are not all there.
        """
        items = await self._items(journal_key(user, run_id), from_pos)
        return [await self._record(user, run_id, plain(one)) for one in items]

    async def last_seq(self, user: str, run_id: str) -> int | None:
        """Return the seq of the last event."""
        answer = await self._query(
            journal_key(user, run_id), 0, ScanIndexForward=False, Limit=1, ProjectionExpression="last_seq"
        )
        return int(plain(answer["Items"][0])["last_seq"]) if answer["Items"] else None

    async def _record(self, user: str, run_id: str, kept: dict[str, Any]) -> Record:
        entries = kept.get("entries")
        if entries is None:
            entries = await self._fetch(user, run_id, kept["blob"])
        return Record(int(kept[SK]), kept["epoch"], kept["token"], kept["last_seq"], ENTRIES.validate_json(entries))

    async def _put_aside(self, user: str, run_id: str, entries: bytes, expires_s: int) -> Item:
        """Write side items, named by their content, so that repeating it is harmless; return what refers to them."""
        digest = hashlib.sha256(entries).hexdigest()
        pk = blob_key(user, run_id, digest)
        chunks = [entries[start : start + _CHUNK_BYTES] for start in range(0, len(entries), _CHUNK_BYTES)]
        puts = [
            {"TableName": self._table, "Item": item({PK: pk, SK: _place(number), "chunk": chunk, TTL: expires_s})}
            for number, chunk in enumerate(chunks)
        ]
        await asyncio.gather(*(self._aws.read("dynamodb", "put_item", put) for put in puts))
        return item({"blob": digest, "chunks": len(chunks)})

    async def _fetch(self, user: str, run_id: str, digest: str) -> bytes:
        items = await self._items(blob_key(user, run_id, digest), 0)
        entries = b"".join(plain(one)["chunk"] for one in items)
        if hashlib.sha256(entries).hexdigest() != digest:
            raise StoreUnavailable("a record's side items are not all there")
        return entries

    async def _items(self, pk: str, first: int) -> list[Item]:
        """Return the items of a partition from a place on; a page ends at one megabyte."""
        items: list[Item] = []
        page: dict[str, Any] = {}
        while True:
            answer = await self._query(pk, first, **page)
            items += answer["Items"]
            if "LastEvaluatedKey" not in answer:
                return items
            page = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}

    async def _query(self, pk: str, first: int, **options: Any) -> dict[str, Any]:  # noqa: ANN401 - botocore's shapes
        query = {
            "TableName": self._table,
            "KeyConditionExpression": f"{PK} = :pk AND {SK} >= :from",
            "ExpressionAttributeValues": item({":pk": pk, ":from": _place(first)}),
            "ConsistentRead": True,
            **options,
        }
        return await self._aws.read("dynamodb", "query", query)


def record_item(user: str, run_id: str, record: Record, expires_s: int) -> Item:
    """Return a record as its item, the entries as JSON, absent fields omitted."""
    return item(
        {
            PK: journal_key(user, run_id),
            SK: _place(record.pos),
            "epoch": record.epoch,
            "token": record.token,
            "last_seq": record.last_seq,
            "entries": record.entries_json(),
            TTL: expires_s,
        }
    )


def _place(number: int) -> str:
    """Return a sort key; keys sort as their numbers do."""
    return f"{number:010d}"
