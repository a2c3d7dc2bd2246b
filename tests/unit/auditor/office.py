"""The auditor on a house's ports."""

from collections.abc import Callable

from auditor.audit import Audit
from auditor.route import Route
from auditor.sweep import Sweep
from playbyplay.domain.thread import Run
from playbyplay.domain.timing import timestamp
from playbyplay.ports import Job
from tests.histories import Story
from tests.house import House

WRITES = (
    "journal.append",
    "runs.accept",
    "runs.acquire",
    "runs.renew",
    "runs.release",
    "runs.request_cancel",
    "runs.settle",
    "runs.head",  # a store may mend what it finds there
    "overdue.postpone",
    "queue.send",
    "connections.add",
    "connections.remove",
    "connections.mark_lagging",
    "connections.receive",
    "gateway.post",
    "gateway.close",
)


class Office:
    """What the auditor is made of, composed on one house."""

    def __init__(self, house: House) -> None:
        self.audit = Audit(
            runs=house.runs,
            journal=house.journal,
            connections=house.connections,
            clock=house.clock,
            timing=house.timing,
        )
        self.sweep = Sweep(
            open_runs=house.runs,
            ended_runs=house.runs,
            audit=self.audit,
            clock=house.clock,
            log=house.log,
            timing=house.timing,
        )
        self.route = Route(sweep=self.sweep, log=house.log)


def written(house: House) -> int:
    """Return how much was asked of the ports that changes anything."""
    return sum(house.faults.count(operation) for operation in WRITES)


async def told(
    house: House,
    write: Callable[[Story], Story] = lambda story: story,
    *,
    thread_id: str | None = None,
    user: str = "ann",
    **changes: str | int | bool | None,
) -> Run:
    """Accept a message, let its journal be a story's and its run as it is said."""
    run = await house.say(thread_id=thread_id, user=user)
    slots = house.journal.slots[run.user, run.run_id]
    slots.clear()
    story = write(Story(user=run.user, run_id=run.run_id, turn=run.turn))
    slots.update({record.pos: record for record in story.records})
    return house.change(run, **changes)


async def over(house: House, write: Callable[[Story], Story], status: str = "completed") -> Run:
    """Have a run end now."""
    run = await told(house, write, status=status)
    house.runs.checks.pop((run.user, run.run_id))
    house.runs.ended[run.user, run.run_id] = house.clock.now_ms()
    return run


def ends(story: Story, at_ms: int, code: str = "internal") -> Story:
    """End a run with an error at a time."""
    return story.add(
        story.event("error", code=code, message="It failed.", retryable=True, timestamp=timestamp(at_ms)),
    )


def job_of(run: Run) -> Job:
    """Return what names a run to the auditor."""
    return Job(run.user, run.run_id)
