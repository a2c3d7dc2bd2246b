"""Chromium for the tests of the page, and a witness of what a page must never do."""

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Dialog, Page, Request, async_playwright

from agent_runner.agent import Agent, tool
from agent_runner.registry import Registry
from local.home import Parts
from local.server import Server
from local.settings import LocalSettings

ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_OUTAGE = ("net::ERR_", "WebSocket connection to")  # what Chromium writes while a server is away
_REPORT_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", (event) => console.error("CSP", event.violatedDirective));
"""


@contextlib.asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Start Debian's Chromium or Chrome where there is one, else the browser tool's own."""
    executable = shutil.which("chromium") or shutil.which("google-chrome")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable, args=list(ARGUMENTS))
        yield browser
        await browser.close()


@contextlib.asynccontextmanager
async def serving(settings: LocalSettings, parts: Parts | None = None) -> AsyncIterator[Server]:
    """Run a server in this process."""
    server = Server(settings, parts)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


class Witness:
    """Writes down what no page of ours may do: dialogs, errors, policy violations, foreign requests."""

    def __init__(self, context: BrowserContext) -> None:
        self.complaints: list[str] = []
        context.on("dialog", self._dialog)
        context.on("console", self._console)
        context.on("request", self._request)
        context.on("weberror", lambda error: self.complaints.append(str(error.error)))

    async def _dialog(self, dialog: Dialog) -> None:
        self.complaints.append(f"dialog: {dialog.message}")
        await dialog.dismiss()

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not any(mark in message.text for mark in _OUTAGE):
            self.complaints.append(f"{message.type}: {message.text}")

    def _request(self, request: Request) -> None:
        if urlsplit(request.url).hostname != "127.0.0.1":
            self.complaints.append(f"request: {request.url}")


@contextlib.asynccontextmanager
async def person(browser: Browser, width: int = 1000, height: int = 800) -> AsyncIterator[BrowserContext]:
    """Give a fresh profile to a person, and let no page of it do what none may do."""
    context = await browser.new_context(viewport={"width": width, "height": height})
    context.set_default_timeout(15_000)
    await context.add_init_script(_REPORT_VIOLATIONS)
    witness = Witness(context)
    try:
        yield context
        assert witness.complaints == []
    finally:
        await context.close()


async def visit(context: BrowserContext, port: int) -> Page:
    """Open the page."""
    page = await context.new_page()
    await page.goto(f"http://127.0.0.1:{port}/")
    return page


async def send(page: Page, content: str) -> None:
    """Type a message and press Enter."""
    await page.fill("#text", content)
    await page.press("#text", "Enter")


async def seqs(page: Page) -> list[int]:
    """Return the numbers of all steps shown, in the order they are shown."""
    shown = await page.locator(".step").evaluate_all("steps => steps.map((step) => Number(step.dataset.seq))")
    return [int(seq) for seq in shown]


def meter(gate: asyncio.Event) -> Registry:
    """Return a registry of one agent, whose one tool waits at a gate: `Read the meter` calls it."""

    @tool(semantics="pure", running="Reading the meter")
    async def meter_reader() -> str:
        """Read the meter."""
        await gate.wait()
        return "The meter shows 42."

    return Registry((), root=Agent("caretaker", "Reads meters.", "Read the meter.", (meter_reader,)))
