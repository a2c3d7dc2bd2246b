"""When a connection left last: what it costs, and what a removal that broke off, or met another, leaves of it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from playbyplay.adapters.dynamo_connection_store import DynamoConnectionStore
from playbyplay.adapters.dynamo_departures import Departures
from playbyplay.domain.connection import Session
from playbyplay.errors import StoreUnavailable
from tests.contract.aws_homes import AwsHome, Fault, moto_home
from tests.fakes.clock import FakeClock
from tests.histories import OTHER, USER
from tests.unit.playbyplay.adapters.recording_aws import RecordingAws

NOW = 1_750_000_000_000
SESSION = Session(USER, NOW + 43_200_000)
REMOVAL = 4  # calls: is it there, it leaves, both rows go


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[AwsHome]:
    async with moto_home(tmp_path) as opened:
        opened.clock.ms = NOW
        yield opened


def another(home: AwsHome, clock: FakeClock | None = None) -> DynamoConnectionStore:
    """Return the store of another process."""
    return DynamoConnectionStore(home.aws, clock or home.clock, home.stored.connections)


async def test_nothing_is_known_of_who_never_left(aws: RecordingAws, table: str) -> None:
    """Whoever else did; asking costs one call, which is strongly consistent."""
    departures = Departures(aws, table)
    await departures.note(USER, NOW)
    aws.calls.clear()
    assert await departures.last_ms(OTHER) is None
    ((operation, params),) = aws.calls
    assert operation == "get_item"
    assert params["ConsistentRead"]


async def test_the_last_who_left_counts(aws: RecordingAws, table: str) -> None:
    """In whichever order they are noted: clocks differ, and a note may be late. Each note costs one call."""
    departures = Departures(aws, table)
    for at_ms, last_ms in ((NOW, NOW), (NOW + 7, NOW + 7), (NOW + 7, NOW + 7), (NOW + 3, NOW + 7)):
        aws.calls.clear()
        await departures.note(USER, at_ms)
        assert aws.operations == ["update_item"]
        assert await departures.last_ms(USER) == last_ms


async def test_a_note_is_kept_as_long_as_a_connection(aws: RecordingAws, table: str) -> None:
    """A session and an hour, counted from the last who left."""
    departures = Departures(aws, table)
    for at_ms in (NOW, NOW + 60_000):
        await departures.note(USER, at_ms)
        key = {"pk": {"S": f"U#{USER}"}, "sk": {"S": "LEFT"}}
        kept = (await aws.call("dynamodb", "get_item", {"TableName": table, "Key": key}))["Item"]
        assert kept == key | {
            "at_ms": {"N": str(at_ms)},
            "expires": {"N": str(at_ms // 1000 + 12 * 3600 + 3600)},
        }


async def test_users_with_names_like_keys_leave_by_themselves(aws: RecordingAws, table: str) -> None:
    """A note is of one user."""
    departures = Departures(aws, table)
    await departures.note(f"{USER}#", NOW)
    assert await departures.last_ms(USER) is None


@pytest.mark.parametrize("call", range(REMOVAL))
@pytest.mark.parametrize("fault", ["lost", "unanswered"])
async def test_a_removal_that_broke_off_tells_no_time_at_which_the_user_was_there(
    home: AwsHome, call: int, fault: Fault
) -> None:
    """Whichever call it was: the connection is there, or the note is of this removal. Repeated, it is finished."""
    for at_ms in (NOW, NOW + 60_000):
        home.clock.ms = at_ms
        await home.connections.add("one=", SESSION, now_ms=at_ms)
        if at_ms == NOW:
            await home.connections.remove("one=")
    home.clock.ms = NOW + 120_000
    home.aws.plan(*[None] * call, fault, "throttled", "throttled")
    with pytest.raises(StoreUnavailable):
        await home.connections.remove("one=")
    there = bool(await home.connections.subscribers(USER))
    assert await another(home).left_ms(USER) == (None if there else NOW + 120_000)
    home.clock.ms = NOW + 121_000
    await another(home).remove("one=")
    assert await another(home).left_ms(USER) == (NOW + 121_000 if there else NOW + 120_000)
    assert await another(home).subscribers(USER) == []


@pytest.mark.parametrize("call", range(REMOVAL))
async def test_who_comes_while_another_leaves_is_there(home: AwsHome, call: int) -> None:
    """Between any two calls of the removal, by another connection; and left last when that leaves."""
    await home.connections.add("leaving=", SESSION, now_ms=NOW)
    home.clock.ms = NOW + 60_000
    home.aws.plan(*[None] * call, lambda: another(home).add("coming=", SESSION, now_ms=NOW + 60_000))
    await home.connections.remove("leaving=")
    assert await home.connections.left_ms(USER) is None
    assert [one.connection_id for one in await home.connections.subscribers(USER)] == ["coming="]
    home.clock.ms = NOW + 90_000
    await another(home).remove("coming=")
    assert await home.connections.left_ms(USER) == NOW + 90_000


@pytest.mark.parametrize("call", range(REMOVAL))
async def test_two_who_forget_one_connection_note_one_departure(home: AwsHome, call: int) -> None:
    """The runner that finds it closed, and the function that is told so: the later that still found it counts."""
    await home.connections.add("one=", SESSION, now_ms=NOW)
    home.clock.ms = NOW + 60_000
    late = FakeClock(NOW + 60_005)
    home.aws.plan(*[None] * call, lambda: another(home, late).remove("one="))
    await home.connections.remove("one=")
    left_ms = NOW + (60_005 if call < REMOVAL - 1 else 60_000)
    assert await home.connections.left_ms(USER) == left_ms
    await another(home, FakeClock(NOW + 99_000)).remove("one=")
    assert await home.connections.left_ms(USER) == left_ms
    assert await home.connections.subscribers(USER) == []
