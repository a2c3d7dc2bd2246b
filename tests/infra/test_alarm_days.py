"""What the alarms make of two recorded days: nobody is woken on the good one, and each rings on the bad one."""

import json
from typing import Any

import pytest

from infra.monitoring import names
from infra.monitoring.alarms import ALARMS, BLANK_SCREEN
from tests.infra.alarm_judge import State, judge, watched
from tests.infra.metric_math import NotInTheSubset
from tests.infra.recorded_day import MINUTES, Day

CALM_AGAIN = 20  # minutes after a cause is mended
# What somebody waits for is told of at once: not later than this many minutes after the first sign.
SOON = 4


def _states(alarms: dict[str, dict[str, Any]], day: Day, *, late: bool) -> dict[str, list[State]]:
    return {name: judge(alarm, day.series, late=late) for name, alarm in alarms.items()}


@pytest.mark.parametrize("late", [False, True], ids=["in time", "a minute late"])
def test_every_alarm_stays_calm_on_a_good_day(alarms: dict[str, dict[str, Any]], *, late: bool) -> None:
    """Idle nights, a long run, a deploy, a storm of reconnects, a late start: nobody is woken."""
    found = _states(alarms, Day.read("good"), late=late)
    assert {name: sorted(set(states)) for name, states in found.items() if set(states) != {"OK"}} == {}


@pytest.mark.parametrize("late", [False, True], ids=["in time", "a minute late"])
def test_every_alarm_rings_for_its_causes_and_for_nothing_else(
    alarms: dict[str, dict[str, Any]], *, late: bool
) -> None:
    """On a bad day each cause rings exactly its alarms, before it is mended, and all are calm soon after."""
    day = Day.read("bad")
    found = _states(alarms, day, late=late)
    ends = [cause["from"] for cause in day.causes[1:]] + [len(next(iter(day.series.values())))]
    for cause, until in zip(day.causes, ends, strict=True):
        during = {name for name, states in found.items() if "ALARM" in states[cause["from"] : cause["to"] + late]}
        until_next = {name for name, states in found.items() if "ALARM" in states[cause["from"] : until]}
        assert sorted(during) == sorted(until_next) == cause["rings"], cause["what"]
        for name, states in found.items():
            assert set(states[cause["to"] + CALM_AGAIN : until]) == {"OK"}, (cause["what"], name)
    assert {name for cause in day.causes for name in cause["rings"]} == {row.name for row in ALARMS}


def test_what_people_wait_for_is_told_soon(alarms: dict[str, dict[str, Any]]) -> None:
    """An alarm of the composite rings within minutes of the first sign, whatever else the cause rings."""
    day = Day.read("bad")
    found = _states(alarms, day, late=False)
    waited: dict[str, int] = {}
    for cause in day.causes:
        for name in set(cause["rings"]) & set(BLANK_SCREEN.members):
            rang = found[name].index("ALARM", cause["from"]) - cause["from"]
            waited[name] = min(rang, waited.get(name, rang))
    assert set(waited) == set(BLANK_SCREEN.members)
    assert max(waited.values()) <= SOON, waited


def test_the_days_hold_every_series_that_is_watched(alarms: dict[str, dict[str, Any]]) -> None:
    """No alarm is calm because its metric is not in the record, and the record holds nothing that nobody watches."""
    wanted = {metric for alarm in alarms.values() for metric, _statistic in watched(alarm).values()}
    for name in ("good", "bad"):
        day = Day.read(name)
        assert set(day.series) == wanted
        assert {len(samples) for samples in day.series.values()} == {MINUTES}


def test_an_alarm_that_asks_for_too_much_math_cannot_be_judged(alarms: dict[str, dict[str, Any]]) -> None:
    """The judge refuses what it does not know, so no alarm passes these days unjudged."""
    alarm = json.loads(json.dumps(alarms[names.THROTTLES]))
    alarm["Metrics"][0]["Expression"] = "ANOMALY_DETECTION_BAND(message)"
    with pytest.raises(NotInTheSubset):
        judge(alarm, Day.read("good").series)
