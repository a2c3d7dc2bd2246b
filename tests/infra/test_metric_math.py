"""Metric math: the examples of AWS's own page, and that nothing else is guessed."""

import pytest

from tests.infra.metric_math import NotInTheSubset, Series, evaluate


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        # https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html, "Comparison and
        # logical operators"
        ("metric1 < metric2", [0, 0, 1, 0]),
        ("metric1 >= 30", [1, 0, 0, 0]),
        ("metric1 > 15 AND metric2 > 15", [1, 0, 0, 0]),
    ],
)
def test_comparisons_are_as_in_aws_examples(expression: str, expected: Series) -> None:
    """A series that has no value where the other has one counts as 0 there."""
    series: dict[str, Series] = {"metric1": [30.0, 20.0, 0.0, 0.0], "metric2": [20.0, None, 20.0, None]}
    assert evaluate(expression, series) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        # The same page, "Using IF expressions"
        ("IF(metric1, metric2, metric3)", [30, 0, 20, None, None]),
        ("IF(metric1, 5, metric3)", [5, 5, 20, None, None]),
        ("IF(metric1, metric2, 5)", [30, 0, 5, 5, None]),
    ],
)
def test_if_is_as_in_aws_examples(expression: str, expected: Series) -> None:
    """A missing value is 0 on the true side, dropped on the false one, and dropped with the condition."""
    series: dict[str, Series] = {
        "metric1": [1.0, 1.0, 0.0, 0.0, None],
        "metric2": [30.0, None, 0.0, 0.0, 30.0],
        "metric3": [0.0, 0.0, 20.0, None, 20.0],
    }
    assert evaluate(expression, series) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("one + two", [3, 1, 2, None]),
        ("one - two", [-1, 1, -2, None]),
        ("2 * one", [2, 2, None, None]),
        ("two / one", [2, 0, None, None]),
        ("FILL(one, 0) + FILL(two, 0)", [3, 1, 2, 0]),
        ("FILL(one, 7)", [1, 1, 7, 7]),
        ("one > 0 OR two > 0", [1, 1, 1, None]),
        ("IF(FILL(one, 0) > 0, 100 * FILL(two, 0) / FILL(one, 0), 0)", [200, 0, 0, 0]),
    ],
)
def test_what_is_missing_is_nothing_beside_a_value(expression: str, expected: Series) -> None:
    """Arithmetic counts a missing value as 0, drops a division by zero, and makes no value where there is none."""
    assert evaluate(expression, {"one": [1.0, 1.0, None, None], "two": [2.0, None, 2.0, None]}) == expected


@pytest.mark.parametrize(
    "expression",
    ["MAX([one, one])", "FILL(one, REPEAT)", "one ^ 2", "1 < one < 3", "1 + 2", "IF(1, one, one)", "FILL(1, 0)"],
)
def test_what_is_not_known_is_refused(expression: str) -> None:
    """An expression that these rules do not cover is no series of zeros."""
    with pytest.raises((NotInTheSubset, KeyError)):
        evaluate(expression, {"one": [1.0]})
