"""The log of one machine: one JSON object a line, names of the catalogue only."""

import io
import json
import sys

import pytest

from local.json_log import JsonLog
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


def test_what_is_only_counted_has_no_line() -> None:
    """It happens with every event; the name is checked all the same."""
    assert logged("events_appended", events=3) == ""


def test_the_log_goes_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    """Unless told otherwise."""
    JsonLog(FakeClock()).event("server_started")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert json.loads(captured.err)["event"] == "server_started"
    assert sys.stderr is not None


class _FullDisk(io.StringIO):
    def write(self, _text: str) -> int:
        raise OSError(28, "No space left on device")


def test_a_full_disk_costs_a_line_and_nothing_else() -> None:
    """A log that cannot be written raises nothing: a run must not end for it."""
    JsonLog(FakeClock(), _FullDisk()).event("run_settled", run_id="r", status="completed")
    closed = io.StringIO()
    closed.close()
    JsonLog(FakeClock(), closed).event("run_settled", run_id="r", status="completed")
