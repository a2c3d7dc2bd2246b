"""The faults that somebody let happen, as the ops page shows them."""

import re
from pathlib import Path
from typing import get_args

import pytest

from infra.monitoring.alarms import ALARMS
from local.fault_order import FAULTS, FaultName
from local.faults_seen import RUNBOOK, FaultSeen, FaultsSeen
from tests.fakes.clock import FakeClock
from tests.fakes.log import FakeLog

ALL: tuple[FaultName, ...] = get_args(FaultName)
RUNBOOKS = (Path(__file__).parents[3] / "docs" / "operations.md").read_text(encoding="utf-8")


def test_a_fault_is_remembered_and_logged() -> None:
    """With its time and its run, the newest first; nothing else is remembered."""
    log, clock = FakeLog(), FakeClock(1000)
    seen = FaultsSeen(log, clock)
    seen.event("fault_injected", fault="kill_runner", run_id="r")
    clock.advance(1)
    seen.event("fault_injected", fault="cut_socket", run_id=None)
    seen.event("server_stopped")
    assert [*seen.last] == [FaultSeen(2000, "cut_socket", None), FaultSeen(1000, "kill_runner", "r")]
    assert log.names == ["fault_injected", "fault_injected", "server_stopped"]


def test_twenty_are_remembered() -> None:
    """The last ones."""
    seen = FaultsSeen(FakeLog(), FakeClock())
    for number in range(30):
        seen.event("fault_injected", fault="drop_post", run_id=str(number))
    assert [one.run_id for one in seen.last] == [str(number) for number in range(29, 9, -1)]


def test_all_are_counted() -> None:
    """Also those that a flood of another kind has pushed out of what is remembered."""
    seen = FaultsSeen(FakeLog(), FakeClock())
    assert seen.kinds == []
    seen.event("fault_injected", fault="cut_socket", run_id=None)
    for number in range(30):
        seen.event("fault_injected", fault="drop_post", run_id=str(number))
    seen.event("server_stopped")
    assert [(kind["fault"], kind["times"]) for kind in seen.kinds] == [("drop_post", 30), ("cut_socket", 1)]


@pytest.mark.parametrize("fault", ALL)
def test_each_fault_has_what_is_to_be_seen_and_its_runbook(fault: FaultName) -> None:
    """Of an alarm, and one that says how to let this fault happen."""
    seen = FaultsSeen(FakeLog(), FakeClock())
    seen.event("fault_injected", fault=fault, run_id=None)
    (kind,) = seen.kinds
    assert kind == {
        "fault": fault,
        "times": 1,
        "see": next(one.see for one in FAULTS if one.name == fault),
        "runbook": f"operations.md#{RUNBOOK[fault]}",
    }
    (alarm,) = [row.name for row in ALARMS if row.slug == RUNBOOK[fault]]
    section = RUNBOOKS.split(f"\n### {alarm}\n")[1].split("\n### ")[0]
    assert f"playbyplay faults {fault.replace('_', '-')}" in section.partition("**Try.**")[2]


@pytest.mark.parametrize("fault", ALL)
def test_the_page_of_runbooks_says_what_each_fault_looks_like(fault: FaultName) -> None:
    """In a row that leads to the same runbook as the ops page does."""
    (row,) = re.findall(rf"^\| `{fault.replace('_', '-')}` \|.*$", RUNBOOKS, re.MULTILINE)
    assert f"(#{RUNBOOK[fault]})" in row
