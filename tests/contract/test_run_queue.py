"""The queue: what is sent is received, in order where nothing fails."""

import asyncio
from dataclasses import replace

import pytest

from local.run_queue import LocalRunQueue
from playbyplay.errors import StoreUnavailable
from playbyplay.ports import MAX_HOPS, Job
from tests.contract.aws_homes import AwsHome
from tests.contract.home import Home
from tests.fakes.faults import fail_before
from tests.fakes.ids import uuid
from tests.fakes.run_queue import FakeRunQueue
from tests.histories import OTHER, USER

JOBS = [Job(USER, uuid(1)), Job(OTHER, uuid(1)), Job(USER, uuid(2))]


async def received(home: Home, count: int) -> list[Job]:
    """Take jobs on the receiving side of a home's queue."""
    queue = home.queue
    if isinstance(queue, FakeRunQueue):
        return [queue.waiting.popleft() for _ in range(count)]
    if isinstance(home, AwsHome):
        return [await home.received() for _ in range(count)]
    assert isinstance(queue, LocalRunQueue)
    return [(await asyncio.wait_for(queue.receive(), 1)).job for _ in range(count)]


async def test_a_job_carries_ids_and_a_count_and_nothing_else(home: Home) -> None:
    """User and run come out as they went in, first in, first out; none of them was ever handed on."""
    for job in JOBS:
        await home.queue.send(job)
    assert await received(home, 3) == JOBS
    assert [job.hops for job in JOBS] == [0, 0, 0]
    assert Job.__slots__ == ("user", "run_id", "hops")


@pytest.mark.parametrize("hops", [1, MAX_HOPS])
async def test_a_job_carries_how_often_it_was_handed_on(home: Home, hops: int) -> None:
    """Up to the last time it may be."""
    handed_on = replace(JOBS[0], hops=hops)
    await home.queue.send(handed_on)
    assert await received(home, 1) == [handed_on]


async def test_a_job_sent_twice_is_received(home: Home) -> None:
    """A repeat may be delivered again, and is never refused."""
    for _ in range(2):
        await home.queue.send(JOBS[0])
    assert await received(home, 1) == [JOBS[0]]


async def test_a_job_the_queue_could_not_take_was_not_sent() -> None:
    """After StoreUnavailable nobody receives it."""
    queue = FakeRunQueue()
    queue.faults.plan("queue.send", fail_before())
    with pytest.raises(StoreUnavailable):
        await queue.send(JOBS[0])
    assert not queue.waiting


async def test_a_job_shown_again_comes_again_after_the_delay() -> None:
    """The receiver of the one-machine queue delivers it once more, and its receipt takes an extension."""
    queue = LocalRunQueue()
    await queue.send(JOBS[0])
    queued = await queue.receive()
    await queued.extend(45)
    queue.show_again(queued, 0.01)
    await queue.send(JOBS[2])
    assert (await queue.receive()).job == JOBS[2]
    assert (await asyncio.wait_for(queue.receive(), 1)).job == JOBS[0]


async def test_a_receiver_waits_for_the_next_job() -> None:
    """With nothing to do `receive` does not return."""
    queue = LocalRunQueue()
    waiting = asyncio.ensure_future(queue.receive())
    await asyncio.sleep(0.01)
    assert not waiting.done()
    await queue.send(JOBS[1])
    assert (await asyncio.wait_for(waiting, 1)).job == JOBS[1]
