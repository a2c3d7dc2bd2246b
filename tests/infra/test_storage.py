"""The tables: their keys and indexes as the adapters name them, what expires, what can be restored."""

from playbyplay.adapters import tables
from tests.infra.synthesis import Stack

TABLE = "AWS::DynamoDB::GlobalTable"


def test_there_are_three_tables_on_demand_with_one_key_shape(own: Stack) -> None:
    """Every table has the same two keys, is paid for by use, and is encrypted with DynamoDB's own key."""
    found = own.of(TABLE)
    assert set(found) == {"Storage/Runs", "Storage/Journal", "Storage/Connections"}
    for table in found.values():
        keys = [{"AttributeName": tables.PK, "KeyType": "HASH"}, {"AttributeName": tables.SK, "KeyType": "RANGE"}]
        assert table["KeySchema"] == keys
        assert table["BillingMode"] == "PAY_PER_REQUEST"
        assert table["SSESpecification"] == {"SSEEnabled": False}  # not KMS: DynamoDB encrypts all the same


def test_items_expire_by_the_attribute_that_the_stores_write(own: Stack) -> None:
    """The TTL attribute is the adapters'."""
    for table in own.of(TABLE).values():
        assert table["TimeToLiveSpecification"] == {"AttributeName": tables.TTL, "Enabled": True}


def test_runs_and_journal_can_be_restored(own: Stack) -> None:
    """Point-in-time recovery is on where data is that a user would miss."""
    on = {
        path: table["Replicas"][0]["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"]
        for path, table in own.of(TABLE).items()
    }
    assert on == {"Storage/Runs": True, "Storage/Journal": True, "Storage/Connections": False}


def test_the_indexes_are_the_adapters(own: Stack) -> None:
    """The indexes of runs have the names and keys that the stores query, with the types that they write."""
    runs = own.properties("Storage/Runs")
    assert _indexes(runs["LocalSecondaryIndexes"]) == {tables.OPEN_BY_AGE: (tables.PK, tables.OPEN_SINCE, "ALL")}
    assert _indexes(runs["GlobalSecondaryIndexes"]) == {
        tables.OPEN_BY_NEXT_CHECK: (tables.OPEN_SHARD, tables.NEXT_CHECK, *tables.CHECK_SHOWS),
        tables.RUNS_BY_END: (tables.ENDED_SHARD, tables.ENDED, "KEYS_ONLY"),
    }
    types = {one["AttributeName"]: one["AttributeType"] for one in runs["AttributeDefinitions"]}
    strings = dict.fromkeys([tables.PK, tables.SK, tables.OPEN_SINCE, tables.OPEN_SHARD, tables.ENDED_SHARD], "S")
    assert types == {**strings, **dict.fromkeys([tables.NEXT_CHECK, tables.ENDED], "N")}
    assert "GlobalSecondaryIndexes" not in own.properties("Storage/Journal")
    assert "LocalSecondaryIndexes" not in own.properties("Storage/Journal")


def test_an_index_that_shows_something_else_has_another_name(own: Stack) -> None:
    """DynamoDB changes no index in place, so under the same name the stack could not be updated: these go together."""
    shown = {
        name: shape[2:]
        for table in own.of(TABLE).values()
        for name, shape in _indexes(table.get("GlobalSecondaryIndexes", [])).items()
    }
    assert shown == {
        "open_by_next_check": ("status", "waits", "created_ms"),
        "runs_by_end": ("KEYS_ONLY",),
        "ending_sessions": ("KEYS_ONLY",),
    }


def test_the_index_of_connections_is_the_adapters(own: Stack) -> None:
    """Sessions are found by when they are over; it holds keys alone, so a mark on a connection costs it nothing."""
    connections = own.properties("Storage/Connections")
    assert _indexes(connections["GlobalSecondaryIndexes"]) == {
        tables.ENDING_SESSIONS: (tables.SESSION_SHARD, tables.SESSION_ENDS, "KEYS_ONLY")
    }
    types = {one["AttributeName"]: one["AttributeType"] for one in connections["AttributeDefinitions"]}
    strings = dict.fromkeys([tables.PK, tables.SK, tables.SESSION_SHARD], "S")
    assert types == {**strings, tables.SESSION_ENDS: "N"}
    assert "LocalSecondaryIndexes" not in connections


def test_runs_and_journal_outlive_the_stack_unless_told(own: Stack, host: Stack) -> None:
    """Deleting the stack keeps what users said, and `keep_data=0` deletes it."""
    kept = {path: own.resources[path]["DeletionPolicy"] for path in own.of(TABLE)}
    assert kept == {
        "Storage/Runs": "RetainExceptOnCreate",
        "Storage/Journal": "RetainExceptOnCreate",
        "Storage/Connections": "Delete",
    }
    assert {host.resources[path]["DeletionPolicy"] for path in host.of(TABLE)} == {"Delete"}


def _indexes(found: list[dict[str, object]]) -> dict[object, tuple[object, ...]]:
    def shape(index: dict[str, object]) -> tuple[object, ...]:
        keys, projection = index["KeySchema"], index["Projection"]
        assert isinstance(keys, list)
        assert isinstance(projection, dict)
        return (
            *(key["AttributeName"] for key in keys),
            *projection.get("NonKeyAttributes", [projection["ProjectionType"]]),
        )

    return {index["IndexName"]: shape(index) for index in found}
