"""The log: one JSON object a line, names of the catalogue only."""

import io
import json
import re
import sys
from pathlib import Path

import pytest

import agent_runner
import connect
import message
import playbyplay
from playbyplay import observability
from playbyplay.observability import EVENT_NAMES, METRICS, Dimensions, JsonLog, samples
from tests.fakes.clock import FakeClock


def logged(name: str, **fields: str | float | bool | None) -> str:
    stream = io.StringIO()
    JsonLog(FakeClock(1_750_000_000_123), stream).event(name, **fields)
    return stream.getvalue()


def test_an_event_is_one_line_of_json() -> None:
    """With the time and the name first, and what is not known left out."""
    line = logged("run_acquired", run_id="r", epoch=2, attempts=1, reason=None)
    assert line.endswith("\n")
    assert line.count("\n") == 1
    assert json.loads(line) == {
        "time": 1_750_000_000_123,
        "event": "run_acquired",
        "run_id": "r",
        "epoch": 2,
        "attempts": 1,
    }


@pytest.mark.parametrize("hostile", ["a\nb", '"}\n{"event":"server_stopped"}', "\u2028\x1b[31m", "\ud800", "é😀"])
def test_a_hostile_value_makes_no_second_line(hostile: str) -> None:
    """Whatever a reason holds, the line is plain ASCII and reads back."""
    line = logged("job_dropped", reason=hostile)
    assert line.isascii()
    assert line.count("\n") == 1
    assert json.loads(line)["reason"] == hostile


def test_a_name_outside_the_catalogue_is_refused() -> None:
    """Nothing is written."""
    stream = io.StringIO()
    with pytest.raises(ValueError, match="catalogue"):
        JsonLog(FakeClock(), stream).event("something_happened")
    assert stream.getvalue() == ""


def test_the_log_goes_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    """Unless told otherwise."""
    JsonLog(FakeClock()).event("server_started")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert json.loads(captured.err)["event"] == "server_started"
    assert sys.stderr is not None


def test_every_name_is_explained() -> None:
    """The catalogue in the module's text is the one that is checked."""
    explained = re.findall(r"^([a-z]+(?:_[a-z]+)+) {2,}", observability.__doc__ or "", re.MULTILINE)
    assert set(explained) == EVENT_NAMES
    assert len(explained) == len(EVENT_NAMES)


def test_every_event_the_product_logs_is_in_the_catalogue() -> None:
    """A name that is not would be found out only when something goes wrong."""
    used: set[str] = set()
    for package in (playbyplay, agent_runner, connect, message):
        for path in Path(package.__path__[0]).rglob("*.py"):
            used |= set(re.findall(r"\.event\(\s*\"([a-z_]+)\"", path.read_text()))
    assert used
    assert used <= EVENT_NAMES


class _FullDisk(io.StringIO):
    def write(self, _text: str) -> int:
        raise OSError(28, "No space left on device")


def test_a_full_disk_costs_a_line_and_nothing_else() -> None:
    """A log that cannot be written raises nothing: a run must not end for it."""
    JsonLog(FakeClock(), _FullDisk()).event("run_settled", run_id="r", status="completed")
    closed = io.StringIO()
    closed.close()
    JsonLog(FakeClock(), closed).event("run_settled", run_id="r", status="completed")


def values(name: str, **fields: str | float | bool | None) -> dict[str, tuple[float, Dimensions]]:
    """Return value and dimensions of every metric counted from an event, by the metric's name."""
    return {sample.metric.name: (sample.value, sample.dimensions) for sample in samples(name, fields)}


def test_every_metric_is_explained() -> None:
    """The catalogue in the module's text is the one that is counted; names are counted once."""
    explained = re.findall(r"^([A-Z][A-Za-z]+) {2,}", observability.__doc__ or "", re.MULTILINE)
    assert explained == [metric.name for metric in METRICS]
    assert len(set(explained)) == len(explained)


def test_metrics_are_counted_from_events_of_the_catalogue() -> None:
    """By fields the catalogue names, and never by an id."""
    for metric in METRICS:
        (line,) = re.findall(rf"^{metric.event} .*$", observability.__doc__ or "", re.MULTILINE)
        for field in filter(None, (metric.value, metric.by)):
            assert re.search(rf"\b{field}\b", line), metric.name
        assert "id" not in f"{metric.dimension} {metric.by}".replace("_", " ").split()
        assert bool(metric.dimension) == bool(metric.by)


def test_an_accepted_message_counts_once() -> None:
    """A repeat of it does not."""
    assert values("message_accepted", run_id="r", duplicate=False, position=0) == {"MessageAccepted": (1, ())}
    assert values("message_accepted", run_id="r", duplicate=True, position=0) == {}


def test_a_settled_run_counts_by_its_outcome_and_its_time() -> None:
    """The time in milliseconds is not told apart by the outcome."""
    assert values("run_settled", run_id="r", status="failed", events=3, elapsed_ms=1_234) == {
        "TerminalReached": (1, (("outcome", "failed"),)),
        "TimeToTerminal": (1_234, ()),
    }
    assert next(metric.unit for metric in METRICS if metric.name == "TimeToTerminal") == "Milliseconds"
    assert "TimeToTerminal" not in values("run_settled", run_id="r", status="failed")


def test_only_a_second_owner_is_a_take_over() -> None:
    """The first epoch is everyday life."""
    assert values("run_acquired", run_id="r", epoch=1, attempts=1) == {}
    assert values("run_acquired", run_id="r", epoch=2, attempts=2) == {"Takeovers": (1, ())}
    assert values("run_acquired", run_id="r", epoch=2, attempts=1) == {}  # it was handed on


@pytest.mark.parametrize(
    ("event", "metric", "field"),
    [
        ("post_failed", "PostFailed", "reason"),
        ("frame_rejected", "FrameRejected", "code"),
        ("run_retried", "RunRetried", "reason"),
        ("job_dropped", "JobDropped", "reason"),
        ("aws_failed", "AwsFailed", "code"),
    ],
)
def test_troubles_count_by_their_kind(event: str, metric: str, field: str) -> None:
    """A kind that is not known is a kind too: no dimension is ever empty."""
    assert values(event, **{field: "slow", "run_id": "r"}) == {metric: (1, ((field, "slow"),))}
    assert values(event, **{field: ""}) == values(event) == {metric: (1, ((field, "none"),))}


@pytest.mark.parametrize(("event", "metric"), [("frame_crashed", "FrameCrashed"), ("run_crashed", "RunCrashed")])
def test_crashes_count(event: str, metric: str) -> None:
    """Each one, whatever its fields; an event without a metric counts nothing."""
    assert values(event, error="KeyError") == values(event) == {metric: (1, ())}
    assert values("server_started") == {}
