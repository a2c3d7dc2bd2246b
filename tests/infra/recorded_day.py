"""Days as CloudWatch recorded them: what was written of each metric, minute by minute."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.infra.alarm_judge import Samples

_DAYS = Path(__file__).parent / "days"
MINUTES = 24 * 60


@dataclass(frozen=True, slots=True)
class Day:
    """A day.

    Attributes:
        series: by metric, as `alarm_judge.key` names it.
        causes: what broke: `what`, the minutes `from` and `to`, and the alarms that are to ring.
    """

    series: dict[str, Samples]
    causes: list[dict[str, Any]]

    @classmethod
    def read(cls, name: str) -> "Day":
        """Read a day, whose minutes are words: `value`, `valuexhow many`, several with commas, `-` for none.

        A word with `*n` stands for n minutes alike.
        """
        told = json.loads((_DAYS / f"{name}.json").read_text())
        return cls({key: _minutes(text) for key, text in told["series"].items()}, told.get("causes", []))


def _minutes(text: str) -> Samples:
    minutes: list[list[float]] = []
    for word in text.split():
        values, _, times = word.partition("*")
        minutes += [_samples(values)] * int(times or 1)
    return minutes


def _samples(values: str) -> list[float]:
    pairs = (value.partition("x") for value in values.split(",") if value != "-")
    return [float(value) for value, _, count in pairs for _ in range(int(count or 1))]
