"""The journal in DynamoDB beyond its suite: large records, long journals, retries, and when items may go."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from playbyplay.adapters.dynamo_items import plain
from playbyplay.adapters.dynamo_journal import record_item
from playbyplay.adapters.tables import JOURNAL_KEPT_S, blob_key, journal_key
from playbyplay.domain.journal import CheckpointEntry, Record
from playbyplay.errors import OutcomeUnknown, SlotTaken, StoreUnavailable
from tests.contract.aws_homes import AwsHome, moto_home
from tests.histories import RUN, USER, Story

NOW_S = 1_750_000_000


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[AwsHome]:
    async with moto_home(tmp_path) as opened:
        yield opened


def large(text: str, pos: int = 1) -> Record:
    """Return a record of one entry that holds a text."""
    return replace(Story().starts().records[1], pos=pos, entries=(CheckpointEntry(text=text),))


async def items(home: AwsHome, pk: str | None = None) -> list[dict[str, Any]]:
    """Return what the journal table holds, of one partition or of all, by sort key."""
    pages = home.aws.client("dynamodb").get_paginator("scan").paginate(TableName=home.stored.journal)
    found = [plain(one) for page in pages for one in page["Items"]]
    return sorted((one for one in found if pk in (None, one["pk"])), key=lambda one: (one["pk"], one["sk"]))


async def test_a_record_is_one_item_that_goes_after_thirty_days(home: AwsHome) -> None:
    """Its key is the run's and its position, and `expires` is in seconds."""
    record = Story().records[0]
    await home.journal.append(USER, RUN, record)
    (kept,) = await items(home)
    assert (kept["pk"], kept["sk"]) == (f"U#{USER}#RUN#{RUN}", "0000000000")
    assert kept["expires"] == NOW_S + JOURNAL_KEPT_S == NOW_S + 30 * 86_400
    assert kept["entries"] == record.entries_json()
    assert kept == plain(record_item(USER, RUN, record, kept["expires"]))


async def test_entries_too_large_for_an_item_go_beside_it(home: AwsHome) -> None:
    """One million bytes, cut inside characters, come back equal; the record names their hash."""
    record = large("é👩‍👧\u2028" * 70_000)
    assert len(record.entries_json().encode()) > 1_000_000
    await home.journal.append(USER, RUN, record)
    assert await home.journal.read(USER, RUN) == [record]
    (kept,) = await items(home, journal_key(USER, RUN))
    assert "entries" not in kept
    chunks = await items(home, blob_key(USER, RUN, kept["blob"]))
    assert kept["chunks"] == len(chunks) > 2
    assert max(len(one["chunk"]) for one in chunks) <= 350 * 1024
    assert min(one["expires"] for one in chunks) > kept["expires"] + 2 * 86_400


@pytest.mark.parametrize(("size", "aside"), [(290_000, False), (310_000, True), (700_000, True)])
async def test_only_large_entries_go_aside(home: AwsHome, size: int, aside: bool) -> None:  # noqa: FBT001
    """Three hundred kilobytes are the border, in bytes."""
    record = large("x" * size)
    await home.journal.append(USER, RUN, record)
    (kept,) = await items(home, journal_key(USER, RUN))
    assert ("blob" in kept) is aside
    assert await home.journal.read(USER, RUN) == [record]


async def test_side_items_are_written_before_the_record_that_names_them(home: AwsHome) -> None:
    """Where they cannot be written there is no record, and the same append can be made again."""
    record = large("x" * 400_000)
    home.aws.fault = "throttled"
    with pytest.raises(StoreUnavailable):
        await home.journal.append(USER, RUN, record)
    home.aws.fault = None
    assert await items(home) == []
    await home.journal.append(USER, RUN, record)
    assert await home.journal.read(USER, RUN) == [record]


async def test_a_missing_side_item_is_told(home: AwsHome) -> None:
    """A record that is not whole is never read as a shorter one."""
    await home.journal.append(USER, RUN, large("x" * 800_000))
    (kept,) = await items(home, journal_key(USER, RUN))
    key = {"pk": {"S": blob_key(USER, RUN, kept["blob"])}, "sk": {"S": "0000000001"}}
    await home.aws.call("dynamodb", "delete_item", {"TableName": home.stored.journal, "Key": key})
    with pytest.raises(StoreUnavailable):
        await home.journal.read(USER, RUN)


async def test_a_side_item_of_another_content_is_told(home: AwsHome) -> None:
    """The hash is checked, not the count alone."""
    await home.journal.append(USER, RUN, large("x" * 400_000))
    (kept,) = await items(home, journal_key(USER, RUN))
    forged = {"pk": {"S": blob_key(USER, RUN, kept["blob"])}, "sk": {"S": "0000000001"}, "chunk": {"B": b"[]"}}
    await home.aws.call("dynamodb", "put_item", {"TableName": home.stored.journal, "Item": forged})
    with pytest.raises(StoreUnavailable):
        await home.journal.read(USER, RUN)


async def test_a_long_journal_is_read_page_by_page(home: AwsHome) -> None:
    """Two megabytes are more than one answer holds; all records come, in order."""
    records = [large("x" * 200_000, pos) for pos in range(11)]
    for record in records:
        await home.journal.append(USER, RUN, record)
    home.aws.calls.clear()
    assert await home.journal.read(USER, RUN) == records
    queries = [params for operation, params in home.aws.calls if operation == "query"]
    assert len(queries) > 1
    assert all(query["ConsistentRead"] for query in queries)
    assert await home.journal.read(USER, RUN, from_pos=9) == records[9:]


async def test_the_last_seq_costs_one_item(home: AwsHome) -> None:
    """It is read from the end, strongly consistent."""
    for record in Story().starts().records:
        await home.journal.append(USER, RUN, record)
    home.aws.calls.clear()
    assert await home.journal.last_seq(USER, RUN) == 1
    ((operation, params),) = home.aws.calls
    assert (operation, params["Limit"], params["ConsistentRead"]) == ("query", 1, True)


async def test_an_append_is_tried_once(home: AwsHome) -> None:
    """Whatever becomes of it: who appends reads back and tries again."""
    record = Story().records[0]
    for fault, error in (("throttled", StoreUnavailable), ("lost", OutcomeUnknown), ("unanswered", OutcomeUnknown)):
        home.aws.calls.clear()
        home.aws.plan(fault)
        with pytest.raises(error):
            await home.journal.append(USER, RUN, record)
        assert [operation for operation, _params in home.aws.calls] == ["put_item"]
    with pytest.raises(SlotTaken):
        await home.journal.append(USER, RUN, record)


async def test_a_read_is_tried_again(home: AwsHome) -> None:
    """Two answers that got lost are no reason to fail."""
    records = Story().records
    await home.journal.append(USER, RUN, records[0])
    home.aws.plan("lost", "throttled")
    assert await home.journal.read(USER, RUN) == records
