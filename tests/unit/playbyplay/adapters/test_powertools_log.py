"""The log on AWS: lines of JSON, and metrics in CloudWatch's embedded format."""

import ast
import io
import json
import logging
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import agent_runner
import connect
import message
import playbyplay
import watchdog
from playbyplay.adapters.powertools_log import PowertoolsLog
from playbyplay.observability import EVENT_NAMES
from tests.fakes.clock import FakeClock

HEAVY = ("parser", "idempotency", "batch", "data_classes", "parameters")


@pytest.fixture
def log(request: pytest.FixtureRequest) -> PowertoolsLog:
    return PowertoolsLog(f"service-of-{request.node.name}")


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """Return what was written, as JSON."""
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def metrics(written: list[dict[str, Any]]) -> dict[tuple[str, ...], Any]:
    """Return every value by its metric and its dimensions but the service."""
    found: dict[tuple[str, ...], Any] = {}
    for line in written:
        for directive in line.get("_aws", {}).get("CloudWatchMetrics", []):
            assert directive["Namespace"] == "Playbyplay"
            (names,) = directive["Dimensions"]
            assert "service" in names
            dimensions = [f"{name}={line[name]}" for name in names if name != "service"]
            for metric in directive["Metrics"]:
                found[(metric["Name"], metric["Unit"], *dimensions)] = line[metric["Name"]]
    return found


def test_an_event_is_one_line(log: PowertoolsLog, capsys: pytest.CaptureFixture[str]) -> None:
    """Its name and its fields as keys of their own, what is not known left out, the time in UTC."""
    log.event("run_acquired", run_id="r", epoch=1, attempts=1, reason=None)
    (line,) = lines(capsys)
    assert line.pop("timestamp").endswith("+00:00")
    assert line == {
        "level": "INFO",
        "service": "service-of-test_an_event_is_one_line",
        "event": "run_acquired",
        "run_id": "r",
        "epoch": 1,
        "attempts": 1,
    }


def test_a_name_outside_the_catalogue_is_refused(log: PowertoolsLog, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is written."""
    with pytest.raises(ValueError, match="catalogue"):
        log.event("something_happened")
    assert lines(capsys) == []


@pytest.mark.parametrize("hostile", ["a\nb", '"}\n{"event":"server_stopped"}', "\u2028\x1b[31m", "\ud800", "é😀"])
def test_a_hostile_value_makes_no_second_line(hostile: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever a reason holds, the line is plain ASCII and reads back; the metric knows its own kinds only."""
    log = PowertoolsLog("hostile")
    log.event("job_dropped", reason=hostile)
    log.flush()
    written = capsys.readouterr().out
    assert written.isascii()
    event, metric = (json.loads(line) for line in written.splitlines())
    assert (event["reason"], metric["reason"]) == (hostile, "other")


def test_metrics_wait_for_the_flush(log: PowertoolsLog, capsys: pytest.CaptureFixture[str]) -> None:
    """They are written once; with nothing to write nothing is written, and nobody warns."""
    log.flush()
    log.event("frame_crashed", connection_id="c", error="KeyError")
    assert metrics(lines(capsys)) == {}
    log.flush()
    assert metrics(lines(capsys)) == {("FrameCrashed", "Count"): [1.0]}
    log.flush()
    assert lines(capsys) == []


def test_a_dimension_outlives_the_flush(log: PowertoolsLog, capsys: pytest.CaptureFixture[str]) -> None:
    """The next job of a warm function counts as the first did."""
    for _ in range(2):
        log.event("post_failed", run_id="r", reason="slow")
        log.flush()
        assert metrics(lines(capsys)) == {("PostFailed", "Count", "reason=slow"): [1.0]}


def test_times_are_utc_wherever_it_runs(
    log: PowertoolsLog, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also where the clock on the wall says otherwise."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        log.event("server_started")
    time.tzset()
    assert lines(capsys)[0]["timestamp"].endswith("+00:00")


def test_metrics_are_told_apart_by_their_dimension(log: PowertoolsLog, capsys: pytest.CaptureFixture[str]) -> None:
    """Values of one metric stay together, those of different outcomes do not mix."""
    for status, elapsed_ms in (("completed", 900), ("failed", 70), ("completed", 1_100)):
        log.event("run_settled", run_id="secret-id", status=status, events=7, elapsed_ms=elapsed_ms)
    capsys.readouterr()
    log.flush()
    written = lines(capsys)
    assert metrics(written) == {
        ("TerminalReached", "Count", "outcome=completed"): [1.0, 1.0],
        ("TerminalReached", "Count", "outcome=failed"): [1.0],
        ("TimeToTerminal", "Milliseconds"): [900.0, 70.0, 1_100.0],
    }
    assert "secret-id" not in str(written)
    assert {line["service"] for line in written} == {"playbyplay"}


def test_two_logs_do_not_mix(capsys: pytest.CaptureFixture[str]) -> None:
    """Each has its own pending metrics and its own name on its lines."""
    one, two = PowertoolsLog("one"), PowertoolsLog("two")
    one.event("run_crashed", run_id="r", error="KeyError")
    two.flush()
    assert [(line["service"], line["event"]) for line in lines(capsys)] == [("one", "run_crashed")]
    one.flush()
    assert metrics(lines(capsys)) == {("RunCrashed", "Count"): [1.0]}


def test_every_function_counts_under_one_name(capsys: pytest.CaptureFixture[str]) -> None:
    """A metric that several of them count is one metric, and is paid for once."""
    for function in ("message", "agent-runner", "watchdog"):
        log = PowertoolsLog(function)
        log.event("run_settled", run_id="r", status="failed", elapsed_ms=5)
        log.flush()
    written = [line for line in lines(capsys) if "_aws" in line]
    assert len(written) == 6
    assert {line["service"] for line in written} == {"playbyplay"}


def test_what_is_only_counted_has_no_line(log: PowertoolsLog, capsys: pytest.CaptureFixture[str]) -> None:
    """It happens too often; its metrics are written all the same."""
    log.event("events_appended", events=3)
    log.event("job_taken", age_ms=40)
    assert lines(capsys) == []
    log.flush()
    written = lines(capsys)
    assert all("_aws" in line for line in written)
    assert metrics(written) == {("EventsAppended", "Count"): [3.0], ("JobAge", "Milliseconds"): [40.0]}


def test_what_is_counted_is_written_every_ten_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    """A function that works on one run for a quarter of an hour tells meanwhile what it does."""
    clock = FakeClock()
    log = PowertoolsLog("busy", monotonic=lambda: clock.ms / 1000)
    for _ in range(2):
        clock.advance(5)
        log.event("events_appended", events=1)
        assert lines(capsys) == []
    clock.advance(0.1)
    log.event("events_appended", events=1)
    assert metrics(lines(capsys)) == {("EventsAppended", "Count"): [1.0] * 3}
    clock.advance(10)
    log.event("events_appended", events=1)
    assert lines(capsys) == []
    clock.advance(0.1)
    log.event("server_started")  # whatever happens next writes what is pending
    assert metrics(lines(capsys)) == {("EventsAppended", "Count"): [1.0]}


def test_the_ten_seconds_begin_anew_with_each_flush(capsys: pytest.CaptureFixture[str]) -> None:
    """What an answer wrote is not written once more behind it."""
    clock = FakeClock()
    log = PowertoolsLog("busy", monotonic=lambda: clock.ms / 1000)
    clock.advance(9)
    log.event("events_appended", events=1)
    log.flush()
    assert metrics(lines(capsys)) == {("EventsAppended", "Count"): [1.0]}
    clock.advance(9)
    log.event("events_appended", events=1)
    assert lines(capsys) == []


def test_a_log_of_the_same_service_writes_each_event_once(capsys: pytest.CaptureFixture[str]) -> None:
    """However often it is made, to wherever standard output goes at the time."""
    for _ in range(3):
        PowertoolsLog("again").event("server_started")
    assert len(lines(capsys)) == 3


@pytest.mark.parametrize("count", [99, 100, 101, 250])
def test_many_values_are_all_written(log: PowertoolsLog, capsys: pytest.CaptureFixture[str], count: int) -> None:
    """A line of the format takes a hundred; none is lost, none comes twice."""
    for _ in range(count):
        log.event("post_failed", run_id="r", reason="slow")
    log.flush()
    written = [line for line in lines(capsys) if "_aws" in line]
    assert sum(len(line["PostFailed"]) for line in written) == count
    assert all(len(line["PostFailed"]) <= 100 for line in written)
    assert {(line["reason"], line["service"]) for line in written} == {("slow", "playbyplay")}


class _Broken(io.StringIO):
    def write(self, _text: str) -> int:
        raise OSError(28, "No space left on device")


def test_an_output_that_breaks_costs_a_line_and_nothing_else(
    log: PowertoolsLog, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A log that cannot be written raises nothing: a run must not end for it."""
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", _Broken())
        log.event("run_crashed", run_id="r", error="KeyError")
        log.flush()
    log.event("run_crashed", run_id="r", error="KeyError")
    assert [line["event"] for line in lines(capsys)] == ["run_crashed"]


def fields_of_the_product() -> set[str]:
    """Return the names of all fields that any module logs."""
    fields: set[str] = set()
    for package in (playbyplay, agent_runner, connect, message, watchdog):
        for path in Path(package.__path__[0]).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
                    named = node.args[0].value in EVENT_NAMES
                    fields |= {keyword.arg for keyword in node.keywords if named and keyword.arg}
    return fields


def test_no_field_of_the_product_has_a_name_the_logger_keeps_for_itself() -> None:
    """Python's logging refuses such a field, and the event would be lost with it."""
    taken = {*vars(logging.makeLogRecord({})), "message", "asctime", "level", "timestamp", "service", "location"}
    assert {"run_id", "reason", "elapsed_ms"} <= fields_of_the_product()
    assert not fields_of_the_product() & taken


def test_the_log_loads_no_sdk() -> None:
    """Every cold start pays for it: neither boto3 nor the heavy modules of Powertools."""
    loaded = "import sys, playbyplay.adapters.powertools_log; print(*sys.modules, sep='\\n')"
    ended = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)  # noqa: S603 - our own line
    heavy = {
        "boto3",
        "botocore.session",
        "aws_xray_sdk",
        *(f"aws_lambda_powertools.utilities.{name}" for name in HEAVY),
    }
    assert "playbyplay.adapters.powertools_log" in ended.stdout.split()
    assert not heavy & set(ended.stdout.split())
