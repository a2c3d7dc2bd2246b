"""The table of alarms: all of them, and the one that people are woken by."""

from typing import Final

from infra.monitoring import names
from infra.monitoring.alarm import AlarmRow, CompositeRow
from infra.monitoring.felt import FELT
from infra.monitoring.machinery import MACHINERY

ALARMS: Final[tuple[AlarmRow, ...]] = (*FELT, *MACHINERY)

# Not among its members: what is slow but comes (SlowFirstEvent, JobAge), what ends in an error that is told
# (ModelUnavailable, AttemptsExhausted), what heals by itself (RunnerErrors, TakeoverRate), and what people do, which
# may have other reasons. JournalBroken is as bad, but the screen is not blank.
BLANK_SCREEN: Final = CompositeRow(
    name=names.USERS_SEE_A_BLANK_SCREEN,
    question="Does anybody sit in front of a screen on which nothing happens?",
    happened="Something that users wait for does not come, or nobody can tell whether it does.",
    felt="a blank screen, or one that stands still.",
    first="see which of its alarms ring, and go to the section of the first of them.",
    members={
        names.MESSAGE_WITHOUT_AGENT_STARTED: "nothing answers a message",
        names.TOOL_WITHOUT_COMPLETION: "a tool works for ever",
        names.RUN_WITHOUT_TERMINAL: "an answer began and does not end",
        names.POSTED_NEVER_RECEIVED: "the answer goes on, and the screen does not",
        names.METRIC_SILENCE: "people are connected, and nothing is counted",
        names.AUDITOR_SILENT: "nobody looks for what is missing, so silence would prove nothing",
        names.MESSAGE_ERRORS: "what is sent is not taken",
        names.DOOR_ERRORS: "nobody gets in",
    },
)


def metrics_watched() -> int:
    """Return how many metrics the alarms read: each is paid for, once for each alarm that reads it."""
    return sum(len(row.series) for row in ALARMS)
