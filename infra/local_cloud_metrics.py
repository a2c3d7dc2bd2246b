"""What CloudWatch does on AWS by itself: metrics that functions write into their logs become metrics.

MiniStack keeps a function's lines in CloudWatch Logs, and leaves lines of the embedded format there as they are.
Here they are read from the logs of every function, and put, each once, with the time and the dimensions it has.
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

import contextlib
import json
import math
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from infra.local_cloud import MiniStack

_EACH_S: Final = 2.0
_LATE_MS: Final = 10_000  # a line is stamped, and is there to be read a moment later
_AT_ONCE: Final = 1000  # PutMetricData takes no more
_PATTERN: Final = '"CloudWatchMetrics"'
_UNUSABLE: Final = (ArithmeticError, AttributeError, LookupError, OSError, TypeError, ValueError)


class _Line(NamedTuple):
    """A line of a log; several may be equal."""

    group: str
    stream: str
    at_ms: int
    message: str


class Forwarder:
    """Takes metrics out of logs.

    Args:
        logs: a client of CloudWatch Logs.
        metrics: a client of CloudWatch.
        now_ms: the time in milliseconds, as the logs have it.
    """

    def __init__(self, logs: Any, metrics: Any, now_ms: Callable[[], float] = lambda: time.time() * 1000) -> None:  # noqa: ANN401 - boto3 makes its clients at run time
        self._logs = logs
        self._metrics = metrics
        self._now_ms = now_ms
        self._from_ms = 0
        self._passed_on: Counter[_Line] = Counter()  # of those that are read again

    def pass_on(self) -> None:
        """Put what was logged since the last time.

        Raises:
            BotoCoreError, ClientError: the cloud did not answer, or refused; what was not put is put the next time.
        """
        began_ms = self._now_ms()
        found = Counter(self._lines())
        waiting = defaultdict(list)
        for line in (found - self._passed_on).elements():
            for namespace, datum in data(line.message):
                waiting[namespace].append(datum)
        for namespace, put in waiting.items():
            for start in range(0, len(put), _AT_ONCE):
                self._metrics.put_metric_data(Namespace=namespace, MetricData=put[start : start + _AT_ONCE])
        self._passed_on = found
        self._from_ms = max(0, round(began_ms) - _LATE_MS)

    def _lines(self) -> Iterator[_Line]:
        for groups in self._logs.get_paginator("describe_log_groups").paginate():
            for name in (group["logGroupName"] for group in groups["logGroups"]):
                wanted = {"logGroupName": name, "startTime": self._from_ms, "filterPattern": _PATTERN}
                for page in self._logs.get_paginator("filter_log_events").paginate(**wanted):
                    for event in page["events"]:
                        yield _Line(name, event["logStreamName"], event["timestamp"], event["message"])


def data(message: str) -> list[tuple[str, dict[str, Any]]]:
    """Return what a line of the embedded format is to PutMetricData, with the namespace of each.

    A line that is anything else, or whose names lead nowhere, holds nothing.
    """
    try:
        record = json.loads(message)
        at = datetime.fromtimestamp(record["_aws"]["Timestamp"] / 1000, UTC)
        return [
            (
                str(directive["Namespace"]),
                {
                    "MetricName": str(metric["Name"]),
                    "Dimensions": [{"Name": str(name), "Value": str(record[name])} for name in dimensions],
                    "Timestamp": at,
                    "Unit": str(metric.get("Unit", "None")),
                    "Values": _values(record[metric["Name"]]),
                },
            )
            for directive in record["_aws"]["CloudWatchMetrics"]
            for dimensions in directive["Dimensions"]
            for metric in directive["Metrics"]
        ]
    except _UNUSABLE:
        return []


def _values(told: Any) -> list[float]:  # noqa: ANN401 - whatever a line holds
    """Return the numbers of a metric: an array, or one.

    Raises:
        TypeError: there is something else.
        ValueError: there is none, or one that nobody can add up.
    """
    values = told if isinstance(told, list) else [told]
    if not values or not all(map(math.isfinite, values)):
        raise ValueError("no number")
    return [float(each) for each in values]


@contextlib.contextmanager
def forwarding(cloud: MiniStack) -> Iterator[None]:
    """Forward all the time, and once more at the end."""
    forwarder = Forwarder(cloud.client("logs"), cloud.client("cloudwatch"))
    ended = threading.Event()

    def forward() -> None:
        while True:
            last = ended.wait(_EACH_S)
            with contextlib.suppress(BotoCoreError, ClientError):  # the next time has it
                forwarder.pass_on()
            if last:
                return

    thread = threading.Thread(target=forward, name="metrics", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
