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
from playbyplay.observability import EVENT_NAMES, JsonLog
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
