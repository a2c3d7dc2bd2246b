"""What the gateway does by itself, below any frame: limits of size and time, the close codes, its own error frame.

Each case has the id of its row in the table of bad inputs. Beside every one of them a client of
another user is at work and gets its own frames only; afterwards the same user is served as before.
"""

import asyncio
import json
import re
import zlib
from collections.abc import Sequence
from pathlib import Path

import pytest

from playbyplay.adapters.system import SystemClock, SystemIds
from playbyplay.domain.connection import MAX_PER_USER, MAX_VIOLATIONS
from tests.e2e.home import Scene, fresh_id, running_home
from tests.e2e.raw_socket import (
    BINARY,
    CLOSE,
    CONTINUATION,
    NO_CODE,
    PING,
    PONG,
    TEXT,
    ClosedByServerError,
    close_frame,
    fragments,
    frame,
    upgrade,
    upgrade_request,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

KIB = 1024
LIMIT = 32 * KIB
ASK = b'{"type":"ping"}'
PATIENCE_S = 3.0
GATEWAY_ERROR = re.compile(
    r'\{"message": "Internal server error", "connectionId":"([\w-]{15}=)", "requestId":"([\w-]{15}=)"\}', re.ASCII
)


def padded(size: int) -> bytes:
    """Return a valid frame of an exact size."""
    return ASK[:-1] + b" " * (size - len(ASK)) + b"}"


def bomb() -> bytes:
    """Return a megabyte of zeros as permessage-deflate would compress it."""
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(bytes(KIB * KIB)) + compressor.flush(zlib.Z_SYNC_FLUSH)[:-4]


TOO_BIG: dict[str, Sequence[bytes]] = {
    "B13-33KB": [frame(TEXT, padded(33 * KIB))],
    "B13-32KiB+1": [frame(TEXT, padded(LIMIT + 1))],
    "B13-announced": [frame(TEXT, padded(33 * KIB))[:8]],
    "B13-2^63-announced": [bytes([0x80 | TEXT, 0xFF]) + (2**63).to_bytes(8, "big")],
    "B14-129KB": fragments(padded(129 * KIB), LIMIT),
    "B14-129KB-small": fragments(padded(129 * KIB), KIB),
    "B14-32KiB+1": fragments(padded(LIMIT + 1), 16 * KIB),
}
NO_BINARY = {
    "B15-JSON": [frame(BINARY, ASK)],
    "B15-in-fragments": fragments(ASK, 4, opcode=BINARY),
    "B15-empty": [frame(BINARY)],
    "B17-UTF-16": [frame(BINARY, ASK.decode().encode("utf-16"))],
    "B17-UTF-32": [frame(BINARY, ASK.decode().encode("utf-32"))],
}
NO_UTF8 = {
    "B16-ff-fe": [frame(TEXT, b"\xff\xfe")],
    "B16-overlong": [frame(TEXT, b'"\xc0\x80"')],
    "B16-cut": [frame(TEXT, b'"\xe2\x82')],
    "B16-cut-in-fragments": fragments(b'"\xe2\x82"', 2),
    "B16-surrogate": [frame(TEXT, b'"\xed\xa0\x80"')],
    "B16-beyond-10ffff": [frame(TEXT, b'"\xf4\x90\x80\x80"')],
    "B16-UTF-16": [frame(TEXT, ASK.decode().encode("utf-16"))],
    "B19-reason": [close_frame(1000, b"\xff\xfe")],
}
NO_PROTOCOL = {
    "B18-RSV1": [frame(TEXT, ASK, reserved=4)],
    "B18-RSV2": [frame(TEXT, ASK, reserved=2)],
    "B18-RSV3": [frame(TEXT, ASK, reserved=1)],
    "B18-RSV1-on-ping": [frame(PING, b"", reserved=4)],
    "B18-opcode-3": [frame(3, ASK)],
    "B18-opcode-7": [frame(7, ASK)],
    "B18-opcode-11": [frame(11)],
    "B18-opcode-15": [frame(15)],
    "B18-ping-126": [frame(PING, b"x" * 126)],
    "B18-close-126": [frame(CLOSE, b"\x03\xe8" + b"x" * 124)],
    "B18-fragmented-ping": [frame(PING, b"x", fin=False)],
    "B18-nothing-to-continue": [frame(CONTINUATION, ASK)],
    "B18-text-inside-a-text": [frame(TEXT, ASK, fin=False), frame(TEXT, ASK)],
    "B21-bomb": [frame(TEXT, bomb(), reserved=4)],
    "B19-1-byte": [frame(CLOSE, b"\x03")],
} | {f"B19-{code}": [close_frame(code)] for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535)}

CLOSED: dict[int, dict[str, Sequence[bytes]]] = {
    1009: TOO_BIG,
    1003: dict(NO_BINARY),
    1007: dict(NO_UTF8),
    1002: dict(NO_PROTOCOL),
}


@pytest.mark.parametrize(
    ("code", "sent"),
    [pytest.param(code, sent, id=case) for code, cases in CLOSED.items() for case, sent in cases.items()],
)
async def test_what_is_no_message_closes(stage: Scene, code: int, sent: Sequence[bytes]) -> None:
    """What breaks a rule of the gateway closes this one connection with the rule's code; a new one is served."""
    for data in sent:
        stage.subject.socket.send(data)
    assert await stage.subject.socket.close_code() == code
    assert stage.home.kept(stage.subject.user) == []
    await stage.goes_on(closed=True)


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param([frame(TEXT, padded(LIMIT))], id="B13-32KiB"),
        pytest.param(fragments(padded(LIMIT), 16 * KIB), id="B14-32KiB"),
        pytest.param(fragments(padded(LIMIT), KIB), id="B14-32KiB-small"),
    ],
)
async def test_32_kib_is_below_the_gateways_limit(stage: Scene, sent: Sequence[bytes]) -> None:
    """A message of exactly 32 KiB reaches the protocol, whose own limit refuses it; the connection stays."""
    for data in sent:
        stage.subject.socket.send(data)
    assert (await stage.subject.socket.reply())["code"] == "too_large"
    await stage.goes_on()


async def test_a_message_in_fragments_is_served(stage: Scene) -> None:
    """Fragments make one message, cut inside a character and with a ping between them."""
    text = json.dumps({"type": "agent_message", "content": "\u20ac" * 9}, ensure_ascii=False).encode()
    *first, last = fragments(text, 7)
    assert len(first) > 3
    for number, data in enumerate(first):
        stage.subject.socket.send(data)
        stage.subject.socket.send(frame(PING, b"%d" % number))
        assert await stage.subject.socket.control() == (PONG, b"%d" % number)
    stage.subject.socket.send(last)
    assert (await stage.subject.until("final_response"))[0]["type"] == "message_accepted"
    await stage.goes_on()


async def test_b18_an_unmasked_frame_is_served(stage: Scene) -> None:
    """A frame without mask is served: aiohttp does not look; masks protect proxies, of which loopback has none."""
    stage.subject.socket.send(frame(TEXT, ASK, masked=False))
    assert await stage.subject.socket.reply() == {"type": "pong", "heads": {}}
    await stage.goes_on()


@pytest.mark.parametrize(
    "offer",
    [
        "permessage-deflate",
        "permessage-deflate; client_max_window_bits; server_no_context_takeover",
        "x-webkit-deflate-frame",
    ],
)
async def test_b21_compression_is_not_negotiated(stage: Scene, offer: str) -> None:
    """Whatever extension a client offers, the answer names none, and frames are plain both ways."""
    port = stage.home.port
    answer, socket = await upgrade(port, upgrade_request(port, more=[("Sec-WebSocket-Extensions", offer)]))
    try:
        assert "sec-websocket-extensions" not in answer.headers
        socket.say(ASK)
        assert (await socket.reply())["type"] == "pong"
        socket.send(frame(TEXT, bomb(), reserved=4))
        assert await socket.close_code() == 1002
    finally:
        await socket.end()
    await stage.goes_on()


@pytest.mark.parametrize("code", [1000, 1001, 1003, 1007, 1008, 1011, 1014, 3000, 4001, 4999])
async def test_the_clients_close_code_comes_back(stage: Scene, code: int) -> None:
    """A client that closes gets its own code back, and then the end of the connection."""
    stage.subject.socket.close(code, b"done here")
    assert await stage.subject.socket.close_code() == code
    await stage.goes_on(closed=True)


async def test_a_close_without_code_is_answered(stage: Scene) -> None:
    """A close frame without code is answered with a close frame, normal or empty."""
    stage.subject.socket.close(None)
    assert await stage.subject.socket.close_code() in {1000, NO_CODE}
    await stage.goes_on(closed=True)


async def test_a_client_that_vanishes(stage: Scene) -> None:
    """A connection that breaks without a close frame takes no run with it: the next one replays it to its end."""
    message_id = stage.subject.begin()
    accepted = await stage.subject.socket.reply()
    await stage.subject.socket.end()
    member = await stage.home.join(stage.subject.user)
    complete = {"status": "running"}
    async with asyncio.timeout(PATIENCE_S):
        while complete["status"] != "completed":
            member.socket.ask(type="resume", run_id=accepted["run_id"], after_seq=0)
            *replayed, complete = await member.until("replay_complete")
    assert replayed[-1]["type"] == "final_response"
    repeated = await member.ask(type="agent_message", content="hello", client_message_id=message_id)
    assert repeated == {**accepted, "duplicate": True}
    await stage.goes_on(closed=True)


@pytest.mark.parametrize("bad", ["", '{"type":"admin"}', '{"type":"ping","cursors":1}'])
async def test_the_tenth_violation_closes(stage: Scene, bad: str) -> None:
    """Nine violations in a minute are refused one by one; the tenth is refused too, and closes with 1008."""
    for _ in range(MAX_VIOLATIONS - 1):
        stage.subject.socket.say(bad)
        assert (await stage.subject.socket.reply())["type"] == "message_rejected"
    assert (await stage.subject.hears_nothing()) == {}
    other_tab = await stage.home.join(stage.subject.user)
    stage.subject.socket.say(bad)
    assert (await stage.subject.socket.reply())["type"] == "message_rejected"
    with pytest.raises(ClosedByServerError) as closed:
        await stage.subject.socket.reply()
    assert closed.value.code == 1008
    assert await other_tab.hears_nothing() == {}
    await other_tab.socket.end()
    await stage.goes_on(closed=True)


async def test_an_honest_refusal_is_no_violation(stage: Scene) -> None:
    """Asking thirty times for what is not there closes nothing."""
    for _ in range(30):
        refused = await stage.subject.ask(type="cancel", run_id=fresh_id())
        assert refused["code"] == "not_found"
    await stage.goes_on()


async def test_b66_the_eleventh_socket_of_a_user(stage: Scene) -> None:
    """A user's eleventh socket is served; the oldest one closes with 1000, the nine between stay."""
    members = [stage.subject, *[await stage.home.join(stage.subject.user) for _ in range(MAX_PER_USER - 1)]]
    for member in members:
        assert await member.hears_nothing() == {}
    eleventh = await stage.home.join(stage.subject.user)
    assert await members[0].socket.close_code() == 1000
    for member in [*members[1:], eleventh]:
        assert await member.hears_nothing() == {}
    for member in members[1:]:
        await member.socket.end()
    assert await eleventh.hears_nothing() == {}
    await eleventh.socket.end()
    await stage.goes_on(closed=True)


async def test_b23_idleness_closes(tmp_path: Path) -> None:
    """Who connects and says nothing is closed with 1001 after the idle limit, counted anew from each frame."""
    loop = asyncio.get_running_loop()
    async with running_home(tmp_path, idle_s=0.1) as home:
        silent = await home.join()
        began_s = loop.time()
        assert await silent.socket.close_code() == 1001
        assert loop.time() - began_s > 0.05
        talker = await home.join(silent.user)
        spoke_s = loop.time()
        assert await talker.hears_nothing() == {}
        assert await talker.socket.close_code() == 1001
        assert loop.time() - spoke_s >= 0.1
        assert not home.crashes()


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(frame(TEXT, ASK), id="messages"),
        pytest.param(frame(PING), id="ping-frames"),
    ],
)
async def test_age_closes(tmp_path: Path, said: bytes) -> None:
    """A connection ends with 1001 at its age limit, whatever its client sends to keep it."""
    loop = asyncio.get_running_loop()
    async with running_home(tmp_path, age_s=0.2) as home:
        aged = await home.join()
        began_s = loop.time()
        closing = asyncio.create_task(aged.socket.close_code())
        while not closing.done() and loop.time() < began_s + PATIENCE_S:
            if aged.socket.is_open:
                aged.socket.send(said)
            await asyncio.wait({closing}, timeout=0.01)
        closing.cancel()
        assert closing.done(), "still open long after its age"
        assert await closing == 1001
        assert loop.time() - began_s >= 0.15
        assert await (await home.join(aged.user)).hears_nothing() == {}


async def test_age_closes_over_a_backlog(tmp_path: Path) -> None:
    """A connection ends with 1001 at its age limit although frames that came with its handshake are not yet served."""
    async with running_home(tmp_path, age_s=0.001) as home:
        backlog = frame(TEXT, ASK) * 5000
        _answer, aged = await upgrade(home.port, upgrade_request(home.port) + backlog)
        assert await aged.close_code() == 1001
        await aged.end()
        assert aged.count < 2500, "nobody serves as much in a millisecond"
        assert not home.crashes()


class StumblingIds(SystemIds):
    """Fails once where it is told to."""

    stumbles = False

    def uuid(self) -> str:
        if self.stumbles:
            self.stumbles = False
            raise RuntimeError("canary-4711")
        return super().uuid()


class StumblingClock(SystemClock):
    """Fails once where it is told to."""

    stumbles = False

    def now_ms(self) -> int:
        if self.stumbles:
            self.stumbles = False
            raise RuntimeError("canary-4711")
        return super().now_ms()


async def test_a_crash_of_ours_is_the_gateways_frame(tmp_path: Path) -> None:
    """A bug of ours answers with API Gateway's own typeless frame; the connection stays, and a resend is served."""
    ids, clock = StumblingIds(), StumblingClock()
    async with running_home(tmp_path, ids=ids, clock=clock) as home:
        subject, control = await home.join(), await home.join()
        message_id = fresh_id()
        said = {"type": "agent_message", "content": "hello", "client_message_id": message_id}
        frames = []
        for stumbling, asked in ((ids, said), (clock, {"type": "ping"})):
            stumbling.stumbles = True
            subject.socket.ask(**asked)
            matched = GATEWAY_ERROR.fullmatch(await subject.socket.text())
            assert matched
            assert not stumbling.stumbles
            frames.append(matched.groups())
        assert frames[0][0] == frames[1][0], "one connection, one connectionId"
        assert frames[0][1] != frames[1][1]
        assert [fields["connection_id"] for fields in home.log.of("frame_crashed")] == [frames[0][0]] * 2
        assert "canary" not in repr(home.log.events)
        assert home.kept(subject.user) == []
        assert await subject.hears_nothing() == {}
        accepted = await subject.ask(**said)
        assert (accepted["client_message_id"], accepted["duplicate"]) == (message_id, False)
        assert (await subject.until("final_response"))[-1]["run_id"] == accepted["run_id"]
        assert await control.hears_nothing() == {}
        assert len(await control.turn()) > 3
