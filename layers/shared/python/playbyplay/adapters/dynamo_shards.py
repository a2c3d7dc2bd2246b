"""The global indexes, which hold what is open of all users: spread over shards, read one page of each.

All open runs stand in one order only if one partition holds them, and one takes a thousand writes a second:
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html
"""

import asyncio
import zlib
from collections.abc import Mapping
from typing import Any

from playbyplay.adapters.aws import Aws
from playbyplay.adapters.dynamo_items import Item
from playbyplay.adapters.tables import SHARDS


def shard_of(name: str) -> str:
    """Return the shard of a run or a connection, which never changes."""
    return str(zlib.crc32(name.encode()) % SHARDS)


async def first_pages(aws: Aws, query: Mapping[str, Any], values: Item) -> list[Item]:
    """Return the first items of every shard, shard by shard: one page of each, however many there are.

    Args:
        aws: the door.
        query: of one shard, which its condition calls `:shard`, with the limit of its page.
        values: what else its expressions name.

    Raises:
        StoreUnavailable: some shard was not read.
    """
    named = ({":shard": {"S": str(shard)}} | values for shard in range(SHARDS))
    pages = await asyncio.gather(
        *(aws.read("dynamodb", "query", {**query, "ExpressionAttributeValues": one}) for one in named)
    )
    return [found for page in pages for found in page["Items"]]
