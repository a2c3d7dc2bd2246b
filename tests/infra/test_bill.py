"""What being watched costs in a month."""

from infra.bill import BUDGET_DOLLARS, Item, bill, custom_metrics
from playbyplay.observability import METRICS, OTHER


def test_the_custom_metrics_of_a_stage_stay_within_their_budget() -> None:
    """All of them, as if each came in every hour of the month."""
    assert 0 < custom_metrics().dollars < BUDGET_DOLLARS


def test_each_value_of_a_dimension_is_a_metric_of_its_own() -> None:
    """And so is the one that stands for values nobody listed."""
    values = [(*metric.values, OTHER) if metric.dimension else ("",) for metric in METRICS]
    assert custom_metrics().count == sum(map(len, values)) > len(METRICS)


def test_a_bill_has_a_line_for_everything_that_is_paid_for() -> None:
    """Alarms by the metrics they watch, for so they are charged."""
    assert bill(alarm_metrics=30, composites=2)[1:] == (
        Item("metrics that alarms watch", 30, 0.10),
        Item("composite alarms", 2, 0.50),
        Item("dashboards", 1, 3.00),
    )
    assert Item("metrics that alarms watch", 30, 0.10).dollars == 3.00
