"""The alarms and the dashboard, first version."""

import json

from playbyplay.observability import METRICS, NAMESPACE
from tests.infra.synthesis import Stack

ALARMS = {
    "DeadLetters": 0,
    "JobsWait": 0,
    "RunnerErrors": 0,
    "MessageErrors": 0,
    "Throttles": 0,
    "OverdueRuns": 0,
    "PoisonedJobs": 0,
}


def test_each_alarm_says_what_happened_and_what_to_do(own: Stack) -> None:
    """There are these alarms, each rings above its number, stays quiet without data, and explains itself."""
    alarms = {path.removeprefix("Monitoring/"): alarm for path, alarm in own.of("AWS::CloudWatch::Alarm").items()}
    assert {name: alarm["Threshold"] for name, alarm in alarms.items()} == ALARMS
    for alarm in alarms.values():
        assert alarm["ComparisonOperator"] == "GreaterThanThreshold"
        assert alarm["TreatMissingData"] == "notBreaching"
        assert len(alarm["AlarmDescription"]) > 60


def test_the_alarms_watch_what_they_are_named_for(own: Stack) -> None:
    """The queue's alarms watch the right queue, the functions' the right function, and throttles are everybody's."""
    dimensions = {
        path.removeprefix("Monitoring/"): (alarm.get("MetricName"), alarm.get("Dimensions"))
        for path, alarm in own.of("AWS::CloudWatch::Alarm").items()
    }

    def of(name: str, value: str) -> list[dict[str, str]]:
        return [{"Name": name, "Value": value}]

    assert dimensions["DeadLetters"] == (
        "ApproximateNumberOfMessagesVisible",
        of("QueueName", "<Queue/DeadLetters.QueueName>"),
    )
    assert dimensions["JobsWait"] == (
        "ApproximateNumberOfMessagesVisible",
        of("QueueName", "<Queue/Jobs.QueueName>"),
    )
    assert own.properties("Monitoring/JobsWait")["Statistic"] == "Minimum"
    assert dimensions["RunnerErrors"] == ("Errors", of("FunctionName", "<Functions/Runner>"))
    assert dimensions["MessageErrors"] == ("Errors", of("FunctionName", "<Functions/Message>"))
    assert dimensions["OverdueRuns"] == ("OverdueRuns", of("service", "watchdog"))
    poison = [one["MetricStat"]["Metric"] for one in own.properties("Monitoring/PoisonedJobs")["Metrics"][1:]]
    assert [(one["MetricName"], one["Dimensions"]) for one in poison] == [
        ("JobDropped", [{"Name": "reason", "Value": why}, *of("service", "agent_runner")])
        for why in ("malformed", "unknown")
    ]
    for sum_of in ("PoisonedJobs", "Throttles"):
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
    """A graph of our namespace shows a metric of the catalogue, by its one service."""
    (dashboard,) = own.of("AWS::CloudWatch::Dashboard").values()
    shown = [
        metric
        for widget in json.loads(dashboard["DashboardBody"])["widgets"]
        for metric in widget["properties"]["metrics"]
        if metric[0] == NAMESPACE
    ]
    assert shown
    assert {metric[1] for metric in shown} <= {metric.name for metric in METRICS if metric.dimension is None}
    assert {metric[2] for metric in shown} == {"service"}
