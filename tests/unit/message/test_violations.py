"""Frames that are no commands, counted by connection."""

from typing import get_args

import pytest

from message.violations import MAX_REMEMBERED, VIOLATIONS, Violations
from playbyplay.errors import RejectionCode
from playbyplay.protocol.replies import MessageRejected, Pong
from tests.fakes.clock import FakeClock

FREE = set(get_args(RejectionCode)) - VIOLATIONS


def rejected(code: RejectionCode = "bad_json") -> MessageRejected:
    return MessageRejected(code=code, message="No.", retryable=False)


@pytest.mark.parametrize("code", sorted(VIOLATIONS))
def test_the_tenth_in_a_minute_is_too_many(code: RejectionCode) -> None:
    """And so is every one after it."""
    violations = Violations(FakeClock())
    assert [violations.too_many("c=", rejected(code)) for _ in range(12)] == [False] * 9 + [True] * 3


def test_what_a_command_can_meet_is_no_violation() -> None:
    """A refusal that depends on more than the frame is nobody's fault."""
    assert {"not_found", "conflict", "thread_busy", "rate_limited", "overloaded", "expired"} == FREE
    violations = Violations(FakeClock())
    for code in FREE:
        assert not any(violations.too_many("c=", rejected(code)) for _ in range(20))
    assert not any(violations.too_many("c=", Pong(heads={})) for _ in range(20))
    assert not violations.too_many("c=", rejected())


def test_they_are_forgiven_after_a_minute() -> None:
    """Nine a minute may go on for ever."""
    clock = FakeClock()
    violations = Violations(clock)
    for _ in range(5):
        assert not any(violations.too_many("c=", rejected()) for _ in range(9))
        clock.advance(60.1)


def test_each_connection_has_its_own() -> None:
    """However much the others send."""
    violations = Violations(FakeClock())
    assert [violations.too_many("bad=", rejected()) for _ in range(10)][-1]
    assert not violations.too_many("good=", rejected())


def test_no_more_connections_are_remembered_than_fit() -> None:
    """The one that sent none for longest is forgotten first."""
    violations = Violations(FakeClock())
    for name in ("old=", "busy="):
        for _ in range(9):
            violations.too_many(name, rejected())
    for number in range(MAX_REMEMBERED - 1):
        violations.too_many(f"{number}=", rejected())
    assert violations.too_many("busy=", rejected())
    assert not violations.too_many("old=", rejected())
