"""Counts the calls a home on AWS makes, at botocore's own hooks, and what DynamoDB counts for each of them.

Units follow the real items: an item is looked at before and after each write, by a client that is not
counted. https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import boto3

from playbyplay.adapters.aws import Aws

Item = dict[str, Any]

_WRITE_BYTES = 1024
_READ_BYTES = 4096
_OF_TRANSACTION = 2  # each item is prepared and committed
# Whether entries of an index count twice as well is not documented; this is the dearer reading.
_WRITES = {"PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems"}


class _Tables:
    """The tables as they are, read through a client that nobody counts."""

    def __init__(self) -> None:
        self._client = boto3.client("dynamodb")
        self._indexes: dict[str, list[tuple[str, ...]]] = {}

    def get(self, table: str, key: Item) -> Item:
        """Return an item, {} where there is none."""
        found: Item = self._client.get_item(TableName=table, Key=key, ConsistentRead=True).get("Item", {})
        return found

    def query(self, params: Item) -> list[Item]:
        """Return the whole items that a query looks at; ours have no filter."""
        found: list[Item] = self._client.query(
            **{name: value for name, value in params.items() if name != "ProjectionExpression"}
        )["Items"]
        return found

    def indexes(self, table: str) -> list[tuple[str, ...]]:
        """Return the key attributes of each index; all our indexes hold all attributes."""
        if table not in self._indexes:
            told = self._client.describe_table(TableName=table)["Table"]
            both = (*told.get("LocalSecondaryIndexes", ()), *told.get("GlobalSecondaryIndexes", ()))
            self._indexes[table] = [tuple(one["AttributeName"] for one in index["KeySchema"]) for index in both]
        return self._indexes[table]


@dataclass(slots=True)
class Calls:
    """What was called since it was made; it is made where the tables are, in moto or beside them.

    Attributes:
        made: calls by service and operation, as botocore names them: `dynamodb PutItem`.
        write_units: of DynamoDB, indexes included.
        read_units: of DynamoDB.
    """

    made: Counter[str] = field(default_factory=Counter)
    write_units: float = 0
    read_units: float = 0
    _tables: _Tables = field(default_factory=_Tables)

    def watch(self, aws: Aws, *services: str) -> None:
        """Count every call of these services that goes through a door, however it ends."""
        for service in services:
            events = aws.client(service).meta.events
            events.register("before-parameter-build", self._before)
            events.register("after-call", self._after)

    def of(self, *calls: str) -> int:
        """Return how often these were called."""
        return sum(self.made[call] for call in calls)

    def _before(self, params: Item, model: Any, context: Item, **_more: object) -> None:  # noqa: ANN401 - botocore's
        service = model.service_model.service_name
        self.made[f"{service} {model.name}"] += 1
        if service == "dynamodb":
            written = list(_written(params)) if model.name in _WRITES else []
            context["bench"] = dict(params), [(table, key, self._tables.get(table, key)) for table, key in written]

    def _after(self, model: Any, parsed: Item, context: Item, **_more: object) -> None:  # noqa: ANN401 - botocore's
        if "bench" not in context:
            return
        params, written = context.pop("bench")
        if model.name in _WRITES:
            times = _OF_TRANSACTION if model.name == "TransactWriteItems" else 1
            self.write_units += times * sum(self._write(table, key, old) for table, key, old in written)
        else:
            self.read_units += self._read(model.name, params, parsed)

    def _write(self, table: str, key: Item, old: Item) -> int:
        new = self._tables.get(table, key)
        base = _units(max(_size(old), _size(new)), _WRITE_BYTES)
        return base + sum(_index_units(keys, old, new) for keys in self._tables.indexes(table))

    def _read(self, operation: str, params: Item, answer: Item) -> float:
        """Return what a read counts: the whole of what it looked at, whatever it returned."""
        if operation == "BatchGetItem":
            found = [one for items in answer.get("Responses", {}).values() for one in items]
            return sum(_units(_size(one), _READ_BYTES) for one in found)  # ours are strongly consistent
        if operation == "Query":
            units = _units(sum(map(_size, self._tables.query(params))), _READ_BYTES)
        else:
            units = _units(_size(self._tables.get(params["TableName"], params["Key"])), _READ_BYTES)
        return units if params.get("ConsistentRead") else units / 2


def _written(params: Item) -> Iterator[tuple[str, Item]]:
    """Yield the table and the key of each item that a call writes."""
    operations: Iterable[Item] = [params]
    if "TransactItems" in params:
        operations = [operation for one in params["TransactItems"] for operation in one.values()]
    for operation in operations:
        whole = operation.get("Key") or operation["Item"]
        yield operation["TableName"], {name: whole[name] for name in ("pk", "sk")}


def _index_units(keys: tuple[str, ...], old: Item, new: Item) -> int:
    """Return what the entry of an item in an index costs: nothing where it does not change, two where it moves."""
    was, now = ({name: item.get(name) for name in keys} for item in (old, new))
    before = _units(_size(old), _WRITE_BYTES) if None not in was.values() else 0
    after = _units(_size(new), _WRITE_BYTES) if None not in now.values() else 0
    if not before or not after or was != now:
        return before + after
    return max(before, after) if old != new else 0


def _units(size: int, unit: int) -> int:
    return max(1, math.ceil(size / unit))


def _size(item: Mapping[str, Mapping[str, Any]]) -> int:
    """Return the bytes of an item, by https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html."""
    return sum(len(name.encode()) + _value_size(value) for name, value in item.items())


def _value_size(value: Mapping[str, Any]) -> int:
    ((kind, held),) = value.items()
    if kind == "S":
        return len(held.encode())
    if kind == "N":
        return 1 + math.ceil(len(held.strip("-")) / 2)
    if kind == "M":
        return 3 + len(held) + _size(held)
    return len(held) if kind == "B" else 1
