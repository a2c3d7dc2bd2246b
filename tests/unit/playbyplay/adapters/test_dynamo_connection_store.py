"""Connections in DynamoDB: what the contract suite cannot see, which is the rows and what they cost."""

from typing import Any

import boto3
import pytest

from playbyplay.adapters.dynamo_connection_store import _REMEMBERED, DynamoConnectionStore
from playbyplay.adapters.tables import SHARDS
from playbyplay.domain.connection import MAX_PER_USER, Session, Subscriber
from playbyplay.errors import StoreUnavailable
from tests.contract.tables import Stored
from tests.fakes.clock import FakeClock
from tests.histories import OTHER, USER
from tests.unit.playbyplay.adapters.recording_aws import RecordingAws, refusal

NOW = 1_750_000_000_000
SESSION = Session(USER, NOW + 43_200_000)
LATER = Session(USER, NOW + 43_260_000)
TTL = {"N": str((NOW + 43_200_000) // 1000 + 3600)}
THROTTLED = refusal("ThrottlingException")
REMOVAL = ["get_item", "update_item", "delete_item", "delete_item"]  # is it there; it leaves; both rows go


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOW)


@pytest.fixture
def store(aws: RecordingAws, clock: FakeClock, table: str) -> DynamoConnectionStore:
    return DynamoConnectionStore(aws, clock, table)


@pytest.fixture
def other_process(aws: RecordingAws, clock: FakeClock, table: str) -> DynamoConnectionStore:
    """Return a store that remembers nothing of what the first one did."""
    return DynamoConnectionStore(aws, clock, table)


def rows(table: str) -> dict[tuple[str, str], dict[str, Any]]:
    """Return every row by its key."""
    items = boto3.client("dynamodb").scan(TableName=table)["Items"]
    return {(item.pop("pk")["S"], item.pop("sk")["S"]): item for item in items}


def there(table: str) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the rows of connections: all but those that tell when one left."""
    return {key: row for key, row in rows(table).items() if key[1] != "LEFT"}


def ids(subscribers: list[Subscriber]) -> list[str]:
    return [one.connection_id for one in subscribers]


async def fill(store: DynamoConnectionStore, count: int = MAX_PER_USER) -> list[str]:
    """Add connections of rising age; return their ids, oldest first."""
    names = [f"{number:02d}=" for number in range(count)]
    for number, name in enumerate(names):
        session = Session(USER, SESSION.expires_ms + number)
        assert await store.add(name, session, now_ms=NOW + number) == []
    return names


async def test_a_connection_is_two_rows(store: DynamoConnectionStore, table: str) -> None:
    """One by its id, one among its user's; both expire an hour after the session."""
    await store.add("one=", SESSION, now_ms=NOW)
    expires = {"session_expires_ms": {"N": str(SESSION.expires_ms)}, "expires": TTL}
    mine = {"opened_ms": {"N": str(NOW)}, "lagging": {"BOOL": False}, "session_shard": {"S": "0"}}
    assert rows(table) == {
        ("CONN#one=", "CONN"): {"user": {"S": USER}, **expires},
        (f"U#{USER}", "SUB#one="): mine | expires,
    }


async def test_what_adding_costs(store: DynamoConnectionStore, aws: RecordingAws) -> None:
    """Three calls for a new connection, one for each time it asserts itself after that."""
    await store.add("one=", SESSION, now_ms=NOW)
    assert aws.operations == ["put_item", "put_item", "query"]
    for _ in range(2):
        await store.add("one=", SESSION, now_ms=NOW + 1)
    assert aws.operations == ["put_item", "put_item", "query", "put_item", "put_item"]


async def test_who_gives_way_leaves_no_row(store: DynamoConnectionStore, table: str) -> None:
    """Both rows of the oldest go, and of nobody else; when it left is not noted, for others are there."""
    names = await fill(store)
    assert await store.add("new=", LATER, now_ms=NOW + 99) == [names[0]]
    found = {key[0] for key in rows(table)} | {key[1] for key in rows(table)}
    assert not {"CONN#00=", "SUB#00="} & found
    assert len(rows(table)) == 2 * MAX_PER_USER


@pytest.mark.parametrize("new", ["00=", "zz="])
async def test_a_new_connection_is_the_last_of_its_moment(store: DynamoConnectionStore, new: str) -> None:
    """However its id sorts among those that were opened in the same millisecond."""
    for number in range(MAX_PER_USER):
        await store.add(f"m{number}=", SESSION, now_ms=NOW)
    assert await store.add(new, SESSION, now_ms=NOW) not in ([], [new])


async def test_who_gave_way_gives_way_again(store: DynamoConnectionStore, table: str) -> None:
    """An old connection that asserts itself is told so, however young its new row is, and the others stay."""
    names = await fill(store)
    await store.add("new=", LATER, now_ms=NOW + 99)
    for _ in range(2):
        assert await store.add(names[0], SESSION, now_ms=NOW + 5_000) == [names[0]]
        assert ids(await store.subscribers(USER)) == [*names[1:], "new="]
    assert len(rows(table)) == 2 * MAX_PER_USER


async def test_a_lost_answer_is_no_reason_to_stop_half_way(
    store: DynamoConnectionStore, aws: RecordingAws, table: str
) -> None:
    """A try that finds the row of the try before it goes on: the other row is put, the oldest gives way."""
    names = await fill(store)
    aws.lose_answer("put_item")
    assert await store.add("new=", LATER, now_ms=NOW + 99) == [names[0]]
    assert ("CONN#new=", "CONN") in rows(table)


async def test_sessions_that_are_over_get_no_frames(store: DynamoConnectionStore, clock: FakeClock) -> None:
    """From the moment a session ends, though its row may stay for days."""
    await store.add("old=", SESSION, now_ms=NOW)
    await store.add("new=", LATER, now_ms=NOW)
    clock.ms = SESSION.expires_ms - 1
    assert ids(await store.subscribers(USER)) == ["old=", "new="]
    clock.ms = SESSION.expires_ms
    assert ids(await store.subscribers(USER)) == ["new="]


async def test_subscribers_are_at_most_the_ten_newest(store: DynamoConnectionStore, aws: RecordingAws) -> None:
    """Oldest first, also where giving way broke off and more than ten rows stand."""
    names = await fill(store)
    aws.fail("delete_item", *[THROTTLED] * 3)
    with pytest.raises(StoreUnavailable):
        await store.add("new=", LATER, now_ms=NOW + 99)
    assert ids(await store.subscribers(USER)) == [*names[1:], "new="]


async def test_every_read_is_strongly_consistent(
    store: DynamoConnectionStore, other_process: DynamoConnectionStore, aws: RecordingAws
) -> None:
    """Also the look for the user of a connection this process has not seen, and that for since when one is gone."""
    await store.add("one=", SESSION, now_ms=NOW)
    await store.subscribers(USER)
    await other_process.remove("one=")
    assert await store.left_ms(USER) == NOW
    reads = [params for operation, params in aws.calls if operation in ("query", "get_item")]
    assert len(reads) == 6
    assert all(params["ConsistentRead"] for params in reads)


async def test_another_process_removes_and_marks(
    store: DynamoConnectionStore, other_process: DynamoConnectionStore, aws: RecordingAws, table: str
) -> None:
    """It looks up the user once and remembers it."""
    await store.add("one=", SESSION, now_ms=NOW)
    aws.calls.clear()
    await other_process.mark_lagging("one=", lagging=True)
    assert await store.subscribers(USER) == [Subscriber("one=", NOW, lagging=True)]
    await other_process.remove("one=")
    assert aws.operations == ["get_item", "update_item", "query", *REMOVAL]
    assert there(table) == {}


async def test_who_read_the_subscribers_knows_their_user(
    store: DynamoConnectionStore, other_process: DynamoConnectionStore, aws: RecordingAws
) -> None:
    """A fan-out that finds a connection gone removes it without a look."""
    await store.add("one=", SESSION, now_ms=NOW)
    await other_process.subscribers(USER)
    aws.calls.clear()
    await other_process.remove("one=")
    assert aws.operations == REMOVAL


async def test_an_unknown_connection_costs_one_look(store: DynamoConnectionStore, aws: RecordingAws) -> None:
    """And nothing is written for it."""
    await store.remove("gone=")
    await store.mark_lagging("gone=", lagging=True)
    assert aws.operations == ["get_item", "get_item"]


@pytest.mark.parametrize("deleted", [0, 1])
async def test_a_removal_that_broke_off_can_be_done_again(
    store: DynamoConnectionStore, other_process: DynamoConnectionStore, aws: RecordingAws, table: str, deleted: int
) -> None:
    """However many rows are gone by then, another process finds the user and deletes the rest."""
    await store.add("one=", SESSION, now_ms=NOW)
    aws.fail("delete_item", *[None] * deleted, *[THROTTLED] * 3)
    with pytest.raises(StoreUnavailable):
        await store.remove("one=")
    assert len(there(table)) == 2 - deleted
    await other_process.remove("one=")
    assert there(table) == {}


async def test_a_mark_brings_nobody_back(store: DynamoConnectionStore, aws: RecordingAws, table: str) -> None:
    """A connection this process remembers and another removed stays away."""
    await store.add("one=", SESSION, now_ms=NOW)
    await DynamoConnectionStore(aws, FakeClock(NOW), table).remove("one=")
    await store.mark_lagging("one=", lagging=True)
    assert aws.operations[-1] == "update_item"
    assert there(table) == {}


async def test_users_with_names_like_keys_share_nothing(store: DynamoConnectionStore) -> None:
    """A user whose name begins with another's gets none of its frames."""
    await store.add("one=", SESSION, now_ms=NOW)
    await store.add("two=", Session(f"{USER}#", SESSION.expires_ms), now_ms=NOW)
    await store.add("three=", Session(OTHER, SESSION.expires_ms), now_ms=NOW)
    assert ids(await store.subscribers(USER)) == ["one="]
    assert ids(await store.subscribers(f"{USER}#")) == ["two="]


async def test_a_throttled_store_says_so(store: DynamoConnectionStore, aws: RecordingAws) -> None:
    """After three tries, and a single refusal is not noticed."""
    aws.fail("query", THROTTLED)
    assert await store.subscribers(USER) == []
    aws.fail("query", *[THROTTLED] * 3)
    with pytest.raises(StoreUnavailable):
        await store.subscribers(USER)


async def test_receipts_cost_one_call(store: DynamoConnectionStore, aws: RecordingAws, table: str) -> None:
    """They are kept in the row that a fan-out reads anyway; nobody is brought back by them."""
    await store.add("one=", SESSION, now_ms=NOW)
    aws.calls.clear()
    await store.receive("one=", {"run": 7}, now_ms=NOW + 5)
    assert aws.operations == ["update_item"]
    row = rows(table)[f"U#{USER}", "SUB#one="]
    assert row["receipts"] == {"M": {"run": {"N": "7"}}}
    assert row["received_ms"] == {"N": str(NOW + 5)}
    await DynamoConnectionStore(aws, FakeClock(NOW), table).remove("one=")
    await store.receive("one=", {"run": 8}, now_ms=NOW + 6)
    assert there(table) == {}


async def test_who_was_removed_by_another_process_leaves_no_second_time(
    store: DynamoConnectionStore, other_process: DynamoConnectionStore, aws: RecordingAws, clock: FakeClock
) -> None:
    """Though this process remembers whose it was."""
    await store.add("one=", SESSION, now_ms=NOW)
    await other_process.remove("one=")
    clock.advance(5)
    aws.calls.clear()
    await store.remove("one=")
    assert "update_item" not in aws.operations
    assert await store.left_ms(USER) == NOW


async def test_a_row_without_the_time_of_its_receipts_is_read(
    store: DynamoConnectionStore, aws: RecordingAws, table: str
) -> None:
    """As an earlier version wrote it."""
    await store.add("one=", SESSION, now_ms=NOW)
    await store.receive("one=", {"run": 7}, now_ms=NOW + 5)
    key = {"pk": {"S": f"U#{USER}"}, "sk": {"S": "SUB#one="}}
    update = {"TableName": table, "Key": key, "UpdateExpression": "REMOVE received_ms"}
    await aws.call("dynamodb", "update_item", update)
    assert await store.subscribers(USER) == [Subscriber("one=", NOW, receipts={"run": 7})]


async def test_since_when_a_user_is_gone_is_one_look_more_than_who_is_there(
    store: DynamoConnectionStore, aws: RecordingAws, table: str
) -> None:
    """And none while somebody is; the note is one small row, which goes as the row of a connection would."""
    await store.add("one=", SESSION, now_ms=NOW)
    aws.calls.clear()
    assert await store.left_ms(USER) is None
    assert aws.operations == ["query"]
    await store.remove("one=")
    aws.calls.clear()
    assert await store.left_ms(USER) == NOW
    assert aws.operations == ["query", "get_item"]
    assert rows(table) == {(f"U#{USER}", "LEFT"): {"at_ms": {"N": str(NOW)}, "expires": TTL}}


async def test_a_session_that_is_over_leaves_with_it(store: DynamoConnectionStore, clock: FakeClock) -> None:
    """Whether its row is still there or was removed late."""
    await store.add("old=", SESSION, now_ms=NOW)
    await store.add("older=", Session(USER, SESSION.expires_ms - 5), now_ms=NOW)
    clock.ms = SESSION.expires_ms - 1
    assert await store.left_ms(USER) is None
    clock.ms = SESSION.expires_ms + 90_000
    assert await store.left_ms(USER) == SESSION.expires_ms
    await store.remove("old=")
    assert await store.left_ms(USER) == SESSION.expires_ms
    await store.remove("older=")
    assert await store.left_ms(USER) == SESSION.expires_ms


class Gate:
    """A connections table with its index."""

    def __init__(self, aws: RecordingAws, clock: FakeClock, table: str) -> None:
        self.aws, self.clock, self.table = aws, clock, table
        self.store = self.another()

    def another(self) -> DynamoConnectionStore:
        """Return a store that remembers nothing."""
        return DynamoConnectionStore(self.aws, self.clock, self.table)


@pytest.fixture
async def gate(aws: RecordingAws, clock: FakeClock) -> Gate:
    return Gate(aws, clock, (await Stored.made(aws)).connections)


async def test_sessions_that_are_over_are_found_in_every_shard(gate: Gate) -> None:
    """Of all users, those that ended first come first; one page of each shard is read."""
    for number in range(4 * SHARDS):
        session = Session(f"user {number % 9}", NOW + 40 - number)
        await gate.store.add(f"{number}=", session, now_ms=NOW - 9)
    gate.aws.calls.clear()
    ended = [f"{number}=" for number in range(4 * SHARDS - 1, -1, -1)]
    assert await gate.another().outlived(now_ms=NOW + 40, limit=96) == ended
    assert gate.aws.operations == ["query"] * SHARDS
    assert await gate.another().outlived(now_ms=NOW + 40, limit=3) == ended[:3]


async def test_who_outlived_its_session_is_removed_without_a_look(gate: Gate) -> None:
    """For its user, whom the index tells; neither row stays, and it is not found again."""
    await gate.store.add("one=", Session(USER, NOW), now_ms=NOW - 9)
    other = gate.another()
    assert await other.outlived(now_ms=NOW, limit=96) == ["one="]
    gate.aws.calls.clear()
    await other.remove("one=")
    assert gate.aws.operations == REMOVAL
    assert there(gate.table) == {}
    assert await other.outlived(now_ms=NOW, limit=96) == []


async def test_a_connection_added_by_half_is_found_when_its_session_is_over(gate: Gate) -> None:
    """Its row by id was never written: the one among its user's is what the index holds."""
    gate.aws.fail("put_item", None, *[THROTTLED] * 3)
    with pytest.raises(StoreUnavailable):
        await gate.store.add("one=", Session(USER, NOW), now_ms=NOW - 9)
    other = gate.another()
    assert await other.outlived(now_ms=NOW, limit=96) == ["one="]
    await other.remove("one=")
    assert there(gate.table) == {}


async def test_a_store_that_does_not_answer_is_no_empty_list(gate: Gate) -> None:
    """The sweep has to know."""
    gate.aws.fail("query", *[THROTTLED] * 100)
    with pytest.raises(StoreUnavailable):
        await gate.store.outlived(now_ms=NOW, limit=96)


def test_what_is_remembered_is_bounded(store: DynamoConnectionStore) -> None:
    """The longest unused is forgotten first."""
    for number in range(_REMEMBERED):
        store._remember(str(number), USER)
    store._remember("0", USER)
    store._remember("one more", USER)
    assert len(store._users) == _REMEMBERED
    assert "1" not in store._users
    assert {"0", "one more"} <= set(store._users)
