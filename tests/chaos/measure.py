"""How long it took: from a fault to the run that goes on, and to the client that is whole."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from playbyplay.domain.journal import FenceEntry, Record
from playbyplay.protocol.events import TERMINAL_TYPES
from tests.chaos.device import Device
from tests.chaos.faults import Kind, Window
from tests.simulation.evidence import Evidence


@dataclass(frozen=True, slots=True)
class Spread:
    """Durations in seconds: how many, the middle one, the longest."""

    n: int
    p50: float
    max: float

    @classmethod
    def of(cls, durations_ms: Iterable[float]) -> "Spread":
        """Return the spread of durations in milliseconds."""
        found = sorted(durations_ms)
        return cls(len(found), found[len(found) // 2] / 1000, found[-1] / 1000) if found else cls(0, 0.0, 0.0)


class Timeline:
    """When each run's records were put, and by which owner generation."""

    def __init__(self, evidence: Evidence) -> None:
        put_ms = {(put.user, put.run_id, put.pos): put.at_ms for put in evidence.puts}
        self.runs: Mapping[tuple[str, str], Sequence[tuple[float, Record]]] = {
            key: [(put_ms.get((*key, record.pos), 0.0), record) for record in records]
            for key, records in evidence.journals.items()
        }

    def after(self, window: Window) -> Iterator[tuple[float, float]]:
        """Yield, of each run that a blow hit, when its next owner took it and when its next event was put.

        The blow hit the run it names, or every run that was at work.
        """
        for (_user, run_id), records in self.runs.items():
            at = bisect_right([put_ms for put_ms, _record in records], window.at_ms)
            is_at_work = 1 < at < len(records) and not is_terminal(records[at - 1][1])
            if run_id != window.run_id and (window.run_id is not None or not is_at_work):
                continue
            # One more record may have been committed in the moment of the blow.
            owned = next((ms for ms, record in records[at : at + 2] if isinstance(record.entries[0], FenceEntry)), None)
            event = next((ms for ms, record in records[at:] if record.events), None)
            if owned is not None and event is not None:
                yield owned - window.at_ms, event - window.at_ms


def is_terminal(record: Record) -> bool:
    """Whether a run has ended with a record."""
    return any(event.type in TERMINAL_TYPES for event in record.events)


def recoveries(timeline: Timeline, windows: Sequence[Window], kind: Kind) -> tuple[Spread, Spread]:
    """Return how long it took from each blow of a kind to the next owner, and to the next event, of runs at work.

    A blow that another one of the whole server followed too soon is left out: it is that one's to be measured.
    """
    found = [
        pair
        for window in windows
        if window.kind == kind
        for pair in timeline.after(window)
        if not any(_comes_between(other, window.at_ms, window.at_ms + pair[1]) for other in windows if other != window)
    ]
    return Spread.of(taken for taken, _event in found), Spread.of(event for _taken, event in found)


def _comes_between(other: Window, from_ms: float, to_ms: float) -> bool:
    whole_server = other.kind in {"server killed", "server held still"}
    return whole_server and other.at_ms <= to_ms and other.until_ms >= from_ms


def whole_again(evidence: Evidence, timeline: Timeline, device: Device, window: Window) -> tuple[float, float] | None:
    """Return how long a device took to hold all that was there when its line was whole again.

    It is counted from then, and from the first connection it made after that; None where it missed nothing.
    """
    whole_ms = window.until_ms
    wanted = set()
    for (user, run_id), records in timeline.runs.items():
        if user == device.user and run_id in device.known:
            wanted |= {
                (run_id, event.seq) for put_ms, record in records if put_ms <= whole_ms for event in record.events
            }
    late = [
        one.at_ms
        for one in evidence.delivered
        if one.client == device.name and one.at_ms > whole_ms and (one.run_id, one.seq) in wanted
    ]
    if not late:
        return None
    opened = [
        link.at_ms
        for link in evidence.links
        if link.client == device.name and link.change == "opened" and whole_ms < link.at_ms <= max(late)
    ]
    return max(late) - whole_ms, max(late) - min(opened, default=whole_ms)
