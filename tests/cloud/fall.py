"""A run whose runner is killed inside a tool, and what the auditor and the alarms say until it has ended.

It takes the better part of a minute, so those who ask about it share one.
"""

import asyncio
import time
from dataclasses import dataclass

from infra.local_cloud_stack import Deployment
from infra.monitoring.names import TOOL_WITHOUT_COMPLETION
from playbyplay.domain.timing import CLOUD
from tests.cloud.alarms import Listener, physical, states
from tests.cloud.people import Frame, Person, audit, workers

RECOVERY_S = 75.0  # C8: the job is hidden for 45 s of them
LOOK_S = 1.0
FORWARDED_S = 20.0  # from a sweep of the auditor to what an alarm makes of it


@dataclass(frozen=True, slots=True)
class Look:
    """What the auditor missed of the run, so long after its runner was killed."""

    since_s: float
    missing: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fall:
    """What was seen.

    Attributes:
        events: of the run.
        held: those that had come when its runner was killed.
        last_seq: of the run, as the server has it.
        recovered_s: from the kill to the end of the run.
        ended_s: when that was, by the monotonic clock.
        looks: of the auditor, until it missed something, and one at the ended run.
        alarm: what the cloud calls the alarm on calls without an end.
        before: the state of every alarm when the auditor had looked and there was no such call.
        during: and when it had looked at this one.
        pager: hears what the alarms tell.
    """

    events: list[Frame]
    held: list[Frame]
    last_seq: int
    recovered_s: float
    ended_s: float
    looks: list[Look]
    alarm: str
    before: dict[str, str]
    during: dict[str, str]
    pager: Listener


async def fall(deployed: Deployment) -> Fall:
    """Kill the runner of a run and watch until it has ended; what is to be thought of it others say."""
    alarm, pager = physical(deployed, TOOL_WITHOUT_COMPLETION), Listener(deployed)
    audit(deployed)
    before = states_once(deployed, alarm, "OK")
    async with Person(deployed, "fallen@example.com").device() as device:
        run_id = await device.say("Analyze my database performance")
        while not any(event.get("tool_name") == "database_analyzer" for event in device.events(run_id)):
            await device.until("tool_executing", run_id=run_id)
        runners, killed_s = workers(deployed, "Runner"), time.monotonic()
        for runner in runners:
            runner.kill()
        assert runners
        held, looks, ended = device.events(run_id), [], asyncio.Event()

        async def look() -> None:
            answer = await asyncio.to_thread(audit, deployed)
            missing = frozenset(one["absence"] for one in answer["found"] if one["run_id"] == run_id)
            looks.append(Look(time.monotonic() - killed_s, missing))

        async def look_until_it_is_missed() -> None:
            await look()
            await asyncio.sleep(CLOUD.lease_s - 1)
            while not looks[-1].missing and not ended.is_set():
                await look()
                await asyncio.sleep(LOOK_S)

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(look_until_it_is_missed())
            await device.ended(run_id, RECOVERY_S)
            ended_s = time.monotonic()
            ended.set()
        await device.send(type="ping", cursors={run_id: 0})
        pong = await device.until("pong")
        await look()
    return Fall(
        events=device.events(run_id),
        held=held,
        last_seq=pong["heads"][run_id]["last_seq"],
        recovered_s=ended_s - killed_s,
        ended_s=ended_s,
        looks=looks,
        alarm=alarm,
        before=before,
        during=states_once(deployed, alarm, "ALARM"),
        pager=pager,
    )


def states_once(deployed: Deployment, alarm: str, state: str) -> dict[str, str]:
    """Return the states of all alarms once one of them has this state, or after a while whatever it has."""
    ends = time.monotonic() + FORWARDED_S
    while (told := states(deployed))[alarm] != state and time.monotonic() < ends:
        time.sleep(LOOK_S)
    return told
