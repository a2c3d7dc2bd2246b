"""The page where people sign in, in a real browser: in, on, out, and nothing left where it must not be."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, expect

from tests.e2e.browser import Witness, chromium, meter, person, send, visit
from tests.e2e.home import running_home
from tests.e2e.identity_provider import CLIENT, IdentityProvider, identity_provider
from tests.e2e.signed_in_site import SignedInSite, signed_in_site

pytestmark = pytest.mark.asyncio(loop_scope="module")
expect.set_options(timeout=15_000)

METER = "Read the meter"
HOSTILE = "<img src=x onerror=alert(1)><b>no</b>"
_STATUS = "Failed to load resource: the server responded with a status of "  # what Chromium writes of a 4xx
_NO_STORAGE = """
for (const name of ["localStorage", "sessionStorage"]) {
  Object.defineProperty(window, name, { get() { throw new DOMException("no", "SecurityError"); } });
}
"""
_LASTING = "() => { try { return JSON.stringify({ ...localStorage }); } catch { return ''; } }"
_STORED = "() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }])"


@dataclass(frozen=True)
class World:
    """A provider, a site, and who visits it."""

    provider: IdentityProvider
    site: SignedInSite
    context: BrowserContext
    urls: list[str]
    gate: asyncio.Event

    async def visit(self, path: str = "") -> Page:
        page = await self.context.new_page()
        await page.goto(self.site.url + path)
        return page

    async def enter(self) -> Page:
        """Sign in."""
        page = await self.visit()
        await self.sign_in(page)
        return page

    async def sign_in(self, page: Page) -> None:
        await page.get_by_role("button", name="Sign in").click()
        await expect(page.locator("#text")).to_be_visible()

    async def cut(self, page: Page) -> None:
        """Lose the line, and let the page come back."""
        await self.site.cut()
        await page.evaluate("dispatchEvent(new Event('online'))")
        async with asyncio.timeout(15):
            await self.site.arrived.wait()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as started:
        yield started


@pytest_asyncio.fixture(loop_scope="module")
async def world(browser: Browser, tmp_path: Path) -> AsyncIterator[World]:
    """Everything fresh; no token has been in a URL or in localStorage when it ends."""
    gate = asyncio.Event()
    gate.set()
    async with contextlib.AsyncExitStack() as stack:
        home = await stack.enter_async_context(running_home(tmp_path, registry=meter(gate)))
        provider = await stack.enter_async_context(identity_provider())
        site = await stack.enter_async_context(signed_in_site(home, provider))
        context = await browser.new_context(viewport={"width": 1000, "height": 800})
        stack.push_async_callback(context.close)
        context.set_default_timeout(15_000)
        witness, urls = Witness(context), list[str]()
        context.on("request", lambda request: urls.append(request.url))
        yield World(provider, site, context, urls, gate)
        provider.token_gate.set()
        provider.logout_gate.set()  # a page that is about to leave cannot be asked anything
        assert [one for one in witness.complaints if _STATUS not in one] == []
        kept = [await page.evaluate(_LASTING) for page in context.pages]
        seen = "\n".join([*urls, *kept, *(page.url for page in context.pages)])
        assert [token for token in provider.issued if token in seen] == []


async def _until(page: Page, status: str, turn: int = 0) -> None:
    await expect(page.locator(".turn").nth(turn)).to_have_attribute("data-status", status)


async def _at_the_gate(page: Page) -> None:
    await expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    await expect(page.locator("#dock, #scroller, #new-chat, #sign-out, #model").locator("visible=true")).to_have_count(
        0
    )


async def test_a_visitor_signs_in_and_chats(world: World) -> None:
    """One button leads over the provider to a chat; code and state leave the address, the socket is elsewhere."""
    page = await world.visit()
    await _at_the_gate(page)
    await expect(page.locator("#gate-reason")).to_be_empty()
    assert await page.title() == "Sign in · Playbyplay"
    assert world.site.bearers == []
    await world.sign_in(page)
    assert page.url == world.site.url
    await send(page, METER)
    await _until(page, "done")
    await expect(page.locator(".answer")).to_have_text("The meter shows 42.")
    await expect(page.locator("#model")).to_have_text("scripted model")
    assert world.provider.kinds() == ["authorization_code"]
    assert world.provider.authorizations[0]["redirect_uri"] == world.site.url
    assert world.provider.authorizations[0]["scope"] == "openid playbyplay/chat"
    assert world.site.bearers == list(world.provider.access)
    assert [offer.split(",")[0] for offer in world.site.protocols] == ["playbyplay.v1"]
    assert await page.evaluate("history.length") <= 3


async def test_the_provider_checks_the_verifier(world: World) -> None:
    """The verifier sent belongs to the challenge; another one is refused, and no two sign-ins share either."""
    await world.enter()
    form = world.provider.grants[0]
    challenge = world.provider.authorizations[0]["code_challenge"]
    assert len(form["code_verifier"]) == len(challenge) == 43
    assert form["code_verifier"] != challenge
    await world.enter()
    assert world.provider.authorizations[1]["code_challenge"] != challenge
    assert world.provider.authorizations[1]["state"] != world.provider.authorizations[0]["state"]
    other = await world.visit()
    await other.route("**/token", lambda route: route.continue_(post_data=_other_verifier(route.request.post_data)))
    await other.get_by_role("button", name="Sign in").click()
    await expect(other.locator("#gate-reason")).to_have_text(
        "The sign-in did not succeed (invalid_grant): the verifier is another"
    )
    await _at_the_gate(other)


def _other_verifier(form: str | None) -> str:
    assert form is not None
    kept = [one for one in form.split("&") if not one.startswith("code_verifier=")]
    return "&".join([*kept, "code_verifier=" + "x" * 43])


async def test_a_reload_stays_signed_in(world: World) -> None:
    """The refresh token, kept for this tab alone, brings a new access token; the chat is shown again."""
    page = await world.enter()
    await send(page, METER)
    await _until(page, "done")
    for _ in range(2):
        await page.reload()
        await _until(page, "done")
    assert world.provider.kinds() == ["authorization_code", "refresh_token", "refresh_token"]
    assert len(set(world.site.bearers)) == 3
    stored = await page.evaluate(_STORED)
    assert [token for token in world.provider.issued if token in stored] == list(world.provider.refresh)
    await _at_the_gate(await world.visit())


async def test_an_access_token_is_renewed_before_its_end(world: World) -> None:
    """A minute before it ends a token is not sent any more; until then it is."""
    page = await world.visit()
    await page.clock.install()
    await page.reload()
    await world.sign_in(page)
    await send(page, METER)
    await _until(page, "done")
    for later_s, grants in ((3500, 1), (50, 2)):
        await page.clock.fast_forward(later_s * 1000)
        tickets = len(world.site.bearers)
        await world.cut(page)
        await expect(page.locator("#link")).to_be_empty()
        assert len(world.provider.grants) == grants
        assert len(world.site.bearers) == tickets + 1
    first, second = world.provider.access
    assert world.site.bearers == [first, first, second]


async def test_a_token_the_server_calls_old_is_renewed_once(world: World) -> None:
    """A 401 to a token that should be good brings one renewal, and the chat goes on without a word."""
    page = await world.enter()
    await send(page, METER)
    await _until(page, "done")
    world.provider.access.clear()
    await world.cut(page)
    await send(page, METER)
    await _until(page, "done", turn=1)
    assert world.provider.kinds() == ["authorization_code", "refresh_token"]
    assert len(world.site.bearers) == 3


async def test_a_second_401_ends_the_sign_in_and_loses_nothing(world: World) -> None:
    """The sign-in screen says why; draft, unsent message and chat are there after the next sign-in."""
    page = await world.enter()
    await send(page, METER)
    await _until(page, "done")
    world.site.away = True
    await world.site.cut()
    await send(page, f"{METER} again")
    await page.fill("#text", "half a thou")
    world.site.away, world.site.refusing = False, True
    await page.evaluate("dispatchEvent(new Event('online'))")
    await _at_the_gate(page)
    await expect(page.locator("#gate-reason")).to_contain_text("Your sign-in has ended.")
    assert world.provider.kinds() == ["authorization_code", "refresh_token"]
    assert await page.locator(".bubble").count() == 0
    tickets = len(world.site.bearers)
    await page.evaluate("dispatchEvent(new Event('online'))")
    assert len(world.site.bearers) == tickets
    await page.reload()
    await _at_the_gate(page)
    world.site.refusing = False
    await world.sign_in(page)
    await expect(page.locator("#text")).to_have_value("half a thou")
    await _until(page, "done", turn=1)
    assert await page.locator(".bubble").all_text_contents() == [METER, f"{METER} again"]


async def test_a_refresh_token_that_is_refused_ends_the_sign_in(world: World) -> None:
    """What the provider refuses leads to the sign-in screen, also at a reload."""
    page = await world.enter()
    world.provider.refresh.clear()
    await page.reload()
    await _at_the_gate(page)
    await expect(page.locator("#gate-reason")).to_contain_text("Your sign-in has ended.")
    assert world.provider.kinds() == ["authorization_code", "refresh_token"]
    assert await page.evaluate(_STORED) == "[{},{}]"


async def test_a_provider_that_is_away_does_not_sign_anybody_out(world: World) -> None:
    """A token endpoint that fails is asked again; the person stays where they are."""
    page = await world.enter()
    await send(page, METER)
    await _until(page, "done")
    world.provider.token_status = 503
    await page.reload()
    await expect(page.locator("#link")).to_have_text("connecting …")
    await expect(page.locator("#text")).to_be_visible()
    world.provider.token_status = None
    await page.evaluate("dispatchEvent(new Event('online'))")
    await _until(page, "done")


@pytest.mark.parametrize(
    "path", ["?code=stolen&state=none", "?error=access_denied&error_description=hi&state=none", "?error=x"]
)
async def test_an_answer_nobody_asked_for_is_not_used(world: World, path: str) -> None:
    """Without a sign-in of this tab nothing is sent and nothing of the answer is shown."""
    page = await world.visit(path)
    await _at_the_gate(page)
    await expect(page.locator("#gate-reason")).to_have_text(
        "This answer belongs to no sign-in that was begun in this window, so it was not used."
    )
    assert page.url == world.site.url
    assert world.provider.grants == []


async def test_an_answer_with_another_state_is_not_used(world: World) -> None:
    """A code that comes with a foreign state is not exchanged; the next try works."""
    world.provider.answer = lambda sent: {**sent, "state": "another"}
    page = await world.visit()
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.locator("#gate-reason")).to_contain_text("was not used")
    await _at_the_gate(page)
    assert page.url == world.site.url
    assert world.provider.grants == []
    world.provider.answer = None
    await world.sign_in(page)


async def test_an_answer_nobody_asked_for_disturbs_no_one_who_is_signed_in(world: World) -> None:
    """Who is signed in stays so, and is told."""
    page = await world.enter()
    await page.goto(f"{world.site.url}?code=stolen&state=none")
    await expect(page.locator("#notice")).to_contain_text("was not used")
    await expect(page.locator("#text")).to_be_visible()
    assert world.provider.kinds() == ["authorization_code", "refresh_token"]


async def test_what_the_provider_refuses_is_shown_as_text(world: World) -> None:
    """access_denied and its description are words on the screen, markup in them too; the button works again."""
    world.provider.answer = lambda sent: {
        "error": "access_denied",
        "error_description": HOSTILE + "x" * 500,
        "state": sent["state"],
    }
    page = await world.visit()
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.locator("#gate-reason")).to_contain_text(f"The sign-in was refused: {HOSTILE}")
    assert len(await page.locator("#gate-reason").text_content() or "") == 200
    assert await page.locator("img:not(.mark), #gate b").count() == 0
    assert page.url == world.site.url
    assert world.provider.grants == []
    assert await page.evaluate("document.documentElement.scrollWidth") == 1000
    world.provider.answer = None
    await world.sign_in(page)


async def test_everything_fits_on_a_phone(world: World) -> None:
    """At 320 pixels the sign-in screen, its reason and both buttons of the chat are inside the window."""
    world.provider.answer = lambda sent: {"error": "x" * 300, "state": sent["state"]}
    page = await world.visit()
    await page.set_viewport_size({"width": 320, "height": 700})
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.locator("#gate-reason")).to_be_in_viewport(ratio=1)
    world.provider.answer = None
    await world.sign_in(page)
    await send(page, METER)
    await _until(page, "done")
    for button in ("#new-chat", "#sign-out", "#send"):
        await expect(page.locator(button)).to_be_in_viewport(ratio=1)


async def test_signing_out_forgets(world: World) -> None:
    """No token and no text stays in any window; the provider is told; the same person finds the chat again."""
    page = await world.enter()
    await send(page, METER)
    await _until(page, "done")
    other = await world.enter()
    await _until(other, "done")
    await page.fill("#text", "half a thou")
    await page.get_by_role("button", name="Sign out").click()
    for one in (page, other):
        await _at_the_gate(one)
        assert await one.locator(".bubble").count() == 0
        local, session = json.loads(await one.evaluate(_STORED))
        assert session == {}
        assert METER not in str(local)
    assert world.provider.logouts == [{"client_id": CLIENT, "logout_uri": world.site.url}]
    await page.reload()
    await _at_the_gate(page)
    tickets = len(world.site.bearers)
    await page.evaluate("dispatchEvent(new Event('online'))")
    assert len(world.site.bearers) == tickets
    await world.sign_in(page)
    await _until(page, "done")
    await expect(page.locator("#text")).to_have_value("")


async def test_signing_out_without_an_address_for_it_and_with_something_unsent(world: World) -> None:
    """What is unsent is named first and gone after; a page the browser put aside does not come back."""
    world.site.logout = False
    page = await world.enter()
    await send(page, METER)
    await _until(page, "done")
    world.site.away = True
    await world.site.cut()
    await send(page, f"{METER} again")
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.locator("#notice")).to_contain_text("not sent yet")
    await expect(page.locator("#notice")).to_be_in_viewport()
    await page.get_by_role("button", name="Sign out").click()
    await _at_the_gate(page)
    assert METER not in await page.evaluate(_STORED)
    await page.evaluate("window.stale = true")
    await page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")
    await page.wait_for_function("window.stale === undefined")
    await _at_the_gate(page)


async def test_a_renewal_that_comes_back_after_signing_out_brings_nobody_back(world: World) -> None:
    """Tokens that arrive while the page is leaving are not kept."""
    page = await world.enter()
    world.provider.token_gate.clear()
    world.provider.logout_gate.clear()
    async with page.expect_request("**/token"):
        await page.reload()
    async with page.expect_request("**/logout?**"):
        await page.get_by_role("button", name="Sign out").click(no_wait_after=True)
    async with page.expect_response("**/token") as renewed:
        world.provider.token_gate.set()
    await (await renewed.value).finished()
    world.provider.logout_gate.set()
    await _at_the_gate(page)
    assert await page.evaluate(_STORED) == "[{},{}]"


async def test_two_people_in_one_browser_do_not_see_each_others_things(world: World) -> None:
    """Chat, unsent message and draft belong to who wrote them."""
    page = await world.enter()
    await send(page, METER)
    await _until(page, "done")
    world.site.away = True
    await world.site.cut()
    await send(page, f"{METER} again")
    await page.fill("#text", "half a thou")
    world.site.away, world.site.refusing = False, True
    await page.evaluate("dispatchEvent(new Event('online'))")
    await _at_the_gate(page)
    world.site.refusing = False
    world.provider.user = "bob"
    await world.sign_in(page)
    await expect(page.locator("#welcome")).to_be_visible()
    await expect(page.locator("#text")).to_have_value("")
    await expect(page.locator(".turn")).to_have_count(0)
    await send(page, "Hello")
    await _until(page, "done")
    await page.get_by_role("button", name="Sign out").click()
    await _at_the_gate(page)
    world.provider.user = "ann"
    await world.sign_in(page)
    await _until(page, "done", turn=1)
    assert await page.locator(".bubble").all_text_contents() == [METER, f"{METER} again"]
    await expect(page.locator("#text")).to_have_value("half a thou")


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ({"token_status": 503}, "The sign-in service could not be reached. Please try again."),
        ({"token_status": 400}, "The sign-in did not succeed (400)."),
        ({"nameless": True}, "The sign-in service did not say who you are; the scope needs openid."),
    ],
)
async def test_a_code_that_brings_nobody_in_says_why(world: World, fault: dict[str, Any], sentence: str) -> None:
    """Where the exchange fails the screen says so, and the next try works."""
    for name, value in fault.items():
        setattr(world.provider, name, value)
    page = await world.visit()
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.locator("#gate-reason")).to_have_text(sentence)
    assert world.site.bearers == []
    world.provider.token_status, world.provider.nameless = None, False
    await world.sign_in(page)


async def test_a_browser_that_stores_nothing_is_told_so(world: World) -> None:
    """Without storage a sign-in cannot be checked, so it is not begun."""
    await world.context.add_init_script(_NO_STORAGE)
    page = await world.visit()
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.locator("#gate-reason")).to_contain_text("could not be begun")
    assert world.provider.authorizations == []


async def test_settings_that_cannot_be_read_are_asked_for_again(world: World) -> None:
    """Nobody meets a blank page: it says what is wrong, and goes on when it can."""
    await world.context.route("**/config.json", lambda route: route.abort())
    page = await world.visit()
    await expect(page.locator("#notice")).to_have_text("The server cannot be reached. Trying again …")
    await world.context.unroute("**/config.json")
    await _at_the_gate(page)


async def test_on_one_machine_nobody_signs_in(browser: Browser, tmp_path: Path) -> None:
    """Without `sign_in` there is no button, no header, no other name in the storage."""
    async with running_home(tmp_path) as home, person(browser) as someone:
        asked: list[dict[str, str]] = []
        someone.on("request", lambda request: asked.append(request.headers) if "/ticket" in request.url else None)
        page = await visit(someone, home.port)
        await send(page, "Hello")
        await _until(page, "done")
        await expect(page.locator("#sign-out, #gate").locator("visible=true")).to_have_count(0)
        assert "authorization" not in asked[0]
        local, session = json.loads(await page.evaluate(_STORED))
        assert set(local) == {"playbyplay.thread", "playbyplay.outbox"}
        assert session == {}


async def test_on_one_machine_no_storage_is_needed(browser: Browser, tmp_path: Path) -> None:
    """A browser that stores nothing can chat there until it reloads."""
    async with running_home(tmp_path) as home, person(browser) as someone:
        await someone.add_init_script(_NO_STORAGE)
        page = await visit(someone, home.port)
        await send(page, "Hello")
        await _until(page, "done")
