"""The table of alarms as alarms of CloudWatch; all of them tell the topic when they ring and when it is over."""

from collections.abc import Mapping
from typing import Final

from aws_cdk import Duration
from aws_cdk.aws_cloudwatch import (
    Alarm,
    AlarmBase,
    AlarmRule,
    AlarmState,
    ComparisonOperator,
    CompositeAlarm,
    IMetric,
    MathExpression,
    TreatMissingData,
)
from aws_cdk.aws_cloudwatch_actions import SnsAction
from aws_cdk.aws_sns import Topic
from constructs import Construct

from infra.monitoring.alarm import AlarmRow, CompositeRow, Missing, description
from infra.monitoring.metrics import Metrics

_MISSING: Final[Mapping[Missing, TreatMissingData]] = {
    "notBreaching": TreatMissingData.NOT_BREACHING,
    "breaching": TreatMissingData.BREACHING,
}


class Alarms:
    """Makes alarms.

    Args:
        scope: what they become part of.
        prefix: of their names in CloudWatch, which an account's other stacks share.
        metrics: makes what they watch.
        topic: is told.
        runbooks: the address below which the repository's files are, for the links; "" for none.
    """

    def __init__(self, scope: Construct, *, prefix: str, metrics: Metrics, topic: Topic, runbooks: str) -> None:
        self._scope = scope
        self._prefix = prefix
        self._metrics = metrics
        self._topic = topic
        self._runbooks = runbooks

    def alarm(self, row: AlarmRow) -> Alarm:
        """Make the alarm of a row."""
        above, below = ComparisonOperator.GREATER_THAN_THRESHOLD, ComparisonOperator.LESS_THAN_THRESHOLD
        made = Alarm(
            self._scope,
            row.name,
            alarm_name=f"{self._prefix}-{row.name}",
            alarm_description=description(row, self._runbooks),
            metric=self._watched(row),
            threshold=row.threshold,
            comparison_operator=above if row.below is None else below,
            evaluation_periods=row.periods,
            datapoints_to_alarm=row.breaches,
            treat_missing_data=_MISSING[row.missing],
        )
        self._tells(made)
        return made

    def composite(self, row: CompositeRow, alarms: Mapping[str, Alarm]) -> CompositeAlarm:
        """Make the alarm that rings when any of its members does."""
        made = CompositeAlarm(
            self._scope,
            row.name,
            composite_alarm_name=f"{self._prefix}-{row.name}",
            alarm_description=description(row, self._runbooks),
            alarm_rule=AlarmRule.any_of(
                *(AlarmRule.from_alarm(alarms[name], AlarmState.ALARM) for name in row.members)
            ),
        )
        self._tells(made)
        return made

    def _watched(self, row: AlarmRow) -> IMetric:
        watched = {name: self._metrics.of(series, period_s=row.period_s) for name, series in row.series.items()}
        if not row.math:
            (only,) = watched.values()
            return only
        period = Duration.seconds(row.period_s)
        return MathExpression(expression=row.math, using_metrics=watched, label=row.name, period=period)

    def _tells(self, alarm: AlarmBase) -> None:
        action = SnsAction(self._topic)
        alarm.add_alarm_action(action)
        alarm.add_ok_action(action)
