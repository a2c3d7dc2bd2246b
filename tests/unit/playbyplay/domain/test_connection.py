"""Connections: who they belong to, and how much one may ask for."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from playbyplay.domain import connection
from playbyplay.domain.connection import Session, SlidingWindow, Subscriber
from tests.properties import PROPERTY


def test_the_numbers_are_the_contracts() -> None:
    """Ten connections, 30 s for a ticket, ten violations in a minute."""
    assert (connection.MAX_PER_USER, connection.TICKET_S) == (10, 30)
    assert (connection.MAX_VIOLATIONS, connection.VIOLATION_WINDOW_S) == (10, 60)


def test_a_session_and_a_subscriber_never_change() -> None:
    """A connection belongs to one user for its whole life."""
    session, subscriber = Session("ann", 1), Subscriber("one", 1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        session.user = "bob"  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError):
        subscriber.lagging = True  # type: ignore[misc]


def test_a_window_lets_so_many_pass_and_then_says_how_long_to_wait() -> None:
    """The fourth of three in ten seconds waits until the first is ten seconds old."""
    window = SlidingWindow(3, 10.0)
    assert [window.wait_s(now) for now in (0.0, 1.0, 2.0)] == [0.0] * 3
    assert window.wait_s(3.0) == 7.0
    assert window.wait_s(9.5) == 0.5
    assert window.wait_s(10.0) == 0.0
    assert window.wait_s(10.5) == 0.5


def test_what_was_refused_is_not_counted() -> None:
    """Who keeps asking does not wait longer for it."""
    window = SlidingWindow(1, 10.0)
    assert window.wait_s(0.0) == 0.0
    for now in range(1, 10):
        assert window.wait_s(float(now)) == 10.0 - now
    assert window.wait_s(10.0) == 0.0


def test_a_window_of_nothing_lets_nothing_pass_twice() -> None:
    """Each window counts for itself."""
    one, two = SlidingWindow(1, 5.0), SlidingWindow(1, 5.0)
    assert one.wait_s(0.0) == two.wait_s(0.0) == 0.0
    assert one.wait_s(1.0) == 4.0


@PROPERTY
@given(st.integers(1, 5), st.integers(1, 10), st.lists(st.integers(0, 5), max_size=40))
def test_never_more_than_the_limit_in_any_window(limit: int, window_s: int, gaps: list[int]) -> None:
    """Counted over all that passed; and what is told to wait passes after exactly that."""
    window, now, passed = SlidingWindow(limit, float(window_s)), 0.0, list[float]()
    for gap in gaps:
        now += gap
        wait_s = window.wait_s(now)
        if wait_s > 0:
            now += wait_s
            assert window.wait_s(now) == 0.0
        passed.append(now)
        assert sum(time > now - window_s for time in passed) <= limit
