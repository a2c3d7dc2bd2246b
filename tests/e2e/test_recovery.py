"""A runner that falls while its server goes on, and one at work whose lease ends: who goes on, and how soon."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from agent_runner.agent import tool
from agent_runner.model import ModelRequest, ModelResponse, OnText
from agent_runner.registry import Registry
from local.run_queue import LocalRunQueue, QueuedJob
from local.sqlite_run_store import SqliteRunStore
from playbyplay.domain.timing import ONE_MACHINE
from playbyplay.ports import Job
from tests.e2e.home import Member, plain_agent, running_home
from tests.e2e.raw_socket import ClosedByServerError
from tests.fakes.clock import FakeClock
from tests.fakes.model import FakeModel, calls, says

GOES_ON_S = 4.0
WITHOUT_JOB_S = 5.0
FALLS_AFTER_S = (0.1, 0.9, 1.6)  # of the runner's work: before and after it renewed its lease


async def thinks_for_ever(_request: ModelRequest, _on_text: OnText) -> ModelResponse:
    """Keep the runner at work until it falls."""
    await asyncio.get_running_loop().create_future()
    return says("Too late.")


class Leaping:
    """A clock that goes like that of the machine until it leaps."""

    def __init__(self) -> None:
        self.ahead_ms = 0

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000 + self.ahead_ms


def fall() -> None:
    """Let every runner of this process fall: its task ends where it stands, and nothing of it is said or released."""
    for task in asyncio.all_tasks():
        if getattr(task.get_coro(), "__qualname__", "") == "Supervisor.run":
            task.cancel()


async def heard(member: Member, *kinds: str, seconds: float) -> float:
    """Return how long it takes until one of these frames comes."""
    begin = time.monotonic()
    async with asyncio.timeout(seconds):
        await member.until(*kinds)
    return time.monotonic() - begin


@pytest.mark.parametrize("falls_after_s", FALLS_AFTER_S)
async def test_a_run_whose_runner_fell_goes_on(tmp_path: Path, falls_after_s: float) -> None:
    """Within 4 s its user hears the next event."""
    async with running_home(tmp_path, model=FakeModel(thinks_for_ever, says("So."))) as home:
        member = await home.join()
        member.begin()
        await member.until("agent_started")
        await asyncio.sleep(falls_after_s)
        fall()
        took_s = await heard(member, "agent_completed", seconds=GOES_ON_S)
        await member.until("final_response")
        assert took_s < GOES_ON_S
        assert not home.crashes()


@pytest.mark.parametrize("falls_after_s", FALLS_AFTER_S)
async def test_a_run_whose_job_is_lost_too_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, falls_after_s: float
) -> None:
    """Within 5 s, for the watchdog misses it."""
    async with running_home(tmp_path, model=FakeModel(thinks_for_ever, says("So."))) as home:
        member = await home.join()
        member.begin()
        await member.until("agent_started")
        monkeypatch.setattr(LocalRunQueue, "show_when_due", _lose)
        await asyncio.sleep(falls_after_s)
        fall()
        await heard(member, "agent_completed", seconds=WITHOUT_JOB_S)
        await member.until("final_response")
        assert len(home.log.of("job_sent_again")) == 1


async def test_a_run_whose_job_was_lost_before_anybody_took_it_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within 5 s of its accept, and so does the turn behind it whose job is lost as well."""
    lost: list[Job] = []
    send = LocalRunQueue.send

    async def loses_the_first_of_each_run(queue: LocalRunQueue, job: Job) -> None:
        if job in lost:
            await send(queue, job)
        else:
            lost.append(job)

    monkeypatch.setattr(LocalRunQueue, "send", loses_the_first_of_each_run)
    async with running_home(tmp_path, model=FakeModel(says("So."), repeats=True)) as home:
        member = await home.join()
        member.begin()
        accepted = (await member.until("message_accepted"))[-1]
        member.begin("And then?", thread_id=accepted["thread_id"])
        await heard(member, "final_response", seconds=WITHOUT_JOB_S)
        await heard(member, "final_response", seconds=WITHOUT_JOB_S)
        assert len(lost) == 2


@pytest.mark.parametrize("jobs", [1, 2])
async def test_a_run_at_work_is_nobody_elses_when_the_clock_leaps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jobs: int
) -> None:
    """As when a machine wakes: its owner renews first, so an unsafe tool at work is not called uncertain.

    Neither the watchdog takes the run over nor, where its job was delivered twice, the runner that has the other.
    """
    gate, clock, renewed = asyncio.Event(), Leaping(), asyncio.Event()

    @tool(semantics="unsafe", running="Paying the bill")
    async def pay_bill() -> str:
        """Pay the bill."""
        await gate.wait()
        return "Paid."

    renew, send = SqliteRunStore.renew, LocalRunQueue.send

    async def tells(*run: Any, **lease: Any) -> bool:
        done = await renew(*run, **lease)
        renewed.set()
        return done

    async def sends(queue: LocalRunQueue, job: Job) -> None:
        for _ in range(jobs):
            await send(queue, job)

    monkeypatch.setattr(SqliteRunStore, "renew", tells)
    monkeypatch.setattr(LocalRunQueue, "send", sends)
    model, registry = FakeModel(calls("pay_bill"), says("So.")), Registry((), root=plain_agent(tools=(pay_bill,)))
    async with running_home(tmp_path, model=model, registry=registry, clock=clock) as home:
        member = await home.join()
        member.begin()
        await member.until("tool_executing")
        renewed.clear()
        await asyncio.wait_for(renewed.wait(), 3)
        clock.ahead_ms += 600_000  # the next renewal is a second away, the next sweep half a second at the most
        await asyncio.sleep(ONE_MACHINE.lease_s)
        gate.set()
        frames = await member.until("final_response")
        assert [frame["status"] for frame in frames if frame["type"] == "tool_completed"] == ["ok"]
        assert len(home.log.of("run_acquired")) == 1
        assert home.log.of("job_sent_again") == []


async def test_a_server_at_rest_says_nothing(tmp_path: Path) -> None:
    """It sweeps twice a second, and that is no news."""
    async with running_home(tmp_path) as home:
        await asyncio.sleep(1.3)
        assert home.log.names == ["server_started"]


async def test_a_connection_that_outlived_its_session_is_closed(tmp_path: Path) -> None:
    """Within two sweeps, though it is idle; a younger one stays."""
    clock = FakeClock(time.time_ns() // 1_000_000)
    async with running_home(tmp_path, clock=clock) as home:
        old = await home.join()
        clock.advance(11 * 3600)
        young = await home.join()
        await asyncio.sleep(0.7)
        assert old.socket.is_open
        clock.advance(3601)
        with pytest.raises(ClosedByServerError, match="1000"):
            await heard(old, "error", seconds=2)
        assert await young.hears_nothing() == {}
        assert [fields["closed"] for fields in home.log.of("watchdog_swept")] == [1]


def _lose(_queue: LocalRunQueue, _queued: QueuedJob) -> None:
    """The memory that held the job is gone."""
