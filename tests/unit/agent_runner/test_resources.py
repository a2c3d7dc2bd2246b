"""The runner's resources: the demo shop, made once, when it is asked for."""

import sqlite3
import tempfile
import threading
from contextlib import closing
from pathlib import Path

import pytest

from agent_runner import demo_shop
from agent_runner.resources import DemoResources


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_shop, "ORDERS", 500)


def test_nothing_is_made_before_a_tool_asks(tmp_path: Path) -> None:
    """Knowing what there is makes nothing."""
    resources = DemoResources(tmp_path)
    assert list(resources) == ["database"]
    assert len(resources) == 1
    assert resources.get("other", "") == ""
    assert list(tmp_path.iterdir()) == []


def test_the_first_to_ask_makes_the_shop(tmp_path: Path) -> None:
    """The next one finds it as it is, in another container's life as well."""
    path = Path(DemoResources(tmp_path)["database"])
    made = path.stat().st_mtime_ns
    with closing(sqlite3.connect(path)) as shop:
        assert shop.execute("SELECT count(*) FROM workload").fetchone() == (8,)
    assert DemoResources(tmp_path)["database"] == str(path)
    assert path.stat().st_mtime_ns == made


def test_two_tools_that_ask_at_once_get_one_shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is made once; the other waits."""
    resources, made, start = DemoResources(tmp_path), list[Path](), threading.Barrier(2)
    make = demo_shop.make

    def counted(path: Path) -> None:
        made.append(path)
        make(path)

    def ask() -> None:
        start.wait(5)
        resources["database"]

    monkeypatch.setattr(demo_shop, "make", counted)
    tools = [threading.Thread(target=ask) for _ in range(2)]
    for tool in tools:
        tool.start()
    for tool in tools:
        tool.join(30)
    assert len(made) == 1


def test_it_stands_among_temporary_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On Lambda the only folder a function may write to."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert Path(DemoResources()["database"]).parent == tmp_path
