"""The judge of alarms: AWS's own tables of missing data, M of N, statistics, periods."""

from typing import Any

import pytest

from tests.infra.alarm_judge import Rule, State, judge, key, period_minutes, periods, watched

TREATMENTS = ("missing", "ignore", "breaching", "notBreaching")
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html: oldest point first, X
# breaches, - is missing; `kept` is the state from before.
THREE_OF_THREE = {
    "0 - X - X": ("OK", "OK", "OK", "OK"),
    "0 - - - -": ("OK", "OK", "OK", "OK"),
    "- - - - -": ("INSUFFICIENT_DATA", "kept", "ALARM", "OK"),
    "0 X X - X": ("ALARM", "ALARM", "ALARM", "ALARM"),
    "- - X - -": ("ALARM", "kept", "ALARM", "OK"),
}
TWO_OF_THREE = {
    "0 - X - X": ("ALARM", "ALARM", "ALARM", "ALARM"),
    "0 0 X 0 X": ("ALARM", "ALARM", "ALARM", "ALARM"),
    "0 - X - -": ("OK", "OK", "ALARM", "OK"),
    "- - - - 0": ("OK", "OK", "ALARM", "OK"),
    "- - - X -": ("ALARM", "kept", "ALARM", "OK"),
}
ROWS = [
    (breaches, points, treatment, state)
    for breaches, table in ((3, THREE_OF_THREE), (2, TWO_OF_THREE))
    for points, states in table.items()
    for treatment, state in zip(TREATMENTS, states, strict=True)
]


@pytest.mark.parametrize(("breaches", "points", "treatment", "expected"), ROWS)
@pytest.mark.parametrize("before", ["OK", "ALARM"])
def test_missing_data_is_treated_as_in_aws_tables(
    breaches: int, points: str, treatment: str, expected: str, before: State
) -> None:
    """Every row of both tables, under all four treatments."""
    read = [{"X": True, "0": False, "-": None}[point] for point in points.split()]
    assert Rule(breaches, 3, treatment).state(read, before) == (before if expected == "kept" else expected)


def test_a_single_late_breach_does_not_ring_early() -> None:
    """AWS: with `- - - - X` and three of three "the alarm does not go immediately into ALARM state"."""
    assert Rule(3, 3, "missing").state([None, None, None, None, True]) != "ALARM"


def _alarm(**changed: Any) -> dict[str, Any]:
    return {
        "Namespace": "Playbyplay",
        "MetricName": "One",
        "Dimensions": [{"Name": "service", "Value": "playbyplay"}],
        "Statistic": "Sum",
        "Period": 60,
        "DatapointsToAlarm": 2,
        "EvaluationPeriods": 3,
        "Threshold": 5,
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "notBreaching",
        **changed,
    }


def _rings(alarm: dict[str, Any], *samples: list[float], late: bool = False) -> list[int]:
    states = judge(alarm, {"Playbyplay One": samples}, late=late)
    return [minute for minute, state in enumerate(states) if state == "ALARM"]


def test_it_rings_while_m_of_n_breach() -> None:
    """Two of three minutes above the threshold, not on it, in whatever order."""
    assert _rings(_alarm(), [0], [6], [5], [6], [0], [6], [0], [0]) == [3, 5]


def test_below_is_the_other_side() -> None:
    """An alarm may ring below its threshold, and where nothing comes; values last as long as the range they are in."""
    silent = _alarm(
        Statistic="SampleCount", Threshold=1, ComparisonOperator="LessThanThreshold", TreatMissingData="breaching"
    )
    assert _rings(silent, [0], [0], [], [], [], [], [0], [0], [0]) == [5, 6]


def test_values_of_a_minute_make_the_statistic() -> None:
    """Sum, largest, smallest, how many, and the percentile that so many do not exceed."""
    samples = [[*map(float, range(1, 101))], []]
    found = {name: periods(samples, name, 1)[0] for name in ("Sum", "Maximum", "Minimum", "SampleCount", "p99", "p50")}
    assert found == {"Sum": 5050, "Maximum": 100, "Minimum": 1, "SampleCount": 100, "p99": 99, "p50": 50}
    assert periods(samples, "Sum", 1)[1] is None


def test_a_longer_period_gathers_its_minutes() -> None:
    """Five minutes make one value, and the state changes only when they are over."""
    alarm = _alarm(Period=300, DatapointsToAlarm=1, EvaluationPeriods=1)
    assert _rings(alarm, *[[2.0]] * 5, *[[0.0]] * 10) == [4, 5, 6, 7, 8]


def test_math_is_evaluated_over_what_is_looked_at() -> None:
    """An expression's series are named by their ids; the newest may not be there yet, and is filled then."""
    stat = {"Metric": {name: _alarm()[name] for name in ("Namespace", "MetricName", "Dimensions")}, "Period": 60}
    alarm = _alarm(
        Metrics=[
            {"Id": "expr_1", "Expression": "FILL(one, 9)"},
            {"Id": "one", "MetricStat": {**stat, "Stat": "Sum"}},
        ],
        DatapointsToAlarm=1,
        EvaluationPeriods=1,
    )
    for plain in ("Namespace", "MetricName", "Dimensions", "Statistic", "Period"):
        del alarm[plain]
    assert (period_minutes(alarm), watched(alarm)) == (1, {"one": ("Playbyplay One", "Sum")})
    assert _rings(alarm, [0], [6], [0], []) == [1, 3]
    assert _rings(alarm, [0], [0], late=True) == [0, 1]  # FILL that is stuck, as AWS warns


def test_a_metric_has_one_name() -> None:
    """Dimensions in order, without the one that all of ours have."""
    of = {"Name": "reason", "Value": "poison"}
    metric = _alarm(Dimensions=[{"Name": "service", "Value": "playbyplay"}, of])
    assert key(metric) == "Playbyplay One reason=poison"
