"""The ops page in a real browser, under the strictest content policy: what is missing is seen, and data is text."""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Locator, Page, expect

from infra import pages
from local.home import Parts
from local.settings import LocalSettings
from tests.e2e.browser import chromium, meter, person, send, serving, visit
from tests.e2e.ops_site import OpsSite, ops_site, quiet_overview, run

pytestmark = pytest.mark.asyncio(loop_scope="module")
expect.set_options(timeout=15_000)

QUESTIONS = [
    "Are users being served?",
    "What is missing?",
    "Where does time go?",
    "What do users do?",
    "What does it cost?",
    "What goes wrong?",
    "The last 50 runs",
]
HOSTILE = "<img src=x onerror=\"document.title='pwned'\"><script>document.title='pwned'</script>"
LOST = "00000000-0000-4000-8000-000000000001"
_CONTRAST = """
() => {
  const parse = (text) => (text.match(/[\\d.]+/g) ?? [0, 0, 0, 0]).map(Number);
  const channel = (value) => (value /= 255) <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const ground = (one) => {
    for (; one; one = one.parentElement) {
      const colour = parse(getComputedStyle(one).backgroundColor);
      if ((colour[3] ?? 1) > 0) return colour;
    }
    return [255, 255, 255];
  };
  const poor = [];
  let looked = 0;
  for (const one of document.querySelectorAll("body *")) {
    const own = [...one.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
    if (!own || !one.checkVisibility() || one.closest(".unseen")) continue;
    looked += 1;
    const pair = [light(parse(getComputedStyle(one).color)), light(ground(one))].sort((a, b) => b - a);
    const ratio = (pair[0] + 0.05) / (pair[1] + 0.05);
    if (ratio < 4.5) poor.push(`${one.tagName}.${one.className} ${one.textContent.slice(0, 30)} ${ratio.toFixed(2)}`);
  }
  return { looked, poor };
}
"""
_HIDE = """
(hidden) => {
  Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    await asyncio.to_thread(pages.build)
    async with chromium() as started:
        yield started


@pytest_asyncio.fixture(loop_scope="module")
async def site() -> AsyncIterator[OpsSite]:
    async with ops_site() as served:
        yield served


async def _visit(someone: BrowserContext, site: OpsSite, query: str = "") -> Page:
    page = await someone.new_page()
    await page.goto(f"http://127.0.0.1:{site.port}/ops{query}")
    await expect(page.get_by_role("heading", name=QUESTIONS[0])).to_be_visible()
    return page


def _tile(page: Page, label: str) -> Locator:
    return page.locator(".tile", has=page.locator("dt", has_text=re.compile(f"^{label}$")))


async def _text_colour(place: Locator) -> str:
    return str(await place.evaluate("(one) => getComputedStyle(one).color"))


def _busy() -> dict[str, Any]:
    """Return an overview with something of everything."""
    overview = quiet_overview()
    now = overview["now"]
    times = [now - 600_000, now - 300_000, now - 20_000]
    for key in overview["totals"]:
        unit = overview["catalogue"][key.partition(".")[0]]["unit"]
        values = {"v": [1, 2, 3]} if unit == "Count" else {"p50": [20, 30, 40], "p99": [400, 5000, 600], "n": [1, 1, 1]}
        overview["series"][key] = {"t": times, **values}
        overview["totals"][key] = 6
    overview["open_runs"] = 2
    return overview


def _lost(overview: dict[str, Any]) -> None:
    """Let a run have no end."""
    overview["absence"]["RunsWithoutTerminal"] = 1
    overview["findings"] = [
        {
            "run_id": LOST,
            "absence": "RunsWithoutTerminal",
            "waits_ms": 64_000,
            "runbook": "operations.md#runs-without-terminal",
        }
    ]


async def test_the_page_asks_its_questions_and_breaks_no_rule(browser: Browser, site: OpsSite) -> None:
    """No policy report, no error in the console, no request to another host; every chart is drawn."""
    site.overview = _busy()
    async with person(browser) as someone:
        page = await _visit(someone, site)
        assert await page.locator("h2").all_text_contents() == QUESTIONS
        await expect(page.locator(".u-over")).to_have_count(13)
        await expect(page.locator(".none")).to_have_count(0)
        assert await page.title() == "Ops · Playbyplay"


async def test_a_server_that_nobody_has_used_is_shown_too(browser: Browser, site: OpsSite) -> None:
    """Each chart says that there is nothing, and no number is made up."""
    async with person(browser) as someone:
        page = await _visit(someone, site)
        await expect(page.locator(".none")).to_have_count(await page.locator("figure").count())
        await expect(page.locator(".verdict")).to_have_text("Yes. Nothing is missing.")
        await expect(page.get_by_text("No run yet.")).to_be_visible()


async def test_a_counter_turns_red_and_green_again(browser: Browser, site: OpsSite) -> None:
    """A finding is counted, named and linked to its runbook within two looks, and is gone after it is mended."""
    async with person(browser) as someone:
        page = await _visit(someone, site)
        number = _tile(page, "Runs without an end").locator(".big")
        await expect(number).to_have_text("0")
        green = await _text_colour(number)
        _lost(site.overview)
        await expect(number).to_have_text("1", timeout=3000)
        red = await _text_colour(number)
        assert red != green
        assert red == await page.evaluate(
            "(name) => { const one = document.createElement('i'); one.style.color = `var(${name})`; "
            "document.body.append(one); const found = getComputedStyle(one).color; one.remove(); return found; }",
            "--danger",
        )
        await expect(page.locator(".verdict")).to_have_text("Something is missing. Runs without an end: 1.")
        await expect(page).to_have_title("(1) Ops · Playbyplay")
        row = page.get_by_role("region", name="Findings").locator("tbody tr")
        await expect(row).to_contain_text(["Runs without an end"])
        await expect(row).to_contain_text(LOST)
        await expect(row).to_contain_text("1 min 4 s")
        site.overview = quiet_overview()
        await expect(number).to_have_text("0", timeout=3000)
        assert await _text_colour(number) == green
        await expect(page.get_by_role("region", name="Findings")).to_have_count(0)
        await expect(page).to_have_title("Ops · Playbyplay")


async def test_a_user_who_left_is_no_absence(browser: Browser, site: OpsSite) -> None:
    """Whom nobody waits for is told with what users do; the verdict stays."""
    site.overview["absence"]["AbandonedWhileRunning"] = 1
    site.overview["findings"] = [
        {"run_id": LOST, "absence": "AbandonedWhileRunning", "waits_ms": 11_000, "runbook": "operations.md#left"}
    ]
    async with person(browser) as someone:
        page = await _visit(someone, site)
        await expect(_tile(page, "Abandoned now").locator(".big")).to_have_text("1")
        await expect(page.get_by_role("region", name="Left by their users")).to_contain_text(LOST)
        await expect(page.get_by_role("region", name="Findings")).to_have_count(0)
        await expect(page.locator(".verdict")).to_have_text("Yes. Nothing is missing.")


async def test_an_auditor_that_is_missing_is_missed(browser: Browser, site: OpsSite) -> None:
    """Who does not look finds nothing: the page does not call that good."""
    site.overview["audited_ms"] = site.overview["now"] - 60_000
    async with person(browser) as someone:
        page = await _visit(someone, site)
        await expect(page.locator(".verdict").first).to_have_text("Not known. The auditor has not looked for 1 min.")
        await expect(page.get_by_text("The auditor itself is missing")).to_be_visible()


async def test_a_runbook_is_read_where_it_is_needed(browser: Browser, site: OpsSite) -> None:
    """The link of a finding shows its section, and nothing of the next; Escape gives the focus back."""
    _lost(site.overview)
    async with person(browser) as someone:
        page = await _visit(someone, site)
        link = page.get_by_role("link", name="Runbook of Runs without an end")
        assert await link.get_attribute("href") == "/ops/operations.md#runs-without-terminal"
        await link.press("Enter")
        dialog = page.get_by_role("dialog", name="Runbook")
        await expect(dialog).to_contain_text("Look at the runner first, or at Another one.")
        await expect(dialog.locator("b")).to_have_text("runner")
        await expect(dialog.locator("li")).to_have_text(["Is it alive?", "Is the queue long?"])
        await expect(dialog.locator("pre")).to_have_text("playbyplay audit")
        await expect(dialog).not_to_contain_text("Not this.")
        await dialog.get_by_role("link", name="Another one").click()
        await expect(dialog.get_by_role("heading")).to_have_text("Another one")
        await expect(dialog).not_to_contain_text("Look at the runner")
        await page.keyboard.press("Escape")
        await expect(dialog).to_have_count(0)
        await expect(link).to_be_focused()
        site.runbooks = "# Nothing here"
        await link.click()
        await expect(dialog).to_contain_text("has no section “runs-without-terminal”")
        await dialog.get_by_role("button", name="Close").click()
        await expect(dialog).to_have_count(0)


def _kind(fault: str, times: int = 1) -> dict[str, Any]:
    return {
        "fault": fault,
        "times": times,
        "see": "A pause, and no more.",
        "runbook": "operations.md#runs-without-terminal",
    }


async def test_faults_are_named_counted_and_linked(browser: Browser, site: OpsSite) -> None:
    """Each kind with how often, what to see and its runbook; below, the newest first, with the run it hit."""
    now = site.overview["now"]
    site.overview["fault_kinds"] = [_kind("kill_runner"), _kind("drop_post", 30)]
    site.overview["faults"] = [
        {"at": now - 60_000, "fault": "kill_runner", "run_id": LOST},
        {"at": now - 30_000, "fault": "drop_post", "run_id": None},
    ]
    async with person(browser) as someone:
        page = await _visit(someone, site)
        rows = page.get_by_role("region", name="Injected faults").locator("tbody tr")
        await expect(rows.locator(".fault")).to_have_text(["Drop post", "Kill runner"])
        await expect(rows.nth(1)).to_contain_text(LOST)
        kinds = page.locator(".kinds tbody tr")
        await expect(kinds).to_have_count(2)
        await expect(kinds.nth(0)).to_contain_text("Kill runner A pause, and no more.")
        await expect(kinds.nth(1).locator(".number")).to_have_text("30")
        await page.get_by_role("link", name="Runbook of Drop post").click()
        await expect(page.get_by_role("dialog", name="Runbook")).to_contain_text("Look at the runner first")


async def test_a_fault_is_a_line_in_every_chart(browser: Browser, site: OpsSite) -> None:
    """The same picture without the fault has other pixels in each chart."""
    site.overview = _busy()
    async with person(browser) as someone:
        page = await _visit(someone, site)
        before = await _drawn(page)
        site.overview = {**site.overview}
        site.overview["faults"] = [{"at": site.overview["now"] - 450_000, "fault": "kill_runner", "run_id": None}]
        await expect(page.locator("td.fault")).to_have_count(1)
        after = await _drawn(page)
        assert len(before) == len(after) == 13
        assert all(one != other for one, other in zip(before, after, strict=True))


async def _drawn(page: Page) -> list[str]:
    await page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    drawn = await page.locator("canvas").evaluate_all("(all) => all.map((one) => one.toDataURL())")
    return [str(one) for one in drawn]


async def test_everything_the_server_says_is_text(browser: Browser, site: OpsSite) -> None:
    """Markup in a name, an id, a meaning or a runbook is shown as it is written; none of it comes alive."""
    now = site.overview["now"]
    _lost(site.overview)
    site.overview["findings"].append(
        {"run_id": HOSTILE, "absence": HOSTILE, "waits_ms": 1, "runbook": f"javascript:alert(1)//#{HOSTILE}"}
    )
    site.overview["absence"][HOSTILE] = 1
    site.overview["absence"]["__proto__"] = 1
    site.overview["faults"] = [{"at": now, "fault": HOSTILE, "run_id": HOSTILE}]
    site.overview["fault_kinds"] = [{"fault": HOSTILE, "times": 1, "see": HOSTILE, "runbook": "javascript:alert(1)"}]
    site.overview["catalogue"]["RunsWithoutTerminal"]["meaning"] = HOSTILE
    site.overview["totals"][f"PostFailed.{HOSTILE}"] = 3
    site.runs = [run(HOSTILE, now, status=HOSTILE, last_event=HOSTILE, absences=[HOSTILE])]
    site.runbooks = f"# {HOSTILE}\n\n{HOSTILE}\n"
    async with person(browser) as someone:
        page = await _visit(someone, site)
        await expect(page.locator("td.id", has_text=HOSTILE)).to_have_count(3)
        for place in (".tile .note", ".runs td", ".troubles td", ".kinds .soft"):
            await expect(page.locator(place, has_text=HOSTILE).first).to_be_attached()
        await expect(page.locator("img")).to_have_count(1)  # the mark
        link = page.get_by_role("region", name="Findings").get_by_role("link").nth(1)
        assert str(await link.get_attribute("href")).startswith("/ops/operations.md#%3Cimg")
        await link.click()
        await expect(page.get_by_role("dialog")).to_contain_text("has no section")
        await page.keyboard.press("Escape")
        await page.get_by_role("region", name="Findings").get_by_role("link").first.click()
        assert await page.locator("script").count() == 1
        assert "pwned" not in await page.title()


async def test_the_runs_tell_what_is_wrong_with_them(browser: Browser, site: OpsSite) -> None:
    """Age, events, last event and attempts stand in the row; a long silence of an open run is red."""
    now = site.overview["now"]
    site.runs = [
        run("quiet", now),
        run("silent", now, silence_ms=31_000, attempts=3, owned=False, absences=["RunsWithoutTerminal"]),
        run("over", now, status="failed", ended_ms=now - 3000, silence_ms=99_000, events=7, last_event="error"),
    ]
    async with person(browser) as someone:
        page = await _visit(someone, site)
        rows = page.get_by_role("region", name="The last 50 runs").locator("tbody tr")
        assert [" ".join(text.split()) for text in await rows.all_inner_texts()] == [
            "running quiet 1 8 s 4 tool_executing 1.5 s 1",
            "running silent 1 8 s 4 tool_executing 31 s 3 no owner Runs without an end",
            "failed over 1 8 s 5 s 7 error 1",
        ]
        await expect(rows.locator("td.number.bad")).to_have_text(["31 s"])


async def test_a_server_that_is_away_is_told_and_the_picture_stays(browser: Browser, site: OpsSite) -> None:
    """The seconds are counted, the last numbers stand, and all is well again by itself."""
    site.overview["open_runs"] = 7
    async with person(browser) as someone:
        page = await _visit(someone, site)
        pulse = page.locator(".pulse")
        await expect(pulse).to_have_text("live")
        site.is_away = True
        await expect(pulse).to_have_text(re.compile(r"^no answer since [34] s$"))
        await expect(pulse).to_have_text("no answer since 6 s")
        await expect(_tile(page, "Open runs").locator(".big")).to_have_text("7")
        await expect(page.locator("header [role=status]")).to_have_text("The server does not answer.")
        site.overview["open_runs"] = 8
        site.is_away = False
        await expect(pulse).to_have_text("live", timeout=3000)
        await expect(_tile(page, "Open runs").locator(".big")).to_have_text("8")


async def test_a_hidden_page_asks_nothing(browser: Browser, site: OpsSite) -> None:
    """It rests while nobody looks, and asks at once when somebody does."""
    async with person(browser) as someone:
        page = await _visit(someone, site)
        await page.evaluate(_HIDE, True)
        await page.wait_for_timeout(300)  # an answer under way comes
        asked = len(site.asked)
        await page.wait_for_timeout(2500)
        assert len(site.asked) == asked
        await page.evaluate(_HIDE, False)
        await page.wait_for_timeout(500)
        assert len(site.asked) == asked + 1


async def test_the_window_is_chosen_by_keys_and_kept_over_a_reload(browser: Browser, site: OpsSite) -> None:
    """The server is asked for as many minutes; what is no choice is the usual one."""
    async with person(browser) as someone:
        page = await _visit(someone, site, "?minutes=7")
        await expect(page.get_by_role("radio", name="15 min")).to_be_checked()
        await page.get_by_role("radio", name="15 min").focus()
        async with page.expect_request("**/ops/overview.json?minutes=60"):
            await page.keyboard.press("ArrowRight")
        await expect(page.get_by_role("radio", name="1 h")).to_be_checked()
        assert set(site.asked) == {"minutes=15", "minutes=60"}
        async with page.expect_request("**/ops/overview.json?minutes=60"):
            await page.reload()
        await expect(page.get_by_role("radio", name="1 h")).to_be_checked()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_page_can_be_read_and_walked_through(browser: Browser, site: OpsSite, scheme: Any) -> None:
    """Text has the contrast of WCAG AA, tables that scroll are reached by Tab, pictures have words."""
    site.overview = _busy()
    _lost(site.overview)
    site.overview["faults"] = [{"at": site.overview["now"] - 9000, "fault": "kill_runner", "run_id": LOST}]
    site.overview["fault_kinds"] = [_kind("kill_runner")]
    now = site.overview["now"]
    site.runs = [
        run("a", now, silence_ms=31_000, attempts=3, owned=False, absences=["RunsWithoutTerminal"]),
        *(run(f"b{number}", now, status=status, ended_ms=now) for number, status in enumerate(["completed", "failed"])),
        run("c", now, status="cancelled", ended_ms=now),
    ]
    async with person(browser) as someone:
        page = await someone.new_page()
        await page.emulate_media(color_scheme=scheme)
        await page.goto(f"http://127.0.0.1:{site.port}/ops")
        await expect(page.locator("td.fault")).to_have_count(1)
        seen = await page.evaluate(_CONTRAST)
        assert seen["looked"] > 100
        assert seen["poor"] == []
        for name in ("Findings", "Injected faults", "The last 50 runs"):
            await expect(page.get_by_role("region", name=name).last).to_have_attribute("tabindex", "0")
        names = await page.get_by_role("img").evaluate_all("(all) => all.map((one) => one.getAttribute('aria-label'))")
        assert len(names) == 13
        assert "Until the end: p50 40 ms, p99 600 ms, worst 5 s" in names
        assert await page.locator("h1").count() == 1
        assert await page.locator("html").get_attribute("lang") == "en"
        for table in await page.get_by_role("table").all():
            assert await table.locator("th[scope=col]").count() > 1


async def test_nothing_sticks_out_at_any_width(browser: Browser, site: OpsSite) -> None:
    """From a small phone to a large screen only tables scroll sideways, in themselves."""
    site.overview = _busy()
    _lost(site.overview)
    site.runs = [run("r" * 36, site.overview["now"])]
    async with person(browser) as someone:
        page = await _visit(someone, site)
        for width in (320, 390, 700, 1024, 1600):
            await page.set_viewport_size({"width": width, "height": 800})
            await expect(page.locator("figure").first).to_be_visible()
            await page.wait_for_timeout(200)  # charts follow their place
            assert await page.evaluate("document.documentElement.scrollWidth") <= width
            wide = await page.locator("canvas").evaluate_all("(all) => Math.max(...all.map((one) => one.clientWidth))")
            assert wide <= width


async def test_the_page_is_quick_with_a_day_of_numbers(browser: Browser, site: OpsSite) -> None:
    """A look at 24 hours in buckets of five minutes is drawn in less than the second until the next."""
    overview = _busy()
    now = overview["now"]
    overview["from"], overview["bucket_s"] = now - 86_400_000, 300
    times = list(range(overview["from"] // 300_000 * 300_000, now, 300_000))
    for key, series in overview["series"].items():
        overview["series"][key] = {"t": times, **{name: [7] * len(times) for name in series if name != "t"}}
    site.overview = overview
    async with person(browser) as someone:
        page = await _visit(someone, site, "?minutes=1440")
        await page.wait_for_timeout(1000)
        asked, began = len(site.asked), time.monotonic()
        await page.wait_for_timeout(5000)
        assert (len(site.asked) - asked) / (time.monotonic() - began) > 0.5


async def test_a_killed_runner_is_seen_on_the_real_server(browser: Browser, tmp_path: Path) -> None:
    """The fault is listed by name, the run it hit and its take-over are counted, and the end is seen."""
    gate = asyncio.Event()
    settings = LocalSettings(data=tmp_path, port=0, scripted_pace_s=0.0, faults=True)
    async with serving(settings, Parts(registry=meter(gate))) as server, person(browser) as someone:
        page = await someone.new_page()
        await page.goto(f"http://127.0.0.1:{server.port}/ops")
        await expect(_tile(page, "Messages").locator(".big")).to_have_text("0")
        chat = await visit(someone, server.port)
        await chat.get_by_role("button", name="Faults", exact=True).click()
        await chat.get_by_role("button", name="Kill the runner", exact=True).click()
        await send(chat, "Read the meter")
        rows = page.get_by_role("region", name="The last 50 runs").locator("tbody tr")
        await expect(rows).to_have_count(1)
        await expect(rows).to_contain_text("running")
        await expect(page.locator("td.fault")).to_have_text("Kill runner")
        await expect(page.locator(".kinds .number")).to_have_text("1")
        await page.get_by_role("link", name="Runbook of Kill runner").click()
        await expect(page.get_by_role("dialog", name="Runbook").get_by_role("heading")).to_have_text("TakeoverRate")
        await page.keyboard.press("Escape")
        run_id = await rows.locator(".id").text_content()
        await expect(page.get_by_role("region", name="Injected faults").locator(".id")).to_have_text(run_id or "none")
        await expect(_tile(page, "Open runs").locator(".big")).to_have_text("1")
        await expect(page.locator(".troubles").first).to_contain_text("Takeovers")
        gate.set()
        await expect(_tile(page, "Completed").locator(".big")).to_have_text("1")
        await expect(rows).to_contain_text("final_response")
        await expect(page.locator(".verdict").first).to_have_text("Yes. Nothing is missing and no run failed.")
