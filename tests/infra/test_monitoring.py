"""The alarms and the dashboard, first version."""

import json
from typing import Any, get_args

from playbyplay.observability import METRICS, NAMESPACE
from tests.infra.synthesis import Stack
from watchdog.look import Finding

ALARMS = {
    "DeadLetters": 0,
    "JobsWait": 0,
    "RunnerErrors": 0,
    "MessageErrors": 0,
    "Throttles": 0,
    "RunsAstray": 0,
    "RunsUnreadable": 0,
    "PoisonedJobs": 0,
    "WatchdogErrors": 0,
}
# In how many of how many minutes.
PATIENCE = {
    "DeadLetters": (14, 15),
    "JobsWait": (2, 3),
    "RunnerErrors": (2, 3),
    "MessageErrors": (2, 3),
    "Throttles": (2, 3),
    "RunsAstray": (3, 4),
    "RunsUnreadable": (1, 1),
    "PoisonedJobs": (1, 1),
    "WatchdogErrors": (2, 3),
}


def test_each_alarm_says_what_happened_and_what_to_do(own: Stack) -> None:
    """There are these alarms, each rings above its number, stays quiet without data, and explains itself."""
    alarms = {path.removeprefix("Monitoring/"): alarm for path, alarm in own.of("AWS::CloudWatch::Alarm").items()}
    assert {name: alarm["Threshold"] for name, alarm in alarms.items()} == ALARMS
    for alarm in alarms.values():
        assert alarm["ComparisonOperator"] == "GreaterThanThreshold"
        assert alarm["TreatMissingData"] == "notBreaching"
        assert len(alarm["AlarmDescription"]) > 60
    patience = {name: (alarm["DatapointsToAlarm"], alarm["EvaluationPeriods"]) for name, alarm in alarms.items()}
    assert patience == PATIENCE
    for alarm in alarms.values():
        assert {alarm.get("Period", 60), *(one["MetricStat"]["Period"] for one in _summed(alarm))} == {60}


def test_a_letter_that_is_looked_at_again_and_again_rings(own: Stack) -> None:
    """It is in somebody's hands for most of the time, so both kinds are counted, each minute's most of either."""
    summed = [one["MetricStat"] for one in _summed(own.properties("Monitoring/DeadLetters"))]
    queue = [{"Name": "QueueName", "Value": "<Queue/DeadLetters.QueueName>"}]
    assert [(one["Metric"]["MetricName"], one["Metric"]["Dimensions"], one["Stat"]) for one in summed] == [
        ("ApproximateNumberOfMessagesVisible", queue, "Maximum"),
        ("ApproximateNumberOfMessagesNotVisible", queue, "Maximum"),
    ]


def test_the_alarms_watch_what_they_are_named_for(own: Stack) -> None:
    """The queue's alarms watch the right queue, the functions' the right function, and throttles are everybody's."""
    dimensions = {
        path.removeprefix("Monitoring/"): (alarm.get("MetricName"), alarm.get("Dimensions"))
        for path, alarm in own.of("AWS::CloudWatch::Alarm").items()
    }

    def of(name: str, value: str) -> list[dict[str, str]]:
        return [{"Name": name, "Value": value}]

    assert dimensions["JobsWait"] == (
        "ApproximateNumberOfMessagesVisible",
        of("QueueName", "<Queue/Jobs.QueueName>"),
    )
    assert own.properties("Monitoring/JobsWait")["Statistic"] == "Minimum"
    assert dimensions["RunnerErrors"] == ("Errors", of("FunctionName", "<Functions/Runner>"))
    assert dimensions["MessageErrors"] == ("Errors", of("FunctionName", "<Functions/Message>"))
    assert dimensions["WatchdogErrors"] == ("Errors", of("FunctionName", "<Functions/Watchdog>"))
    for name in ("RunsAstray", "RunsUnreadable"):
        assert dimensions[name] == (name, of("service", "watchdog"))
        assert own.properties(f"Monitoring/{name}")["Statistic"] == "Maximum"
    poison = [one["MetricStat"]["Metric"] for one in own.properties("Monitoring/PoisonedJobs")["Metrics"][1:]]
    assert [(one["MetricName"], one["Dimensions"]) for one in poison] == [
        ("JobDropped", [*of("reason", "malformed"), *of("service", "agent_runner")]),
        ("JobDropped", [*of("reason", "unknown"), *of("service", "agent_runner")]),
        ("DeadLetter", [*of("finding", "malformed"), *of("service", "watchdog")]),
    ]
    for sum_of in ("PoisonedJobs", "Throttles", "DeadLetters"):
        terms = own.properties(f"Monitoring/{sum_of}")["Metrics"][0]["Expression"].split(" + ")
        assert all(term.startswith("FILL(") and term.endswith(", 0)") for term in terms)  # no value counts as 0
    summed = own.properties("Monitoring/Throttles")["Metrics"]
    watched = {one["MetricStat"]["Metric"]["Dimensions"][0]["Value"] for one in summed if "MetricStat" in one}
    assert watched == {f"<{path}>" for path in own.of("AWS::Lambda::Function") if path.startswith("Functions/")}


def test_the_dashboard_shows_socket_queue_and_functions(own: Stack) -> None:
    """The dashboard's text is JSON whose graphs name each of the three."""
    (dashboard,) = own.of("AWS::CloudWatch::Dashboard").values()
    titles = [widget["properties"]["title"] for widget in json.loads(dashboard["DashboardBody"])["widgets"]]
    assert {"Socket", "Jobs waiting", "Oldest job, seconds", "Errors", "Time of a frame, ms"} <= set(titles)


def test_our_own_metrics_are_ones_that_are_counted(own: Stack) -> None:
    """A graph or an alarm of our namespace has a metric of the catalogue, by its service and what tells it apart."""
    (dashboard,) = own.of("AWS::CloudWatch::Dashboard").values()
    shown = [
        (name, [one for one in rest[::2] if isinstance(one, str)])
        for widget in json.loads(dashboard["DashboardBody"])["widgets"]
        for namespace, name, *rest in widget["properties"]["metrics"]
        if namespace == NAMESPACE
    ]
    alarms = own.of("AWS::CloudWatch::Alarm").values()
    watched = [*alarms, *(one["MetricStat"]["Metric"] for alarm in alarms for one in _summed(alarm))]
    rings = [
        (one["MetricName"], [dimension["Name"] for dimension in one["Dimensions"]])
        for one in watched
        if one.get("Namespace") == NAMESPACE
    ]
    assert shown
    assert {name for name, _dimensions in rings} == {"RunsAstray", "RunsUnreadable", "JobDropped", "DeadLetter"}
    told_apart = {metric.name: metric.dimension for metric in METRICS}
    for name, names in [*shown, *rings]:
        assert sorted(names) == sorted(filter(None, ["service", told_apart[name]]))


def test_runs_that_are_on_their_way_ring_no_alarm(own: Stack) -> None:
    """A turn that waits, or a run whose owner is at work, is looked at and healthy: no alarm counts looks."""
    counted = {metric.name: metric.value for metric in METRICS if metric.event == "watchdog_swept"}
    watched = {alarm.get("MetricName") for alarm in own.of("AWS::CloudWatch::Alarm").values()}
    assert {value for name, value in counted.items() if name in watched} == {"astray", "unreadable"}


def test_every_finding_of_a_dead_letter_is_shown(own: Stack) -> None:
    """What a look may find, and the one finding that needs no look."""
    (dashboard,) = own.of("AWS::CloudWatch::Dashboard").values()
    titles = {
        one["properties"]["title"]: one["properties"] for one in json.loads(dashboard["DashboardBody"])["widgets"]
    }
    shown = [metric[metric.index("finding") + 1] for metric in titles["Dead letters, what was found"]["metrics"]]
    assert sorted(shown) == sorted([*get_args(Finding), "malformed"])


def _summed(alarm: dict[str, Any]) -> list[dict[str, Any]]:
    return [one for one in alarm.get("Metrics", []) if "MetricStat" in one]
