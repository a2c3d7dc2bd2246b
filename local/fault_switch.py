"""The fault switch: what is armed, what happened, and the faults that need no port.

For people on one machine who want to see the contract hold. It exists only where
PLAYBYPLAY_FAULTS=1; the ports that obey it stand in `fault_ports.py`.
"""

import asyncio
from collections import Counter, deque
from dataclasses import dataclass
from typing import Protocol

from local.fault_order import FaultName, Order
from playbyplay.domain.timing import timestamp
from playbyplay.errors import PlaybyplayError
from playbyplay.ports import Clock, ConnectionStore, Log

MID_TOOL_S = 0.05  # how far into its tool a runner falls
_REMEMBERED = 50


class NothingToHit(PlaybyplayError):
    """The fault would have no effect now; one sentence says why."""


class Runners(Protocol):
    """Who is at work."""

    def kill(self, run_id: str | None = None) -> list[str]:
        """End runners as a crash would, of one run or all; return the runs they were at."""
        ...


class Sockets(Protocol):
    """The open connections."""

    def cut(self, connection_id: str) -> bool:
        """Tear a connection off; return whether it was there."""
        ...


@dataclass(frozen=True, slots=True)
class Fired:
    """A fault that happened.

    Attributes:
        time: when, as the contract writes times.
        says: what happened, in a sentence.
    """

    fault: FaultName
    time: str
    says: str


@dataclass(slots=True)
class _Drop:
    user: str
    event: str | None
    left: int


class FaultSwitch:
    """Obeys orders, and tells the ports what is to go wrong."""

    def __init__(self, *, connections: ConnectionStore, sockets: Sockets, clock: Clock, log: Log) -> None:
        self._connections = connections
        self._sockets = sockets
        self._clock = clock
        self._log = log
        self._runners: Runners | None = None
        self._tools: Counter[str] = Counter()  # at work, by run
        self._kill = False
        self._drops: list[_Drop] = []
        self._duplicates: str | None = None
        self._thawed = asyncio.Event()
        self._thawed.set()
        self._thawing: asyncio.TimerHandle | None = None
        self.fired: deque[Fired] = deque(maxlen=_REMEMBERED)

    def command(self, runners: Runners) -> None:
        """Learn whom `kill_runner` hits."""
        self._runners = runners

    @property
    def armed(self) -> dict[FaultName, str]:
        """What waits for its moment, in words."""
        armed: dict[FaultName, str] = {}
        if self._kill:
            armed["kill_runner"] = "The next tool at work loses its runner."
        if self._drops:
            what = (f"{drop.left} {drop.event or 'event'} post{'s' * (drop.left > 1)}" for drop in self._drops)
            armed["drop_post"] = f"To be lost: {', '.join(what)}."
        if self._duplicates is not None:
            armed["duplicate_job"] = f"{'The next' if self._duplicates == 'next' else 'Every'} job is delivered twice."
        if not self._thawed.is_set():
            armed["freeze_model"] = "The model is frozen."
        return armed

    async def obey(self, order: Order) -> str:
        """Do or arm what is asked; return what came of it, in a sentence.

        Raises:
            NothingToHit: there is nothing it could do that to, and nothing was armed.
        """
        match order.name:
            case "kill_runner":
                return self._arm_kill(order.when)
            case "drop_post":
                self._drops.append(_Drop(order.user, order.event, order.count))
            case "duplicate_job":
                self._duplicates = order.when
            case "freeze_model":
                self._freeze(order.seconds)
            case "cut_socket":
                return await self._cut(order.user)
            case "thaw_model":
                self._thaw()
                return "The model answers again."
            case "clear":
                self._kill, self._duplicates = False, None
                self._drops.clear()
                self._thaw()
                return "Nothing is armed any more."
        return self.armed[order.name]

    def tool_begins(self, run_id: str, tool_name: str) -> bool:
        """Note that a tool is at work; return whether its runner is about to fall."""
        self._tools[run_id] += 1
        if not self._kill:
            return False
        self._kill = False
        asyncio.get_running_loop().call_later(MID_TOOL_S, self._fall, run_id, tool_name)
        return True

    def tool_ends(self, run_id: str) -> None:
        """Note that a tool is at work no more."""
        self._tools[run_id] -= 1
        self._tools += Counter()  # what is at zero is forgotten

    async def drops(self, connection_id: str, event: str) -> bool:
        """Whether this event is to be lost on its way to this connection."""
        for drop in self._drops:
            if drop.event in {None, event} and await self._is_of(connection_id, drop.user):
                drop.left -= 1
                if drop.left == 0:
                    self._drops.remove(drop)
                self._fire("drop_post", f"A post of {event} was lost.")
                return True
        return False

    def doubles(self, run_id: str) -> bool:
        """Whether this job is to be delivered twice."""
        if self._duplicates is None:
            return False
        if self._duplicates == "next":
            self._duplicates = None
        self._fire("duplicate_job", "A job was delivered twice.", run_id)
        return True

    async def thawed(self) -> None:
        """Return once the model is not frozen."""
        if not self._thawed.is_set():
            self._fire("freeze_model", "An answer of the model was held back.")
            await self._thawed.wait()

    def _arm_kill(self, when: str | None) -> str:
        if when == "now":
            says = "A runner was killed."
            if not self._kill_runners(None, says):
                raise NothingToHit("No run is at work.")
            return says
        says = "A runner was killed in the middle of a tool."
        if any(self._kill_runners(one, says) for one in [*self._tools]):
            return says
        self._kill = True
        return self.armed["kill_runner"]

    def _fall(self, run_id: str, tool_name: str) -> None:
        """Kill the runner whose tool has begun; where it is gone already, the next one will do."""
        self._kill = not self._kill_runners(run_id, f"A runner was killed in the middle of {tool_name}.") or self._kill

    def _kill_runners(self, run_id: str | None, says: str) -> bool:
        killed = self._runners.kill(run_id) if self._runners is not None else []
        for one in killed:
            self._fire("kill_runner", says, one)
        return bool(killed)

    def _freeze(self, seconds: float | None) -> None:
        self._thaw()
        self._thawed.clear()
        if seconds is not None:
            self._thawing = asyncio.get_running_loop().call_later(seconds, self._thaw)

    def _thaw(self) -> None:
        if self._thawing is not None:
            self._thawing.cancel()
            self._thawing = None
        self._thawed.set()

    async def _cut(self, user: str) -> str:
        mine = await self._connections.subscribers(user)
        cut = sum(self._sockets.cut(one.connection_id) for one in mine)
        if cut == 0:
            raise NothingToHit("There is no open connection to cut.")
        says = f"{cut} connection{'s were' if cut > 1 else ' was'} cut."
        self._fire("cut_socket", says)
        return says

    async def _is_of(self, connection_id: str, user: str) -> bool:
        return any(one.connection_id == connection_id for one in await self._connections.subscribers(user))

    def _fire(self, fault: FaultName, says: str, run_id: str | None = None) -> None:
        self.fired.append(Fired(fault, timestamp(self._clock.now_ms()), says))
        self._log.event("fault_injected", fault=fault, run_id=run_id)
