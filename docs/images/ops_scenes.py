"""The pictures of the ops page: three users at work on the real server, a good while and then a bad one.

Nothing is painted: every number was counted. For the bad picture runners fall and the model stands still by the
fault switch, and one record is taken out of a journal, which no code ever does, so that the auditor has to find it.
"""

import asyncio
import itertools
import json
import sqlite3
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from playwright.async_api import Browser

from agent_runner.model import ModelClient
from agent_runner.registry import Registry
from local.home import Parts
from local.server import Server
from local.settings import LocalSettings
from playbyplay_client.client import PlaybyplayClient
from playbyplay_client.errors import ClientError

GOOD_S, BAD_S, FOUND_S = 150, 75, 12
USERS = (None, "ben", "cleo")  # the first is whom the fault switch works for
ASKED = ("Analyze my database performance", "Analyze my database performance", "Hello", "Count the words of this")
TROUBLE = "What is the forecast?"


class Traffic:
    """Users who send one message after the other.

    Attributes:
        asked: what they send, in turn.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self.asked: Sequence[str] = ASKED

    async def go_on(self, user: str | None, pause_s: float) -> None:
        """Send, wait for the end, pause, until cancelled; every ninth run is stopped by its user."""
        async with PlaybyplayClient(self._url, user=user) as client:
            for number in itertools.count():
                try:
                    run = await client.send(self.asked[number % len(self.asked)])
                    if number % 9 == 8:  # noqa: PLR2004 - see above
                        await run.cancel()
                    await run.result()
                except ClientError:
                    await asyncio.sleep(1.0)
                await asyncio.sleep(pause_s)


async def take(browser: Browser, data: Path, shop: Path, model: ModelClient, directory: Path) -> None:
    """Make the pictures.

    Args:
        browser: what shows the page.
        data: where the server keeps everything.
        shop: the database that the tools look at.
        model: who answers; it fails whoever asks for the forecast.
        directory: where the pictures go.
    """
    settings = LocalSettings(data=data, port=0, database=shop, faults=True, test_users=True)
    server = Server(settings, Parts(registry=Registry.discover(), model=model))
    await server.start()
    url = f"http://127.0.0.1:{server.port}"
    traffic = Traffic(url)
    users = [asyncio.create_task(traffic.go_on(user, 0.7 + place)) for place, user in enumerate(USERS)]
    try:
        await asyncio.sleep(GOOD_S)
        await _picture(browser, url, directory / "ops-good-light.png", "light", 1180, 1010)
        await _picture(browser, url, directory / "ops-phone-light.png", "light", 390, 1010)
        await _trouble(url, traffic)
        await asyncio.sleep(FOUND_S)
        await asyncio.to_thread(_break_a_journal, data / "playbyplay.sqlite3")
        await asyncio.sleep(FOUND_S)
        await _picture(browser, url, directory / "ops-trouble-dark.png", "dark", 1180, 1360)
    finally:
        for user in users:
            user.cancel()
        await asyncio.gather(*users, return_exceptions=True)
        await server.stop()


async def _trouble(url: str, traffic: Traffic) -> None:
    """Let runners fall, posts be lost and the model fail, and then hold it still."""
    for fault in ("kill_runner", "drop_post", "kill_runner", "cut_socket", "duplicate_job"):
        traffic.asked = (*ASKED, TROUBLE)
        await asyncio.to_thread(_order, url, fault)
        await asyncio.sleep(BAD_S / 5)
    await asyncio.to_thread(_order, url, "freeze_model")


def _order(url: str, fault: str) -> None:
    body = json.dumps({"fault": fault}).encode()
    request = urllib.request.Request(f"{url}/faults", body, {"Content-Type": "application/json"})  # noqa: S310 - ours
    with urllib.request.urlopen(request, timeout=5):  # noqa: S310 - ours
        pass


def _break_a_journal(path: Path) -> None:
    """Take the first record of an open run's journal away."""
    with sqlite3.connect(path, timeout=5) as database:
        open_run = "SELECT user, run_id FROM runs WHERE ended_ms IS NULL ORDER BY created_ms LIMIT 1"
        database.execute(f"DELETE FROM journal WHERE pos = 1 AND (user, run_id) IN ({open_run})")  # noqa: S608 - ours
    database.close()


async def _picture(
    browser: Browser, url: str, path: Path, scheme: Literal["light", "dark"], width: int, height: int
) -> None:
    context = await browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme=scheme,
        device_scale_factor=1.5,
        reduced_motion="reduce",
    )
    page = await context.new_page()
    await page.goto(f"{url}/ops?minutes=5")
    await page.wait_for_selector(".tile")
    await page.wait_for_timeout(1500)
    await page.screenshot(path=path)
    await context.close()
