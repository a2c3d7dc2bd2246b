"""What was counted, worked out: the values of each series are those of the catalogue."""

import random
from collections import defaultdict

import pytest

from local.metric_cells import cells
from local.metrics import CountingLog
from playbyplay.observability import EVENTS, samples
from tests.fakes.log import FakeLog


def counted(*events: tuple[str, dict[str, str | float | bool | None]]) -> dict[str, tuple[int, float, float, float]]:
    """Return count, sum, lowest and highest of each series."""
    log = CountingLog(FakeLog())
    for name, fields in events:
        log.event(name, **fields)
    return {series: (cell.count, cell.total, cell.low, cell.high) for series, cell in cells(log.drain()).items()}


def test_a_series_has_a_name_for_each_value_of_its_dimension() -> None:
    """And one without a dimension has the metric's."""
    assert counted(
        ("run_settled", {"run_id": "r", "status": "completed", "elapsed_ms": 11}),
        ("run_settled", {"run_id": "s", "status": "completed", "elapsed_ms": 30}),
        ("run_settled", {"run_id": "t", "status": "failed", "elapsed_ms": 12, "code": "attempts_exhausted"}),
        ("post_failed", {"run_id": "r", "reason": "no such reason"}),
    ) == {
        "TerminalReached.completed": (2, 2, 1, 1),
        "TerminalReached.failed": (1, 1, 1, 1),
        "TimeToTerminal": (3, 53, 11, 30),
        "AttemptsExhausted": (1, 1, 1, 1),
        "PostFailed.other": (1, 1, 1, 1),
    }


def test_times_are_sketched_and_nothing_else_is() -> None:
    """As often as they came."""
    log = CountingLog(FakeLog())
    for _ in range(4):
        log.event("job_taken", age_ms=0)
        log.event("events_appended", events=2)
    found = cells(log.drain())
    assert found["JobAge"].slots == {0: 4}
    assert found["EventsAppended"].slots is None
    assert found["EventsAppended"].total == 8


@pytest.mark.parametrize("event", [event.name for event in EVENTS])
def test_nothing_is_lost_on_the_way(event: str) -> None:
    """Whatever fields an event of the catalogue has, its series hold what the catalogue counts one by one."""
    chance = random.Random(event)  # noqa: S311 - no secret
    fields = next(one.fields for one in EVENTS if one.name == event).split()
    values: tuple[str | float | bool | None, ...] = (0, 1, 3, True, False, None, "same", "completed", "gone", "sent")
    log, expected = CountingLog(FakeLog()), defaultdict[str, float](float)
    for _ in range(200):
        given = {name: chance.choice(values) for name in fields if chance.random() < 0.9}
        log.event(event, **given)
        for metric, value, dimensions in samples(event, given):
            expected[".".join([metric.name, *(named for _name, named in dimensions)])] += value
    found = {series: cell.total for series, cell in cells(log.drain()).items()}
    assert found == pytest.approx(dict(expected))
