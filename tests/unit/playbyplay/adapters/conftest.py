"""A door to an AWS in memory, with one table of the shape they all have."""

from collections.abc import Iterator

import boto3
import pytest

from tests.contract.moto_lock import locked_moto
from tests.fakes.log import FakeLog
from tests.unit.playbyplay.adapters.recording_aws import RecordingAws

TABLE = "table"


@pytest.fixture
def log() -> FakeLog:
    return FakeLog()


@pytest.fixture
def aws(log: FakeLog) -> Iterator[RecordingAws]:
    """Open a door to an empty AWS."""
    with locked_moto():
        door = RecordingAws(log)
        yield door
        door.close()


@pytest.fixture
def table(aws: RecordingAws) -> str:
    """Make a table of keys `pk` and `sk`; return its name."""
    boto3.client("dynamodb").create_table(
        TableName=TABLE,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
    )
    return TABLE
