"""The files of the ops page: those of the build, and no other."""

from pathlib import Path

import pytest
from aiohttp import web

from local import ops_files


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """A build, and a secret beside it."""
    folder = tmp_path / "dist"
    (folder / "assets").mkdir(parents=True)
    (folder / "ops.html").write_text("<!doctype html>")
    (folder / "assets" / "ops-1a.js").write_text("run()")
    (folder / "assets" / "ops-1a.css").write_text("a{}")
    (folder / "assets" / "ops-1a.js.map").write_text("{}")
    (tmp_path / "secret.js").write_text("secret()")
    return folder


def test_the_page_is_the_builds(built: Path) -> None:
    """As it was built."""
    answer = ops_files.page(built)
    assert (answer.status, answer.body, answer.content_type) == (200, b"<!doctype html>", "text/html")


def test_a_page_that_is_not_built_says_how(tmp_path: Path) -> None:
    """In one sentence."""
    answer = ops_files.page(tmp_path)
    assert answer.status == 503
    assert answer.text == "The ops page is not built yet. Build it with: make web"


@pytest.mark.parametrize(("name", "kind"), [("ops-1a.js", "text/javascript"), ("ops-1a.css", "text/css")])
def test_what_was_built_is_given(built: Path, name: str, kind: str) -> None:
    """With its type."""
    assert ops_files.asset(name, built).content_type == kind


@pytest.mark.parametrize(
    "name", ["", ".", "..", "nothing.js", "../ops.html", "../../secret.js", "/etc/passwd", "ops-1a.js.map", "ops\0.js"]
)
def test_nothing_else_is(built: Path, name: str) -> None:
    """Whatever way a name takes out of the folder."""
    with pytest.raises(web.HTTPNotFound):
        ops_files.asset(name, built)


def test_without_a_build_there_are_no_files(tmp_path: Path) -> None:
    """It is no error of the server."""
    with pytest.raises(web.HTTPNotFound):
        ops_files.asset("ops-1a.js", tmp_path)


def test_the_runbooks_are_the_pages_text(tmp_path: Path) -> None:
    """Where they are; elsewhere they are not found."""
    page = tmp_path / "operations.md"
    with pytest.raises(web.HTTPNotFound):
        ops_files.runbooks(page)
    page.write_text("# Operations")
    answer = ops_files.runbooks(page)
    assert (answer.body, answer.content_type) == (b"# Operations", "text/markdown")
