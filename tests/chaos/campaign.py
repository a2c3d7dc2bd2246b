"""The campaign: people talk with a server that is killed over lines that break; then all is healed, and judged."""

import asyncio
import contextlib
import random
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.chaos.device import Device
from tests.chaos.faults import Faults, Kind, Severity, Window
from tests.chaos.gather import gather
from tests.chaos.ledger import now_ms
from tests.chaos.load import Load
from tests.chaos.proxy import Line
from tests.chaos.server import CampaignError, ServerProcess
from tests.simulation.checker import RULES, check
from tests.simulation.evidence import Bounds, Client, Evidence
from tests.simulation.rule import Report

# The contract's numbers for one machine (C8, C11, C13). A run's own work takes 6 s at the most, and a client that
# missed something while its connection stood learns of it with its next ping, which may be 5 s away.
BOUNDS: Final = Bounds(terminal_s=15.0, silence_s=1.0, pong_s=2.0, whole_s=7.0)
_QUIET_S: Final = 30.0
# What is judged to the second, as only virtual time can be.
_NOT_HERE: Final = {name for name, rule in RULES.items() if "terms" in rule.needs}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to happen.

    Attributes:
        seconds: how long things break.
        seed: the same one draws the same messages and faults.
        users, devices: who is there, devices in all.
        fault_every_s: how often something breaks.
        message_every_s: how often somebody sends, whatever became of the messages before.
        kinds: what breaks; a kind that is named comes in its turn, again and again; () for any.
    """

    seconds: float = 120.0
    seed: int = 1
    users: int = 8
    devices: int = 20
    fault_every_s: float = 5.0
    message_every_s: float = 1.0
    kinds: Sequence[Kind] = ()
    severity: Severity = field(default_factory=Severity)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of it.

    Attributes:
        report: the judgement.
        windows: what was broken.
        done: what users did, by kind.
        failures: what users could not do: there should be nothing.
        starts: how often the server was started.
        quiet_s: how long after the last fault something was still going on.
    """

    evidence: Evidence
    report: Report
    windows: Sequence[Window]
    devices: Sequence[Device]
    done: Counter[str]
    failures: Sequence[str]
    starts: int
    quiet_s: float

    @property
    def is_good(self) -> bool:
        """Whether all was as the contract says."""
        return self.report.verdict == "valid" and not self.failures


async def campaign(plan: Plan, within: Path | None = None) -> Outcome:
    """Run a campaign; leave no process, no port and no file.

    Args:
        plan: what is to happen.
        within: where its files are for so long; the usual place for such files unless told.

    Raises:
        CampaignError: it could not be brought to its end, or not be judged.
    """
    with tempfile.TemporaryDirectory(prefix="playbyplay-chaos-", dir=within) as directory:
        return await _campaign(plan, Path(directory))


async def _campaign(plan: Plan, directory: Path) -> Outcome:
    chances = [random.Random(f"{plan.seed} {what}") for what in ("load", "faults")]  # noqa: S311 - to be drawn again
    evidence, server = Evidence(bounds=BOUNDS), ServerProcess(directory)
    async with contextlib.AsyncExitStack() as closing:
        closing.push_async_callback(server.end)
        await server.start()
        async with contextlib.AsyncExitStack() as leaving:
            devices = await _connect(plan, server, evidence, leaving)
            load, faults = Load(devices, chances[0]), Faults(server, devices, chances[1], evidence, plan.severity)
            await _break(plan, load, faults)
            healed_ms = now_ms()
            for device in devices:
                device.line.heal()
            await load.end(_QUIET_S)
            await _quiet(devices)
            evidence.ended_ms = now_ms()
        await server.stop()
    windows = faults.windows + await gather(evidence, directory)
    report = check(evidence)
    if report.verdict == "unknown" or set(report.unjudged) != _NOT_HERE:
        raise CampaignError("There was nothing to judge.")
    return Outcome(
        evidence=evidence,
        report=report,
        windows=windows,
        devices=devices,
        done=load.done,
        failures=load.failures,
        starts=server.starts,
        quiet_s=(evidence.ended_ms - healed_ms) / 1000,
    )


async def _connect(
    plan: Plan, server: ServerProcess, evidence: Evidence, leaving: contextlib.AsyncExitStack
) -> list[Device]:
    """Let everybody in."""
    devices = []
    for number in range(plan.devices):
        line = Line(lambda: server.port)
        await line.open()
        leaving.push_async_callback(line.close)
        user = f"user{number % plan.users}"
        device = Device(f"{user}/{number // plan.users}", user, line, evidence)
        devices.append(await leaving.enter_async_context(device))
    evidence.clients = [Client(device.name, device.user) for device in devices]
    return devices


async def _break(plan: Plan, load: Load, faults: Faults) -> None:
    """Let users send and things break, until the time is over and everything broken is whole again.

    Raises:
        CampaignError: the server does not come up again.
    """
    try:
        async with asyncio.TaskGroup() as breaking:
            sending = breaking.create_task(_every(plan.message_every_s, plan.seconds, lambda _left_s: load.begin()))
            await _every(
                plan.fault_every_s,
                plan.seconds,
                lambda left_s: breaking.create_task(faults.strike(faults.draw(left_s, plan.kinds))),
            )
            await sending
    except* CampaignError as failed:
        raise failed.exceptions[0] from None


async def _every(every_s: float, seconds: float, do: Callable[[float], object]) -> None:
    """Do something again and again, at times that depend on nothing else; it is told how much time is left."""
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    for number in range(1, int(seconds / every_s) + 1):
        await asyncio.sleep(began_s + number * every_s - loop.time())
        do(seconds - number * every_s)


async def _quiet(devices: Sequence[Device]) -> None:
    """Wait until every run has ended for everybody who knows it; what is open then, the judge will name."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_QUIET_S):
            # Twenty clients and all their runs have no one event to wait for.
            while not all(device.is_connected and device.ended >= device.known.keys() for device in devices):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
