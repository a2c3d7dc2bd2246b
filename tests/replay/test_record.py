"""How recordings are made: the same each time, and never over one that is there."""

import json
from pathlib import Path

import pytest

from tests.replay.plays import PLAYS
from tests.replay.record import main, recorded
from tests.replay.recording import Recording

NAME = "long_answer_before_end"


@pytest.mark.parametrize("name", PLAYS)
def test_a_run_is_recorded_the_same_each_time(name: str) -> None:
    """No time, no chance and no id of this machine is in it."""
    assert recorded(name).to_json() == recorded(name).to_json()


def test_a_recording_is_read_as_it_was_made(tmp_path: Path) -> None:
    """Its long texts are packed in the file, and no longer when it is read."""
    made = recorded(NAME)
    path = tmp_path / made.version / f"{NAME}.json"
    path.parent.mkdir()
    path.write_text(made.to_json(), encoding="utf-8")
    assert Recording.of(path) == made
    assert max(len(stored.entries) for stored in made.turn.records) > 24_000 > len(made.to_json())


def test_a_recording_that_is_there_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nor is any other of that call written; `--again` says that it is meant."""
    (tmp_path / "canonical.json").write_text("history")
    assert main(["--into", str(tmp_path), "two_tools", "canonical"]) == 1
    assert "canonical.json" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["canonical.json"]
    assert (tmp_path / "canonical.json").read_text() == "history"
    assert main(["--into", str(tmp_path), "--again", "canonical"]) == 0
    assert json.loads((tmp_path / "canonical.json").read_text())["turn"]["turn"] == 1


def test_an_unknown_name_is_refused(tmp_path: Path) -> None:
    """Nothing is written."""
    with pytest.raises(SystemExit):
        main(["--into", str(tmp_path), "nonsense"])
    assert list(tmp_path.iterdir()) == []
