"""The page in a real browser: everything is shown once, in order, as text, whatever happens on the way."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, Route, WebSocketRoute, expect

from agent_runner import demo_shop
from agent_runner.agent import Agent
from agent_runner.model import ModelRequest, ModelResponse, OnText
from agent_runner.registry import Registry
from local.home import Parts
from local.server import Server
from local.settings import LocalSettings
from tests.e2e.browser import chromium, meter, person, send, seqs, serving, visit
from tests.e2e.process import server_process

pytestmark = pytest.mark.asyncio(loop_scope="module")
expect.set_options(timeout=15_000)

DATABASE = "Analyze my database performance"
METER = "Read the meter"
METER_STEPS = ["agent_started", "agent_thinking", "tool_executing", "tool_completed", "agent_thinking"]
COMPLETED = [*METER_STEPS, "agent_completed", "final_response"]
VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "reassembly.json").read_text(encoding="utf-8"))
QUICK_SUCCESSION = """
async () => {
  const frame = () => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
  for (let count = 0; count < 20; count += 1) {
    const tall = document.createElement("pre");
    tall.textContent = "line\\n".repeat(6);
    document.getElementById("turns").append(tall);
    await frame();
  }
  await frame();
  const { scrollHeight, scrollTop, clientHeight } = document.getElementById("scroller");
  return scrollHeight - scrollTop - clientHeight;
}
"""
HOSTILE = '<img src=x onerror="alert(1)"><script>alert(2)</script>[x](javascript:alert(3))\'"><svg onload=alert(4)>'


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("shop") / "shop.sqlite3"
    demo_shop.ensure(path)
    return path


@pytest.fixture
def gate() -> asyncio.Event:
    return asyncio.Event()


@pytest_asyncio.fixture(loop_scope="module")
async def home(tmp_path: Path, gate: asyncio.Event) -> AsyncIterator[Server]:
    """Serve one agent, whose tool waits at the gate."""
    async with serving(_settings(tmp_path), Parts(registry=meter(gate))) as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bench(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Page]:
    """Open a page whose modules can be tried one by one."""
    settings, parts = _settings(tmp_path_factory.mktemp("bench")), Parts(registry=meter(asyncio.Event()))
    async with serving(settings, parts) as server, person(browser) as someone:
        yield await visit(someone, server.port)


def _settings(data: Path, **settings: Any) -> LocalSettings:
    return LocalSettings(**{"data": data, "port": 0, "scripted_pace_s": 0.0, **settings})


async def _types(page: Page) -> list[str]:
    shown = await page.locator(".step").evaluate_all("steps => steps.map((step) => step.dataset.type)")
    return [str(kind) for kind in shown]


async def _until(page: Page, status: str, turn: int = 0) -> None:
    await expect(page.locator(".turn").nth(turn)).to_have_attribute("data-status", status)


async def test_a_database_analysis_shows_every_kind_of_step_and_the_true_answer(
    browser: Browser, shop: Path, tmp_path: Path
) -> None:
    """The suggestion is answered by numbered steps of all types, sub-agents indented, and what was measured."""
    async with serving(_settings(tmp_path, database=shop)) as server, person(browser) as someone:
        page = await visit(someone, server.port)
        await expect(page.locator("#model")).to_have_text("scripted model")
        await page.get_by_role("button", name=DATABASE).click()
        await page.press("#text", "Enter")
        await expect(page.locator(".bubble")).to_have_text(DATABASE)
        await _until(page, "done")
        assert await seqs(page) == list(range(1, 12))
        assert set(await _types(page)) == {*COMPLETED}
        await expect(page.locator(".answer")).to_contain_text("Found 3 slow queries")
        await expect(page.locator(".step[data-depth='1']")).to_have_count(4)
        await expect(page.locator(".step[data-seq='6']")).to_contain_text("database_analyzer ok Found 3 slow queries")
        assert all(time.endswith(" s") for time in await page.locator(".step .time").all_text_contents())
        await expect(page.locator(".delivery")).to_contain_text("done after")
        await expect(page.locator("#announcer")).to_have_text("answer: complete")
        assert await page.title() == "Done · Playbyplay"


async def test_the_code_suggestion_brings_a_snippet_that_is_analyzed(browser: Browser, tmp_path: Path) -> None:
    """The second suggestion puts several lines into the box, and their nested loop is found."""
    async with serving(_settings(tmp_path, database=tmp_path / "none")) as server, person(browser) as someone:
        page = await visit(someone, server.port)
        await page.get_by_role("button", name="Analyze my code performance").click()
        assert (await page.input_value("#text")).count("\n") > 5
        await page.press("#text", "Enter")
        await _until(page, "done")
        await expect(page.locator(".answer")).to_contain_text("2 loops inside each other")


async def test_stop_ends_a_run_and_retry_says_the_message_again(
    browser: Browser, home: Server, gate: asyncio.Event
) -> None:
    """Esc cancels the run: the open call is closed, the error is marked, and Retry makes a new turn of it."""
    async with person(browser) as someone:
        page = await visit(someone, home.port)
        await send(page, METER)
        await expect(page.locator(".step[data-type='tool_executing'] .running")).to_contain_text(" s")
        await expect(page.locator(".activity")).to_contain_text("Still working")
        await expect(page.locator(".activity")).to_contain_text("running meter_reader")
        assert await page.title() == "Working · Playbyplay"
        await page.press("#text", "Escape")
        await _until(page, "stopped")
        assert await _types(page) == ["agent_started", "agent_thinking", "tool_executing", "tool_completed", "error"]
        await expect(page.locator(".step[data-result]")).to_have_attribute("data-result", "cancelled")
        await expect(page.locator(".failure")).to_contain_text("The run was cancelled.")
        gate.set()
        await page.get_by_role("button", name="Retry").click()
        await _until(page, "done", turn=1)
        await expect(page.locator(".answer").nth(1)).to_have_text("The meter shows 42.")


async def test_a_second_message_waits_its_turn(browser: Browser, home: Server, gate: asyncio.Event) -> None:
    """While a run goes on one can send: the message is accepted, shows its place, and starts by itself."""
    async with person(browser) as someone:
        page = await visit(someone, home.port)
        await send(page, METER)
        await expect(page.locator(".step")).to_have_count(3)
        await send(page, f"{METER} again")
        await send(page, f"{METER} once more")
        await expect(page.locator(".activity").nth(1)).to_have_text("Queued, 1 ahead")
        await expect(page.locator(".activity").nth(2)).to_have_text("Queued, 2 ahead")
        await page.get_by_role("button", name="Stop").nth(1).click()
        await _until(page, "stopped", turn=1)
        await expect(page.locator(".activity").nth(2)).to_have_text("Queued, 1 ahead")
        gate.set()
        await _until(page, "done")
        await _until(page, "done", turn=2)
        assert await _types(page) == [*COMPLETED, "error", *COMPLETED]


async def test_a_reload_in_the_middle_of_a_run_shows_it_again_and_goes_on(
    browser: Browser, home: Server, gate: asyncio.Event
) -> None:
    """After a reload the same thread is there, each step once, and the run ends on the page."""
    async with person(browser) as someone:
        page = await visit(someone, home.port)
        await send(page, METER)
        await expect(page.locator(".step")).to_have_count(3)
        run_id = await page.locator(".turn").get_attribute("data-run")
        await page.reload()
        await expect(page.locator(".step")).to_have_count(3)
        await expect(page.locator(".bubble")).to_have_text(METER)
        await expect(page.locator(".turn")).to_have_attribute("data-run", str(run_id))
        gate.set()
        await _until(page, "done")
        assert await _types(page) == COMPLETED
        assert await seqs(page) == list(range(1, 8))


async def test_the_server_is_killed_in_the_middle_of_a_run(browser: Browser, shop: Path, tmp_path: Path) -> None:
    """After SIGKILL and a new start the page comes back by itself, and the same run is shown to its end, once."""
    env = {"PLAYBYPLAY_DATABASE": str(shop), "PLAYBYPLAY_SCRIPTED_PACE_MS": "150"}
    async with server_process(tmp_path, **env) as server, person(browser) as someone:
        page = await visit(someone, int(server.url.split(":")[2].split("/")[0]))
        await send(page, DATABASE)
        await expect(page.locator(".step[data-seq='5']")).to_be_visible()
        run_id = await page.locator(".turn").get_attribute("data-run")
        await server.signal(signal.SIGKILL)
        await expect(page.locator("#link")).to_have_text("reconnecting …")
        await server.start()
        await page.evaluate("dispatchEvent(new Event('online'))")
        await _until(page, "done")
        await expect(page.locator("#link")).to_be_empty()
        await expect(page.locator(".turn")).to_have_attribute("data-run", str(run_id))
        assert await seqs(page) == list(range(1, 12))
        await expect(page.locator(".answer")).to_contain_text("Found 3 slow queries")


async def test_a_message_said_while_the_server_is_away_is_kept_and_sent_once(
    browser: Browser, tmp_path: Path, gate: asyncio.Event
) -> None:
    """What is said offline is marked so, and becomes one run when the server is back."""
    gate.set()
    async with person(browser) as someone:
        async with serving(_settings(tmp_path), Parts(registry=meter(gate))) as server:
            page = await visit(someone, server.port)
            await send(page, METER)
            await _until(page, "done")
        await expect(page.locator("#link")).to_have_text("reconnecting …")
        await send(page, f"{METER} again")
        await expect(page.locator(".delivery").nth(1)).to_contain_text("kept")
        async with serving(_settings(tmp_path, port=server.port), Parts(registry=meter(gate))):
            await page.evaluate("dispatchEvent(new Event('online'))")
            await _until(page, "done", turn=1)
            await page.reload()
            await _until(page, "done", turn=1)
            await expect(page.locator(".turn")).to_have_count(2)


async def test_a_chat_the_server_no_longer_has_is_said_to_be_gone(
    browser: Browser, tmp_path: Path, gate: asyncio.Event
) -> None:
    """Where the data were deleted the page says so, and what was not yet sent begins a new chat."""
    gate.set()
    async with person(browser) as someone:
        async with serving(_settings(tmp_path / "one"), Parts(registry=meter(gate))) as server:
            page = await visit(someone, server.port)
            await send(page, METER)
            await _until(page, "done")
        await send(page, f"{METER} again")
        async with serving(_settings(tmp_path / "two", port=server.port), Parts(registry=meter(gate))):
            await page.evaluate("dispatchEvent(new Event('online'))")
            await expect(page.locator("#notice")).to_contain_text("no longer kept")
            await _until(page, "done")
            await expect(page.locator(".bubble")).to_have_text(f"{METER} again")
            assert await seqs(page) == list(range(1, 8))


async def test_two_windows_show_the_same(browser: Browser, home: Server, gate: asyncio.Event) -> None:
    """A chat begun in one window is followed in the other, and a third that comes later shows the same."""
    async with person(browser) as someone:
        one, other = await visit(someone, home.port), await visit(someone, home.port)
        await expect(other.locator("#welcome")).to_be_visible()
        await other.wait_for_function("performance.getEntriesByName(location.origin + '/ticket').length > 0")
        await send(one, METER)
        await expect(other.locator(".step")).to_have_count(3)
        third = await visit(someone, home.port)
        await expect(third.locator(".step")).to_have_count(3)
        gate.set()
        for page in (one, other, third):
            await _until(page, "done")
            assert await _types(page) == COMPLETED
        words = [await page.locator(".bubble, .words, .answer").all_text_contents() for page in (one, other, third)]
        assert words[0] == words[1] == words[2]


async def test_lost_frames_and_an_error_of_the_gateway_leave_no_trace(
    browser: Browser, home: Server, gate: asyncio.Event
) -> None:
    """A message the gateway dropped is sent again under its id; an event that got lost is fetched."""
    gate.set()
    ids: list[str] = []

    def tamper(wire: WebSocketRoute) -> None:
        beyond = wire.connect_to_server()

        def outward(text: str | bytes) -> None:
            frame = json.loads(text)
            if frame["type"] == "agent_message":
                ids.append(frame["client_message_id"])
                if len(ids) == 1:
                    wire.send('{"message": "Internal server error", "connectionId":"c=", "requestId":"r="}')
                    return
            beyond.send(text)

        def inward(text: str | bytes) -> None:
            frame = json.loads(text)
            if frame.get("seq") != 3 or frame.get("replay"):
                wire.send(text)

        wire.on_message(outward)
        beyond.on_message(inward)

    async with person(browser) as someone:
        await someone.route_web_socket("**/ws", tamper)
        page = await visit(someone, home.port)
        await send(page, METER)
        await _until(page, "done")
        assert ids == [ids[0]] * 2
        assert await _types(page) == COMPLETED
        await expect(page.locator(".turn")).to_have_count(1)


async def test_a_message_whose_acceptance_was_lost_with_the_line_is_sent_again_under_its_id(
    browser: Browser, home: Server, gate: asyncio.Event
) -> None:
    """A line that is dead without saying so is noticed, and the repeat becomes no second message."""
    sent: list[str] = []

    def tamper(wire: WebSocketRoute) -> None:
        beyond = wire.connect_to_server()

        def outward(text: str | bytes) -> None:
            if json.loads(text)["type"] == "agent_message":
                sent.append(json.loads(text)["client_message_id"])
            beyond.send(text)

        wire.on_message(outward)
        beyond.on_message(lambda text: None if len(sent) == 1 else wire.send(text))

    async with person(browser) as someone:
        await someone.route_web_socket("**/ws", tamper)
        page = await someone.new_page()
        await page.clock.install()
        await page.goto(f"http://127.0.0.1:{home.port}/")
        await send(page, METER)
        await expect(page.locator(".delivery")).to_have_text("sending")
        await page.clock.run_for(30_000)
        await expect(page.locator(".step")).to_have_count(3)
        gate.set()
        await _until(page, "done")
        assert len(sent) == 2
        assert sent[0] == sent[1]
        assert await _types(page) == COMPLETED
        await expect(page.locator(".turn")).to_have_count(1)


class LongWinded:
    """A model whose answer is longer than one frame."""

    name = "long-winded"
    answer = "".join(f"{number}: ein größerer Satz, ein paar Zeichen mehr 🙂\n" for number in range(1500))

    async def respond(self, request: ModelRequest, on_text: OnText) -> ModelResponse:
        return ModelResponse(self.answer)


async def test_an_answer_longer_than_one_frame_is_read_to_its_end(browser: Browser, tmp_path: Path) -> None:
    """The page asks for the rest of a cut answer until it has every byte."""
    parts = Parts(registry=Registry((), root=Agent("writer", "Writes.", "Write.")), model=LongWinded())
    async with serving(_settings(tmp_path), parts) as server, person(browser) as someone:
        page = await visit(someone, server.port)
        await send(page, "Write")
        await expect(page.locator(".answer")).to_contain_text("1499: ein größerer Satz")
        assert (await page.locator(".answer").text_content() or "").strip() == LongWinded.answer.strip()
        await expect(page.locator("#model")).to_have_text("long-winded")


async def test_the_page_follows_what_comes_in_quick_succession(browser: Browser, home: Server) -> None:
    """A step that comes before the page is told of its own scrolling is no sign that its reader scrolled up."""
    async with person(browser, width=390, height=500) as someone:
        page = await visit(someone, home.port)
        await send(page, METER)
        await expect(page.locator(".step")).to_have_count(3)
        assert await page.evaluate(QUICK_SUCCESSION) <= 1


async def test_the_page_follows_what_is_new_until_its_reader_scrolls_up(
    browser: Browser, home: Server, gate: asyncio.Event
) -> None:
    """New steps are scrolled into view; who scrolls up is left where they are."""
    async with person(browser, width=390, height=420) as someone:
        page = await visit(someone, home.port)
        scroller = page.locator("#scroller")
        left = "box => Math.round(box.scrollHeight - box.scrollTop - box.clientHeight)"
        await send(page, METER)
        await expect(page.locator(".step")).to_have_count(3)
        await send(page, "\n".join(f"{METER} {number}" for number in range(40)))
        await expect(page.locator(".activity").nth(1)).to_be_in_viewport()
        assert await scroller.evaluate(left) <= 1
        await scroller.evaluate("box => { box.scrollTop = 10; }")
        await expect(page.locator(".bubble").nth(0)).to_be_in_viewport()
        gate.set()
        await _until(page, "done", turn=1)
        assert await scroller.evaluate("box => Math.round(box.scrollTop)") == 10
        assert await page.evaluate("document.documentElement.scrollWidth") == 390


async def test_a_message_that_cannot_be_sent_says_so_before(browser: Browser, home: Server) -> None:
    """Blank and oversize messages cannot be sent, and the page tells why; New chat clears the page."""
    async with person(browser) as someone:
        page = await visit(someone, home.port)
        for content in ("", " \n ", "x" * 12_289, "é" * 6145, '"' * 8200):
            await page.fill("#text", content)
            await expect(page.get_by_role("button", name="Send")).to_be_disabled()
        await expect(page.locator("#limit")).to_contain_text("too long")
        await page.fill("#text", "one")
        await page.press("#text", "Shift+Enter")
        await page.locator("#text").press_sequentially("two")
        await page.press("#text", "Enter")
        await _until(page, "done")
        await expect(page.locator(".bubble")).to_have_text("one\ntwo", use_inner_text=True)
        await page.get_by_role("button", name="New chat").click()
        await expect(page.locator("#welcome")).to_be_visible()
        await page.reload()
        await expect(page.locator("#welcome")).to_be_visible()


async def test_a_hostile_message_is_text(browser: Browser, home: Server) -> None:
    """Markup in a message and in the model's name is shown letter by letter; nothing runs, nothing is fetched."""

    async def name(route: Route) -> None:
        await route.fulfill(json={"model": HOSTILE})

    async with person(browser) as someone:
        await someone.route("**/config.json", name)
        page = await visit(someone, home.port)
        await send(page, HOSTILE)
        await _until(page, "done")
        await expect(page.locator(".bubble")).to_have_text(HOSTILE)
        await expect(page.locator("#model")).to_have_text(HOSTILE)
        assert await page.locator("img:not(.mark), script:not([src]), a, svg[onload]").count() == 0


SHOW_HOSTILE = """async (hostile) => {
  const { Turn } = await import("/assets/view.js");
  const retried = [];
  const make = () => {
    const turn = new Turn(hostile, Date.now(), { retry: (content) => retried.push(content), stop() {}, rest() {} });
    turn.accepted({ run_id: hostile, thread_id: hostile, turn: 1 });
    document.getElementById("turns").append(turn.element);
    return turn;
  };
  const event = (type, fields) => ({ type, timestamp: "2026-01-01T00:00:00.000Z", seq: 1, ...fields });
  const told = { agent_id: hostile, call_id: "__proto__", parent_call_id: hostile, tool_name: hostile };
  const [done, failed, refused, streaming] = [make(), make(), make(), make()];
  done.input({ content: hostile, timestamp: "2026-01-01T00:00:00.000Z" });
  done.event(event("agent_started", { ...told, message: hostile }));
  done.event(event("agent_thinking", { ...told, thought: hostile }));
  done.event(event("tool_executing", { ...told, description: hostile }));
  done.event(event("tool_completed", { ...told, status: hostile, result_summary: hostile, duration_ms: 1 }));
  done.event(event("agent_completed", { ...told, message: hostile, duration_ms: 1 }));
  done.event(event("final_response", { content: hostile, usage: {}, finish_reason: hostile }));
  failed.event(event("error", { code: hostile, message: hostile, retryable: true }));
  failed.element.querySelector(".retry").click();
  refused.refused({ message: hostile, retryable: true });
  streaming.event(event("agent_started", { ...told, message: hostile }));
  streaming.delta({ draft: 1, index: 0, text: hostile });
  streaming.heartbeat({ activity: hostile });
  streaming.tick({ linked: true, ahead: 0 });
  const shown = (selector) => [...document.querySelectorAll(`#turns ${selector}`)].map((one) => one.textContent);
  return {
    retried,
    made: document.querySelectorAll("#turns :is(img, script, a, iframe, [onload], [onerror])").length,
    bubbles: shown(".bubble"), who: shown(".who"), what: shown(".what"), results: shown(".result"),
    answers: shown(".answer").filter(Boolean), reasons: shown(".reason span"), activity: shown(".activity").at(-1),
    left: shown(".step[data-type=error] .what"), undirected: shown(":is(.bubble, .who, .what, .block):not([dir=auto])"),
  };
}"""


async def test_hostile_text_in_every_field_is_text(browser: Browser, home: Server) -> None:
    """Every field of every frame that is displayed is displayed as text, in its own direction."""
    async with person(browser) as someone:
        page = await visit(someone, home.port)
        shown = await page.evaluate(SHOW_HOSTILE, HOSTILE)
    assert shown["made"] == 0
    assert shown["retried"] == [HOSTILE]
    assert shown["bubbles"] == [HOSTILE] * 4
    assert shown["who"] == [HOSTILE] * 5 + ["answer", "failed", HOSTILE]
    assert shown["what"] == [HOSTILE] * 5 + ["complete", HOSTILE, HOSTILE]
    assert shown["results"] == [HOSTILE]
    assert shown["answers"] == [HOSTILE, HOSTILE]
    assert shown["reasons"] == [HOSTILE, HOSTILE]
    assert str(shown["activity"]).endswith(HOSTILE)
    assert shown["undirected"] == []


REASSEMBLE = """async ({ frames, steps }) => {
  const { Reassembly } = await import("/assets/reassembly.js");
  const subject = new Reassembly();
  const expand = ([name, seqs]) => {
    if (!seqs) return [frames[name]];
    return Array.from({ length: seqs[1] - seqs[0] + 1 }, (_, at) => ({ ...frames[name], seq: seqs[0] + at }));
  };
  const act = ({ at_s, receive, seqs, follow, reconnect }) => {
    if (receive) return expand([receive, seqs]).flatMap((frame) => subject.receive(frame, at_s));
    if (follow) return subject.follow(follow.run_id, follow.after_seq, at_s);
    return reconnect ? subject.reconnected(at_s) : subject.tick(at_s);
  };
  const expected = ({ deliver, seqs, ...other }) =>
    deliver ? expand([deliver, seqs]).map((frame) => ({ deliver: frame })) : [other];
  return {
    steps: steps.map((step) => [act(step), step.expect.flatMap(expected)]),
    cursors: subject.cursors(),
    ping_interval_s: subject.pingIntervalS(),
  };
}"""


@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in VECTORS["cases"]])
async def test_a_shared_case_of_reassembly_holds(bench: Page, case: dict[str, Any]) -> None:
    """C13: every step of every case that all clients share returns exactly what the case says."""
    result = await bench.evaluate(REASSEMBLE, {"frames": VECTORS["frames"], "steps": case["steps"]})
    for number, (actual, expected) in enumerate(result["steps"], start=1):
        assert actual == expected, f"step {number} of {case['name']}: {case['fact']}"
    assert result["cursors"] == case["cursors"]
    assert result["ping_interval_s"] == case["ping_interval_s"]


DRAFTS = """async (frames) => {
  const { Turn } = await import("/assets/view.js");
  const turn = new Turn("hello", Date.now(), {});
  const event = { timestamp: "2026-01-01T00:00:00.000Z", seq: 1, call_id: "c", tool_name: "t", description: "d" };
  return frames.map((frame) => {
    if (frame === "call") turn.event({ ...event, type: "tool_executing" });
    else if (frame === "answer") turn.event({ ...event, type: "final_response", content: "The end." });
    else turn.delta({ draft: frame[0], text: frame[1] });
    return turn.element.querySelector(".answer").textContent;
  });
}"""


async def test_a_draft_is_shown_as_it_grows_and_superseded_by_the_answer(bench: Page) -> None:
    """A higher draft starts the text over, a call takes it back, the final response replaces it."""
    frames = [[1, "a"], [1, "b"], [2, "c"], "call", [2, "d"], [3, "e"], [3, "f"], "answer", [3, "g"], [4, "h"]]
    texts = await bench.evaluate(DRAFTS, frames)
    assert texts == ["a", "ab", "c", "", "", "e", "ef", "The end.", "The end.", "The end."]
