"""What an alarm is, as data: its question, what it is computed from, when it rings, and what is to be done then.

Nothing of the CDK is here, so the page of runbooks is made from the same table without it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

RUNBOOKS: Final = "docs/operations.md"
Missing: TypeAlias = Literal["notBreaching", "breaching"]


@dataclass(frozen=True, slots=True)
class Ours:
    """A metric of the catalogue.

    Attributes:
        statistic: `Maximum` for a gauge.
        value: of its dimension; "" where it has none.
    """

    name: str
    statistic: str = "Sum"
    value: str = ""


@dataclass(frozen=True, slots=True)
class Theirs:
    """A metric that AWS counts by itself.

    Attributes:
        of: a function, a queue or the socket, as `names.py` has it.
    """

    name: str
    of: str
    statistic: str = "Sum"


Series: TypeAlias = Ours | Theirs


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmRow:
    """One alarm.

    Attributes:
        question: what it asks, in one sentence.
        happened: what happened when it rings.
        felt: what users feel then.
        first: the first thing to do.
        series: what it is computed from, by the names that `math` calls them.
        math: CloudWatch's metric math; "" for the one series as it is.
        above: it breaches above this number.
        below: or below this one, if that is not None.
        breaches: how many of the last `periods` must breach.
        periods: how many are looked at.
        period_s: how long each of them is, in seconds.
        patience: why that many.
        missing: what a period without a value counts as.
        missing_because: why.
    """

    name: str
    question: str
    happened: str
    felt: str
    first: str
    series: Mapping[str, Series]
    math: str = ""
    above: float = 0
    below: float | None = None
    breaches: int
    periods: int
    period_s: int = 60
    patience: str
    missing: Missing = "notBreaching"
    missing_because: str

    @property
    def slug(self) -> str:
        """Its section among the runbooks: the anchor of a heading that is its name."""
        return slug(self.name)

    @property
    def threshold(self) -> float:
        """The number that it breaches above, or below."""
        return self.above if self.below is None else self.below

    @property
    def rings(self) -> str:
        """When it rings, as a person says it."""
        side = "above" if self.below is None else "below"
        length = "minutes" if self.period_s == 60 else f"periods of {self.period_s // 60} minutes"  # noqa: PLR2004 - a minute
        return f"{side} {self.threshold:g} in {self.breaches} of {self.periods} {length}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CompositeRow:
    """An alarm that rings when any of others does.

    Attributes:
        members: their names, each with the reason why it is among them.
    """

    name: str
    question: str
    happened: str
    felt: str
    first: str
    members: Mapping[str, str]

    @property
    def slug(self) -> str:
        """Its section among the runbooks."""
        return slug(self.name)


def slug(name: str) -> str:
    """Return the anchor that a page gives a heading of this name."""
    return name.lower()


def description(row: AlarmRow | CompositeRow, runbooks: str = "") -> str:
    """Return what stands in the alarm and in its message: what happened, what is felt, what to do, where to read on.

    Args:
        row: the alarm.
        runbooks: the address below which the repository's files are; "" for their names alone.
    """
    base = f"{runbooks.rstrip('/')}/" if runbooks else ""
    return f"{row.happened} Users: {row.felt} First: {row.first} Runbook: {base}{RUNBOOKS}#{row.slug}"


def filled(*names: str) -> str:
    """Return the sum of series in metric math, where one without a value counts as 0."""
    return " + ".join(f"FILL({name}, 0)" for name in names)


def share(part: str, whole: str, *, floor: int) -> str:
    """Return metric math for a share in per cent, 0 where the whole is not above the floor.

    A rate of three messages says nothing, and one of none divides by zero.
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html: a missing value in
    arithmetic is 0.
    """
    return f"IF({whole} > {floor}, 100 * ({part}) / ({whole}), 0)"
