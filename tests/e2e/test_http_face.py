"""The HTTP face: who may come in, by which origin and ticket, and what is answered to everything else.

Each case has the id of its row in the table of bad inputs. Beside every one of them a client of
another user is at work and gets its own frames only.
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from playbyplay.domain.connection import SESSION_S, TICKET_S
from tests.e2e.home import Member, RunningHome, Scene, running_home
from tests.e2e.raw_socket import HttpAnswer, exchange, refusal, request, upgrade, upgrade_request
from tests.fakes.clock import FakeClock

pytestmark = pytest.mark.asyncio(loop_scope="module")

ANY_HOST = [("Host", "localhost")]
MAX_URL = 4096
TOO_MUCH = {400, 414, 431}


async def goes_on(stage: Scene) -> None:
    """Let an old socket and a new one be served."""
    assert await (await stage.home.join()).hears_nothing() == {}
    await stage.goes_on()


async def get(home: RunningHome, target: str, headers: Sequence[tuple[str, str]] = ANY_HOST) -> HttpAnswer:
    return await exchange(home.port, request("GET", target, headers))


async def ask_ticket(home: RunningHome, body: bytes = b"", *, origin: str | None = None) -> HttpAnswer:
    headers = [*ANY_HOST, *([("Origin", origin)] if origin is not None else [])]
    return await exchange(home.port, request("POST", "/ticket", headers, body))


def shown(*tickets: str) -> str:
    """Return the subprotocols that show tickets."""
    return ", ".join(["playbyplay.v1", *(f"ticket.{ticket}" for ticket in tickets)])


def foreign_origins(port: int) -> dict[str, str]:
    return {
        "B26-suffix": f"http://localhost:{port}.evil.example",
        "B26-suffix-host": f"http://localhost.evil.example:{port}",
        "B26-prefix": f"http://evillocalhost:{port}",
        "B26-userinfo": f"http://localhost:{port}@evil.example",
        "B26-scheme": f"https://localhost:{port}",
        "B26-ws-scheme": f"ws://localhost:{port}",
        "B26-port": f"http://localhost:{port + 1}",
        "B26-no-port": "http://localhost",
        "B26-upper-case": f"HTTP://LOCALHOST:{port}",
        "B26-trailing-dot": f"http://localhost.:{port}",
        "B26-trailing-slash": f"http://localhost:{port}/",
        "B26-zero": f"http://0.0.0.0:{port}",
        "B26-IPv6": f"http://[::1]:{port}",
        "B26-null": "null",
        "B26-empty": "",
        "B26-two": f"http://localhost:{port} http://evil.example",
        "B26-homoglyph": f"http://l\u00f6calhost:{port}",
    }


@pytest.mark.parametrize("case", foreign_origins(0))
async def test_b26_a_foreign_origin_is_refused(stage: Scene, case: str) -> None:
    """An origin that differs from the page's in one letter gets 403, for a ticket and with one, and burns none."""
    home = stage.home
    origin = foreign_origins(home.port)[case]
    assert (await ask_ticket(home, origin=origin)).status == 403
    ticket = await home.ticket(stage.subject.user, origin=home.origin)
    for protocols in (shown(ticket), "playbyplay.v1", None):
        answer = await refusal(home.port, upgrade_request(home.port, origin=origin, protocols=protocols))
        assert answer.status == 403
        assert answer.json() == {"message": "This origin is not allowed."}
    await home.open(origin=home.origin, protocols=shown(ticket))
    await goes_on(stage)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_the_pages_own_origin_comes_in(stage: Scene, host: str) -> None:
    """A ticket of the page's own origin opens a socket, and the answer names our subprotocol and nothing of it."""
    home, origin = stage.home, f"http://{host}:{stage.home.port}"
    ticket = await home.ticket("page-user", origin=origin)
    answer, socket = await upgrade(home.port, upgrade_request(home.port, origin=origin, protocols=shown(ticket)))
    assert answer.headers["sec-websocket-protocol"] == "playbyplay.v1"
    assert ticket not in repr(answer)
    assert ticket not in repr(home.log.events)
    frames = await Member("page-user", socket).turn()
    assert frames[-1]["type"] == "final_response"
    assert len(home.kept("page-user")) >= 1
    await socket.end()
    await goes_on(stage)


async def test_a_ticket_is_secret_and_short_lived(stage: Scene) -> None:
    """A ticket is 256 random bits, said to last 30 s, and is kept by no cache."""
    answers = [await ask_ticket(stage.home) for _ in range(2)]
    for answer in answers:
        assert answer.json()["expires_in"] == 30
        assert re.fullmatch(r"[A-Za-z0-9_-]{43}", answer.json()["ticket"])
        assert answer.headers["cache-control"] == "no-store"
        assert "access-control-allow-origin" not in answer.headers
    assert answers[0].json()["ticket"] != answers[1].json()["ticket"]
    await goes_on(stage)


@pytest.mark.parametrize(
    "protocols",
    [
        pytest.param(None, id="B27-none"),
        pytest.param("playbyplay.v1", id="B27-none-but-protocol"),
        pytest.param("playbyplay.v1, ticket.GOOD, ticket.GOOD", id="B27-twice"),
        pytest.param("playbyplay.v1, ticket.GOOD, ticket.OTHER", id="B27-two"),
        pytest.param("playbyplay.v1, ticket.", id="B27-empty"),
        pytest.param("playbyplay.v1, ticket.GOODx", id="B27-longer"),
        pytest.param("playbyplay.v1, TICKET.GOOD", id="B27-upper-case"),
        pytest.param("playbyplay.v1, ticket.' OR 1=1 --", id="B27-SQL"),
        pytest.param("playbyplay.v1, ticket." + "A" * 4000, id="B27-4000-letters"),
        pytest.param("playbyplay.v1, ticket.\xc3\xa9", id="B27-not-ASCII"),
        pytest.param("playbyplay.v1, ticket.\xff", id="B27-not-UTF-8"),
    ],
)
async def test_b27_one_ticket_is_needed(stage: Scene, protocols: str | None) -> None:
    """A browser comes in with exactly one ticket that holds; anything else is 401."""
    home = stage.home
    for name in ("GOOD", "OTHER"):
        if protocols is not None:
            protocols = protocols.replace(name, await home.ticket(stage.subject.user, origin=home.origin))
    answer = await refusal(home.port, upgrade_request(home.port, origin=home.origin, protocols=protocols))
    assert answer.status == 401
    await goes_on(stage)


@pytest.mark.parametrize("good_is_shown", [True, False], ids=["B27-query-and-subprotocol", "B27-query"])
async def test_b27_a_ticket_in_the_url_is_refused(stage: Scene, good_is_shown: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """A ticket in the URL is 401, with or without another in its place, and neither is burnt by it."""
    home = stage.home
    ticket, other = [await home.ticket(stage.subject.user, origin=home.origin) for _ in range(2)]
    protocols = shown(other) if good_is_shown else None
    for target in (f"/ws?ticket={ticket}", "/ws?ticket=", f"/ws?a=b&ticket={ticket}"):
        for origin in (home.origin, None):
            data = upgrade_request(home.port, target=target, origin=origin, protocols=protocols)
            assert (await refusal(home.port, data)).status == 401
    for one in (ticket, other):
        await home.open(origin=home.origin, protocols=shown(one))
    await goes_on(stage)


async def test_b27_two_tickets_in_two_header_lines(stage: Scene) -> None:
    """Subprotocols may stand in several header lines (RFC 6455, 11.3.4): two tickets are two wherever they stand."""
    home = stage.home
    tickets = [await home.ticket(stage.subject.user, origin=home.origin) for _ in range(2)]
    more = [("Sec-WebSocket-Protocol", f"ticket.{tickets[1]}")]
    data = upgrade_request(home.port, origin=home.origin, protocols=shown(tickets[0]), more=more)
    assert (await refusal(home.port, data)).status == 401
    await goes_on(stage)


async def test_a_ticket_in_a_second_header_line_counts(stage: Scene) -> None:
    """A ticket in a header line of its own says whose connection it is, as it would in the first."""
    home, user = stage.home, "split-header"
    more = [("Sec-WebSocket-Protocol", "playbyplay.v1")]
    socket = await home.open(more=more, protocols=f"ticket.{await home.ticket(user)}")
    assert (await Member(user, socket).turn())[-1]["type"] == "final_response"
    assert len(home.kept(user)) == 1
    await goes_on(stage)


async def test_b28_a_ticket_opens_one_connection(stage: Scene) -> None:
    """A ticket shown a second time is 401, while the first connection lives and after it."""
    home = stage.home
    ticket = await home.ticket(stage.subject.user, origin=home.origin)
    data = upgrade_request(home.port, origin=home.origin, protocols=shown(ticket))
    _answer, socket = await upgrade(home.port, data)
    assert (await refusal(home.port, data)).status == 401
    await socket.end()
    assert (await refusal(home.port, data)).status == 401
    await goes_on(stage)


async def test_b29_a_ticket_is_bound_to_its_origin(stage: Scene) -> None:
    """A ticket of one origin is 401 from another one, and from none."""
    home = stage.home
    elsewhere = home.origin.replace("127.0.0.1", "localhost")
    for given, used in ((home.origin, elsewhere), (home.origin, None), (None, home.origin), (elsewhere, home.origin)):
        ticket = await home.ticket(stage.subject.user, origin=given)
        answer = await refusal(home.port, upgrade_request(home.port, origin=used, protocols=shown(ticket)))
        assert answer.status == 401
    await goes_on(stage)


@pytest.mark.parametrize(
    ("seconds", "status"),
    [
        pytest.param(TICKET_S - 0.001, 101, id="B29-just-in-time"),
        pytest.param(TICKET_S, 401, id="B29-expired-now"),
        pytest.param(TICKET_S + 1, 401, id="B29-expired-1-s-ago"),
    ],
)
async def test_b29_a_ticket_expires(tmp_path: Path, seconds: float, status: int) -> None:
    """A ticket holds for thirty seconds and not a millisecond more."""
    clock = FakeClock()
    async with running_home(tmp_path, clock=clock) as home:
        ticket = await home.ticket("late", origin=home.origin)
        clock.advance(seconds)
        data = upgrade_request(home.port, origin=home.origin, protocols=shown(ticket))
        if status == 101:
            _answer, socket = await upgrade(home.port, data)
            assert await Member("late", socket).hears_nothing() == {}
            await socket.end()
        else:
            assert (await refusal(home.port, data)).status == status
        assert await (await home.join("late")).hears_nothing() == {}


async def test_a_session_ends(tmp_path: Path) -> None:
    """A frame after the session's end is refused as expired; a new ticket begins a new session."""
    clock = FakeClock()
    async with running_home(tmp_path, clock=clock) as home:
        member = await home.join()
        clock.advance(SESSION_S - 1)
        assert await member.hears_nothing() == {}
        clock.advance(1)
        for fields in ({"type": "ping"}, {"type": "agent_message", "content": "hello"}):
            refused = await member.ask(**fields)
            assert (refused["type"], refused["code"], refused["retryable"]) == ("message_rejected", "expired", False)
        assert home.kept(member.user) == []
        again = await home.join(member.user)
        assert (await again.turn())[-1]["type"] == "final_response"


async def test_without_origin_and_ticket_one_is_the_local_user(stage: Scene) -> None:
    """A terminal or a script without Origin and ticket is the local user, on every such connection the same."""
    home = stage.home
    first, second = Member("local", await home.open()), Member("local", await home.open(protocols="playbyplay.v1"))
    await second.hears_nothing()  # answered once the connection is known
    frames = await first.turn("from a script")
    (told,) = [frame for frame in await second.until("final_response") if frame["type"] == "run_input"]
    assert (told["run_id"], told["content"]) == (frames[0]["run_id"], "from a script")
    assert frames[0]["run_id"] in {run_id for run_id, _thread, _turn in home.kept("local")}
    await goes_on(stage)


async def test_users_cannot_be_named_unless_allowed(tmp_path: Path) -> None:
    """Without the setting for tests a ticket is the local user's, and naming any user is 403."""
    async with running_home(tmp_path, test_users=False) as home:
        for user in ("local", "alice", ""):
            answer = await ask_ticket(home, json.dumps({"user": user}).encode())
            assert answer.status == 403
            assert "PLAYBYPLAY_TEST_USERS" in answer.json()["message"]
        for body in (b"", b"{}"):
            ticket = (await ask_ticket(home, body, origin=home.origin)).json()["ticket"]
            socket = await home.open(origin=home.origin, protocols=shown(ticket))
            assert (await Member("local", socket).turn())[-1]["type"] == "final_response"
        assert len(home.kept("local")) == 2


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param(b"{", 400, id="cut"),
        pytest.param(b"user=alice", 400, id="form"),
        pytest.param(b"\xff\xfe", 400, id="not-UTF-8"),
        pytest.param(b"[]", 400, id="array"),
        pytest.param(b"null", 400, id="null"),
        pytest.param(b'"alice"', 400, id="string"),
        pytest.param(b'{"name": "alice"}', 400, id="other-field"),
        pytest.param(b'{"user": "alice", "admin": true}', 400, id="one-field-more"),
        pytest.param(b'{"user": null}', 400, id="user-null"),
        pytest.param(b'{"user": 7}', 400, id="user-number"),
        pytest.param(b'{"user": ["alice"]}', 400, id="user-array"),
        pytest.param(b'{"user": ""}', 400, id="user-empty"),
        pytest.param(b'{"user": "a b"}', 400, id="user-space"),
        pytest.param(b'{"user": "a#b"}', 400, id="user-hash"),
        pytest.param(b'{"user": "a/../b"}', 400, id="user-path"),
        pytest.param(b'{"user": "a\\n"}', 400, id="user-line-end"),
        pytest.param(b'{"user": "a\\u0000"}', 400, id="user-NUL"),
        pytest.param(b'{"user": "\\ud800"}', 400, id="user-surrogate"),
        pytest.param(b'{"user": "\\u00e9"}', 400, id="user-not-ASCII"),
        pytest.param(b'{"user": "%s"}' % (b"a" * 65), 400, id="user-65-letters"),
        pytest.param(b"[" * 1000, 400, id="nested-1000"),
        pytest.param(b'{"user":' * 120, 400, id="nested-objects"),
        pytest.param(b'{"user": "alice"}' + b" " * 1024, 413, id="more-than-1-KiB"),
    ],
)
async def test_a_bad_body_gets_no_ticket(stage: Scene, body: bytes, status: int) -> None:
    """Who asks for a ticket with a body that is not as it should be gets a plain refusal and no ticket."""
    answer = await ask_ticket(stage.home, body)
    assert answer.status == status
    assert b"ticket" not in answer.body
    assert b"Traceback" not in answer.body
    await goes_on(stage)


@pytest.mark.parametrize(
    ("data", "statuses"),
    [
        pytest.param(request("GET", "/ws", ANY_HOST), {426}, id="B72-GET"),
        pytest.param(request("POST", "/ws", ANY_HOST, b"{}"), {426}, id="B72-POST"),
        pytest.param(request("PUT", "/ws", ANY_HOST, b"{}"), {426}, id="B72-PUT"),
        pytest.param(upgrade_request(80).replace(b"GET", b"POST", 1), {400, 426}, id="B72-POST-with-upgrade"),
        pytest.param(
            request(
                "GET",
                "/ws",
                [
                    *ANY_HOST,
                    ("Upgrade", "h2c"),
                    ("Connection", "Upgrade, HTTP2-Settings"),
                    ("HTTP2-Settings", "AAMAAABk"),
                ],
            ),
            {426},
            id="B72-h2c",
        ),
        pytest.param(upgrade_request(80).replace(b"Connection: Upgrade\r\n", b""), {400, 426}, id="B72-no-Connection"),
        pytest.param(upgrade_request(80, version="8"), {400, 426}, id="B72-version-8"),
        pytest.param(upgrade_request(80, version="7"), {400, 426}, id="B72-version-7"),
        pytest.param(upgrade_request(80, version="14"), {400, 426}, id="B72-version-14"),
        pytest.param(upgrade_request(80, version=""), {400, 426}, id="B72-no-version"),
        pytest.param(upgrade_request(80, key=""), {400, 426}, id="B72-no-key"),
        pytest.param(upgrade_request(80, key="c2hvcnQ="), {400, 426}, id="B72-short-key"),
        pytest.param(upgrade_request(80, key="not base64 at all!!"), {400, 426}, id="B72-key-not-base64"),
        pytest.param(upgrade_request(80, key="\xe9" * 24), {400, 426}, id="B72-key-not-ASCII"),
        pytest.param(upgrade_request(80, protocols="chat"), {400}, id="other-subprotocol"),
        pytest.param(upgrade_request(80, protocols="playbyplay.v2"), {400}, id="later-subprotocol"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", {400}, id="not-HTTP"),
        pytest.param(upgrade_request(80, more=[("X-Long", "a" * 8300)]), TOO_MUCH, id="B24-8-KiB-header"),
        pytest.param(upgrade_request(80, more=[(f"X-{n}", "a") for n in range(129)]), TOO_MUCH, id="B24-129-headers"),
        pytest.param(upgrade_request(80, target="/ws?" + "a" * (MAX_URL - 3)), {414}, id="B24-4097-URL"),
        pytest.param(request("GET", "/?" + "a" * (MAX_URL - 1), ANY_HOST), {414}, id="B24-4097-URL-of-the-page"),
        pytest.param(upgrade_request(80, target="/ws?" + "a" * 8300), TOO_MUCH, id="B24-8-KiB-URL"),
    ],
)
async def test_what_is_no_handshake_is_refused(stage: Scene, data: bytes, statuses: set[int]) -> None:
    """A request that is no good handshake gets a status that says so, never 101 and never 5xx."""
    answer = await exchange(stage.home.port, data)
    assert answer.status in statuses
    if answer.status == 426:
        assert answer.headers["upgrade"] == "websocket"
    await goes_on(stage)


async def test_b24_the_longest_url_and_many_headers_come_in(stage: Scene) -> None:
    """A URL of 4,096 characters and a hundred headers are within the limits."""
    target, more = "/ws?" + "a" * (MAX_URL - 4), [(f"X-{number}", "a") for number in range(100)]
    socket = await stage.home.open(target=target, more=more)
    assert (await Member("local", socket).turn())[-1]["type"] == "final_response"
    await goes_on(stage)


async def test_b66_connections_are_rationed(tmp_path: Path) -> None:
    """More handshakes in a minute than the setting allows get 429 and when to come again; open sockets stay."""
    async with running_home(tmp_path, connects_per_minute=3) as home:
        members = [await home.join() for _ in range(3)]
        for origin in (None, home.origin, "http://evil.example"):
            answer = await refusal(home.port, upgrade_request(home.port, origin=origin))
            assert answer.status == 429
            assert int(answer.headers["retry-after"]) >= 1
        for member in members:
            assert (await member.turn())[-1]["type"] == "final_response"
        assert (await get(home, "/")).status == 200


@pytest.mark.parametrize("target", ["/", "/assets/index.html"])
async def test_the_page_is_locked_down(stage: Scene, target: str) -> None:
    """The page may load and reach its own origin only, is framed by nobody and gives no referrer."""
    answer = await get(stage.home, target)
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert {policy[name] for name in ("script-src", "style-src", "img-src", "connect-src")} == {"'self'"}
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"
    assert "access-control-allow-origin" not in answer.headers
    await goes_on(stage)


async def test_the_pages_configuration(stage: Scene) -> None:
    """The page learns the model's name and the addresses, and nothing that is secret."""
    answer = await get(stage.home, "/config.json")
    assert answer.json() == {"model": "scripted", "socket": "/ws", "ticket": "/ticket", "v": 1}
    assert answer.headers["x-content-type-options"] == "nosniff"
    await goes_on(stage)


@pytest.mark.parametrize(
    "target",
    [
        "/nothing",
        "/ws/",
        "/ticket/",
        "//",
        "/index.html",
        "/settings.py",
        "/.env",
        "/playbyplay.sqlite3",
        "/assets/",
        "/assets/nothing.js",
        "/assets/__init__.py",
        "/assets/..",
        "/assets/../http.py",
        "/assets/../../settings.py",
        "/assets/../../../pyproject.toml",
        "/assets/..%2fhttp.py",
        "/assets/..%2f..%2fpyproject.toml",
        "/assets/..%2fpage%2findex.html",
        "/assets/%2e%2e/%2e%2e/pyproject.toml",
        "/assets/%2e%2e%2fhttp.py",
        "/assets/..%5chttp.py",
        "/assets/....//http.py",
        "/assets//etc/passwd",
        "/assets/%2fetc%2fpasswd",
        "/assets/%252e%252e%252fhttp.py",
        "/assets/index.html%00.js",
        "/assets/%00",
        "/assets/%ff.js",
        pytest.param("/assets/" + "a" * 300 + ".js", id="/assets/long-name.js"),
        pytest.param("/assets/" + "%C3%A9" * 200 + ".js", id="/assets/long-name-not-ASCII.js"),
    ],
)
async def test_what_is_not_there_is_404(stage: Scene, target: str) -> None:
    """What is no file of the page is 404, whatever way the path takes out of it."""
    answer = await get(stage.home, target)
    assert answer.status == 404
    assert b"import" not in answer.body
    assert b"Traceback" not in answer.body
    await goes_on(stage)


@pytest.mark.parametrize(
    ("method", "target"), [("POST", "/"), ("DELETE", "/assets/index.html"), ("GET", "/ticket"), ("OPTIONS", "/ticket")]
)
async def test_other_methods_are_405(stage: Scene, method: str, target: str) -> None:
    """A page is got and a ticket is posted for; nothing else is done to them, and no other origin is invited."""
    answer = await exchange(stage.home.port, request(method, target, [*ANY_HOST, ("Origin", "http://evil.example")]))
    assert answer.status == 405
    assert not [name for name in answer.headers if name.startswith("access-control")]
    await goes_on(stage)
