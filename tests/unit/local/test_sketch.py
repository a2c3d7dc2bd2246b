"""The sketch of durations: percentiles that are nearly right, from counts alone."""

import random
from collections import Counter

import pytest

from local.sketch import percentile, slot

PROMISED = 0.05


@pytest.mark.parametrize("value", [1, 1.0999, 1.1, 7, 10, 999, 1000, 3_600_000, 86_400_000])
def test_a_duration_is_told_within_five_percent(value: float) -> None:
    """Wherever in its slot it lies."""
    assert percentile({slot(value): 1}, 1.0) == pytest.approx(value, rel=PROMISED)


@pytest.mark.parametrize("share", [0.01, 0.5, 0.9, 0.99, 0.999, 1.0])
@pytest.mark.parametrize("spread", [0.3, 1.5])
def test_percentiles_of_many_are_within_five_percent(share: float, spread: float) -> None:
    """Of ten thousand durations as they come in life: most short, some very long."""
    chance = random.Random(4)  # noqa: S311 - no secret
    values = sorted(1 + chance.lognormvariate(4, spread) for _ in range(10_000))
    exact = values[max(0, round(share * len(values)) - 1)]
    assert percentile(Counter(map(slot, values)), share) == pytest.approx(exact, rel=PROMISED)


@pytest.mark.parametrize("value", [0, 0.4, 0.999, -5])
def test_what_took_no_millisecond_is_told_as_nothing(value: float) -> None:
    """Also what a clock that was set back makes less than nothing."""
    assert percentile({slot(value): 3}, 0.5) == 0


def test_what_takes_for_ever_has_a_slot() -> None:
    """The last one."""
    assert slot(1e300) == slot(1e40)
    assert percentile({slot(1e300): 1}, 0.5) > 75 * 365 * 86_400_000


def test_nothing_has_no_percentile() -> None:
    """It is told as 0."""
    assert percentile({}, 0.99) == 0


def test_the_order_they_came_in_does_not_matter() -> None:
    """A long one that came first is still the longest."""
    slots = {slot(1000): 1, slot(10): 99}
    assert percentile(slots, 0.5) == pytest.approx(10, rel=PROMISED)
    assert percentile(slots, 1.0) == pytest.approx(1000, rel=PROMISED)


def test_slots_follow_each_other() -> None:
    """A longer duration is never in an earlier slot."""
    slots = [slot(1.01**power) for power in range(1500)]
    assert slots == sorted(slots)
    assert set(range(1, slots[-1])) <= set(slots)
