"""Plays schedules and judges them: every single fault of an ordinary run, and as many seeds as there is time for."""

import asyncio
import multiprocessing
import random
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from typing import Any

from playbyplay.ports import Job
from tests.simulation.checker import check
from tests.simulation.devices import Act, Device
from tests.simulation.evidence import Evidence
from tests.simulation.faulty_ports import Strike, modes_of
from tests.simulation.process import Process
from tests.simulation.rule import Report
from tests.simulation.schedule import Blow, Schedule, one_fault
from tests.simulation.virtual_time import VirtualLoop
from tests.simulation.world import World

Beside = Callable[[World], Coroutine[Any, Any, None]]
_LONGEST_S = 2 * 3600.0
_AT_MOST = 3  # of the calls of one point: pings and sweeps repeat for ever


@dataclass(slots=True)
class Played:
    """How one schedule went.

    Attributes:
        evidence: of it.
        report: the judgement.
        points: how often each fault point was passed.
        struck: faults by how they went wrong, at which point.
        states: what was reached.
    """

    evidence: Evidence
    report: Report
    points: Counter[str]
    struck: Counter[str]
    states: Counter[str]


@dataclass(slots=True)
class Tally:
    """What a campaign came to.

    Attributes:
        bad: each schedule that was not valid, with what was wrong.
    """

    schedules: int = 0
    runs: int = 0
    frames: int = 0
    bad: dict[str, list[str]] = field(default_factory=dict)
    struck: Counter[str] = field(default_factory=Counter)
    states: Counter[str] = field(default_factory=Counter)

    def add(self, name: str, played: Played) -> None:
        """Count one schedule."""
        self.schedules += 1
        self.runs += len(played.evidence.runs)
        self.frames += len(played.evidence.frames)
        self.struck += played.struck
        self.states += played.states
        if played.report.verdict != "valid":
            self.bad[name] = [str(one) for one in played.report.violations] or [played.report.verdict]

    def merge(self, other: "Tally") -> None:
        """Count what another has counted."""
        self.schedules += other.schedules
        self.runs += other.runs
        self.frames += other.frames
        self.bad |= other.bad
        self.struck += other.struck
        self.states += other.states


def play(schedule: Schedule, beside: Beside | None = None) -> Played:
    """Play a schedule to its end and judge it, with something beside it from the beginning to the end."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        world = runner.run(_play(schedule, beside))
    plan = world.laws.plan
    world.states.judge(world.evidence)
    struck = Counter(f"{one.site.split('.', 1)[-1]}:{one.mode}" for one in plan.struck)
    return Played(world.evidence, check(world.evidence), plan.counts, struck, world.states.seen)


def single_faults(program: str = "idempotent") -> list[Strike]:
    """Return every way in which one call of the ordinary run can go wrong."""
    counts = play(one_fault(program=program)).points
    return [
        Strike(site, number, mode)
        for site in sorted(counts)
        for number in range(1, min(counts[site], _AT_MOST if site.startswith("message.") else 99) + 1)
        for mode in modes_of(site)
    ]


def pairs(count: int, program: str = "idempotent", first: int = 0) -> list[tuple[Strike, Strike]]:
    """Return pairs of ways in which two calls of the ordinary run can go wrong: of some 100,000, so many at random."""
    strikes = single_faults(program)
    chosen = (random.Random(f"pair {number}").sample(strikes, 2) for number in range(first, first + count))
    return [(one, other) for one, other in chosen]


def campaign(names: Iterable[Callable[[], Schedule]], *, jobs: int = 1) -> Tally:
    """Play many schedules, in several processes at once."""
    everything = list(names)
    if jobs == 1:
        return tally_of(everything)
    parts = [everything[start::jobs] for start in range(jobs)]
    tally = Tally()
    with multiprocessing.get_context("fork").Pool(jobs) as pool:
        for part in pool.map(tally_of, parts):
            tally.merge(part)
    return tally


def tally_of(schedules: list[Callable[[], Schedule]]) -> Tally:
    """Play schedules one after the other."""
    tally = Tally()
    for make in schedules:
        schedule = make()
        try:
            tally.add(schedule.name, play(schedule))
        except Exception as error:  # noqa: BLE001 - a schedule that cannot be played is a finding too
            tally.schedules += 1
            tally.bad[schedule.name] = [f"could not be played: {type(error).__name__}: {error}"]
    return tally


async def open_devices(world: World, users: tuple[int, ...]) -> list[Device]:
    """Open a page on every device, each of the user it belongs to."""
    threads: dict[int, list[asyncio.Future[str | None]]] = {user: [] for user in users}
    devices = [Device(world, at, f"user{user}", threads[user]) for at, user in enumerate(users)]
    await asyncio.gather(*(device.load() for device in devices))
    return devices


async def finish(world: World, devices: list[Device], doing: list[asyncio.Future[None]]) -> Evidence:
    """Wait until everything is said, done, settled and seen, or it never will be; return what is known then."""
    evidence, loop = world.evidence, asyncio.get_running_loop()
    while loop.time() < _LONGEST_S and not (world.is_quiet and all(task.done() for task in doing)):  # noqa: ASYNC110 - nothing signals
        await asyncio.sleep(5)
    for task in doing:
        task.cancel()
    await asyncio.gather(*doing, return_exceptions=True)
    await asyncio.sleep(evidence.bounds.whole_s + 20)
    await asyncio.gather(*(device.close() for device in devices))
    await world.stop()
    evidence.ended_ms = loop.time() * 1000
    evidence.runs = list(world.runs.runs.values())
    evidence.journals = {key: world.journal.records(*key) for key in list(world.journal.slots)}
    return evidence


async def _play(schedule: Schedule, beside: Beside | None) -> World:
    world = World(schedule.laws)
    world.start()
    watching = asyncio.ensure_future(beside(world)) if beside is not None else None
    devices = await open_devices(world, schedule.users)
    doing: list[asyncio.Future[None]] = [asyncio.ensure_future(_do(devices, act)) for act in schedule.acts]
    doing += [asyncio.ensure_future(_strike(world, blow)) for blow in schedule.blows]
    await finish(world, devices, doing)
    if watching is not None:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
    return world


async def _do(devices: list[Device], act: Act) -> None:
    await asyncio.sleep(act.at_s)
    await devices[act.device].do(act)


async def _strike(world: World, blow: Blow) -> None:
    await asyncio.sleep(blow.at_s)
    if blow.what == "stray jobs":
        for user, run_id in list(world.runs.runs):
            world.states.see(blow.what)
            await world.queue.stray(Job(user, run_id))
        return
    for process in list(world.at_work)[:1]:
        hit(world, process, blow)


def hit(world: World, process: Process, blow: Blow) -> None:
    """Let a blow meet a process."""
    world.broke("runner.process", blow.what, blow.seconds)
    world.states.see(blow.what)
    if blow.what == "runner falls":
        process.fall()
    else:
        process.freeze(blow.seconds)
