"""The queue in memory: how long a job waits, and when one comes again whose runner fell."""

import asyncio

import pytest

from local.run_queue import LocalRunQueue
from playbyplay.ports import Job
from tests.fakes.ids import uuid
from tests.fakes.leaps import Leaps
from tests.histories import USER

FIRST, SECOND = Job(USER, uuid(1)), Job(USER, uuid(2))


async def test_the_backlog_is_as_old_as_the_job_that_waits_longest(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has no age where nobody waits; asking anew changes nothing."""
    leap, queue = Leaps(monkeypatch), LocalRunQueue()
    assert await queue.age_s() == 0
    await queue.send(FIRST)
    await leap(3)
    await queue.send(SECOND)
    await leap(4)
    await queue.refresh()
    assert await queue.age_s() == pytest.approx(7)
    await queue.receive()
    assert await queue.age_s() == pytest.approx(4)
    await queue.receive()
    assert await queue.age_s() == 0


async def test_a_job_says_how_long_it_waited(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each for itself, and anew each time it is shown; how long it was hidden does not count."""
    leap, queue = Leaps(monkeypatch), LocalRunQueue()
    await queue.send(FIRST)
    await leap(3)
    await queue.send(SECOND)
    await leap(4)
    first, second = await queue.receive(), await queue.receive()
    assert [round(one.age_s, 3) for one in (first, second)] == [7, 4]
    queue.show_again(first, 5)
    await leap(5)
    await leap(2)
    assert (await queue.receive()).age_s == pytest.approx(2)


async def test_a_job_that_is_hidden_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """It counts from when it is shown again."""
    leap, queue = Leaps(monkeypatch), LocalRunQueue()
    await queue.send(FIRST)
    queue.show_again(await queue.receive(), 5)
    await leap(4)
    assert await queue.age_s() == 0
    await leap(1)
    await leap(2)
    assert await queue.age_s() == pytest.approx(2)


async def test_a_job_at_work_is_shown_when_it_is_hidden_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    """So many seconds after the last time it was hidden, whenever that is asked for."""
    leap, queue = Leaps(monkeypatch), LocalRunQueue()
    await queue.send(FIRST)
    queued = await queue.receive()
    await queued.extend(9)
    await leap(1)
    await queued.extend(4)
    await leap(2)
    queue.show_when_due(queued)
    again = asyncio.ensure_future(queue.receive())
    await leap(1.9)
    assert not again.done()
    await leap(0.2)
    assert again.done()
    assert again.result().job == FIRST


async def test_a_receiver_that_gives_up_takes_no_job(monkeypatch: pytest.MonkeyPatch) -> None:
    """The job stays for the next one, and so does its age."""
    leap, queue = Leaps(monkeypatch), LocalRunQueue()
    gone = asyncio.ensure_future(queue.receive())
    await leap(1)
    gone.cancel()
    await queue.send(FIRST)
    await leap(2)
    assert await queue.age_s() == pytest.approx(2)
    assert (await queue.receive()).job == FIRST
