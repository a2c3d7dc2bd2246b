"""The log that counts: every event on its way, and how often it came with the same fields."""

import pytest

from local import metrics
from local.metrics import CountingLog
from tests.fakes.log import FakeLog


def test_an_event_with_a_line_goes_on_to_it() -> None:
    """With all its fields; what is only counted does not."""
    lines = FakeLog()
    log = CountingLog(lines)
    log.event("run_acquired", run_id="r", epoch=1, attempts=1)
    log.event("events_appended", events=2)
    assert lines.events == [("run_acquired", {"run_id": "r", "epoch": 1, "attempts": 1})]


def test_what_comes_again_is_counted() -> None:
    """By its name and its fields, whosever run it is: memory does not grow with the runs."""
    log = CountingLog(FakeLog())
    for number in range(3):
        log.event("run_acquired", run_id=f"run-{number}", epoch=1, attempts=1)
    log.event("run_acquired", run_id="another", epoch=2, attempts=2)
    log.event("events_appended", events=1)
    assert log.drain() == {
        ("run_acquired", "epoch", "attempts", 1, 1): [3],
        ("run_acquired", "epoch", "attempts", 2, 2): [1],
        ("events_appended", "events", 1): [1],
    }


def test_what_was_fetched_is_counted_anew() -> None:
    """Nothing is told twice."""
    log = CountingLog(FakeLog())
    log.event("frame_rejected", code="bad_json")
    assert len(log.drain()) == 1
    assert log.drain() == {}
    log.event("frame_rejected", code="bad_json")
    assert list(log.drain().values()) == [[1]]


def test_an_event_without_a_metric_is_not_counted() -> None:
    """Its line is all there is of it."""
    log = CountingLog(FakeLog())
    log.event("server_started", port=1)
    log.event("connection_opened", connection_id="c=")
    assert log.drain() == {}


def test_a_name_outside_the_catalogue_is_refused() -> None:
    """And not counted."""
    log = CountingLog(FakeLog())
    with pytest.raises(ValueError, match="catalogue"):
        log.event("something_happened")
    assert log.drain() == {}


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody comes for the counts, what is known already is counted on, and new kinds are not."""
    monkeypatch.setattr(metrics, "MAX_KINDS", 2)
    log = CountingLog(FakeLog())
    for age_ms in (1, 2, 3, 1):
        log.event("job_taken", age_ms=age_ms)
    assert log.drain() == {("job_taken", "age_ms", 1): [2], ("job_taken", "age_ms", 2): [1]}
