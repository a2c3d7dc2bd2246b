"""The tables and the queue of the AWS home for a test, of the same keys and indexes as the stack's."""

import uuid
from dataclasses import dataclass
from typing import Any, Self

from playbyplay.adapters.aws import Aws
from playbyplay.adapters.tables import (
    CHECK_SHOWS,
    ENDED,
    ENDED_SHARD,
    ENDING_SESSIONS,
    NEXT_CHECK,
    OPEN_BY_AGE,
    OPEN_BY_NEXT_CHECK,
    OPEN_SHARD,
    OPEN_SINCE,
    PK,
    RUNS_BY_END,
    SESSION_ENDS,
    SESSION_SHARD,
    SK,
)


@dataclass(frozen=True, slots=True)
class Stored:
    """Where a home keeps what it stores: names nobody else has."""

    runs: str
    journal: str
    connections: str
    queue_url: str

    @classmethod
    async def made(cls, aws: Aws) -> Self:
        """Make three tables and a queue."""
        mark = uuid.uuid4().hex[:12]
        runs, journal, connections = f"runs-{mark}", f"journal-{mark}", f"connections-{mark}"
        strings = [_attribute(name, "S") for name in (OPEN_SINCE, OPEN_SHARD, ENDED_SHARD)]
        await _make(
            aws,
            runs,
            attributes=[*strings, _attribute(NEXT_CHECK, "N"), _attribute(ENDED, "N")],
            LocalSecondaryIndexes=[_index(OPEN_BY_AGE, PK, OPEN_SINCE, ProjectionType="ALL")],
            GlobalSecondaryIndexes=[
                _index(
                    OPEN_BY_NEXT_CHECK,
                    OPEN_SHARD,
                    NEXT_CHECK,
                    ProjectionType="INCLUDE",
                    NonKeyAttributes=[*CHECK_SHOWS],
                ),
                _index(RUNS_BY_END, ENDED_SHARD, ENDED, ProjectionType="KEYS_ONLY"),
            ],
        )
        await _make(aws, journal)
        await _make(
            aws,
            connections,
            attributes=[_attribute(SESSION_SHARD, "S"), _attribute(SESSION_ENDS, "N")],
            GlobalSecondaryIndexes=[_index(ENDING_SESSIONS, SESSION_SHARD, SESSION_ENDS, ProjectionType="KEYS_ONLY")],
        )
        made = await aws.call("sqs", "create_queue", {"QueueName": f"runs-{mark}"})
        return cls(runs, journal, connections, made["QueueUrl"])


async def _make(aws: Aws, name: str, attributes: list[dict[str, str]] | None = None, **indexes: Any) -> None:
    table = {
        "TableName": name,
        "KeySchema": _keys(PK, SK),
        "AttributeDefinitions": [_attribute(PK, "S"), _attribute(SK, "S"), *(attributes or [])],
        "BillingMode": "PAY_PER_REQUEST",
    }
    await aws.call("dynamodb", "create_table", table | indexes)


def _attribute(name: str, kind: str) -> dict[str, str]:
    return {"AttributeName": name, "AttributeType": kind}


def _keys(hash_key: str, range_key: str) -> list[dict[str, str]]:
    return [{"AttributeName": hash_key, "KeyType": "HASH"}, {"AttributeName": range_key, "KeyType": "RANGE"}]


def _index(name: str, hash_key: str, range_key: str, **projection: Any) -> dict[str, Any]:
    return {"IndexName": name, "KeySchema": _keys(hash_key, range_key), "Projection": projection}
