"""The pages: their own checks through the Node of this project, and their build."""

import asyncio
import json
import os
import re
import shutil
from pathlib import Path

import pytest

from infra import pages, toolchain
from infra.pages import WEB
from tests.clients.node import npm


@pytest.fixture(scope="module", autouse=True)
def _installed() -> None:
    """What `package-lock.json` names is there; npm's registry is needed once."""
    toolchain.install(WEB)


async def test_their_types_hold() -> None:
    """Pages, tests and scripts compile under the strictest settings."""
    await npm(WEB, "run", "types")


async def test_their_own_tests_hold() -> None:
    """Numbers as words, series as charts, asking and staleness, the verdict."""
    await npm(WEB, "test")


async def test_each_page_is_within_its_budget() -> None:
    """A page that weighs more than it may, compressed, fails here."""
    await asyncio.to_thread(pages.build)
    said = await npm(WEB, "run", "size")
    assert re.search(r"ops\.html: \d+ bytes gzipped, of 60000", said)


def test_a_page_has_nothing_inline_and_nothing_from_elsewhere() -> None:
    """So that the strictest content policy lets it run: scripts and styles are files of our own."""
    page = (pages.build() / "ops.html").read_text()
    assert not re.search(r"<style|\bstyle=|\bon\w+=|data:", page)
    assert re.findall(r"<script(?![^>]*\bsrc=)", page) == []
    addresses = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(addresses) == 3
    assert all(re.fullmatch(r"/web/assets/[\w.-]+", each) for each in addresses)


def test_a_build_that_fails_takes_nothing_away(tmp_path: Path) -> None:
    """The pages that were there are still there, and nothing else is."""
    folder = tmp_path / "web"
    shutil.copytree(WEB, folder, ignore=shutil.ignore_patterns("node_modules", "dist"))
    (folder / "node_modules").mkdir()
    for each in (WEB / "node_modules").glob("[!.]*"):
        (folder / "node_modules" / each.name).symlink_to(each)
    shutil.copy(WEB / "node_modules" / ".package-lock.json", folder / "node_modules")
    before = pages.build(folder) / "ops.html"
    whole = before.read_text()
    os.utime(before, (1, 1))
    main = folder / "src" / "ops" / "main.tsx"
    main.write_text("import './no_such_file.ts';")
    with pytest.raises(SystemExit, match=r"^The pages of web could not be built\.$"):
        pages.build(folder)
    assert before.read_text() == whole
    main.write_text("document.title = 'New';")
    assert (pages.build(folder) / "ops.html").read_text() != whole
    assert [each.name for each in (folder / "node_modules").glob(".*-*[0-9]*")] == []


def test_the_lock_names_every_package_by_hash_and_none_by_address() -> None:
    """A lock works with whatever registry a machine uses; what reaches the browser may be given on."""
    packages = json.loads((WEB / "package-lock.json").read_text())["packages"]
    programs = {name.removeprefix("node_modules/"): each for name, each in packages.items() if name}
    for each in programs.values():
        assert each["integrity"].startswith("sha512-")
        assert "resolved" not in each
    shipped = {name: each["license"] for name, each in programs.items() if not each.get("dev")}
    assert shipped == {"preact": "MIT", "uplot": "MIT"}
