"""What only many clients at once can show, on MiniStack: one slot one winner, and no turn is left unsent."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TypeVar

import pytest

from playbyplay.adapters.dynamo_connection_store import DynamoConnectionStore
from playbyplay.adapters.dynamo_journal import DynamoJournal
from playbyplay.adapters.dynamo_run_store import DynamoRunStore
from playbyplay.domain.connection import Session
from playbyplay.errors import Refused, SlotTaken, StoreUnavailable
from playbyplay.ports import Accepted, Acquired, Job, Limits
from tests.contract.aws_homes import AwsHome, FaultyAws, faulty_aws
from tests.contract.test_run_store import LEASE, NOW, acceptance, accepted_turns
from tests.fakes.clock import FakeClock
from tests.fakes.ids import uuid
from tests.histories import MESSAGE, THREAD, USER, Story

T = TypeVar("T")
CLIENTS = 8


@asynccontextmanager
async def clients(home: AwsHome, count: int = CLIENTS) -> AsyncIterator[list[FaultyAws]]:
    """Open doors of their own, each with its threads and connections, as functions have."""
    doors = [faulty_aws(home.endpoint) for _ in range(count)]
    try:
        yield doors
    finally:
        for door in doors:
            door.close()


def stores(home: AwsHome, doors: list[FaultyAws]) -> list[DynamoRunStore]:
    return [DynamoRunStore(door, home.clock, home.stored.runs, home.stored.journal) for door in doors]


async def test_one_slot_has_one_winner_in_each_of_many_rounds(cloud: AwsHome) -> None:
    """Eight clients append at one position at once; one returns, seven learn, and the winner's record is there."""
    first = Story().records[0]
    async with clients(cloud) as doors:
        journals = [DynamoJournal(door, cloud.clock, cloud.stored.journal) for door in doors]
        for number in range(60):
            run_id = uuid(5_000 + number)
            outcomes = await asyncio.gather(
                *(journal.append(USER, run_id, first) for journal in journals), return_exceptions=True
            )
            assert outcomes.count(None) == 1
            assert sum(isinstance(outcome, SlotTaken) for outcome in outcomes) == CLIENTS - 1
            assert len(await cloud.journal.read(USER, run_id)) == 1


async def test_accepts_that_race_in_one_thread_know_their_places(cloud: AwsHome) -> None:
    """Two clients get turns n and n + 1, and each position counts exactly the open turns before it."""
    await accepted_turns(cloud, 1)
    async with clients(cloud, 2) as doors:
        for number in range(1, 31, 2):
            made = await asyncio.gather(
                *(
                    store.accept(acceptance(number + beside, new_thread=False))
                    for beside, store in enumerate(stores(cloud, doors))
                )
            )
            assert sorted(one.run.turn for one in made) == [number + 1, number + 2]
            assert all(one.position == one.run.turn - 1 for one in made)


async def test_one_message_sent_by_many_clients_makes_one_run(cloud: AwsHome) -> None:
    """One accept is no duplicate, and all name its run."""
    async with clients(cloud) as doors:
        made = await asyncio.gather(
            *(
                store.accept(acceptance(number, message=MESSAGE, thread_id=uuid(900 + number)))
                for number, store in enumerate(stores(cloud, doors))
            )
        )
    assert sum(not one.duplicate for one in made) == 1
    assert len({one.run.run_id for one in made}) == 1


async def test_accepts_of_one_user_that_race_in_many_threads_all_succeed(cloud: AwsHome) -> None:
    """All count in one item of the user's minute: each is counted once, and none is refused for the others."""
    async with clients(cloud) as doors:
        made = await asyncio.gather(
            *(
                store.accept(acceptance(8 * number + beside, thread_id=uuid(900 + 8 * number + beside)))
                for number in range(5)
                for beside, store in enumerate(stores(cloud, doors))
            )
        )
    assert not any(one.duplicate for one in made)
    assert len(await cloud.runs.open_runs(USER, limit=100)) == len(made) == 40
    key = {"pk": {"S": f"U#{USER}"}, "sk": {"S": f"RATE#{NOW // 60_000}"}}
    kept = await cloud.aws.call("dynamodb", "get_item", {"TableName": cloud.stored.runs, "Key": key})
    assert kept["Item"]["accepted"] == {"N": "40"}


async def test_accepts_that_race_for_the_last_places_get_no_more(cloud: AwsHome) -> None:
    """Forty at once of one user who may have five open runs make five, and the others are refused."""
    async with clients(cloud) as doors:
        outcomes = await asyncio.gather(
            *(
                store.accept(
                    replace(
                        acceptance(8 * number + beside, thread_id=uuid(900 + 8 * number + beside)),
                        limits=Limits(open_runs=5),
                    )
                )
                for number in range(5)
                for beside, store in enumerate(stores(cloud, doors))
            ),
            return_exceptions=True,
        )
    assert sum(isinstance(one, Accepted) for one in outcomes) == 5
    assert {one.code for one in outcomes if isinstance(one, Refused)} == {"rate_limited"}
    assert sum(isinstance(one, Refused) for one in outcomes) == 35


async def test_one_of_many_clients_acquires(cloud: AwsHome) -> None:
    """Eight runners reach for one run; one has it, and one attempt is counted."""
    (run,) = await accepted_turns(cloud, 1)
    async with clients(cloud) as doors:
        outcomes = await asyncio.gather(
            *(
                store.acquire(USER, run.run_id, f"owner {number}", now_ms=NOW, lease_until_ms=LEASE)
                for number, store in enumerate(stores(cloud, doors))
            )
        )
    assert sum(isinstance(outcome, Acquired) for outcome in outcomes) == 1
    kept = await cloud.runs.get(USER, run.run_id)
    assert kept is not None
    assert kept.attempts == 1


async def test_a_turn_accepted_while_the_one_before_it_ends_is_sent(cloud: AwsHome) -> None:
    """Either the accept finds nothing ahead, or who settled is told of the new turn: somebody sends it."""
    async with clients(cloud, 2) as doors:
        settling, accepting = stores(cloud, doors)
        for number in range(0, 80, 2):
            thread_id = uuid(2_000 + number)
            before = await cloud.runs.accept(acceptance(number, thread_id=thread_id))
            wanted = acceptance(number + 1, thread_id=thread_id, new_thread=False)
            ended, made = await asyncio.gather(
                _later(number / 8_000, settling.settle(before.run, "completed")), accepting.accept(wanted)
            )
            told = ended.head is not None and ended.head.run_id == made.run.run_id
            assert told or made.position == 0
            assert (await cloud.runs.head(USER, thread_id)) == made.run


async def _later(seconds: float, call: Awaitable[T]) -> T:
    await asyncio.sleep(seconds)
    return await call


async def test_a_user_whose_connections_leave_at_once_is_gone_since_the_last(cloud: AwsHome) -> None:
    """Eight functions forget one each, by clocks that differ, in any order: the latest of their times is kept."""
    session = Session(USER, NOW + 10**9)
    async with clients(cloud) as doors:
        for number in range(20):
            names = [f"{number} {beside}=" for beside in range(CLIENTS)]
            for name in names:
                await cloud.connections.add(name, session, now_ms=NOW)
            assert await cloud.connections.left_ms(USER) is None
            times = [NOW + number * 100 + beside * 37 % 50 for beside in range(CLIENTS)]
            await asyncio.gather(
                *(
                    DynamoConnectionStore(door, FakeClock(at_ms), cloud.stored.connections).remove(name)
                    for door, at_ms, name in zip(doors, times, names, strict=True)
                )
            )
            assert await cloud.connections.left_ms(USER) == max(times)


async def test_many_who_settle_a_run_at_once_end_it_once(cloud: AwsHome) -> None:
    """One of them is told that it did, and the time is that one's."""
    async with clients(cloud) as doors:
        for number in range(20):
            (run,) = await accepted_turns(cloud, 1, thread_id=uuid(2_000 + number), user=f"user {number}")
            times = [NOW + 1_000 * number + beside for beside in range(CLIENTS)]
            enders = [
                DynamoRunStore(door, FakeClock(at_ms), cloud.stored.runs, cloud.stored.journal)
                for door, at_ms in zip(doors, times, strict=True)
            ]
            settled = await asyncio.gather(*(store.settle(run, "completed") for store in enders))
            (first,) = [at_ms for at_ms, one in zip(times, settled, strict=True) if one.changed]
            for _ in range(500):
                if await cloud.ended.between(from_ms=times[0], to_ms=times[-1] + 1, limit=9):
                    break
                await asyncio.sleep(0.01)
            assert await cloud.ended.between(from_ms=first, to_ms=first + 1, limit=9) == [Job(run.user, run.run_id)]


async def test_a_refused_connection_means_that_nothing_was_written(cloud: AwsHome) -> None:
    """Where nobody listens an append and an accept raise StoreUnavailable."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        door = faulty_aws(f"http://127.0.0.1:{taken.getsockname()[1]}")
        try:
            with pytest.raises(StoreUnavailable):
                await DynamoJournal(door, cloud.clock, "journal").append(USER, uuid(1), Story().records[0])
            with pytest.raises(StoreUnavailable):
                await DynamoRunStore(door, cloud.clock, "runs", "journal").accept(acceptance(thread_id=THREAD))
        finally:
            door.close()
