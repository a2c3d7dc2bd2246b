"""The worker: what becomes of a job that is answered, that fails, and whose runner falls without a word."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from agent_runner.supervisor import Supervisor
from local.owners_first import OwnersFirst
from local.run_queue import LocalRunQueue, QueuedJob
from local.worker import RETRY_S, Worker
from playbyplay.domain.timing import ONE_MACHINE
from playbyplay.errors import StoreRefused, Unreadable
from playbyplay.ports import Job, Receipt
from tests.fakes.clock import FakeClock
from tests.fakes.faults import Crash, before
from tests.fakes.ids import uuid
from tests.fakes.leaps import Leaps
from tests.fakes.log import FakeLog
from tests.fakes.model import FakeModel, says
from tests.histories import USER
from tests.house import QUICK, House

HIDDEN_S = 4.0
JOB, OTHER_JOB = Job(USER, uuid(1)), Job(USER, uuid(2))
Doing = Callable[[Receipt], Awaitable[float | None]]


class Planned(Supervisor):
    """Runs jobs as it was told to, one after the other; then all are done with."""

    def __init__(self) -> None:
        self.doings: list[Doing] = []
        self.ran: list[Job] = []

    async def run(self, job: Job, receipt: Receipt, *, ends_s: float | None = None) -> float | None:
        assert ends_s is None
        self.ran.append(job)
        return await self.doings.pop(0)(receipt) if self.doings else None


class Bench:
    """A worker at work, and the time it goes by."""

    def __init__(self, leap: Leaps, concurrent_runs: int) -> None:
        self.leap = leap
        self.clock = FakeClock()
        self.log = FakeLog()
        self.queue = LocalRunQueue()
        self.supervisor = Planned()
        worker = Worker(
            queue=self.queue,
            supervisor=self.supervisor,
            owners_first=OwnersFirst(self.clock, ONE_MACHINE),
            log=self.log,
            visibility_s=HIDDEN_S,
            concurrent_runs=concurrent_runs,
        )
        self.working = asyncio.create_task(worker.work())

    async def comes_again_after(self, seconds: float) -> None:
        """See that the job comes once more when so much time has passed, and not before."""
        ran = len(self.supervisor.ran)
        await self.leap(seconds - 0.1)
        assert self.supervisor.ran[ran:] == []
        await self.leap(0.2)
        assert self.supervisor.ran[ran:] == [JOB]
        await self.leap(60)
        assert self.supervisor.ran[ran:] == [JOB]


@asynccontextmanager
async def bench(monkeypatch: pytest.MonkeyPatch, *doings: Doing, concurrent_runs: int = 8) -> AsyncIterator[Bench]:
    """Let a worker work, with one job sent."""
    bench = Bench(Leaps(monkeypatch), concurrent_runs)
    bench.supervisor.doings.extend(doings)
    await bench.queue.send(JOB)
    try:
        yield bench
    finally:
        bench.working.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await bench.working


def answers(seconds: float | None) -> Doing:
    async def doing(_receipt: Receipt) -> float | None:
        return seconds

    return doing


def raises(error: BaseException) -> Doing:
    async def doing(_receipt: Receipt) -> float | None:
        raise error

    return doing


async def hangs(_receipt: Receipt) -> float | None:
    await asyncio.get_running_loop().create_future()
    return None


def runners() -> list[asyncio.Task[object]]:
    """Return the tasks that run a job."""
    return [task for task in asyncio.all_tasks() if getattr(task.get_coro(), "__name__", "") == "run"]


async def test_a_job_that_is_done_with_does_not_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long one waits."""
    async with bench(monkeypatch) as at:
        await at.leap(60)
        assert at.supervisor.ran == [JOB]
        assert at.log.events == [("job_taken", {"age_ms": 0})]


async def test_the_log_tells_how_long_a_job_waited(monkeypatch: pytest.MonkeyPatch) -> None:
    """For a place, once it has one; each time it comes again it is counted from when it was shown."""
    async with bench(monkeypatch, answers(7.0), hangs, hangs, concurrent_runs=1) as at:
        await at.leap.settle()
        await at.queue.send(OTHER_JOB)
        await at.leap(7)
        await at.leap(2)
        assert at.supervisor.ran == [JOB, OTHER_JOB]
        assert at.log.of("job_taken") == [{"age_ms": 0}, {"age_ms": 0}]
        runners()[0].cancel()
        await at.leap.settle()
        assert at.supervisor.ran == [JOB, OTHER_JOB, JOB]
        assert at.log.of("job_taken")[2:] == [{"age_ms": 2_000}]


async def test_a_job_comes_again_when_its_runner_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the seconds it named, not after those the job was hidden for."""
    async with bench(monkeypatch, answers(7.0)) as at:
        await at.leap.settle()
        await at.comes_again_after(7)


@pytest.mark.parametrize("error", [ZeroDivisionError, ValueError, StoreRefused, Unreadable, TimeoutError])
async def test_a_job_that_met_a_bug_comes_again(monkeypatch: pytest.MonkeyPatch, error: type[Exception]) -> None:
    """Soon, and the log says what it met by the type's name alone."""
    async with bench(monkeypatch, raises(error("a SECRET"))) as at:
        await at.leap.settle()
        assert at.log.of("run_retried") == [{"run_id": JOB.run_id, "reason": error.__name__}]
        await at.comes_again_after(RETRY_S)


async def test_a_run_that_cannot_be_read_is_done_once_it_can(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own journal or that of the turn before: its job comes again and again, and no try leaves its place taken."""
    house = House()
    first = await house.say()
    await house.supervisor(FakeModel(says("So."))).run(Job(USER, first.run_id), QueuedJob(Job(USER, first.run_id)))
    second = await house.say("And then?", thread_id=first.thread_id)
    leap, queue = Leaps(monkeypatch), LocalRunQueue()
    house.faults.plan(
        "journal.read", *[before(ValueError("a SECRET"))] * 3, *[None, before(ValueError("a SECRET"))] * 3
    )
    worker = Worker(
        queue=queue,
        supervisor=house.supervisor(FakeModel(says("Then so."))),
        owners_first=OwnersFirst(house.clock, ONE_MACHINE),
        log=house.log,
        visibility_s=HIDDEN_S,
        concurrent_runs=1,
    )
    working = asyncio.create_task(worker.work())
    await queue.send(Job(USER, second.run_id))
    for _ in range(3):
        await leap(RETRY_S)
    for _ in range(4):
        await leap(QUICK.held_s)
    reasons = [fields["reason"] for fields in house.log.of("run_retried") if fields["run_id"] == second.run_id]
    assert reasons == ["ValueError"] * 3 + ["Unreadable"] * 3
    assert (house.run(second.run_id).status, house.run(second.run_id).attempts) == ("completed", 1)
    working.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await working


async def test_every_job_leaves_its_place_whatever_became_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """One place served all of them, and there is still one, not more."""

    async def cancels_itself(_receipt: Receipt) -> float | None:
        raise asyncio.CancelledError

    doings = [answers(None), answers(7.0), raises(ZeroDivisionError()), raises(Unreadable()), raises(Crash())]
    jobs = [Job(USER, uuid(10 + number)) for number in range(8)]
    async with bench(monkeypatch, *doings, cancels_itself, hangs, hangs, concurrent_runs=1) as at:
        for job in jobs[1:]:
            await at.queue.send(job)
        await at.leap(0.5)
        assert at.supervisor.ran == [JOB, *jobs[1:7]]
        runners()[0].cancel()
        await at.leap.settle()
        assert at.supervisor.ran == [JOB, *jobs[1:8]]


async def test_no_job_is_begun_before_owners_have_renewed_after_a_leap(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that comes once more would find the lease of a live owner ended."""
    async with bench(monkeypatch, hangs) as at:
        await at.leap(1)
        at.clock.advance(3600)
        await at.queue.send(OTHER_JOB)
        await at.leap(ONE_MACHINE.renew_s + ONE_MACHINE.heartbeat_s / 4)
        assert at.supervisor.ran == [JOB]
        await at.leap(ONE_MACHINE.heartbeat_s / 4 + 0.01)
        assert at.supervisor.ran == [JOB, OTHER_JOB]


async def test_the_job_of_a_runner_that_fell_comes_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the time is over for which it was hidden, as with SQS: whoever falls says nothing."""
    async with bench(monkeypatch, raises(Crash())) as at:
        await at.leap.settle()
        assert at.log.of("run_retried") == [{"run_id": JOB.run_id, "reason": "Crash"}]
        await at.comes_again_after(HIDDEN_S)


async def test_the_job_of_a_cancelled_runner_comes_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted from the last time the runner hid it, not from its fall."""

    async def extends(receipt: Receipt) -> float | None:
        await asyncio.sleep(2)
        await receipt.extend(HIDDEN_S)
        return await hangs(receipt)

    async with bench(monkeypatch, extends) as at:
        await at.leap(2)
        await at.leap(1)
        (runner,) = runners()
        runner.cancel()
        await at.leap.settle()
        assert at.log.of("run_retried") == [{"run_id": JOB.run_id, "reason": "CancelledError"}]
        await at.comes_again_after(HIDDEN_S - 1)


async def test_a_runner_cancelled_before_it_began_leaves_its_place_and_its_job(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one place there is goes to the next job, and the lost one comes again."""
    async with bench(monkeypatch, concurrent_runs=1) as at:
        await asyncio.sleep(0)
        (runner,) = runners()
        assert at.supervisor.ran == []
        runner.cancel()
        await at.queue.send(OTHER_JOB)
        await at.leap.settle()
        assert at.supervisor.ran == [OTHER_JOB]
        await at.leap(HIDDEN_S)
        assert at.supervisor.ran == [OTHER_JOB, JOB]


async def test_no_more_runs_are_worked_on_than_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next job begins when a place is free, also one that a runner left by falling."""
    async with bench(monkeypatch, hangs, hangs, concurrent_runs=2) as at:
        for _ in range(2):
            await at.queue.send(OTHER_JOB)
        await at.leap(1)
        assert at.supervisor.ran == [JOB, OTHER_JOB]
        runners()[0].cancel()
        await at.leap.settle()
        assert at.supervisor.ran == [JOB, OTHER_JOB, OTHER_JOB]


async def test_a_worker_that_ends_ends_its_runners(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was at work is left to the next start: nothing is shown again, and nothing is said to have failed."""
    async with bench(monkeypatch, hangs) as at:
        await at.leap(1)
        at.working.cancel()
        await asyncio.gather(at.working, return_exceptions=True)
        assert runners() == []
        await at.leap(60)
        assert await at.queue.age_s() == 0
        assert at.log.names == ["job_taken"]


async def test_the_runners_of_one_run_are_killed_or_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is killed is named, says nothing any more, and its job comes again; others go on."""
    leap, queue, supervisor = Leaps(monkeypatch), LocalRunQueue(), Planned()
    supervisor.doings += [hangs, hangs]
    worker = Worker(
        queue=queue,
        supervisor=supervisor,
        owners_first=OwnersFirst(FakeClock(), ONE_MACHINE),
        log=FakeLog(),
        visibility_s=HIDDEN_S,
        concurrent_runs=8,
    )
    working = asyncio.create_task(worker.work())
    for job in (JOB, OTHER_JOB):
        await queue.send(job)
    await leap.settle()
    assert worker.kill(uuid(3)) == []
    assert worker.kill(OTHER_JOB.run_id) == [OTHER_JOB.run_id]
    await leap.settle()
    assert worker.kill() == [JOB.run_id]
    await leap.settle()
    assert worker.kill() == []
    await leap(HIDDEN_S)
    assert sorted(job.run_id for job in supervisor.ran[2:]) == [JOB.run_id, OTHER_JOB.run_id]
    working.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await working
