"""The catalogue: what is logged, and what is counted from it."""

import re
from pathlib import Path

import pytest

import agent_runner
import auditor
import connect
import local
import message
import playbyplay
import watchdog
from playbyplay.observability import (
    COUNTED_ONLY,
    EVENT_NAMES,
    EVENTS,
    METRICS,
    OTHER,
    Dimensions,
    combinations,
    samples,
)

_PRICE = 0.30  # dollars a month for each of the first 10,000: https://aws.amazon.com/cloudwatch/pricing/
_BUDGET = 20


def values(name: str, **fields: str | float | bool | None) -> dict[str, tuple[float, Dimensions]]:
    """Return value and dimensions of every metric counted from an event, by the metric's name."""
    return {sample.metric.name: (sample.value, sample.dimensions) for sample in samples(name, fields)}


def test_names_stand_once() -> None:
    """Of events and of metrics; each says what it means."""
    assert len(EVENT_NAMES) == len(EVENTS)
    assert len({metric.name for metric in METRICS}) == len(METRICS)
    assert all(entry.meaning for entry in (*EVENTS, *METRICS))


def test_the_product_logs_what_the_catalogue_lists() -> None:
    """No name that is not there, which would be found out only when something goes wrong; and none is left unused."""
    used: set[str] = set()
    for package in (playbyplay, agent_runner, auditor, connect, local, message, watchdog):
        for path in Path(package.__path__[0]).rglob("*.py"):
            used |= set(re.findall(r"\.event,?\(?\s*\"([a-z_]+)\"", path.read_text()))
    assert used == EVENT_NAMES


def test_metrics_are_counted_from_fields_of_the_catalogue() -> None:
    """And never by an id."""
    fields = {event.name: set(event.fields.split()) for event in EVENTS}
    for metric in METRICS:
        assert {metric.value, metric.by} - {""} <= fields[metric.event], metric.name
        assert "id" not in f"{metric.dimension} {metric.by}".replace("_", " ").split()
        assert bool(metric.dimension) == bool(metric.by) == bool(metric.values)
        assert set((metric.rename or {}).values()) <= set(metric.values)


def test_no_event_has_a_field_for_what_somebody_said() -> None:
    """Nor for a key."""
    named = {field for event in EVENTS for field in event.fields.split()}
    assert not named & {"content", "text", "message", "arguments", "answer", "ticket", "token", "key", "user"}


def test_a_month_of_all_metrics_is_cheap() -> None:
    """Every combination of values is paid for, those that are told as `other` too."""
    assert sum(len(combinations(metric)) for metric in METRICS) * _PRICE < _BUDGET


def test_what_is_only_counted_is_counted() -> None:
    """An event without a line and without a metric would be for nothing."""
    assert {metric.event for metric in METRICS} >= COUNTED_ONLY


def test_an_accepted_message_counts_once() -> None:
    """A repeat of it does not."""
    assert values("message_accepted", run_id="r", duplicate=False, position=0, elapsed_ms=7) == {
        "MessageAccepted": (1, ()),
        "TimeToAccepted": (7, ()),
    }
    assert values("message_accepted", run_id="r", duplicate=True, position=0, elapsed_ms=7) == {}


@pytest.mark.parametrize("text", ["same", "new"])
def test_a_message_into_a_running_turn_counts_as_resent(text: str) -> None:
    """By whether it says the same again."""
    assert values("message_accepted", resent=text)["ResentWhileRunning"] == (1, (("text", text),))
    assert "ResentWhileRunning" not in values("message_accepted", resent=None)


def test_a_settled_run_counts_by_its_outcome_and_its_time() -> None:
    """The time in milliseconds is not told apart by the outcome."""
    assert values("run_settled", run_id="r", status="failed", events=3, elapsed_ms=1_234) == {
        "TerminalReached": (1, (("outcome", "failed"),)),
        "TimeToTerminal": (1_234, ()),
    }
    assert next(metric.unit for metric in METRICS if metric.name == "TimeToTerminal") == "Milliseconds"
    assert "TimeToTerminal" not in values("run_settled", run_id="r", status="failed")


@pytest.mark.parametrize(
    ("code", "metric"), [("attempts_exhausted", "AttemptsExhausted"), ("model_unavailable", "ModelUnavailable")]
)
def test_some_ends_count_by_themselves(code: str, metric: str) -> None:
    """Those that an alarm waits for."""
    assert values("run_settled", status="failed", code=code)[metric] == (1, ())
    assert metric not in values("run_settled", status="failed", code="internal")


def test_a_run_begins_and_is_seen() -> None:
    """Nobody saw what no connection took."""
    assert values("run_began", run_id="r", after_ms=40, visible_ms=60) == {
        "AgentStarted": (1, ()),
        "TimeToAgentStarted": (40, ()),
        "TimeToFirstVisible": (60, ()),
    }
    assert "TimeToFirstVisible" not in values("run_began", run_id="r", after_ms=40, visible_ms=None)


def test_only_a_second_owner_is_a_take_over() -> None:
    """The first epoch is everyday life."""
    assert values("run_acquired", run_id="r", epoch=1, attempts=1) == {}
    assert values("run_acquired", run_id="r", epoch=2, attempts=2) == {"Takeovers": (1, ())}
    assert values("run_acquired", run_id="r", epoch=2, attempts=1) == {}  # it was handed on


@pytest.mark.parametrize(
    ("event", "field", "found", "counted"),
    [
        ("post_failed", "reason", "slow", "slow"),
        ("post_failed", "reason", "forbidden", OTHER),
        ("post_failed", "reason", None, OTHER),
        ("job_dropped", "reason", "closed", "needless"),
        ("job_dropped", "reason", "malformed", "poison"),
        ("dead_letter", "finding", "sent", "helped"),
        ("dead_letter", "finding", "held", "needless"),
        ("dead_letter", "finding", "unknown", "poison"),
        ("dead_letter", "finding", "unreadable", "unreadable"),
    ],
)
def test_troubles_count_by_their_kind(event: str, field: str, found: str | None, counted: str) -> None:
    """Of few kinds: what is not listed is told as one, and no dimension is ever empty."""
    ((value, dimensions),) = values(event, **{field: found}, run_id="r").values()
    assert (value, dimensions) == (1, ((field, counted),))


@pytest.mark.parametrize(("event", "metric"), [("frame_crashed", "FrameCrashed"), ("run_crashed", "RunCrashed")])
def test_crashes_count(event: str, metric: str) -> None:
    """Each one, whatever its fields; an event without a metric counts nothing."""
    assert values(event, error="KeyError") == values(event) == {metric: (1, ())}
    assert values("server_started") == {}


def test_a_clock_that_was_set_back_makes_no_time_negative() -> None:
    """Nothing took less than no time."""
    assert values("run_settled", status="completed", elapsed_ms=-5)["TimeToTerminal"] == (0, ())
