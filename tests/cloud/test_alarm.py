"""An alarm of the stack rings because of what the auditor misses, and is over when it is there: nothing is pretended.

What MiniStack makes of alarms is less than AWS does. It looks at the periods of an alarm as at a single one, at any
value of a metric whatever its dimensions, and only when a value comes, so silence rings nowhere. Alarms on metric
math are there and have no state. Their arithmetic and their patience are judged by the synthesised template.
"""

import time

from infra.local_cloud_stack import STACK, Deployment
from infra.monitoring.alarms import ALARMS, BLANK_SCREEN
from infra.monitoring.names import TOOL_WITHOUT_COMPLETION
from playbyplay.domain.timing import CLOUD
from tests.cloud.alarms import states
from tests.cloud.fall import FORWARDED_S, RECOVERY_S, Fall
from tests.cloud.people import audit

(ROW,) = (row for row in ALARMS if row.name == TOOL_WITHOUT_COMPLETION)
WINDOW_S = ROW.periods * ROW.period_s
LOOK_S = 5.0


def blank_screen_agrees(told: dict[str, str]) -> bool:
    """Whether the composite alarm rings if and only if one of its members does."""
    rings = any(told[f"{STACK}-{member}"] == "ALARM" for member in BLANK_SCREEN.members)
    return told[f"{STACK}-{BLANK_SCREEN.name}"] == ("ALARM" if rings else "OK")


def test_every_alarm_is_there(deployed: Deployment) -> None:
    """Under its name; one on metric math has no state."""
    told = states(deployed)
    assert set(told) == {f"{STACK}-{name}" for name in (*(row.name for row in ALARMS), BLANK_SCREEN.name)}
    assert {told[f"{STACK}-{row.name}"] for row in ALARMS if row.math} == {"INSUFFICIENT_DATA"}


def test_the_auditor_misses_the_end_of_a_call_whose_owner_fell(fallen: Fall) -> None:
    """Not while the lease holds, but before the recovery; and no longer once the run has ended."""
    *before, found, after = fallen.looks
    assert found.missing == {"tool_completed"}
    assert CLOUD.lease_s <= found.since_s < fallen.recovered_s < RECOVERY_S
    assert not any(look.missing for look in (*before, after))


def test_the_alarm_rings_for_it(fallen: Fall) -> None:
    """It was quiet before; with it rings the one that people are woken by."""
    assert fallen.before[fallen.alarm] == "OK"
    assert fallen.during[fallen.alarm] == "ALARM"
    assert blank_screen_agrees(fallen.before)
    assert blank_screen_agrees(fallen.during)


def test_it_is_over_after_the_recovery_and_people_were_told_of_both(deployed: Deployment, fallen: Fall) -> None:
    """As soon as no sweep of its periods found anything; who has subscribed to the topic heard it ring and end."""
    ends = fallen.ended_s + WINDOW_S + FORWARDED_S
    while (told := states(deployed))[fallen.alarm] != "OK":
        assert time.monotonic() < ends
        assert audit(deployed)["missing"].get("tool_completed", 0) == 0
        time.sleep(LOOK_S)
    assert blank_screen_agrees(told)
    assert fallen.pager.states_of(fallen.alarm)[-2:] == ["ALARM", "OK"]
