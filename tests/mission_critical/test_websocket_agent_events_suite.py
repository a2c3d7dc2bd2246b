"""All seven lifecycle events, over real sockets, strictly; a script as well: `python THIS_FILE [--url ws://...]`.

It starts the one-machine server unless `--url` names a running one (`--ticket-url` where that wants a
ticket, with the token in $PLAYBYPLAY_TOKEN), holds a real turn, provokes
`error` by cancelling a turn that waits behind another, and exits non-zero if one event is missing,
out of order, unpaired, doubled or after the terminal. It shares no code with what it checks.
"""

import argparse
import asyncio
import contextlib
import itertools
import json
import os
import re
import signal
import socket
import sys
import tempfile
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
if __name__ == "__main__" and sys.prefix == sys.base_prefix and (ROOT / ".venv/bin/python").exists():
    os.execv(ROOT / ".venv/bin/python", [str(ROOT / ".venv/bin/python"), *sys.argv])  # noqa: S606 - the project's own

try:
    import pytest
    import websockets
except ModuleNotFoundError:
    sys.exit("This suite needs the development tools. Run `make setup` first.")

Frame = dict[str, Any]

PROMPT = "Analyze my database performance"
TURN_S = 60.0
QUIET_S = 10.0
TRIES = 5
SEVEN = (
    "agent_started",
    "agent_thinking",
    "tool_executing",
    "tool_completed",
    "agent_completed",
    "final_response",
    "error",
)
TERMINAL = {"final_response", "error"}
ENVELOPE: dict[str, type] = {
    "type": str,
    "v": int,
    "run_id": str,
    "thread_id": str,
    "turn": int,
    "seq": int,
    "timestamp": str,
}
OWN: dict[str, dict[str, type]] = {
    "agent_started": {"agent_id": str, "message": str},
    "agent_thinking": {"agent_id": str, "thought": str},
    "tool_executing": {"agent_id": str, "call_id": str, "tool_name": str, "description": str},
    "tool_completed": {
        "agent_id": str,
        "call_id": str,
        "tool_name": str,
        "status": str,
        "result_summary": str,
        "duration_ms": int,
    },
    "agent_completed": {"agent_id": str, "status": str, "message": str, "duration_ms": int},
    "final_response": {"content": str, "usage": dict, "finish_reason": str},
    "error": {"code": str, "message": str, "retryable": bool},
}
OPTIONAL: dict[str, dict[str, type]] = {
    "agent_started": {"client_message_id": str},
    "agent_thinking": {"parent_call_id": str},
    "tool_executing": {"parent_call_id": str},
    "tool_completed": {"parent_call_id": str},
    "final_response": {"truncated": bool, "full_bytes": int},
}
STATUSES = {"ok", "failed", "timeout", "denied", "cancelled", "outcome_unknown"}
LONE_CODES = {"queue_timeout", "cancelled", "attempts_exhausted", "deadline_exceeded"}
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
MAX_FRAME_BYTES = 24 * 1024


class Violation(Exception):
    """The server broke its promise."""


# What one run's events must be ---------------------------------------------------------------------


def violations(events: Sequence[Frame]) -> list[str]:
    """Return everything that is wrong with the events of one run; [] for a faultless one."""
    if not events:
        return ["no event at all"]
    found: list[str] = []
    for event in events:
        found += _shape(event)
    if found:
        return found
    first = events[0]
    for number, event in enumerate(events, start=1):
        if event["seq"] != number:
            found.append(f"seq {event['seq']} where {number} belongs")
        found += [
            f"event {number} has another {name}"
            for name in ("run_id", "thread_id", "turn")
            if event[name] != first[name]
        ]
    found += [
        f"event {after['seq']} is older than the one before it"
        for before, after in itertools.pairwise(events)
        if after["timestamp"] < before["timestamp"]
    ]
    return found + _grammar(events)


def _shape(event: Frame) -> list[str]:
    kind = event.get("type")
    if kind not in OWN:
        return [f"{kind!r} is no event"]
    wanted = ENVELOPE | OWN[kind]
    allowed = wanted | OPTIONAL.get(kind, {})
    found = [f"{kind} has no {name}" for name in wanted if name not in event]
    found += [f"{kind} has a field {name}" for name in event if name not in allowed]
    found += [
        f"{kind}.{name} is no {allowed[name].__name__}"
        for name, value in event.items()
        if name in allowed and type(value) is not allowed[name]
    ]
    found += [f"{kind}.{name} is empty" for name, value in event.items() if value == ""]
    if found:
        return found
    if event["v"] != 1 or event["turn"] < 1:
        found.append(f"{kind} has v {event['v']}, turn {event['turn']}")
    found += [f"{kind}.{name} is no id" for name in ("run_id", "thread_id") if not UUID.fullmatch(event[name])]
    if not TIME.fullmatch(event["timestamp"]):
        found.append(f"{kind}.timestamp is no UTC time")
    if kind == "tool_completed" and event["status"] not in STATUSES:
        found.append(f"tool_completed has status {event['status']}")
    if kind == "agent_completed" and event["status"] != "success":
        found.append(f"agent_completed has status {event['status']}")
    if len(json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()) > MAX_FRAME_BYTES:
        found.append(f"{kind} is longer than 24 KiB")
    return found


def _grammar(events: Sequence[Frame]) -> list[str]:
    types = [event["type"] for event in events]
    found = []
    if types == ["error"]:
        return [] if events[0]["code"] in LONE_CODES else [f"a lone error with code {events[0]['code']}"]
    if types[0] != "agent_started":
        found.append(f"begins with {types[0]}")
    if types.count("agent_started") > 1:
        found.append("agent_started more than once")
    terminals = [number for number, kind in enumerate(types) if kind in TERMINAL]
    if len(terminals) != 1:
        found.append(f"{len(terminals)} terminals")
    elif terminals[0] != len(types) - 1:
        found.append(f"{types[-1]} after the terminal")
    if types.count("agent_completed") != types.count("final_response"):
        found.append("agent_completed and final_response are not one pair")
    elif "agent_completed" in types and types[-2:] != ["agent_completed", "final_response"]:
        found.append("the end is not agent_completed, final_response")
    return found + _calls(events)


def _calls(events: Sequence[Frame]) -> list[str]:
    found: list[str] = []
    opened: dict[str, str] = {}
    closed: set[str] = set()
    for event in events:
        kind, call = event["type"], str(event.get("call_id"))
        parent = event.get("parent_call_id")
        if parent is not None and parent not in opened:
            found.append(f"{kind} inside {parent}, which is not open")
        if kind == "tool_executing":
            if call in opened or call in closed:
                found.append(f"call {call} opens twice")
            opened[call] = event["tool_name"]
        elif kind == "tool_completed":
            if opened.pop(call, None) != event["tool_name"]:
                found.append(f"call {call} closes without having opened")
            closed.add(call)
        elif kind in {"agent_completed", *TERMINAL} and opened:
            found.append(f"{kind} while {', '.join(opened)} is open")
    return found


# What a client does -------------------------------------------------------------------------------


@dataclass
class Chat:
    """One connection: every frame it got, in order."""

    socket: websockets.ClientConnection
    silent: bool = True
    turn_s: float = TURN_S
    frames: list[Frame] = field(default_factory=list)

    async def send(self, **frame: object) -> None:
        """Send a command."""
        await self.socket.send(json.dumps(frame))

    async def until(self, wanted: str, seconds: float, **fields: object) -> Frame:
        """Read on until a frame of this type with these fields has come."""
        try:
            async with asyncio.timeout(seconds):
                while True:
                    frame = await self.next()
                    if frame.get("type") == "message_rejected" and wanted != "message_rejected":
                        raise Violation(f"rejected: {frame.get('code')}: {frame.get('message')}")
                    if frame.get("type") == wanted and all(frame.get(key) == value for key, value in fields.items()):
                        return frame
        except TimeoutError:
            raise Violation(f"no {wanted} within {seconds:g} s") from None

    async def next(self) -> Frame:
        """Read one frame."""
        frame: Frame = json.loads(await self.socket.recv())
        self.frames.append(frame)
        self._show(frame)
        return frame

    def events(self, run_id: str, *, replayed: bool = False) -> list[Frame]:
        """Return the events of a run as they came, the live ones or the replayed ones."""
        return [
            {key: value for key, value in frame.items() if key != "replay"}
            for frame in self.frames
            if frame.get("type") in OWN and frame.get("run_id") == run_id and frame.get("replay", False) == replayed
        ]

    def _show(self, frame: Frame) -> None:
        if not self.silent and frame.get("type") in OWN:
            words = next((str(frame[name]) for name in _WORDS if name in frame), "")
            print(f"  {frame['type']:<16} {words.splitlines()[0][:90] if words else ''}")


_WORDS = ("thought", "description", "result_summary", "content", "message")


async def hold_turn(chat: Chat) -> list[Frame]:
    """Hold a whole turn and return its events, checked; six of the seven types are in it."""
    await chat.send(type="agent_message", content=PROMPT)
    accepted = await chat.until("message_accepted", QUIET_S)
    run_id = accepted["run_id"]
    if accepted["duplicate"] or accepted["position"] != 0:
        raise Violation(f"a first message was accepted as {accepted}")
    await _terminal(chat, run_id)
    events = await _nothing_follows(chat, run_id)
    _demand(violations(events))
    missing = set(SEVEN) - {"error"} - {event["type"] for event in events}
    if missing:
        raise Violation(f"missing: {', '.join(sorted(missing))}")
    await _same_on_replay(chat, run_id, events)
    return events


async def cancel_a_queued_turn(chat: Chat) -> list[Frame]:
    """Cancel a turn that waits behind another and return its events: one `error`."""
    for _ in range(TRIES):
        await chat.send(type="agent_message", content=PROMPT)
        ahead = await chat.until("message_accepted", QUIET_S)
        await chat.send(type="agent_message", content=PROMPT, thread_id=ahead["thread_id"])
        queued = await chat.until("message_accepted", QUIET_S, thread_id=ahead["thread_id"], turn=ahead["turn"] + 1)
        await chat.send(type="cancel", run_id=queued["run_id"])
        for run_id in (ahead["run_id"], queued["run_id"]):
            await _terminal(chat, run_id)
            _demand(violations(await _nothing_follows(chat, run_id)))
        events = chat.events(queued["run_id"])
        if events[-1]["type"] == "error":
            if events[-1]["code"] != "cancelled":
                raise Violation(f"a cancelled turn ended in error {events[-1]['code']}")
            if not any(frame.get("type") == "cancel_accepted" for frame in chat.frames):
                raise Violation("no cancel_accepted")
            return events
    raise Violation(f"no turn could be cancelled in {TRIES} tries")


def _types(chat: Chat, run_id: str) -> list[str]:
    return [event["type"] for event in chat.events(run_id)]


async def _terminal(chat: Chat, run_id: str) -> None:
    """Read on until a run's terminal has come."""
    try:
        async with asyncio.timeout(chat.turn_s):
            while not set(_types(chat, run_id)) & TERMINAL:
                await chat.next()
    except TimeoutError:
        got = ", ".join(_types(chat, run_id)) or "nothing"
        raise Violation(f"no terminal within {chat.turn_s:g} s, only {got}") from None


async def _nothing_follows(chat: Chat, run_id: str) -> list[Frame]:
    """Return a run's events after a round trip in which nothing more may come; the head must agree."""
    await chat.send(type="ping", cursors={run_id: len(chat.events(run_id))})
    pong = await chat.until("pong", QUIET_S)
    events = chat.events(run_id)
    head = pong["heads"].get(run_id, {})
    if head.get("last_seq") != events[-1].get("seq"):
        raise Violation(f"the head is {head}, the last event is {events[-1].get('seq')}")
    return events


async def _same_on_replay(chat: Chat, run_id: str, events: list[Frame]) -> None:
    await chat.send(type="resume", run_id=run_id, after_seq=0)
    await chat.until("replay_complete", QUIET_S)
    if chat.events(run_id, replayed=True) != events:
        raise Violation("the replay is not what was sent live")


def _demand(found: list[str]) -> None:
    if found:
        raise Violation("; ".join(found))


@dataclass(frozen=True)
class Door:
    """Where tickets come from, one POST each, and whose page asks."""

    url: str
    token: str
    origin: str

    def ticket(self) -> str:
        """Return a new ticket."""
        headers = {"Authorization": f"Bearer {self.token}", "Origin": self.origin}
        asked = urllib.request.Request(self.url, method="POST", headers=headers)  # noqa: S310 - whoever runs this names it
        with urllib.request.urlopen(asked, timeout=QUIET_S) as answer:  # noqa: S310
            return str(json.load(answer)["ticket"])


async def suite(url: str, door: Door | None = None, *, silent: bool = False, turn_s: float = TURN_S) -> list[str]:
    """Hold the turns and return the event types seen, all seven.

    Raises:
        Violation: whatever is not as promised.
    """
    try:
        place, origin = url, None
        if door is not None:
            ticket = await asyncio.to_thread(door.ticket)
            place, origin = f"{url}?{urllib.parse.urlencode({'ticket': ticket})}", websockets.Origin(door.origin)
        protocols = [websockets.Subprotocol("playbyplay.v1")]
        async with websockets.connect(place, subprotocols=protocols, origin=origin) as connection:
            chat = Chat(connection, silent, turn_s)
            events = await hold_turn(chat) + await cancel_a_queued_turn(chat)
    except (OSError, websockets.WebSocketException) as error:
        raise Violation(f"{url}: {type(error).__name__}: {error}") from None
    seen = {event["type"] for event in events}
    missing = [kind for kind in SEVEN if kind not in seen]
    if missing:
        raise Violation(f"missing: {', '.join(missing)}")
    return list(SEVEN)


# The server, where none is named --------------------------------------------------------------------


@contextlib.asynccontextmanager
async def own_server() -> AsyncIterator[str]:
    """Start the one-machine server on a free port with data of its own; give its URL, and end it."""
    with tempfile.TemporaryDirectory() as data, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        env = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "PLAYBYPLAY_"))},
            "PLAYBYPLAY_PORT": str(port),
            "PLAYBYPLAY_DATA": data,
            "PLAYBYPLAY_SCRIPTED_PACE_MS": "20",
        }
        server = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "local",
            cwd=ROOT,
            env=env,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        assert server.stdout is not None
        try:
            async with asyncio.timeout(30):
                while b"Playbyplay is at" not in (line := await server.stdout.readline()):
                    if not line:
                        raise Violation("the server did not start")
            yield f"ws://127.0.0.1:{port}/ws"
        finally:
            if server.returncode is None:
                server.send_signal(signal.SIGTERM)
            await server.communicate()


def main(argv: Sequence[str] | None = None) -> int:
    """Run the suite and print what the user's document expects; return the exit code."""
    parser = argparse.ArgumentParser(description="All seven WebSocket events, over real sockets, strictly.")
    parser.add_argument("--url", help="a running server's socket, ws://127.0.0.1:8787/ws for instance")
    parser.add_argument("--ticket-url", help="where to POST for a ticket, with the token in $PLAYBYPLAY_TOKEN")
    options = parser.parse_args(argv)
    door = None
    if options.ticket_url is not None:
        if options.url is None:
            parser.error("--ticket-url needs --url")
        parts = urllib.parse.urlsplit(options.ticket_url)
        origin = f"{parts.scheme}://{parts.netloc}"
        door = Door(options.ticket_url, os.environ.get("PLAYBYPLAY_TOKEN", ""), origin)
    return asyncio.run(_main(options.url, door))


async def _main(url: str | None, door: Door | None = None, *, turn_s: float = TURN_S) -> int:
    try:
        if url is not None:
            seen = await suite(url, door, turn_s=turn_s)
        else:
            async with own_server() as own_url:
                seen = await suite(own_url)
    except Violation as violation:
        print(f"FAILED: {violation}", file=sys.stderr)
        return 1
    print("All 7 WebSocket events detected in chat flow:")
    for kind in seen:
        print(f"✓ {kind}{' (when applicable)' if kind == 'error' else ''}")
    return 0


# The same for pytest, and the proof that it is strict -----------------------------------------------


async def test_all_seven_events_in_chat_flow() -> None:
    """A real server shows all seven types, strictly in order."""
    async with own_server() as url:
        assert await suite(url, silent=True) == list(SEVEN)


def _event(kind: str, seq: int, **fields: object) -> Frame:
    defaults: dict[str, dict[str, object]] = {
        "agent_started": {"agent_id": "a", "message": "m"},
        "agent_thinking": {"agent_id": "a", "thought": "t"},
        "tool_executing": {"agent_id": "a", "call_id": "c1", "tool_name": "n", "description": "d"},
        "tool_completed": {
            "agent_id": "a",
            "call_id": "c1",
            "tool_name": "n",
            "status": "ok",
            "result_summary": "r",
            "duration_ms": 1,
        },
        "agent_completed": {"agent_id": "a", "status": "success", "message": "m", "duration_ms": 2},
        "final_response": {"content": "c", "usage": {}, "finish_reason": "stop"},
        "error": {"code": "internal", "message": "m", "retryable": True},
    }
    run_id = "01a203d5-8dd0-781d-abb1-0112d6082869"
    envelope = {
        "type": kind,
        "v": 1,
        "run_id": run_id,
        "thread_id": run_id,
        "turn": 1,
        "seq": seq,
        "timestamp": f"2026-01-01T00:00:{seq:02d}.000Z",
    }
    return {**envelope, **defaults[kind], **fields}


def _good() -> list[Frame]:
    kinds = [
        "agent_started",
        "agent_thinking",
        "tool_executing",
        "tool_completed",
        "agent_thinking",
        "agent_completed",
        "final_response",
    ]
    return [_event(kind, seq) for seq, kind in enumerate(kinds, start=1)]


def _numbered(events: Sequence[Frame]) -> list[Frame]:
    return [
        {**event, "seq": seq, "timestamp": f"2026-01-01T00:00:{seq:02d}.000Z"}
        for seq, event in enumerate(events, start=1)
    ]


def _broken_streams() -> Iterator[tuple[str, list[Frame]]]:
    """Yield streams with one thing wrong each."""
    good = _good()
    for at, event in enumerate(good):
        yield f"lost-{at + 1}-{event['type']}", good[:at] + good[at + 1 :]
        yield f"doubled-{at + 1}", good[: at + 1] + good[at:]
        if event["type"] != "agent_thinking":  # a run may think less; it may not lack the others
            yield f"never-sent-{at + 1}-{event['type']}", _numbered(good[:at] + good[at + 1 :])
        for name in event:
            yield (
                f"{event['type']}-{at + 1}-without-{name}",
                [{key: value for key, value in one.items() if one is not event or key != name} for one in good],
            )
    for at in range(len(good) - 1):
        swapped = [*good[:at], good[at + 1], good[at], *good[at + 2 :]]
        yield f"out-of-order-{at + 1}", swapped
        if "agent_thinking" not in {good[at]["type"], good[at + 1]["type"]} or at in {0, 4}:
            yield f"renumbered-out-of-order-{at + 1}", _numbered(swapped)  # a thought beside a call may change sides
    yield "nothing", []
    yield "cut-short", good[:4]
    yield "after-the-terminal", [*good, _event("agent_thinking", 8)]
    yield "two-terminals", [*good, _event("error", 8)]
    yield "two-starts", _numbered([good[0], *good])
    yield "unpaired", _numbered([*good[:3], *good[4:]])
    yield "closed-twice", _numbered([*good[:4], good[3], *good[4:]])
    yield "opened-twice", _numbered([*good[:4], good[2], good[3], *good[4:]])
    yield "error-with-an-open-call", [*good[:3], _event("error", 4)]
    yield "lone-internal-error", [_event("error", 1)]
    yield "another-run", [*good[:-1], _event("final_response", 7, run_id="01a203d5-8dd0-781d-abb1-0112d6082860")]
    yield "back-in-time", [*good[:-1], _event("final_response", 7, timestamp="2025-01-01T00:00:00.000Z")]
    yield "empty-text", [*good[:-1], _event("final_response", 7, content="")]
    yield "unknown-field", [*good[:-1], _event("final_response", 7, extra=1)]
    yield "unknown-status", [*good[:3], _event("tool_completed", 4, status="fine"), *good[4:]]
    yield "wrong-tool", [*good[:3], _event("tool_completed", 4, tool_name="other"), *good[4:]]
    yield "orphan-step", [good[0], _event("agent_thinking", 2, parent_call_id="c9"), *good[2:]]
    yield "too-long", [*good[:-1], _event("final_response", 7, content="x" * MAX_FRAME_BYTES)]


BROKEN = dict(_broken_streams())


def test_a_good_stream_has_no_violation() -> None:
    """The canonical turn and a lone cancelled error are faultless."""
    assert violations(_good()) == []
    assert violations([_event("error", 1, code="cancelled")]) == []


@pytest.mark.parametrize("name", BROKEN)
def test_every_broken_stream_is_found(name: str) -> None:
    """A stream with one thing wrong is never accepted."""
    stream = BROKEN[name]
    types = {event.get("type") for event in stream}
    complete = set(SEVEN) - {"error"} <= types
    assert violations(stream) or not complete, name


@contextlib.asynccontextmanager
async def _liar(stream: list[Frame]) -> AsyncIterator[str]:
    """Serve a prepared stream to every message, with everything else as it should be."""
    run_id = "01a203d5-8dd0-781d-abb1-0112d6082869"

    async def answer(connection: websockets.ServerConnection) -> None:
        async for text in connection:
            command = json.loads(text)
            if command["type"] == "agent_message":
                accepted = {"run_id": run_id, "thread_id": run_id, "turn": 1, "duplicate": False, "position": 0}
                await connection.send(json.dumps({"type": "message_accepted", **accepted}))
                for event in stream:
                    await connection.send(json.dumps(event))
            elif command["type"] == "ping":
                heads = {run_id: {"last_seq": len(stream), "status": "completed"}}
                await connection.send(json.dumps({"type": "pong", "heads": heads}))
            elif command["type"] == "resume":
                for event in stream:
                    await connection.send(json.dumps({**event, "replay": True}))
                done = {"run_id": run_id, "after_seq": 0, "last_seq": len(stream), "status": "completed"}
                await connection.send(json.dumps({"type": "replay_complete", **done}))

    async with websockets.serve(answer, "127.0.0.1", 0) as server:
        yield f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}/ws"


ENDED = [name for name, stream in BROKEN.items() if stream and stream[-1].get("type") in TERMINAL]


@pytest.mark.parametrize("name", ENDED)
async def test_the_suite_fails_on_a_server_that_lies(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Fed by a server with a broken stream, the suite exits non-zero and prints no tick."""
    async with _liar(BROKEN[name]) as url:
        code = await _main(url, turn_s=0.3)
    shown = capsys.readouterr()
    assert code == 1
    assert "✓" not in shown.out
    assert shown.err.startswith("FAILED: ")


async def test_the_suite_fails_on_a_server_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    """No server is a failure of one sentence, not a trace."""
    assert await _main("ws://127.0.0.1:1/ws") == 1
    assert capsys.readouterr().err.startswith("FAILED: ")


if __name__ == "__main__":
    sys.exit(main())
