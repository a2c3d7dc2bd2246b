"""When something was broken, so that a bound is not asked of a broken world."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate

from tests.simulation.evidence import STALLS, Fault

_NETWORK = "network."
ZOMBIE_MS = 5_000.0  # an owner that was held up finds out with its next append that the run is not its own


class Weather:
    """The faults, by time."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self._faults = sorted(faults, key=lambda fault: fault.at_ms)
        self._of: dict[str, Weather] = {}
        self._begins = [fault.at_ms for fault in self._faults]
        self._ends = list(accumulate((max(fault.at_ms, fault.until_ms) for fault in self._faults), max))

    def of(self, client: str) -> "Weather":
        """Return the weather as a client has it: what is wrong with another's network is not its own."""
        if client not in self._of:
            mine = f"{_NETWORK}{client}"
            others = any(fault.site.startswith(_NETWORK) and fault.site != mine for fault in self._faults)
            kept = [fault for fault in self._faults if not fault.site.startswith(_NETWORK) or fault.site == mine]
            self._of[client] = Weather(kept) if others else self
        return self._of[client]

    def whole_again_ms(self, before_ms: float) -> float:
        """Return when the last of the faults ended that began by then; 0 for none."""
        begun = bisect_right(self._begins, before_ms)
        return self._ends[begun - 1] if begun else 0.0

    def breaks(self, from_ms: float, to_ms: float) -> bool:
        """Whether anything was broken at any time between."""
        return self.whole_again_ms(to_ms) >= from_ms and any(
            fault.at_ms <= to_ms and max(fault.at_ms, fault.until_ms) >= from_ms for fault in self._faults
        )

    def stalled(self, at_ms: float) -> bool:
        """Whether an owner that has lost its run may still be at work."""
        return any(
            fault.mode in STALLS and fault.at_ms <= at_ms <= max(fault.at_ms, fault.until_ms) + ZOMBIE_MS
            for fault in self._faults
        )

    def calm(self, from_ms: float, to_ms: float) -> Iterator[tuple[float, float]]:
        """Yield the times between in which nothing was broken."""
        at_ms = from_ms
        for fault in self._faults:
            if fault.at_ms > to_ms:
                break
            if fault.at_ms > at_ms:
                yield at_ms, fault.at_ms
            at_ms = max(at_ms, fault.at_ms, fault.until_ms)
        if at_ms < to_ms:
            yield at_ms, to_ms
