"""What a log counted, worked out: the values of each series."""

from collections.abc import Mapping
from typing import TypeAlias

from local.metrics import Happened
from local.sketch import slot
from playbyplay.observability import Dimensions, Fields, Metric, samples


class Cell:
    """The values of one series in one bucket.

    Attributes:
        slots: how many values fell into each slot of the sketch; None where the unit is no time.
    """

    __slots__ = ("count", "high", "low", "slots", "total")

    def __init__(self, value: float, *, sketched: bool) -> None:
        self.count = 0
        self.total = 0.0
        self.low = self.high = value
        self.slots: dict[int, int] | None = {} if sketched else None

    def add(self, value: float, times: int) -> None:
        """Take in a value that came so many times."""
        self.count += times
        self.total += value * times
        self.low, self.high = min(self.low, value), max(self.high, value)
        if self.slots is not None:
            at = slot(value)
            self.slots[at] = self.slots.get(at, 0) + times


Cells: TypeAlias = Mapping[str, Cell]
"""By the name of their series."""


def cells(counted: Mapping[Happened, list[int]]) -> Cells:
    """Return the values of every metric that events make, each event so many times as it happened."""
    found: dict[str, Cell] = {}
    for happened, (times,) in counted.items():
        event, fields = _read(happened)
        for metric, value, dimensions in samples(event, fields):
            series = series_name(metric, dimensions) if dimensions else metric.name
            cell = found.get(series)
            if cell is None:
                cell = found[series] = Cell(value, sketched=metric.unit == "Milliseconds")
            cell.add(value, times)
    return found


def series_name(metric: Metric, dimensions: Dimensions) -> str:
    """Return the name of a metric and its dimension's value, as `TerminalReached.completed`."""
    return ".".join([metric.name, *(value for _name, value in dimensions)])


def _read(happened: Happened) -> tuple[str, Fields]:
    event, *rest = happened
    half = len(rest) // 2
    return str(event), {str(name): value for name, value in zip(rest[:half], rest[half:], strict=True)}
