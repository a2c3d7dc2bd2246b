"""What CloudWatch would make of an alarm, as it stands in the template, on a recorded day.

Rules: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-evaluation.html and
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from tests.infra.metric_math import Series, evaluate

State: TypeAlias = Literal["OK", "ALARM", "INSUFFICIENT_DATA"]
Samples: TypeAlias = Sequence[Sequence[float]]
"""The values that were written in each minute."""

# "CloudWatch attempts to retrieve a higher number of data points than the number specified as Evaluation Periods":
# for three they are five in all its tables. For other numbers AWS tells nothing; two more are taken.
_MORE: Final = 2
_ABOVE: Final = "GreaterThanThreshold"
_BELOW: Final = "LessThanThreshold"


@dataclass(frozen=True, slots=True)
class Rule:
    """When so many of the last points breach, it rings.

    Attributes:
        breaches: M, the DatapointsToAlarm.
        periods: N, the EvaluationPeriods.
        missing: the TreatMissingData.
    """

    breaches: int
    periods: int
    missing: str

    def state(self, points: Sequence[bool | None], before: State = "OK") -> State:
        """Return the state after an evaluation range, oldest point first; None where there is no value.

        "If some data points in the evaluation range are missing, but the total number of existing data points [...]
        is equal to or more than the alarm's Evaluation Periods, CloudWatch evaluates the alarm state based on the
        most recent real data points"; if it is lower, it "fills in the missing data points with the result you
        specified".
        """
        real = [point for point in points if point is not None]
        lacking = max(0, self.periods - len(real))
        breaching = sum(real[-self.periods :])
        if not lacking or self.missing == "notBreaching":
            return self._judged(breaching)
        if self.missing == "breaching":
            return self._judged(breaching + lacking)
        # A value that does not breach is news enough: in every row of the tables that has one, what is missing changes
        # nothing.
        if not all(real):
            return self._judged(breaching)
        if self.missing == "ignore":
            return before
        return "ALARM" if self._premature(points) else "INSUFFICIENT_DATA"

    def _judged(self, breaching: int) -> State:
        return "ALARM" if breaching >= self.breaches else "OK"

    def _premature(self, points: Sequence[bool | None]) -> bool:
        """Whether "the oldest breaching data point is at least as old as the value of Datapoints to Alarm"."""
        known = [point is not None for point in points]
        return any(known) and len(points) - known.index(True) >= self.breaches


def key(metric: Mapping[str, Any]) -> str:
    """Return how a recorded day names a metric of a template: namespace, name, and dimensions but for our `service`."""
    dimensions = sorted((one["Name"], one["Value"]) for one in metric["Dimensions"])
    told = [f"{name}={value}" for name, value in dimensions if name != "service"]
    return " ".join([metric["Namespace"], metric["MetricName"], *told])


def watched(alarm: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Return the metric and the statistic of every series of an alarm, by the name that its math calls it."""
    if "Metrics" not in alarm:
        return {"": (key(alarm), alarm.get("ExtendedStatistic") or alarm["Statistic"])}
    return {
        one["Id"]: (key(one["MetricStat"]["Metric"]), one["MetricStat"]["Stat"])
        for one in alarm["Metrics"]
        if "MetricStat" in one
    }


def period_minutes(alarm: Mapping[str, Any]) -> int:
    """Return how long a period of an alarm is; all metrics of one have the same, as CloudWatch demands."""
    (period,) = {alarm.get("Period"), *(one["MetricStat"]["Period"] for one in alarm.get("Metrics", ())[1:])} - {None}
    return int(period) // 60


def judge(alarm: Mapping[str, Any], day: Mapping[str, Samples], *, late: bool = False) -> list[State]:
    """Return the state of an alarm at the end of each minute of a day; it begins as OK, after minutes like the first.

    Args:
        alarm: its properties in the template.
        day: what was written, by metric.
        late: whether the newest period has no value yet whenever CloudWatch looks, as metrics that are read from logs
            may have none.
    """
    minutes = len(next(iter(day.values())))
    step = period_minutes(alarm)
    rule = Rule(alarm["DatapointsToAlarm"], alarm["EvaluationPeriods"], alarm["TreatMissingData"])
    length = rule.periods + _MORE
    series = {name: periods(day[metric], statistic, step) for name, (metric, statistic) in watched(alarm).items()}
    states: list[State] = []
    state: State = "OK"
    for minute in range(minutes):
        newest = (minute + 1) // step  # periods that are over; what is not over is not looked at
        if newest and not (minute + 1) % step:
            window = {name: _window(values, newest, length, late=late) for name, values in series.items()}
            state = rule.state(_breaches(alarm, window), state)
        states.append(state)
    return states


def periods(samples: Samples, statistic: str, step: int) -> Series:
    """Return a statistic of each period of so many minutes; None for one without a value."""
    gathered = [
        [value for minute in samples[start : start + step] for value in minute]
        for start in range(0, len(samples), step)
    ]
    return [_statistic(values, statistic) if values else None for values in gathered]


def _statistic(values: Sequence[float], statistic: str) -> float:
    match statistic:
        case "Sum":
            return sum(values)
        case "Maximum":
            return max(values)
        case "Minimum":
            return min(values)
        case "SampleCount":
            return len(values)
    # The smallest value that so many per cent of all do not exceed. How AWS goes on between two values it does not say.
    assert statistic.startswith("p"), statistic
    return sorted(values)[math.ceil(float(statistic[1:]) / 100 * len(values)) - 1]


def _window(values: Series, newest: int, length: int, *, late: bool) -> Series:
    padded = [*[values[0]] * max(0, length - newest), *values[max(0, newest - length) : newest]]
    return [*padded[:-1], None] if late else padded


def _breaches(alarm: Mapping[str, Any], window: Mapping[str, Series]) -> list[bool | None]:
    values = evaluate(alarm["Metrics"][0]["Expression"], window) if "Metrics" in alarm else window[""]
    limit = float(alarm["Threshold"])
    assert alarm["ComparisonOperator"] in {_ABOVE, _BELOW}
    above = alarm["ComparisonOperator"] == _ABOVE
    return [None if value is None else value > limit if above else value < limit for value in values]
