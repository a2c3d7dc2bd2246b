"""Percentiles of durations from counts alone: each slot is a tenth wider than the one before it.

A slot is told as the value from which both its ends are equally far, in shares of themselves: whatever was counted
in it, what is told is off by less than 5 %. Slot 0 is all that took less than a millisecond.
"""

import math
from collections.abc import Mapping
from typing import Final

GROWTH: Final = 1.1
RELATIVE_ERROR: Final = (GROWTH - 1) / (GROWTH + 1)
_LAST: Final = 300  # 79 years in milliseconds: whatever is longer is told as that
_SLOTS_PER_E: Final = 1 / math.log(GROWTH)


def slot(value: float) -> int:
    """Return the slot a duration falls into.

    Args:
        value: in milliseconds; below 0 counts as nothing.
    """
    return min(_LAST, 1 + int(math.log(value) * _SLOTS_PER_E)) if value >= 1 else 0


def percentile(slots: Mapping[int, int], share: float) -> float:
    """Return the value that so large a share of what was counted does not exceed, in milliseconds; 0 of nothing.

    Args:
        slots: how many fell into each slot.
        share: above 0, 1 at the most; 0.99 for the 99th percentile.
    """
    wanted, seen = share * sum(slots.values()), 0
    for one in sorted(slots):
        seen += slots[one]
        if seen >= wanted:
            return _middle(one)
    return 0.0


def _middle(one: int) -> float:
    return 2 * GROWTH**one / (GROWTH + 1) if one else 0.0
