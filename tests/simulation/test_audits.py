"""The auditor beside whole campaigns: silent where the contract is kept, and not where it is broken."""

from collections.abc import Iterator
from itertools import islice

import pytest

from playbyplay.domain.audit import Absence
from tests.simulation.audits import Auditing
from tests.simulation.calm import calm
from tests.simulation.campaign import play
from tests.simulation.sabotage import Sabotage
from tests.simulation.schedule import Schedule, by_seed
from tests.simulation.trace import lines

_SEEDS = 20
_FOUND_WITHIN = 20
# All that the auditor ever tells of a calm schedule: what is the schedule's own trouble, and is over at its end.
_TROUBLE: dict[str, set[Absence]] = {
    "owners fall and get on": {"tool_completed"},
    "owners fall in a row": {"tool_completed"},
    "a device reads nothing": {"receipt"},
}
_BITES: dict[Sabotage, Absence] = {
    "the journal overwrites": "journal",
    "nobody sweeps": "agent_started",
    "no resume arrives": "receipt",
}


def stormy(count: int, sabotage: Sabotage | None = None, *, skewed: bool = False) -> Iterator[Schedule]:
    """Return schedules; of how long ago something was only those tell whose clocks are right."""
    schedules = (by_seed(seed, sabotage) for seed in range(10 * count))
    return islice((schedule for schedule in schedules if skewed or not schedule.laws.skew_s), count)


@pytest.mark.parametrize("name", calm())
def test_the_auditor_tells_of_a_calm_schedule_what_goes_wrong_in_it(name: str) -> None:
    """And nothing of all the others: a false alarm is worse than none."""
    auditing = Auditing()
    play(calm()[name], auditing)
    assert auditing.ever == _TROUBLE.get(name, set())
    assert auditing.at_the_end == set()
    assert sum(swept.audited for swept in auditing.sweeps) > 0
    assert sum(swept.unread for swept in auditing.sweeps) == 0


def test_after_a_storm_nothing_is_missing() -> None:
    """What was, has come; and no journal broke a rule at any time."""
    seen: set[Absence] = set()
    for schedule in stormy(_SEEDS):
        auditing = Auditing()
        play(schedule, auditing)
        assert auditing.at_the_end == set(), schedule.name
        seen |= auditing.ever
    assert seen >= {"agent_started", "tool_completed"}
    assert "journal" not in seen


@pytest.mark.parametrize("sabotage", _BITES)
def test_the_auditor_finds_what_a_broken_promise_leaves_behind(sabotage: Sabotage) -> None:
    """In schedules after which nothing is missing where it is kept; a broken journal is one by any clock."""
    for schedule in stormy(_FOUND_WITHIN, sabotage, skewed=_BITES[sabotage] == "journal"):
        auditing = Auditing()
        play(schedule, auditing)
        if _BITES[sabotage] in auditing.at_the_end:
            return
    pytest.fail(f"not found in {_FOUND_WITHIN} schedules")


def test_nobody_feels_the_auditor() -> None:
    """A campaign is the same to the last frame, with it and without."""
    assert lines(play(by_seed(11), Auditing()).evidence) == lines(play(by_seed(11)).evidence)
