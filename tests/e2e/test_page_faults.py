"""The drawer of the fault switch in a real browser: it is there when asked for, and the chat bears what it does."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, FloatRect, Page, expect

from local.home import Parts
from local.server import Server
from local.settings import LocalSettings
from tests.e2e.browser import chromium, meter, person, send, seqs, serving, visit

pytestmark = pytest.mark.asyncio(loop_scope="module")
expect.set_options(timeout=15_000)

METER = "Read the meter"
WHOLE = list(range(1, 8))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as started:
        yield started


@pytest.fixture
def gate() -> asyncio.Event:
    return asyncio.Event()


@pytest_asyncio.fixture(loop_scope="module")
async def home(tmp_path: Path, gate: asyncio.Event) -> AsyncIterator[Server]:
    """Serve one agent, whose tool waits at the gate, and the switch."""
    settings = LocalSettings(data=tmp_path, port=0, scripted_pace_s=0.0, faults=True)
    async with serving(settings, Parts(registry=meter(gate))) as server:
        yield server


async def _open(page: Page) -> None:
    await page.get_by_role("button", name="Faults", exact=True).click()
    await expect(page.get_by_role("button", name="Kill the runner")).to_be_focused()


async def _break(page: Page, name: str) -> None:
    await page.get_by_role("button", name=name, exact=True).click()


async def _ends(page: Page) -> None:
    await expect(page.locator(".turn").last).to_have_attribute("data-status", "done")


async def test_without_the_switch_the_page_has_no_drawer(browser: Browser, tmp_path: Path, gate: asyncio.Event) -> None:
    """No button, and nothing of the drawer is even fetched."""
    settings = LocalSettings(data=tmp_path, port=0)
    async with serving(settings, Parts(registry=meter(gate))) as server, person(browser) as someone:
        fetched: list[str] = []
        someone.on("request", lambda request: fetched.append(request.url))
        page = await visit(someone, server.port)
        await expect(page.locator("#dock")).to_be_visible()
        await page.wait_for_load_state("networkidle")
        await expect(page.get_by_role("button", name="Faults")).to_have_count(0)
        assert [url for url in fetched if "fault" in url] == []


async def test_a_runner_is_killed_from_the_drawer(browser: Browser, home: Server, gate: asyncio.Event) -> None:
    """What is armed says so, what happened is listed, and the run is shown whole, each step once."""
    async with person(browser) as someone:
        page = await visit(someone, home.port)
        await _open(page)
        await expect(page.locator(".faults-fired")).to_be_empty()
        await _break(page, "Kill the runner")
        await expect(page.get_by_role("button", name="Kill the runner (waiting)")).to_be_visible()
        await expect(page.locator(".faults-said")).to_have_text("The next tool at work loses its runner.")
        await send(page, METER)
        await expect(page.locator(".faults-fired li")).to_contain_text("was killed in the middle of meter_reader.")
        await expect(page.get_by_role("button", name="Kill the runner", exact=True)).to_be_visible()
        gate.set()
        await _ends(page)
        assert await seqs(page) == WHOLE


async def test_a_post_is_dropped_from_the_drawer(browser: Browser, home: Server, gate: asyncio.Event) -> None:
    """The page asks for what it missed."""
    gate.set()
    async with person(browser) as someone:
        page = await visit(someone, home.port)
        await _open(page)
        await _break(page, "Drop a post")
        await expect(page.locator(".faults-said")).to_have_text("To be lost: 1 event post.")
        await send(page, METER)
        await _ends(page)
        assert await seqs(page) == WHOLE
        await expect(page.locator(".faults-fired li")).to_contain_text("A post of agent_started was lost.")


async def test_a_model_is_frozen_and_thawed_from_the_drawer(
    browser: Browser, home: Server, gate: asyncio.Event
) -> None:
    """The button that froze the model thaws it; meanwhile the page says that the work goes on."""
    gate.set()
    async with person(browser) as someone:
        page = await visit(someone, home.port)
        await _open(page)
        await _break(page, "Freeze the model")
        await send(page, METER)
        await expect(page.locator(".activity")).to_contain_text("Still working")
        await expect(page.locator(".step")).to_have_count(1)
        await _break(page, "Thaw the model")
        await _ends(page)
        assert await seqs(page) == WHOLE
        await expect(page.get_by_role("button", name="Freeze the model")).to_be_visible()


async def test_the_socket_is_cut_from_the_drawer(browser: Browser, home: Server, gate: asyncio.Event) -> None:
    """The page connects again by itself and has all steps; with a job delivered twice it has none of them twice."""
    async with person(browser) as someone:
        page = await visit(someone, home.port)
        await _open(page)
        await _break(page, "Deliver a job twice")
        await expect(page.get_by_role("button", name="Deliver a job twice (waiting)")).to_be_visible()
        await send(page, METER)
        await expect(page.locator(".step")).to_have_count(3)
        await _break(page, "Cut the socket")
        await expect(page.locator(".faults-fired li").first).to_contain_text("1 connection was cut.")
        gate.set()
        await _ends(page)
        assert await seqs(page) == WHOLE
        await expect(page.locator(".faults-fired li").last).to_contain_text("A job was delivered twice.")


async def test_what_is_armed_can_be_taken_back(browser: Browser, home: Server, gate: asyncio.Event) -> None:
    """Then a run goes on as if nothing had been."""
    gate.set()
    async with person(browser) as someone:
        page = await visit(someone, home.port)
        await _open(page)
        await expect(page.get_by_role("button", name="Take back")).to_be_disabled()
        await _break(page, "Freeze the model")
        await _break(page, "Take back")
        await expect(page.locator(".faults-said")).to_have_text("Nothing is armed any more.")
        await send(page, METER)
        await _ends(page)
        await expect(page.locator(".faults-fired")).to_be_empty()


async def test_the_drawer_is_worked_by_keys_alone(browser: Browser, home: Server) -> None:
    """Tab and Enter open it and let a fault happen; Escape closes it, gives the focus back, and stops no run."""
    async with person(browser) as someone:
        page = await visit(someone, home.port)
        await send(page, METER)
        await expect(page.locator(".step")).to_have_count(3)
        toggle = page.get_by_role("button", name="Faults", exact=True)
        await expect(toggle).to_have_attribute("aria-expanded", "false")
        await toggle.focus()
        await page.keyboard.press("Enter")
        await expect(toggle).to_have_attribute("aria-expanded", "true")
        first = page.get_by_role("button", name="Kill the runner", exact=True)
        await expect(first).to_be_focused()
        described = await first.evaluate(
            "(one) => document.getElementById(one.getAttribute('aria-describedby')).innerText"
        )
        assert described.startswith("The runner of the next tool at work falls")
        await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("button", name="Drop a post (waiting)")).to_be_focused()
        await page.keyboard.press("Escape")
        await expect(toggle).to_be_focused()
        await expect(page.locator("#faults")).to_be_hidden()
        await expect(page.locator(".turn")).to_have_attribute("data-status", "working")
        await expect(page.locator(".activity")).not_to_have_text("Stopping")


async def test_the_open_drawer_hides_nothing(browser: Browser, home: Server) -> None:
    """At any width chat, drawer and the box for messages stand beside or below each other, inside the window."""
    async with person(browser) as someone:
        page = await visit(someone, home.port)
        await _open(page)
        await send(page, METER)
        await expect(page.locator(".step")).to_have_count(3)
        for width in (320, 390, 700, 960, 1000):
            await page.set_viewport_size({"width": width, "height": 800})
            boxes = {
                name: await page.locator(name).bounding_box() for name in ("#scroller", "#faults", "#dock", ".bar")
            }
            for name, box in boxes.items():
                assert box is not None, name
                assert 0 <= box["x"] <= box["x"] + box["width"] <= width, (name, width)
                assert box["height"] > (200 if name in {"#scroller", "#faults"} else 30), (name, width)
            drawer = boxes["#faults"]
            assert drawer is not None
            assert (drawer["y"] + drawer["height"] == 800) == (width >= 960), (
                width
            )  # beside the chat it is all there is
            for one in boxes.values():
                assert all(one is other or _apart(one, other) or _apart(other, one) for other in boxes.values()), width
            assert await page.evaluate("document.documentElement.scrollWidth") <= width


def _apart(one: FloatRect | None, other: FloatRect | None) -> bool:
    """Whether one ends where the other begins, to the right or below."""
    assert one is not None
    assert other is not None
    beside = one["x"] + one["width"] <= other["x"] + 0.5
    return beside or one["y"] + one["height"] <= other["y"] + 0.5
