"""A short campaign: what `make chaos` does for minutes, once, with the faults that say most."""

import os
import socket
from pathlib import Path

import psutil
import pytest

from tests.chaos.campaign import Plan, campaign
from tests.chaos.faults import Kind, Severity
from tests.chaos.proxy import HOST
from tests.chaos.server import CampaignError, ServerProcess

KINDS: tuple[Kind, ...] = (
    "black hole",
    "runner killed",
    "server killed",
    "post lost",
    "all lines reset",
    "server held still",
    "job twice",
)
PLAN = Plan(
    seconds=10,
    seed=7,
    users=3,
    devices=6,
    fault_every_s=1.4,
    message_every_s=0.3,
    kinds=KINDS,
    severity=Severity(hole_s=(5.0, 5.0)),
)


async def test_nothing_that_breaks_breaks_the_contract(tmp_path: Path) -> None:
    """Whatever falls, every run ends once, every client is whole, no step comes twice; and nothing is left behind."""
    children = psutil.Process().children(recursive=True)
    outcome = await campaign(PLAN, tmp_path)
    assert not outcome.report.violations
    assert not outcome.failures
    assert outcome.is_good
    assert outcome.report.runs >= PLAN.seconds / PLAN.message_every_s - 1
    assert {window.kind for window in outcome.windows} == set(KINDS)
    assert outcome.starts == 2
    assert any(records[-1].epoch > 1 for records in outcome.evidence.journals.values())  # somebody's run was taken over
    assert os.listdir(tmp_path) == []  # noqa: PTH208 - no loop waits for it
    assert psutil.Process().children(recursive=True) == children
    with socket.socket() as probe:
        assert probe.connect_ex((HOST, outcome.devices[0].line.port)) != 0


async def test_a_server_that_does_not_come_up_ends_the_campaign(tmp_path: Path) -> None:
    """One sentence says why, and nothing is left behind."""
    server = ServerProcess(tmp_path)
    server.data.write_text("no directory")
    with pytest.raises(CampaignError, match=r"did not come up at start 1: .*DataDirectoryError.*cannot be used"):
        await server.start()
    await server.end()
