"""How properties are checked: the same examples in every run, no database beside the code."""

from hypothesis import HealthCheck, settings

PROPERTY = settings(
    max_examples=100, deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)
