"""How far the runners are behind: what the watchdog noted, how long it is believed, and how often it is asked for."""

import pytest

from playbyplay.adapters.dynamo_backlog import DynamoBacklog
from playbyplay.errors import StoreUnavailable
from tests.fakes.clock import FakeClock
from tests.unit.playbyplay.adapters.recording_aws import RecordingAws, refusal

THROTTLED = [refusal("ThrottlingException")] * 3


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def backlog(aws: RecordingAws, clock: FakeClock, table: str) -> DynamoBacklog:
    return DynamoBacklog(aws, clock, table)


@pytest.fixture
def watchdog(aws: RecordingAws, clock: FakeClock, table: str) -> DynamoBacklog:
    """Return the note as another process sees it."""
    return DynamoBacklog(aws, clock, table)


async def test_nothing_is_known_at_first(backlog: DynamoBacklog, aws: RecordingAws) -> None:
    """Nobody is asked for an age, and where no sweep was noted none is known."""
    assert await backlog.age_s() == 0
    assert aws.calls == []
    await backlog.refresh()
    assert await backlog.age_s() == 0


async def test_what_the_watchdog_noted_is_known_after_a_refresh(
    backlog: DynamoBacklog, watchdog: DynamoBacklog, clock: FakeClock, aws: RecordingAws
) -> None:
    """To the millisecond, in one read of one item; the next note replaces it."""
    await watchdog.note(731.25, clock.now_ms())
    assert await backlog.age_s() == 0
    await backlog.refresh()
    assert await backlog.age_s() == 731.25
    assert aws.operations == ["put_item", "get_item"]
    await watchdog.note(0, clock.now_ms())
    clock.advance(15)
    await backlog.refresh()
    assert await backlog.age_s() == 0


async def test_it_is_asked_for_every_fifteen_seconds_at_the_most(
    backlog: DynamoBacklog, clock: FakeClock, aws: RecordingAws
) -> None:
    """However many messages come."""
    for _ in range(3):
        await backlog.refresh()
    clock.advance(14.999)
    await backlog.refresh()
    assert aws.operations == ["get_item"]
    clock.advance(0.001)
    await backlog.refresh()
    assert aws.operations == ["get_item"] * 2


async def test_an_old_note_is_not_believed(backlog: DynamoBacklog, watchdog: DynamoBacklog, clock: FakeClock) -> None:
    """Three sweeps after it: a watchdog that fell keeps no message out."""
    await watchdog.note(9_000, clock.now_ms())
    await backlog.refresh()
    clock.advance(180)
    assert await backlog.age_s() == 9_000
    clock.advance(0.001)
    assert await backlog.age_s() == 0
    await backlog.refresh()
    assert await backlog.age_s() == 0


async def test_a_note_from_the_future_is_not_believed(
    backlog: DynamoBacklog, watchdog: DynamoBacklog, clock: FakeClock
) -> None:
    """A watchdog whose clock was ahead, and which fell, keeps no message out; clocks may differ by five seconds."""
    await watchdog.note(9_000, clock.now_ms() + 5_001)
    await backlog.refresh()
    assert await backlog.age_s() == 0
    clock.advance(0.001)
    assert await backlog.age_s() == 9_000


@pytest.mark.parametrize("trouble", [THROTTLED, [refusal("ValidationException")], [refusal("AccessDenied")]])
async def test_a_failure_leaves_what_is_known(
    backlog: DynamoBacklog, watchdog: DynamoBacklog, clock: FakeClock, aws: RecordingAws, trouble: list[Exception]
) -> None:
    """Of any kind, a bug of ours too; and a store in trouble is not asked at once again."""
    await watchdog.note(700, clock.now_ms())
    await backlog.refresh()
    clock.advance(15)
    aws.fail("get_item", *trouble)
    await backlog.refresh()
    assert await backlog.age_s() == 700
    aws.calls.clear()
    await backlog.refresh()
    assert aws.calls == []


async def test_a_note_that_was_not_written_is_told(
    watchdog: DynamoBacklog, clock: FakeClock, aws: RecordingAws
) -> None:
    """After three tries."""
    aws.fail("put_item", *THROTTLED)
    with pytest.raises(StoreUnavailable):
        await watchdog.note(1, clock.now_ms())


async def test_a_note_goes_in_an_hour(watchdog: DynamoBacklog, clock: FakeClock, aws: RecordingAws) -> None:
    """Its item belongs to no user, and the table forgets it when no watchdog is left."""
    await watchdog.note(1.5, clock.now_ms())
    (_operation, params), *_ = aws.calls
    now_ms = clock.now_ms()
    assert params["Item"] == {
        "pk": {"S": "BACKLOG"},
        "sk": {"S": "BACKLOG"},
        "age_ms": {"N": "1500"},
        "noted_ms": {"N": str(now_ms)},
        "expires": {"N": str(now_ms // 1000 + 3600)},
    }
