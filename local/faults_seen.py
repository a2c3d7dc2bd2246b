"""Remembers the faults that the switch let happen, for the ops page."""

from collections import Counter, deque
from dataclasses import dataclass
from typing import Any, Final

from local.fault_order import FAULTS, FaultName
from playbyplay.ports import Clock, Log

RUNBOOK: Final[dict[FaultName, str]] = {
    "kill_runner": "takeoverrate",
    "drop_post": "postedneverreceived",
    "duplicate_job": "runsastray",
    "freeze_model": "metricsilence",
    "cut_socket": "abandonmentrate",
}
"""Where one reads on when a fault has not healed: the sections of docs/operations.md, by their anchors."""
_REMEMBERED: Final = 20


@dataclass(frozen=True, slots=True)
class FaultSeen:
    """A fault that happened.

    Attributes:
        at: when, milliseconds since the epoch.
        run_id: None where it was no run's.
    """

    at: int
    fault: str
    run_id: str | None


class FaultsSeen:
    """Implements `ports.Log` for the switch.

    Attributes:
        last: the last faults, the newest first.
    """

    def __init__(self, log: Log, clock: Clock) -> None:
        self._log = log
        self._clock = clock
        self.last: deque[FaultSeen] = deque(maxlen=_REMEMBERED)
        self._times: Counter[str] = Counter()

    def event(self, name: str, **fields: str | float | bool | None) -> None:
        """Record an event, and remember a fault."""
        self._log.event(name, **fields)
        if name == "fault_injected":
            run_id = fields.get("run_id")
            seen = FaultSeen(self._clock.now_ms(), str(fields["fault"]), None if run_id is None else str(run_id))
            self.last.appendleft(seen)
            self._times[seen.fault] += 1

    @property
    def kinds(self) -> list[dict[str, Any]]:
        """Each fault that has happened: how often since the server began, what is to be seen then, its runbook."""
        return [
            {
                "fault": fault.name,
                "times": self._times[fault.name],
                "see": fault.see,
                "runbook": f"operations.md#{RUNBOOK[fault.name]}",
            }
            for fault in FAULTS
            if self._times[fault.name]
        ]
