"""What the auditor finds, as operators call it: the metric that counts it, and the runbook that says what to do."""

from collections.abc import Iterable
from typing import Any, Final

from auditor.sweep import Found
from playbyplay.domain.audit import Absence

METRIC: Final[dict[Absence, str]] = {
    "agent_started": "AcceptedWithoutAgentStarted",
    "tool_completed": "ToolExecutingWithoutToolCompleted",
    "terminal": "RunsWithoutTerminal",
    "receipt": "PostedWithoutReceipt",
    "journal": "JournalViolations",
    "user": "AbandonedWhileRunning",
}
RUNBOOK: Final[dict[Absence, str]] = {
    "agent_started": "messagewithoutagentstarted",
    "tool_completed": "toolwithoutcompletion",
    "terminal": "runwithoutterminal",
    "receipt": "postedneverreceived",
    "journal": "journalbroken",
    "user": "abandonmentrate",
}
"""The sections of docs/operations.md, by their anchors."""


def told(found: Iterable[Found]) -> list[dict[str, Any]]:
    """Return findings as the ops page has them, those that wait longest first."""
    return [
        {
            "run_id": one.run_id,
            "absence": METRIC[one.finding.absence],
            "waits_ms": one.finding.waits_ms,
            "runbook": f"operations.md#{RUNBOOK[one.finding.absence]}",
        }
        for one in sorted(found, key=lambda one: -one.finding.waits_ms)
    ]
