"""The watchdog on a house's ports."""

import asyncio

from playbyplay.domain.thread import Run
from playbyplay.ports import Job
from tests.histories import Story
from tests.house import House
from watchdog.dead_letters import DeadLetters
from watchdog.look import Look
from watchdog.sweep import Sweep


class Kennel:
    """What the watchdog is made of, composed on one house."""

    def __init__(self, house: House) -> None:
        self.look = Look(
            runs=house.runs,
            journal=house.journal,
            queue=house.queue,
            overdue=house.runs,
            settlement=house.settlement,
            clock=house.clock,
            ids=house.ids,
            log=house.log,
            timing=house.timing,
        )
        self.sweep = Sweep(
            overdue=house.runs,
            look=self.look,
            connections=house.connections,
            gateway=house.gateway,
            clock=house.clock,
            log=house.log,
        )
        self.dead_letters = DeadLetters(look=self.look, log=house.log)


async def told(house: House, story: Story, **changes: str | int | bool | None) -> Run:
    """Accept a message, let its journal be a story's and its run as it is said; nothing is sent yet."""
    run = await house.say(story.history.input.content)
    slots = house.journal.slots[run.user, run.run_id]
    slots.clear()
    slots.update({record.pos: record for record in story.records})
    house.queue.sent.clear()
    return house.change(run, **changes)


def job_of(run: Run) -> Job:
    """Return the job of a run."""
    return Job(run.user, run.run_id)


async def reaches(house: House, operation: str) -> None:
    """Return when a port is called: there it meets what was planned for it."""
    for _ in range(1000):
        if house.faults.count(operation):
            return
        await asyncio.sleep(0)
    raise AssertionError(f"nobody calls {operation}")
