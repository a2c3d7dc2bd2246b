"""Runs in slices: a runner whose time is up when it has appended so many records, as deterministic as a fake."""

import asyncio
from collections.abc import Mapping, Sequence

from agent_runner.model import ModelResponse
from playbyplay.domain.thread import Run
from playbyplay.ports import Job
from tests.fakes.run_queue import FakeReceipt
from tests.house import QUICK, House
from tests.unit.agent_runner.desk import CANONICAL_PLAN, DELEGATED_PLAN, Desk

ENDS_S = 900.0
NEAR_S = ENDS_S - QUICK.no_new_step_s + 1
UP_S = ENDS_S - QUICK.let_go_s + 1
PLANS: Mapping[str, Mapping[str, Sequence[ModelResponse]]] = {"canonical": CANONICAL_PLAN, "delegated": DELEGATED_PLAN}
APPENDS = {"canonical": 4, "delegated": 8}


def jumps(house: House, to_s: float, *, appends: int) -> None:
    """Let the second hand of the next runner jump when it has tried so many appends."""
    so_far = house.faults.count("journal.append")
    house.monotonic = lambda: to_s if house.faults.count("journal.append") >= so_far + appends else 0.0


def job_of(run: Run, hops: int = 0) -> Job:
    """Return the job of a run that was handed on so often."""
    return Job(run.user, run.run_id, hops)


async def one_slice(of: Desk, job: Job, to_s: float, *, appends: int) -> float | None:
    """Let a runner do a job until it has appended so much."""
    jumps(of.house, to_s, appends=appends)
    work = of.supervisor().run(job, FakeReceipt(of.house.faults), ends_s=ENDS_S)
    return await asyncio.wait_for(work, 5)


async def accepted(of: Desk) -> Run:
    """Accept a message that somebody watches, and take its job out of the queue."""
    run = await of.accepted()
    of.house.queue.waiting.clear()
    return run
