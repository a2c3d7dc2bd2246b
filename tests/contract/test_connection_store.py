"""Connections: ten for each user, the oldest gives way, and each subscribes to its own user's runs."""

import asyncio
from dataclasses import replace

from playbyplay.domain.connection import MAX_PER_USER, Session, Subscriber
from tests.contract.home import Home
from tests.fakes.ids import uuid
from tests.histories import OTHER, USER

NOW = 1_750_000_000_000
MINE = Session(USER, NOW + 1_000_000)
THEIRS = Session(OTHER, NOW + 1_000_000)


async def ids(home: Home, user: str = USER) -> list[str]:
    return [one.connection_id for one in await home.connections.subscribers(user)]


async def opened(home: Home, count: int) -> list[str]:
    """Open connections one second after the other; return their ids, oldest first."""
    names = [f"{count - number:03d}=" for number in range(count)]
    for number, name in enumerate(names):
        assert await home.connections.add(name, MINE, now_ms=NOW + number * 1000) == []
    return names


async def outlived(home: Home, now_ms: int, *names: str) -> None:
    """See that these connections and no others have outlived their session; what a home tells is a moment old."""
    found = None
    for _ in range(500):
        found = sorted(await home.connections.outlived(now_ms=now_ms, limit=96))
        if found == list(names):
            break
        await asyncio.sleep(0.01)
    assert found == list(names)


async def test_a_connection_subscribes_to_its_users_runs(home: Home) -> None:
    """It is there from the moment it is added, not lagging, and nobody else's."""
    assert await home.connections.add("one", MINE, now_ms=NOW) == []
    assert await home.connections.subscribers(USER) == [Subscriber("one", NOW)]
    assert await home.connections.subscribers(OTHER) == []


async def test_a_user_has_several_connections(home: Home) -> None:
    """All of them subscribe, up to ten."""
    names = await opened(home, MAX_PER_USER)
    assert sorted(await ids(home)) == sorted(names)
    assert MAX_PER_USER == 10


async def test_the_eleventh_connection_makes_the_oldest_give_way(home: Home) -> None:
    """The oldest is returned to be closed and gets no more frames."""
    names = await opened(home, 10)
    assert await home.connections.add("new", MINE, now_ms=NOW + 60_000) == [names[0]]
    assert sorted(await ids(home)) == sorted([*names[1:], "new"])
    assert await home.connections.add("newer", MINE, now_ms=NOW + 61_000) == [names[1]]


async def test_connections_of_one_moment_give_way_one_at_a_time(home: Home) -> None:
    """Equal times of opening are no reason to lose two, and never the new one."""
    for number in range(10):
        await home.connections.add(f"{number}", MINE, now_ms=NOW)
    gone = await home.connections.add("new", MINE, now_ms=NOW)
    assert len(gone) == 1
    assert "new" not in gone
    assert sorted([*await ids(home), *gone]) == sorted([*map(str, range(10)), "new"])


async def test_anothers_connections_give_no_way(home: Home) -> None:
    """The ten are counted for each user alone."""
    names = await opened(home, 10)
    assert await home.connections.add("theirs", THEIRS, now_ms=NOW + 60_000) == []
    assert sorted(await ids(home)) == sorted(names)
    assert await ids(home, OTHER) == ["theirs"]


async def test_adding_a_connection_again_changes_nothing(home: Home) -> None:
    """Its time of opening and its lagging mark stay, and nobody gives way."""
    names = await opened(home, 10)
    await home.connections.mark_lagging(names[0], lagging=True)
    before = await home.connections.subscribers(USER)
    assert await home.connections.add(names[0], MINE, now_ms=NOW + 999_000) == []
    assert await home.connections.subscribers(USER) == before
    assert Subscriber(names[0], NOW, lagging=True) in before


async def test_a_connection_that_was_removed_can_come_back(home: Home) -> None:
    """A ping puts a missing row back, as a young connection that does not lag."""
    await opened(home, 1)
    await home.connections.mark_lagging("001=", lagging=True)
    await home.connections.remove("001=")
    assert await ids(home) == []
    assert await home.connections.add("001=", MINE, now_ms=NOW + 5) == []
    assert await home.connections.subscribers(USER) == [Subscriber("001=", NOW + 5)]


async def test_removing_an_unknown_connection_is_no_error(home: Home) -> None:
    """Nor is removing one twice; the others stay."""
    names = await opened(home, 2)
    for connection_id in ("unknown", names[0], names[0]):
        await home.connections.remove(connection_id)
    assert await ids(home) == [names[1]]


async def test_a_lagging_connection_is_marked_until_it_has_resumed(home: Home) -> None:
    """The mark is one connection's own, can be set twice and taken back."""
    await home.connections.add("one", MINE, now_ms=NOW)
    await home.connections.add("two", MINE, now_ms=NOW + 1)
    one, two = Subscriber("one", NOW), Subscriber("two", NOW + 1)
    for _ in range(2):
        await home.connections.mark_lagging("one", lagging=True)
        assert await home.connections.subscribers(USER) == [replace(one, lagging=True), two]
    for _ in range(2):
        await home.connections.mark_lagging("one", lagging=False)
        assert await home.connections.subscribers(USER) == [one, two]


async def test_marking_an_unknown_connection_adds_nothing(home: Home) -> None:
    """A connection that is gone by now is not brought back by its mark."""
    await home.connections.mark_lagging("gone", lagging=True)
    assert await home.connections.subscribers(USER) == []


async def test_receipts_are_kept_until_the_next_ones(home: Home) -> None:
    """The last seq a connection holds of each run, and when it said so; what the next ones do not name is forgotten."""
    now_ms = NOW
    await home.connections.add("one", MINE, now_ms=NOW)
    await home.connections.add("two", MINE, now_ms=NOW + 1)
    one, two = Subscriber("one", NOW), Subscriber("two", NOW + 1)
    for cursors in ({uuid(1): 3, uuid(2): 0}, {uuid(1): 3, uuid(2): 0}, {uuid(2): 7}, {}):
        now_ms += 7
        await home.connections.receive("one", cursors, now_ms=now_ms)
        assert await home.connections.subscribers(USER) == [
            replace(one, receipts=cursors, received_ms=now_ms),
            two,
        ]


async def test_receipts_and_the_lagging_mark_are_two_things(home: Home) -> None:
    """Neither changes the other, and adding a connection again changes neither."""
    await home.connections.add("one", MINE, now_ms=NOW)
    await home.connections.receive("one", {uuid(1): 3}, now_ms=NOW + 5)
    await home.connections.mark_lagging("one", lagging=True)
    await home.connections.add("one", MINE, now_ms=NOW + 9)
    marked = Subscriber("one", NOW, lagging=True, receipts={uuid(1): 3}, received_ms=NOW + 5)
    assert await home.connections.subscribers(USER) == [marked]
    await home.connections.mark_lagging("one", lagging=False)
    assert await home.connections.subscribers(USER) == [replace(marked, lagging=False)]


async def test_receipts_do_not_follow_a_later_change_of_what_was_given(home: Home) -> None:
    """What is kept is what was said then."""
    await home.connections.add("one", MINE, now_ms=NOW)
    cursors = {uuid(1): 3}
    await home.connections.receive("one", cursors, now_ms=NOW + 5)
    cursors[uuid(1)] = 4
    assert await home.connections.subscribers(USER) == [
        Subscriber("one", NOW, receipts={uuid(1): 3}, received_ms=NOW + 5)
    ]


async def test_receipts_of_an_unknown_connection_add_nothing(home: Home) -> None:
    """A connection that is gone by now is not brought back by its ping; one that came back holds nothing."""
    await home.connections.receive("gone", {uuid(1): 3}, now_ms=NOW)
    assert await home.connections.subscribers(USER) == []
    await home.connections.add("one", MINE, now_ms=NOW)
    await home.connections.receive("one", {uuid(1): 3}, now_ms=NOW)
    await home.connections.remove("one")
    await home.connections.add("one", MINE, now_ms=NOW + 5)
    assert await home.connections.subscribers(USER) == [Subscriber("one", NOW + 5)]


async def test_connections_whose_session_is_over_are_told(home: Home) -> None:
    """From the last millisecond of the session on, of every user, until they are removed."""
    for number, user in enumerate((USER, OTHER, USER)):
        await home.connections.add(f"{number}=", Session(user, NOW + number), now_ms=NOW - 9)
    await outlived(home, NOW - 1)
    await outlived(home, NOW + 1, "0=", "1=")
    assert len(await home.connections.outlived(now_ms=NOW + 9, limit=2)) <= 2
    await home.connections.remove("0=")
    await outlived(home, NOW + 1, "1=")


async def test_a_user_is_gone_since_the_last_connection_left(home: Home) -> None:
    """While one is there the user is; before the first one was it is not known."""
    home.clock.ms = NOW
    assert await home.connections.left_ms(USER) is None
    names = await opened(home, 3)
    for number, name in enumerate(names):
        assert await home.connections.left_ms(USER) is None
        home.clock.ms = NOW + 60_000 + number
        await home.connections.remove(name)
    home.clock.ms = NOW + 90_000
    assert await home.connections.left_ms(USER) == NOW + 60_002
    assert await home.connections.left_ms(OTHER) is None


async def test_who_comes_back_is_not_gone(home: Home) -> None:
    """By the same connection or another; and who leaves again is gone since then."""
    for number, name in enumerate(("one", "one", "two")):
        home.clock.ms = NOW + number * 10
        await home.connections.add(name, MINE, now_ms=home.clock.ms)
        assert await home.connections.left_ms(USER) is None
        home.clock.ms += 5
        await home.connections.remove(name)
        assert await home.connections.left_ms(USER) == NOW + number * 10 + 5


async def test_who_is_gone_leaves_no_second_time(home: Home) -> None:
    """Removing what is not there notes nothing, for its user or any other."""
    home.clock.ms = NOW
    await home.connections.add("one", MINE, now_ms=NOW)
    await home.connections.add("two", THEIRS, now_ms=NOW)
    await home.connections.remove("one")
    home.clock.ms = NOW + 9
    for connection_id in ("one", "unknown"):
        await home.connections.remove(connection_id)
    assert await home.connections.left_ms(USER) == NOW
    assert await home.connections.left_ms(OTHER) is None


async def test_who_gave_way_leaves_the_others_there(home: Home) -> None:
    """The user is gone when the last of those is, and since then."""
    names = await opened(home, MAX_PER_USER)
    home.clock.ms = NOW + 60_000
    assert await home.connections.add("new", MINE, now_ms=NOW + 60_000) == [names[0]]
    assert await home.connections.left_ms(USER) is None
    for name in [*names, "new"]:
        home.clock.ms += 1_000
        await home.connections.remove(name)
    assert await home.connections.left_ms(USER) == NOW + 60_000 + 11_000


async def test_the_next_process_knows_since_when_a_user_is_gone(home: Home) -> None:
    """It is kept."""
    home.clock.ms = NOW
    await home.connections.add("one", MINE, now_ms=NOW)
    await home.connections.remove("one")
    await home.reopen()
    assert await home.connections.left_ms(USER) == NOW
