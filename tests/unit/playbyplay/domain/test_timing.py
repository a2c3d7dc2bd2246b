"""Durations and times as the contract writes them."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_runner.registry import Registry
from playbyplay.domain.timing import CLOUD, ONE_MACHINE, Timing, milliseconds, timestamp
from playbyplay.protocol.base import TIMESTAMP_PATTERN
from tests.properties import PROPERTY


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1_750_000_000_001, "2025-06-15T15:06:40.001Z"),
        (1_709_164_799_999, "2024-02-28T23:59:59.999Z"),
        (1_709_164_800_000, "2024-02-29T00:00:00.000Z"),
        (4_102_444_799_999, "2099-12-31T23:59:59.999Z"),
    ],
)
def test_a_time_is_iso_8601_in_utc_with_milliseconds(ms: int, text: str) -> None:
    """Always three digits and a Z."""
    assert timestamp(ms) == text
    assert milliseconds(text) == ms


@PROPERTY
@given(st.integers(0, 4_102_444_800_000))
def test_times_are_read_back_exactly(ms: int) -> None:
    """To the millisecond, up to the year 2100; later ones sort higher as text too."""
    text = timestamp(ms)
    assert milliseconds(text) == ms
    assert datetime.fromisoformat(text).tzinfo == UTC
    assert timestamp(ms + 1) > text
    assert TIMESTAMP_PATTERN.startswith("^")


def test_the_cloud_profile_holds_the_contracts_numbers() -> None:
    """Visibility 45 s, lease 30 s, renewed every 10 s; a cancel is looked for every 2 s; four attempts."""
    assert (CLOUD.visibility_s, CLOUD.lease_s, CLOUD.renew_s) == (45, 30, 10)
    assert (CLOUD.max_attempts, CLOUD.run_s, CLOUD.gone_grace_s) == (4, 3600, 30)


@pytest.mark.parametrize("timing", [CLOUD, ONE_MACHINE])
def test_who_lets_go_has_the_time_to(timing: Timing) -> None:
    """It may notice a quarter of a heartbeat late; then an append in doubt may still be settled."""
    assert timing.let_go_s - timing.heartbeat_s / 4 >= timing.store_s
    assert timing.no_new_step_s > timing.let_go_s + timing.heartbeat_s / 4


@pytest.mark.parametrize(("timing", "seen_s", "recovery_s"), [(CLOUD, 70, 180), (ONE_MACHINE, 12, 5)])
def test_an_absence_is_seen_in_time(timing: Timing, seen_s: float, recovery_s: float) -> None:
    """A message that nobody begins is told of at the next look; what recovers as promised is not missed."""
    assert timing.start_s + timing.audit_s <= seen_s
    assert timing.recovery_s == recovery_s


def test_no_tool_takes_so_long_that_its_end_is_missed() -> None:
    """The auditor would miss it while it is at work."""
    tools = [tool for agent in Registry.discover()._agents.values() for tool in agent.tools]
    assert 0 < max(tool.timeout_s for tool in tools) < min(CLOUD.call_s, ONE_MACHINE.call_s)


@pytest.mark.parametrize(("timing", "silence_s", "recovery_s"), [(CLOUD, 15, 75), (ONE_MACHINE, 1, 4)])
def test_both_profiles_can_keep_the_promises_of_time(timing: Timing, silence_s: float, recovery_s: float) -> None:
    """A heartbeat is due within the silence allowed; a dead owner's lease and job are free in time."""
    assert timing.heartbeat_s < silence_s
    assert timing.renew_s * 2 < timing.lease_s
    assert timing.lease_s + timing.retry_s <= recovery_s
    assert timing.visibility_s <= recovery_s
