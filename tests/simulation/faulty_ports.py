"""Every port of every process, with a fault point in front of each call.

A point is `role.port.method`, such as `runner.journal.append`. A plan says which call of it goes wrong, and how:

fail_before   nothing happened, and the caller is told
fail_after    it happened, and the caller cannot know
late          it happens after the caller gave it up
hang          it never happens, and the caller waits in vain
crash_before  the process falls, nothing happened
crash_after   the process falls, it happened
drop          it is lost, and said to be done
dup           it happens twice
reorder       what comes after it overtakes it
delay         it takes seconds
pause         the process stands still for more than a minute, then does it, unaware
"""

import asyncio
import contextvars
import functools
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from playbyplay.errors import OutcomeUnknown, PostFailed, RunError, StoreUnavailable
from tests.fakes.faults import Crash
from tests.simulation.process import Process

Mode = Literal[
    "fail_before",
    "fail_after",
    "late",
    "hang",
    "crash_before",
    "crash_after",
    "drop",
    "dup",
    "reorder",
    "delay",
    "pause",
]
MODES: tuple[Mode, ...] = get_args(Mode)
_ALWAYS: tuple[Mode, ...] = ("fail_before", "crash_before", "crash_after", "hang", "delay", "pause")
_WRITE: tuple[Mode, ...] = (*_ALWAYS, "fail_after", "late")
_SEND: tuple[Mode, ...] = (*_ALWAYS, "fail_after", "drop", "dup")
_POST: tuple[Mode, ...] = (*_SEND, "reorder")
_WORK: tuple[Mode, ...] = ("crash_before", "crash_after", "hang", "delay", "pause")
_SLOW_ANSWERS = 0.3  # the others are there as soon as what they tell is done
CALL_S = 3.0  # how long an adapter waits for an answer
_STANDS_STILL_S = 70.0  # longer than a lease and the watch over it; struck twice at once, it stands twice as long
_LASTS_S: Mapping[Mode, float] = {
    "pause": 2 * _STANDS_STILL_S,
    "hang": CALL_S,
    "late": CALL_S,
    "delay": CALL_S,
    "reorder": 0.5,
}
# What a ping does, over and over; of what happens beside it there is enough elsewhere.
_AT_ONCE = frozenset(
    f"message.{call}" for call in ("connections.add", "connections.receive", "runs.open_runs", "journal.last_seq")
)
_INSTEAD = frozenset({"fail_before", "crash_before", "hang", "late", "reorder", "drop"})
_HANGS_S = {"tool": 3600.0, "model": 60.0}  # a model's client gives up by itself, a tool is given up
_READS = frozenset(
    {
        "read",
        "last_seq",
        "get",
        "head",
        "turns",
        "open_runs",
        "find",
        "subscribers",
        "outlived",
        "left_ms",
        "first",
        "between",
    }
)


def modes_of(site: str) -> tuple[Mode, ...]:
    """Return how calls of a point can go wrong."""
    port, method = site.split(".")[-2:]
    if port in ("gateway", "queue", "receipt"):
        return _POST if method == "post" else _SEND
    if port in ("tool", "model"):
        return _WORK
    if method == "refresh":  # it never fails, by its port
        return ("crash_before", "crash_after", "delay")
    return _ALWAYS if method in _READS or method == "requested" else _WRITE


@dataclass(frozen=True, slots=True)
class Strike:
    """One call goes wrong: `runner.journal.append#3:late`."""

    site: str
    number: int
    mode: Mode

    def __str__(self) -> str:
        return f"{self.site}#{self.number}:{self.mode}"

    @classmethod
    def of(cls, text: str) -> "Strike":
        """Read what `str` writes."""
        point, mode = text.rsplit(":", 1)
        site, number = point.rsplit("#", 1)
        if mode not in modes_of(site):
            raise ValueError(f"{site} cannot go wrong as {mode}")
        return cls(site, int(number), mode)


class Plan:
    """Which calls go wrong.

    Args:
        strikes: by number of the call.
        chance: of any other call, while `until_s` has not come.
        chooses: how those go wrong.

    Attributes:
        counts: how often each point was passed.
        struck: what went wrong, in order.
    """

    def __init__(
        self, strikes: tuple[Strike, ...] = (), *, chance: float = 0.0, until_s: float = 0.0, seed: int = 0
    ) -> None:
        self._strikes = {(one.site, one.number): one.mode for one in strikes}
        self._chance = chance
        self._until_s = until_s
        self._random = random.Random(f"{seed} strikes")
        self.outages: list[tuple[str, float, float]] = []
        self.counts: Counter[str] = Counter()
        self.struck: list[Strike] = []

    def strike_next(self, site: str, mode: Mode) -> None:
        """Let the next call of a point go wrong."""
        self._strikes[site, self.counts[site] + 1] = mode

    def heal(self) -> None:
        """Let nothing go wrong any more."""
        self._strikes.clear()
        self.outages.clear()
        self._chance = 0.0

    def next(self, site: str, now_s: float) -> Mode | None:
        """Pass a point; return how this call goes wrong."""
        self.counts[site] += 1
        number = self.counts[site]
        mode = self._strikes.get((site, number))
        if mode is None and now_s < self._until_s:
            if any(port in site and begins <= now_s < ends for port, begins, ends in self.outages):
                mode = "fail_before" if "fail_before" in modes_of(site) else None
            elif self._chance and self._random.random() < self._chance:
                mode = self._random.choice(modes_of(site))
        if mode is not None:
            self.struck.append(Strike(site, number, mode))
        return mode


class Points:
    """Passes calls of one process through its fault points.

    Args:
        process: whose calls.
        plan: which go wrong.
        chance: for the time a call takes.
        broke: told of each fault, with how long it lasts.
    """

    def __init__(
        self, process: Process, plan: Plan, chance: random.Random, broke: Callable[[str, str, float], None]
    ) -> None:
        self._process = process
        self._plan = plan
        self._chance = chance
        self._broke = broke

    def port(self, name: str, inner: object) -> Any:
        """Return a port of this process."""
        return _Port(self, name, inner)

    async def call(self, site: str, act: Callable[[], Awaitable[Any]], *, takes_s: float = 0.02) -> Any:
        """Make one call as this process, or as its fault has it."""
        process = self._process
        await process.turn()
        site = f"{process.role}.{site}"
        mode = self._plan.next(site, asyncio.get_running_loop().time())
        if site not in _AT_ONCE or mode is not None:
            await asyncio.sleep(takes_s * self._chance.random())
        if mode is not None:
            self._broke(site, mode, _LASTS_S.get(mode, 0.0))
        await process.turn()
        result = await self._outcome(mode, site, act)
        await process.turn()
        if self._chance.random() < _SLOW_ANSWERS:
            await asyncio.sleep(takes_s * self._chance.random())
            await process.turn()
        return result

    async def _outcome(self, mode: Mode | None, site: str, act: Callable[[], Awaitable[Any]]) -> Any:
        if mode in _INSTEAD:
            return await self._instead(mode, site, act)
        if mode == "delay":
            await asyncio.sleep(CALL_S * self._chance.random())
        elif mode == "pause":
            await self._process.stand_still(_STANDS_STILL_S)
        elif mode == "dup":
            await act()
        result = await act()
        if mode == "crash_after":
            self._process.fall()
            raise Crash
        if mode == "fail_after":
            raise silence(site)
        return result

    async def _instead(self, mode: Mode | None, site: str, act: Callable[[], Awaitable[Any]]) -> None:
        """Do something else, or nothing, or what is wanted but too late."""
        match mode:
            case "fail_before":
                raise refusal(site)
            case "crash_before":
                self._process.fall()
                raise Crash
            case "hang":
                await asyncio.sleep(_HANGS_S.get(site.rsplit(".", 2)[1], CALL_S))
                raise silence(site)
            case "late" | "reorder":
                wait_s = CALL_S * self._chance.random() if mode == "late" else 0.5
                asyncio.get_running_loop().call_later(
                    wait_s, lambda: asyncio.ensure_future(_quietly(act)), context=contextvars.Context()
                )
                if mode == "late":
                    await asyncio.sleep(CALL_S)
                    raise silence(site)


async def _quietly(act: Callable[[], Awaitable[Any]]) -> None:
    """Do what nobody waits for."""
    try:
        await act()
    except Exception:  # noqa: BLE001 - the one who asked has gone on
        return


def refusal(site: str) -> Exception:
    """Return what a call raises that did nothing."""
    return PostFailed("unavailable") if ".gateway." in site else StoreUnavailable("by order of the plan")


def silence(site: str) -> Exception:
    """Return what a call raises of which nobody knows what it did."""
    if ".gateway." in site:
        return PostFailed("timeout")
    if ".model." in site:
        return RunError("model_unavailable", "The model did not answer.")
    unknown = ".queue." not in site and ".receipt." not in site and site.rsplit(".", 1)[-1] not in _READS
    return OutcomeUnknown("by order of the plan") if unknown else StoreUnavailable("by order of the plan")


class _Port:
    """A port of one process: the same methods, each through its point."""

    def __init__(self, points: Points, name: str, inner: object) -> None:
        self._points = points
        self._name = name
        self._inner = inner

    def __getattr__(self, method: str) -> Callable[..., Awaitable[Any]]:
        inner, site = getattr(self._inner, method), f"{self._name}.{method}"

        def call(*args: Any, **named: Any) -> Awaitable[Any]:
            return self._points.call(site, functools.partial(inner, *args, **named))

        self.__dict__[method] = call
        return call
