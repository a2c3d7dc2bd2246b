"""The judge of a campaign: whether what happened is what the contract says may happen.

A pure function over the evidence. It sees no product code at work, and asks the rules one by one;
each rule has a mutant of a valid history that it alone, or it among others, must find.
"""

import contextlib
import gc
from collections.abc import Iterator, Mapping
from types import ModuleType

from tests.simulation import (
    rules_answers,
    rules_bounds,
    rules_delivery,
    rules_execution,
    rules_journal,
    rules_live,
    rules_pace,
    rules_submission,
)
from tests.simulation.case import Case
from tests.simulation.evidence import Evidence
from tests.simulation.rule import Report, Rule, Verdict

_MODULES: tuple[ModuleType, ...] = (
    rules_journal,
    rules_submission,
    rules_delivery,
    rules_answers,
    rules_execution,
    rules_bounds,
    rules_pace,
    rules_live,
)
RULES: Mapping[str, Rule] = {
    found.name: found for module in _MODULES for found in vars(module).values() if isinstance(found, Rule)
}


def check(evidence: Evidence) -> Report:
    """Judge a campaign.

    Raises:
        KeyError: a frame or a delivery is of a client the evidence does not name.
    """
    judged = [found for found in RULES.values() if found.needs <= evidence.witnessed]
    with _no_collection():
        case = Case(evidence)
        violations = tuple(violation for found in judged for violation in found.violations(case))
    verdict: Verdict = "invalid" if violations else "valid"
    if not violations and not case.chronicles:
        verdict = "unknown"
    return Report(
        verdict=verdict,
        violations=violations,
        unjudged=tuple(name for name, found in RULES.items() if found not in judged),
        runs=len(case.chronicles),
        frames=len(evidence.frames),
    )


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
    """Keep the collector from walking millions of frames again and again; nothing here makes cycles."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()
