"""What being watched costs: the custom metrics, the alarms and the dashboard of one stage, in a month of CloudWatch.

List prices of us-east-1, without the free tier; an account's first metrics, alarms and dashboards are free.
https://aws.amazon.com/cloudwatch/pricing/
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from playbyplay.observability import METRICS, combinations

SOURCE: Final = "https://aws.amazon.com/cloudwatch/pricing/"
METRIC_DOLLARS: Final = 0.30
ALARM_METRIC_DOLLARS: Final = 0.10  # of standard resolution; an alarm on a sum is paid for each metric it adds up
COMPOSITE_DOLLARS: Final = 0.50
DASHBOARD_DOLLARS: Final = 3.00
BUDGET_DOLLARS: Final = 20.00
"""What the custom metrics of one stage may cost: each further value of a dimension is a metric."""


@dataclass(frozen=True, slots=True)
class Item:
    """A line of the bill.

    Attributes:
        each: what one of them costs in a month, in dollars.
    """

    what: str
    count: int
    each: float

    @property
    def dollars(self) -> float:
        """What they cost together."""
        return self.count * self.each


def custom_metrics() -> Item:
    """Return the line of our own metrics: every combination that the catalogue admits."""
    return Item("custom metrics", sum(len(combinations(metric)) for metric in METRICS), METRIC_DOLLARS)


def bill(*, alarm_metrics: int, composites: int, dashboards: int = 1) -> Sequence[Item]:
    """Return the bill of one stage for a month, if every metric has a value in each of its hours.

    Args:
        alarm_metrics: how many metrics the alarms watch, each counted once for each alarm.
        composites: how many alarms watch other alarms.
        dashboards: how many there are.
    """
    return (
        custom_metrics(),
        Item("metrics that alarms watch", alarm_metrics, ALARM_METRIC_DOLLARS),
        Item("composite alarms", composites, COMPOSITE_DOLLARS),
        Item("dashboards", dashboards, DASHBOARD_DOLLARS),
    )
