"""A log that counts: how often each event came with the same fields, until somebody comes for it.

It stands on the path of every event, so it does no more: most come again and again with the same few fields. What
metrics that makes is worked out once for all of them, in `metric_cells.py`.
"""

from collections.abc import Mapping
from typing import Final, TypeAlias

from playbyplay.observability import COUNTED_ONLY, METRICS, Value
from playbyplay.ports import Log

MAX_KINDS: Final = 100_000  # nobody has come for them for minutes
_COUNTED: Final = frozenset(metric.event for metric in METRICS)

Happened: TypeAlias = tuple[Value, ...]
"""An event: its name, its fields' names, their values. The run's id is left out: no metric has that."""


class CountingLog:
    """Implements `ports.Log`: passes on what has a line, and counts what has a metric.

    Args:
        lines: writes the lines.
    """

    def __init__(self, lines: Log) -> None:
        self._lines = lines
        self._times: dict[Happened, list[int]] = {}

    def event(self, name: str, **fields: Value) -> None:
        """Write one event of the catalogue and count its metrics.

        Raises:
            ValueError: the name is not in the catalogue.
        """
        if name not in COUNTED_ONLY:
            self._lines.event(name, **fields)
        if name not in _COUNTED:
            return
        fields.pop("run_id", None)
        happened = (name, *fields, *fields.values())
        times = self._times.get(happened)
        if times is not None:
            times[0] += 1
        elif len(self._times) < MAX_KINDS:
            self._times[happened] = [1]

    def drain(self) -> Mapping[Happened, list[int]]:
        """Return what happened since the last time, and how often; begin anew."""
        times, self._times = self._times, {}
        return times
