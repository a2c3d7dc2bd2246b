"""The demo shop: the same every time, big enough, and never half made."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from agent_runner import demo_shop


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("shop") / "new folder" / "shop.db"
    demo_shop.make(path)
    return path


def read(path: Path, sql: str) -> Sequence[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


def test_the_shop_holds_over_two_hundred_thousand_rows(shop: Path) -> None:
    """A scan of the larger tables takes a time that can be measured."""
    tables = ("customers", "products", "orders", "order_items")
    counted = [read(shop, f"SELECT count(*) FROM {table}")[0][0] for table in tables]  # noqa: S608  names above
    assert all(counted)
    assert sum(counted) > 200_000


def test_the_shop_is_sound(shop: Path) -> None:
    """SQLite finds the file whole, and every reference leads somewhere."""
    assert read(shop, "PRAGMA integrity_check") == [("ok",)]
    assert read(shop, "PRAGMA foreign_key_check") == []


def test_no_foreign_key_is_indexed(shop: Path) -> None:
    """The only indexes are those of primary keys and unique columns."""
    assert read(shop, "SELECT name FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL") == []


def test_the_workload_is_eight_literal_queries_that_run(shop: Path) -> None:
    """Each recorded query runs as it stands; those that look something up find it."""
    workload = read(shop, "SELECT name, statement, calls_per_hour FROM workload")
    assert len(workload) == 8
    quick = {"product_by_id", "customer_by_email", "order_with_customer"}
    assert {name: len(read(shop, statement)) for name, statement, _ in workload if name in quick} == dict.fromkeys(
        quick, 1
    )
    assert all(calls > 0 and ":" not in statement for _, statement, calls in workload)


def test_the_same_seed_makes_the_same_shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two shops are equal to the byte."""
    monkeypatch.setattr(demo_shop, "ORDERS", 1_000)
    paths = (tmp_path / "one.db", tmp_path / "other.db")
    for path in paths:
        demo_shop.make(path)
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_making_leaves_only_the_shop(shop: Path) -> None:
    """No temporary file or journal stays behind."""
    assert [path.name for path in shop.parent.iterdir()] == ["shop.db"]


def test_ensure_leaves_what_is_there_alone(tmp_path: Path) -> None:
    """An existing file is kept as it is, and said not to be made."""
    path = tmp_path / "shop.db"
    path.write_text("mine")
    assert not demo_shop.ensure(path)
    assert path.read_text() == "mine"


def test_ensure_makes_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing shop is made, once."""
    monkeypatch.setattr(demo_shop, "ORDERS", 1_000)
    path = tmp_path / "shop.db"
    assert demo_shop.ensure(path)
    assert read(path, "SELECT count(*) FROM workload") == [(8,)]
    assert not demo_shop.ensure(path)


def test_a_failure_midway_leaves_neither_a_shop_nor_a_piece_of_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the building stops midway, the folder is as empty as before."""
    monkeypatch.setattr(demo_shop, "_WORKLOAD", (("broken", "SELECT :unknown", 1),))
    monkeypatch.setattr(demo_shop, "ORDERS", 100)
    with pytest.raises(KeyError):
        demo_shop.make(tmp_path / "shop.db")
    assert list(tmp_path.iterdir()) == []
