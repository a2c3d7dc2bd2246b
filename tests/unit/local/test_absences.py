"""The auditor's findings in operators' words: each has its metric and its runbook."""

from typing import get_args

import pytest

from auditor.sweep import Found
from infra.monitoring.alarm import Ours
from infra.monitoring.alarms import ALARMS
from local.absences import METRIC, RUNBOOK, told
from playbyplay.domain.audit import Absence, Finding
from playbyplay.observability import METRICS

ALL: tuple[Absence, ...] = get_args(Absence)


def test_every_absence_has_a_metric_and_a_runbook() -> None:
    """No finding goes without."""
    assert set(METRIC) == set(RUNBOOK) == set(ALL)
    assert len(set(METRIC.values())) == len(set(RUNBOOK.values())) == len(ALL)


@pytest.mark.parametrize("absence", ALL)
def test_the_metric_is_the_one_that_is_counted(absence: Absence) -> None:
    """Of a sweep that found that alone it is the one that is not zero."""
    metric = next(metric for metric in METRICS if metric.name == METRIC[absence])
    assert (metric.event, metric.gauge) == ("audit_swept", True)


@pytest.mark.parametrize("absence", ALL)
def test_the_runbook_is_the_alarms(absence: Absence) -> None:
    """Of the alarm that watches that metric: on AWS and here one reads the same page."""
    (row,) = [row for row in ALARMS if row.slug == RUNBOOK[absence]]
    assert METRIC[absence] in {series.name for series in row.series.values() if isinstance(series, Ours)}


def test_findings_are_told_by_how_long_they_wait() -> None:
    """And by nothing but ids, times and names."""
    found = [
        Found("a", Finding("user", 5)),
        Found("b", Finding("journal", 70, ("R1",))),
        Found("a", Finding("receipt", 9)),
    ]
    assert told(found) == [
        {"run_id": "b", "absence": "JournalViolations", "waits_ms": 70, "runbook": "operations.md#journalbroken"},
        {
            "run_id": "a",
            "absence": "PostedWithoutReceipt",
            "waits_ms": 9,
            "runbook": "operations.md#postedneverreceived",
        },
        {"run_id": "a", "absence": "AbandonedWhileRunning", "waits_ms": 5, "runbook": "operations.md#abandonmentrate"},
    ]
