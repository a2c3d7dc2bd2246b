"""The series of the tables as metrics of CloudWatch, each with exactly the dimensions it is written with."""

from collections.abc import Mapping
from typing import Final

from aws_cdk import Duration
from aws_cdk.aws_apigatewayv2 import WebSocketApi, WebSocketStage
from aws_cdk.aws_cloudwatch import Metric
from aws_cdk.aws_lambda import Function
from aws_cdk.aws_sqs import Queue

from infra.monitoring import names
from infra.monitoring.alarm import Ours, Series
from playbyplay.observability import METRICS, NAMESPACE, SERVICE

_DIMENSION: Final = {metric.name: metric.dimension for metric in METRICS}


class Metrics:
    """Makes metrics of this stack.

    Args:
        functions: by the names of `names.py`.
        jobs: the queue of jobs.
        dead: that of dead letters.
        api: the socket.
        stage: its one stage.
    """

    def __init__(
        self, *, functions: Mapping[str, Function], jobs: Queue, dead: Queue, api: WebSocketApi, stage: WebSocketStage
    ) -> None:
        self._functions = functions
        self._queues = {names.JOBS: jobs, names.DEAD: dead}
        self._socket = {"ApiId": api.api_id, "Stage": stage.stage_name}

    def of(self, series: Series, *, period_s: int = 60) -> Metric:
        """Return the metric of a series.

        Raises:
            KeyError: the catalogue has no such metric, or the stack no such function.
        """
        period = Duration.seconds(period_s)
        if isinstance(series, Ours):
            told_apart = {_DIMENSION[series.name]: series.value} if series.value else {}
            return Metric(
                namespace=NAMESPACE,
                metric_name=series.name,
                dimensions_map={"service": SERVICE} | told_apart,
                statistic=series.statistic,
                period=period,
            )
        if series.of == names.SOCKET:
            return Metric(
                namespace="AWS/ApiGateway",
                metric_name=series.name,
                dimensions_map=self._socket,
                statistic=series.statistic,
                period=period,
            )
        source = self._queues.get(series.of) or self._functions[series.of]
        return source.metric(series.name, statistic=series.statistic, period=period)
