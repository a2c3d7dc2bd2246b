"""What a rule of the contract is to the checker, and what the checker says in the end."""

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

from tests.simulation.case import Case
from tests.simulation.evidence import Witness

MOST = 50  # violations told of one rule: after these nobody reads on
Verdict: TypeAlias = Literal["valid", "invalid", "unknown"]


class Finding(NamedTuple):
    """Where a rule does not hold.

    Attributes:
        subject: the run or the client.
        sentence: what is wrong, with positions or seqs; never what somebody said.
    """

    subject: str
    sentence: str


class Violation(NamedTuple):
    """A finding, and the rule it is against."""

    rule: str
    subject: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing the contract says.

    Attributes:
        promise: what, in one sentence.
        needs: what must have been witnessed to judge it.
    """

    name: str
    promise: str
    needs: frozenset[Witness]
    findings: Callable[[Case], Iterable[Finding]]

    def violations(self, case: Case) -> list[Violation]:
        """Return where it does not hold, the first of them."""
        found = itertools.islice(self.findings(case), MOST)
        return [Violation(self.name, finding.subject, finding.sentence) for finding in found]


@dataclass(frozen=True, slots=True)
class Report:
    """What the checker says.

    Attributes:
        verdict: `unknown` where there was nothing to judge.
        unjudged: rules whose witnesses were not there.
    """

    verdict: Verdict
    violations: Sequence[Violation]
    unjudged: Sequence[str]
    runs: int
    frames: int

    @property
    def broken(self) -> frozenset[str]:
        """The names of the rules that do not hold."""
        return frozenset(violation.rule for violation in self.violations)


def rule(name: str, *needs: Witness) -> Callable[[Callable[[Case], Iterable[Finding]]], Rule]:
    """Make a rule of a function: its docstring is the promise."""

    def made(function: Callable[[Case], Iterable[Finding]]) -> Rule:
        return Rule(name, (function.__doc__ or "").strip(), frozenset(needs), function)

    return made
