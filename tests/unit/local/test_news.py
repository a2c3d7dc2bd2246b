"""What is no news has no line: sweeps that found nothing."""

from local.news import News
from tests.fakes.log import FakeLog


def test_a_sweep_that_found_nothing_is_no_news() -> None:
    """One that did something is, and so is everything else."""
    log = FakeLog()
    news = News(log)
    news.event("watchdog_swept", overdue=0, sent=0, closed=0)
    news.event("watchdog_swept", overdue=0, sent=0, closed=1)
    news.event("run_retried", run_id=None)
    assert log.events == [("watchdog_swept", {"overdue": 0, "sent": 0, "closed": 1}), ("run_retried", {"run_id": None})]


def test_an_audit_that_missed_nothing_is_no_news() -> None:
    """However many runs it looked at."""
    log = FakeLog()
    news = News(log)
    nothing = {"audited": 128, "open": 7, "complete": False, "runs_without_terminal": 0, "unread": 0}
    news.event("audit_swept", **nothing)
    assert log.events == []
    news.event("audit_swept", **{**nothing, "runs_without_terminal": 1})
    news.event("audit_swept", **{**nothing, "unread": 1})
    assert log.names == ["audit_swept"] * 2


def test_an_absence_that_lasts_is_told_once() -> None:
    """It is told again if it was gone meanwhile, and so is the sweep that sees the last of it."""
    log = FakeLog()
    news = News(log)

    def sweep(*runs: str) -> list[str]:
        log.events.clear()
        for run_id in runs:
            news.event("absence_found", run_id=run_id, absence="terminal", waits_ms=7)
        news.event("audit_swept", audited=3, runs_without_terminal=len(runs))
        return log.names

    assert sweep("one") == ["absence_found", "audit_swept"]
    assert sweep("one") == []
    assert sweep("one", "two") == ["absence_found", "audit_swept"]
    assert sweep("two") == ["audit_swept"]
    assert sweep() == ["audit_swept"]
    assert sweep() == []
    assert sweep("one") == ["absence_found", "audit_swept"]
