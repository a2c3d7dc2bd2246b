"""The dashboard of CloudWatch, made of the rows of questions."""

from collections.abc import Mapping, Sequence
from typing import Final

from aws_cdk import Duration
from aws_cdk.aws_cloudwatch import (
    AlarmBase,
    AlarmStatusWidget,
    Dashboard,
    GraphWidget,
    IWidget,
    LogQueryWidget,
    TextWidget,
    YAxisProps,
)
from aws_cdk.aws_lambda import Function
from constructs import Construct

from infra.monitoring.alarm import RUNBOOKS, Ours, Series
from infra.monitoring.metrics import Metrics
from infra.monitoring.questions import ROWS, Graph, LogTable, Row

_FULL: Final = 24  # columns
_GRAPH: Final = 6
_ALARMS_HIGH: Final = 5


def make_dashboard(
    scope: Construct, *, metrics: Metrics, alarms: Sequence[AlarmBase], functions: Mapping[str, Function]
) -> Dashboard:
    """Make the dashboard: the alarms' states, then each row under its heading."""
    hint = TextWidget(markdown=f"What each alarm means and what to do: `{RUNBOOKS}`.", width=_FULL, height=1)
    states = AlarmStatusWidget(title="Which alarms ring?", alarms=alarms, width=_FULL, height=_ALARMS_HIGH)
    rows = [part for row in ROWS for part in _row(row, metrics, functions)]
    return Dashboard(scope, "Dashboard", default_interval=Duration.hours(3), widgets=[[hint], [states], *rows])


def _row(row: Row, metrics: Metrics, functions: Mapping[str, Function]) -> list[list[IWidget]]:
    heading = TextWidget(markdown=f"## {row.heading}\n{row.explained}", width=_FULL, height=2)
    graphs: list[IWidget] = [_graph(each, metrics) for each in row.widgets if isinstance(each, Graph)]
    tables: list[IWidget] = [_table(each, functions) for each in row.widgets if isinstance(each, LogTable)]
    return [[heading], graphs, *([each] for each in tables)]


def _graph(graph: Graph, metrics: Metrics) -> GraphWidget:
    lines = [metrics.of(series).with_(label=_label(series)) for series in graph.series]
    axis = YAxisProps(label=graph.unit or None, min=0, show_units=False)
    return GraphWidget(title=graph.title, left=lines, left_y_axis=axis, width=_GRAPH)


def _table(table: LogTable, functions: Mapping[str, Function]) -> LogQueryWidget:
    logs = [functions[name].log_group.log_group_name for name in table.functions]
    return LogQueryWidget(title=table.title, log_group_names=logs, query_string=table.query, width=_FULL)


def _label(series: Series) -> str:
    """Return what a line is called: what tells it apart from others of its kind, and its percentile."""
    told_apart = series.value if isinstance(series, Ours) else series.of
    percentile = series.statistic if series.statistic[0] in "pM" else ""
    return " ".join(filter(None, (series.name, told_apart, percentile)))
