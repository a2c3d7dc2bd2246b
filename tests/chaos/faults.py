"""What is broken: each fault breaks something, waits, makes it whole, and is written down, from when to when."""

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import aiohttp

from tests.chaos.device import Device
from tests.chaos.ledger import now_ms
from tests.chaos.serve import LOSE_JOB, LOSE_POST
from tests.chaos.server import ServerProcess
from tests.simulation.evidence import Evidence, Fault

Kind = Literal[
    "server killed",
    "server held still",
    "runner killed",
    "job lost",
    "job twice",
    "post lost",
    "one line reset",
    "all lines reset",
    "black hole",
    "long black hole",
    "half open",
    "slow reader",
    "delay",
]
KINDS: tuple[Kind, ...] = get_args(Kind)
_ROUND: tuple[Kind, ...] = (*KINDS, "server killed", "server killed", "runner killed")
_HELD_S, _SLOW_S, _DELAY_S = (1.0, 4.0), (3.0, 8.0), (0.2, 0.8)
_NOTICED_S = 45.0  # a silent connection without an open run is given up after two pings, 20 s apart


@dataclass(frozen=True, slots=True, kw_only=True)
class Severity:
    """How long black holes last, seconds: one of the common sort between two numbers, and the long one."""

    hole_s: tuple[float, float] = (5.0, 20.0)
    long_hole_s: float = 30.0


class Window(NamedTuple):
    """A fault of one device, or of one run, or of the server, from when to when."""

    kind: Kind
    device: Device | None
    at_ms: float
    until_ms: float
    run_id: str | None = None


class Faults:
    """Breaks things.

    Args:
        server: of the campaign.
        devices: whose lines may break.
        chance: draws whom and how long.
        evidence: where it is written down.
        severity: how bad it is.

    Attributes:
        windows: what was broken, as it ended.
    """

    def __init__(
        self,
        server: ServerProcess,
        devices: Sequence[Device],
        chance: random.Random,
        evidence: Evidence,
        severity: Severity,
    ) -> None:
        self._server = server
        self._devices = devices
        self._chance = chance
        self._evidence = evidence
        self._severity = severity
        self._server_is_ours = asyncio.Lock()
        self._broken: set[str] = set()
        self._deck: list[Kind] = []
        self.windows: list[Window] = []

    @property
    def counts(self) -> Counter[Kind]:
        """How often each fault was there."""
        return Counter(window.kind for window in self.windows)

    def draw(self, left_s: float, kinds: Sequence[Kind]) -> Kind:
        """Return what is broken next: every kind, in another order each round, the longest first if there is time.

        Args:
            left_s: how much time is left; what takes longer is left out.
            kinds: what to break, in this order; () for any.
        """
        if not self._deck:
            self._deck = list(kinds or _ROUND)
            if not kinds:
                self._chance.shuffle(self._deck)
                self._deck.sort(key=lambda kind: kind != "long black hole")
            self._deck.reverse()
        kind = self._deck.pop()
        return kind if kind != "long black hole" or left_s > self._severity.long_hole_s else "server killed"

    async def strike(self, kind: Kind) -> None:
        """Break something, and return when it is whole again.

        Raises:
            CampaignError: the server does not come up again.
        """
        chance = self._chance
        match kind:
            case "server killed":
                await self._kill()
            case "server held still":
                await self._hold(chance.uniform(*_HELD_S))
            case "runner killed" | "job twice":
                await self._order(kind)
            case "job lost" | "post lost":
                self._server.tell(LOSE_JOB if kind == "job lost" else LOSE_POST)  # its ledger tells when it happened
            case "all lines reset":
                at_ms = now_ms()
                for device in self._devices:
                    device.line.reset()
                self._note(kind, "reset", None, at_ms, at_ms)
            case _:
                async with self._one_device() as device:
                    await self._break_line(kind, device)

    async def _break_line(self, kind: Kind, device: Device) -> None:
        chance, line, at_ms = self._chance, device.line, now_ms()
        match kind:
            case "one line reset":
                line.reset()
                self._note(kind, "reset", device, at_ms, at_ms)
            case "half open":
                device.has_new_connection.clear()
                line.deaden()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_NOTICED_S):
                        await device.has_new_connection.wait()
                self._note(kind, "half_open", device, at_ms)
            case "black hole" | "long black hole":
                is_long = kind == "long black hole"
                line.swallow()
                try:
                    await asyncio.sleep(
                        self._severity.long_hole_s if is_long else chance.uniform(*self._severity.hole_s)
                    )
                finally:
                    line.heal()
                    self._note(kind, "black_hole", device, at_ms)
            case _:
                line.sips = kind == "slow reader"
                line.delay_s = chance.uniform(*_DELAY_S) if kind == "delay" else 0.0
                try:
                    await asyncio.sleep(chance.uniform(*_SLOW_S))
                finally:
                    line.heal()
                    self._note(kind, "sips" if kind == "slow reader" else "latency", device, at_ms)

    async def _kill(self) -> None:
        async with self._server_is_ours:
            at_ms = await self._server.kill()
            await self._server.start()
            self._note("server killed", "crash", None, at_ms)

    async def _hold(self, seconds: float) -> None:
        async with self._server_is_ours:
            at_ms = now_ms()
            self._server.hold()
            try:
                await asyncio.sleep(seconds)
            finally:
                self._server.let_go()
                self._note("server held still", "pause", None, at_ms)

    async def _order(self, kind: Kind) -> None:
        """Arm the server's own fault switch; its log tells when it happened."""
        async with self._server_is_ours:
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                await self._server.order(fault="duplicate_job" if kind == "job twice" else "kill_runner")

    @contextlib.asynccontextmanager
    async def _one_device(self) -> AsyncIterator[Device]:
        """Take a device whose line is whole, if there is one then one that has an open run to miss something of."""
        whole = [one for one in self._devices if one.name not in self._broken]
        device = self._chance.choice([one for one in whole if one.known.keys() - one.ended] or whole)
        self._broken.add(device.name)
        try:
            yield device
        finally:
            self._broken.discard(device.name)

    def _note(self, kind: Kind, mode: str, device: Device | None, at_ms: float, until_ms: float | None = None) -> None:
        until_ms = now_ms() if until_ms is None else until_ms
        self.windows.append(Window(kind, device, at_ms, until_ms))
        self._evidence.faults.append(Fault(at_ms, "server" if device is None else "proxy", mode, until_ms))
