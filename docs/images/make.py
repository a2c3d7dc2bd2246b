#!/usr/bin/env python3
"""Makes the pictures of the page beside this file: the real server, the real page, Chromium.

`python docs/images/make.py` makes those the documentation shows, the ops page's in five minutes (`--ops`: only those);
`--all DIRECTORY` makes every scene in light and dark, wide and narrow, to look at after a change of the page.
"""

import argparse
import asyncio
import shutil
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import ops_scenes
from playwright.async_api import Browser, Page, async_playwright

from agent_runner import demo_shop
from agent_runner.agent import Agent, tool
from agent_runner.model import ModelRequest, ModelResponse, OnText
from agent_runner.registry import Registry
from agent_runner.scripted_model import ScriptedModel
from local.home import Parts
from local.server import Server
from local.settings import LocalSettings
from playbyplay.errors import RunError

HERE = Path(__file__).parent
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
ASK_DATABASE = "Analyze my database performance"


@dataclass(frozen=True)
class Look:
    """How the reader has set the browser."""

    scheme: Literal["light", "dark"]
    width: int
    height: int


LOOKS = {
    "light": Look("light", 1180, 860),
    "dark": Look("dark", 1180, 860),
    "phone-light": Look("light", 390, 780),
    "phone-dark": Look("dark", 390, 780),
}


class TryingModel(ScriptedModel):
    """The scripted model, unavailable to who asks for trouble."""

    async def respond(self, request: ModelRequest, on_text: OnText) -> ModelResponse:
        """Answer, or fail."""
        if "forecast" in str(request.messages[-1]):
            await asyncio.sleep(0.8)
            raise RunError("model_unavailable", "The model service did not answer in time.")
        return await super().respond(request, on_text)


@tool(semantics="pure", running="Reading the archive")
async def archive_reader() -> str:
    """Read the archive, slowly."""
    await asyncio.sleep(30)
    return "The archive is empty."


ARCHIVIST = Agent("archivist", "Reads the archive.", "Read the archive.", (archive_reader,))


class Stage:
    """A server that can be stopped and started again on its port and data."""

    def __init__(self, data: Path, shop: Path, *, faults: bool) -> None:
        self._data = data
        self._shop = shop
        self._faults = faults
        self._port = 0
        self._server: Server | None = None

    @property
    def address(self) -> str:
        """The page's address."""
        return f"http://127.0.0.1:{self._port}/"

    async def start(self) -> None:
        """Start, on the same port as before."""
        registry = Registry((*Registry.discover().agents, ARCHIVIST))
        settings = LocalSettings(data=self._data, port=self._port, database=self._shop, faults=self._faults)
        self._server = Server(settings, Parts(registry=registry, model=TryingModel(pace_s=0.5)))
        await self._server.start()
        self._port = self._server.port

    async def stop(self) -> None:
        """Stop."""
        if self._server is not None:
            await self._server.stop()
            self._server = None


async def _ask(page: Page, content: str) -> None:
    await page.fill("#text", content)
    await page.press("#text", "Enter")


async def _empty(page: Page, _stage: Stage) -> None:
    await page.wait_for_selector("#welcome:not([hidden])")


async def _working(page: Page, _stage: Stage) -> None:
    await _ask(page, ASK_DATABASE)
    await page.wait_for_selector(".step[data-seq='5']")
    await page.wait_for_timeout(1000)


async def _done(page: Page, _stage: Stage) -> None:
    await _ask(page, ASK_DATABASE)
    await page.wait_for_selector(".turn[data-status='done']", timeout=60_000)
    await page.evaluate("document.querySelector('#scroller').scrollTop = 0")


async def _error(page: Page, _stage: Stage) -> None:
    await _ask(page, "What is the forecast?")
    await page.wait_for_selector(".turn[data-status='failed']")


async def _queued(page: Page, _stage: Stage) -> None:
    await _ask(page, "Read the archive")
    await page.wait_for_selector(".step[data-seq='5']")
    await _ask(page, ASK_DATABASE)
    await page.wait_for_selector("text=Queued, 1 ahead")
    await page.wait_for_timeout(1500)


async def _reconnecting(page: Page, stage: Stage) -> None:
    await _ask(page, "Read the archive")
    await page.wait_for_selector(".step[data-seq='5']")
    await stage.stop()
    await page.wait_for_selector("text=reconnecting")
    await page.wait_for_timeout(1500)


async def _faults(page: Page, _stage: Stage) -> None:
    await page.click(".faults-toggle")
    for name in ("Deliver a job twice", "Kill the runner"):
        await page.get_by_role("button", name=name, exact=True).click()
    await page.wait_for_selector("text=Kill the runner (waiting)")
    await _ask(page, ASK_DATABASE)
    await page.wait_for_selector(".faults-fired li:nth-child(2)")
    await page.get_by_role("button", name="Drop a post", exact=True).click()
    await page.wait_for_timeout(1500)


SCENES: dict[str, Callable[[Page, Stage], Awaitable[None]]] = {
    "empty": _empty,
    "working": _working,
    "done": _done,
    "error": _error,
    "queued": _queued,
    "reconnecting": _reconnecting,
    "faults": _faults,
}
SHOWN = (
    ("empty", "light"),
    ("working", "light"),
    ("done", "light"),
    ("working", "dark"),
    ("done", "phone-dark"),
    ("faults", "light"),
)


async def _take(browser: Browser, stage: Stage, scene: str, look: Look, path: Path) -> None:
    context = await browser.new_context(
        viewport={"width": look.width, "height": look.height},
        color_scheme=look.scheme,
        device_scale_factor=1.5,
        reduced_motion="reduce",
    )
    page = await context.new_page()
    await stage.start()
    try:
        await page.goto(stage.address)
        await SCENES[scene](page, stage)
        await page.screenshot(path=path)
    finally:
        await stage.stop()
        await context.close()


async def _main(wanted: list[tuple[str, str]], directory: Path, *, ops: bool) -> None:
    executable = shutil.which("chromium") or shutil.which("google-chrome")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        with tempfile.TemporaryDirectory() as temporary:
            shop = Path(temporary) / "shop.sqlite3"
            demo_shop.ensure(shop)
            for scene, look in wanted:
                stage = Stage(Path(temporary) / f"{scene}-{look}", shop, faults=scene == "faults")
                await _take(browser, stage, scene, LOOKS[look], directory / f"page-{scene}-{look}.png")
            if ops:
                model = TryingModel(pace_s=0.3)
                await ops_scenes.take(browser, Path(temporary) / "ops", shop, model, directory)
        await browser.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Makes the pictures of the page.")
    parser.add_argument("--all", type=Path, metavar="DIRECTORY", help="every scene in every look, into a directory")
    parser.add_argument("--ops", action="store_true", help="only the pictures of the ops page")
    asked = parser.parse_args()
    (asked.all or HERE).mkdir(parents=True, exist_ok=True)
    scenes = [(s, k) for s in SCENES for k in LOOKS] if asked.all else list(SHOWN)
    asyncio.run(_main([] if asked.ops else scenes, asked.all or HERE, ops=asked.ops or not asked.all))
