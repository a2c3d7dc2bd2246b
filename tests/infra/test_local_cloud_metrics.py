"""Lines of the embedded metric format become metrics, each once; everything else in a log is left alone."""

import contextlib
import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from infra.local_cloud_metrics import _AT_ONCE, _LATE_MS, Forwarder, data
from playbyplay.adapters.powertools_log import PowertoolsLog
from playbyplay.observability import NAMESPACE

AT = datetime(2026, 3, 1, 12, 30, 15, 250_000, tzinfo=UTC)
AT_MS = round(AT.timestamp() * 1000)


def line(*directives: tuple[list[list[str]], list[dict[str, str]]], **members: object) -> str:
    """Write a line of the embedded format."""
    told = [{"Namespace": "Us", "Dimensions": sets, "Metrics": metrics} for sets, metrics in directives]
    return json.dumps({"_aws": {"Timestamp": AT_MS, "CloudWatchMetrics": told}, **members})


def one(value: object, **more: object) -> str:
    """Write a line of one metric."""
    return line(([["service"]], [{"Name": "Runs", "Unit": "Count"}]), Runs=value, service="all", **more)


def datum(name: str, values: list[float], unit: str = "Count", **dimensions: str) -> tuple[str, dict[str, Any]]:
    """Say what PutMetricData is to have."""
    told_apart = [{"Name": dimension, "Value": value} for dimension, value in dimensions.items()]
    return "Us", {"MetricName": name, "Dimensions": told_apart, "Timestamp": AT, "Unit": unit, "Values": values}


def test_a_line_is_its_metrics_with_its_own_time() -> None:
    """Several metrics, one with an array, one without a unit."""
    metrics = [{"Name": "Runs", "Unit": "Count"}, {"Name": "Lag", "Unit": "Milliseconds"}, {"Name": "Bare"}]
    told = line(([["service"]], metrics), Runs=0, Lag=[3, 4.5, 3], Bare=-1, service="all", other="left alone")
    assert data(told) == [
        datum("Runs", [0.0], service="all"),
        datum("Lag", [3.0, 4.5, 3.0], "Milliseconds", service="all"),
        datum("Bare", [-1.0], "None", service="all"),
    ]


def test_each_set_of_dimensions_is_a_metric_of_its_own() -> None:
    """So it is for CloudWatch; a set may be empty, and a line may have several directives."""
    runs, ends = [{"Name": "Runs", "Unit": "Count"}], [{"Name": "Ends", "Unit": "Count"}]
    told = line(([["a"], ["a", "b"], []], runs), ([["b"]], ends), Runs=1, Ends=2, a="x", b=7)
    assert data(told) == [
        datum("Runs", [1.0], a="x"),
        datum("Runs", [1.0], a="x", b="7"),
        datum("Runs", [1.0]),
        datum("Ends", [2.0], b="7"),
    ]


@pytest.mark.parametrize(
    "bad",
    [
        "START RequestId: 1 Version: $LATEST",
        one(1)[:-9],
        '"CloudWatchMetrics"',
        '["CloudWatchMetrics"]',
        "7",
        '{"event":"audit_swept","open":1}',
        '{"_aws":null}',
        '{"_aws":{"Timestamp":1,"CloudWatchMetrics":7}}',
        one(1).replace(str(AT_MS), '"noon"'),
        one(1).replace(str(AT_MS), "1e300"),
        one("1"),
        one(None),
        one([]),
        one([1, "2"]),
        one({}),
        one(float("nan")),
        one([1, float("inf")]),
        line(([["service"]], [{"Name": "Runs"}]), service="all"),
        line(([["service"]], [{"Name": "Runs"}]), Runs=1),
        line(([["service"]], [{"Unit": "Count"}]), service="all"),
    ],
)
def test_a_line_that_is_anything_else_holds_nothing(bad: str) -> None:
    """It is skipped: a log holds what it likes."""
    assert data(bad) == []


def test_what_the_product_writes_is_understood() -> None:
    """A sweep of the auditor, as Powertools writes it."""
    with contextlib.redirect_stdout(io.StringIO()) as written:
        log = PowertoolsLog("auditor")
        log.event("audit_swept", audited=3, open=2, tool_executing_without_tool_completed=1)
        log.flush()
    found = [each for told in written.getvalue().splitlines() for each in data(told)]
    assert {namespace for namespace, _ in found} == {NAMESPACE}
    values = {each["MetricName"]: each["Values"] for _, each in found}
    assert (values["RunsAudited"], values["ToolExecutingWithoutToolCompleted"]) == ([3.0], [1.0])
    assert {len(each["Dimensions"]) for _, each in found} == {1}


class Cloud:
    """CloudWatch and its logs, as boto3 shows them."""

    def __init__(self) -> None:
        self.logged: list[tuple[str, str, int, str]] = []
        self.put: list[dict[str, Any]] = []
        self.calls: list[int] = []
        self.refusals = 0
        self.now_ms = 0.0
        self._operation = ""

    def get_paginator(self, operation: str) -> "Cloud":
        self._operation = operation
        return self

    def paginate(self, **wanted: Any) -> Iterator[dict[str, Any]]:
        if self._operation == "describe_log_groups":
            return iter(
                [{"logGroups": [{"logGroupName": name}]} for name in dict.fromkeys(one[0] for one in self.logged)]
            )
        found = [
            {"logStreamName": stream, "timestamp": at, "message": message}
            for group, stream, at, message in self.logged
            if group == wanted["logGroupName"]
            and at >= wanted["startTime"]
            and wanted["filterPattern"][1:-1] in message
        ]
        return iter([{"events": found[:1]}, {"events": found[1:]}])

    def put_metric_data(self, Namespace: str, MetricData: list[dict[str, Any]]) -> None:  # noqa: N803 - boto3's
        if self.refusals:
            self.refusals -= 1
            raise RuntimeError(Namespace)
        self.calls.append(len(MetricData))
        self.put += MetricData

    @property
    def values(self) -> list[float]:
        return [value for each in self.put for value in each["Values"]]


@pytest.fixture
def cloud() -> Cloud:
    return Cloud()


@pytest.fixture
def forwarder(cloud: Cloud) -> Forwarder:
    return Forwarder(cloud, cloud, lambda: cloud.now_ms)


def test_each_line_is_put_once(cloud: Cloud, forwarder: Forwarder) -> None:
    """Although the newest are read again; of equal ones each counts, in one stream or in several."""
    cloud.now_ms = 100_000
    cloud.logged = [("a", "1", 99_000, one(1)), ("a", "1", 99_000, one(1)), ("b", "1", 99_000, one(1))]
    forwarder.pass_on()
    assert cloud.values == [1, 1, 1]
    cloud.now_ms += 500
    cloud.logged += [("a", "1", 99_000, one(1)), ("a", "2", 99_000, one(1)), ("a", "1", 100_400, one(1))]
    forwarder.pass_on()
    assert cloud.values == [1] * 6
    for _ in range(3):
        cloud.now_ms += 4_000
        forwarder.pass_on()
    assert cloud.values == [1] * 6


def test_what_is_logged_late_is_put_and_what_is_old_is_not_read_again(cloud: Cloud, forwarder: Forwarder) -> None:
    """A line may carry a stamp from before the last look, by some seconds."""
    cloud.now_ms = 100_000
    forwarder.pass_on()
    cloud.logged = [("a", "1", 100_000 - _LATE_MS, one(1)), ("a", "1", 100_000 - _LATE_MS - 1, one(2))]
    forwarder.pass_on()
    assert cloud.values == [1]


def test_what_was_not_put_is_put_the_next_time(cloud: Cloud, forwarder: Forwarder) -> None:
    """However long the cloud refuses."""
    cloud.logged, cloud.refusals = [("a", "1", 1_000, one(1))], 2
    for _ in range(2):
        cloud.now_ms += 2 * _LATE_MS
        with pytest.raises(RuntimeError):
            forwarder.pass_on()
    forwarder.pass_on()
    assert cloud.values == [1]


def test_many_are_put_in_several_calls(cloud: Cloud, forwarder: Forwarder) -> None:
    """PutMetricData takes so many and no more."""
    cloud.logged = [("a", str(stream), 1_000, one(stream)) for stream in range(_AT_ONCE + 1)]
    forwarder.pass_on()
    assert cloud.calls == [_AT_ONCE, 1]
    assert cloud.values == list(range(_AT_ONCE + 1))


def test_nothing_is_put_where_nothing_is_counted(cloud: Cloud, forwarder: Forwarder) -> None:
    """A log without metrics costs no call."""
    cloud.logged = [("a", "1", 1_000, "START RequestId: 1"), ("a", "1", 1_000, '"CloudWatchMetrics"')]
    forwarder.pass_on()
    assert cloud.calls == []
