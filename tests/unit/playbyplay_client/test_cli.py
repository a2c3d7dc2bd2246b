"""The command line without a server: what it prints, accepts, and calls a whole run."""

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from playbyplay.protocol.events import EVENT, Event
from playbyplay_client.cli import NO_SERVER, OK, Account, Grammar, main, visible
from playbyplay_client.client import PlaybyplayClient
from playbyplay_client.dialer import addresses
from playbyplay_client.errors import CannotConnect
from playbyplay_client.run import Run
from tests.properties import PROPERTY

RUN = "0192a000-0000-7000-8000-00000000000a"
OTHER = "0192a000-0000-7000-8000-00000000000b"


def event(seq: int, kind: str, **fields: Any) -> Event:
    """Return a valid event of a kind; fields replace or add to the usual ones."""
    usual: dict[str, dict[str, Any]] = {
        "agent_started": {"agent_id": "tester", "message": "Starting."},
        "agent_thinking": {"agent_id": "tester", "thought": "I will look."},
        "tool_executing": {"agent_id": "tester", "call_id": "c1", "tool_name": "look", "description": "Looking"},
        "tool_completed": {
            "agent_id": "tester",
            "call_id": "c1",
            "tool_name": "look",
            "status": "ok",
            "result_summary": "Seen.",
            "duration_ms": 1230,
        },
        "agent_completed": {"agent_id": "tester", "status": "success", "message": "Done.", "duration_ms": 30},
        "final_response": {
            "content": "There it is.",
            "usage": {"input_tokens": 3, "output_tokens": 4},
            "finish_reason": "stop",
        },
        "error": {"code": "internal", "message": "Something went wrong.", "retryable": True},
    }
    common = {"run_id": RUN, "thread_id": OTHER, "turn": 1, "seq": seq, "timestamp": "2025-01-01T00:00:00.000Z"}
    return EVENT.validate_python({"type": kind, **common, **usual[kind], **fields})


def turn(*kinds: str | tuple[str, dict[str, Any]]) -> list[Event]:
    """Return events of these kinds, numbered from 1."""
    pairs = [(kind, {}) if isinstance(kind, str) else kind for kind in kinds]
    return [event(seq, kind, **fields) for seq, (kind, fields) in enumerate(pairs, start=1)]


CANONICAL = (
    "agent_started",
    "agent_thinking",
    "tool_executing",
    "tool_completed",
    "agent_thinking",
    "agent_completed",
    "final_response",
)
LONE = ("error", {"code": "cancelled"})
INNER = {"parent_call_id": "c1", "call_id": "c2"}


def checked(events: list[Event]) -> Grammar:
    grammar = Grammar()
    for one in events:
        grammar.check(one)
    return grammar


# The grammar.


@pytest.mark.parametrize(
    "kinds",
    [
        CANONICAL,
        ("agent_started", "agent_completed", "final_response"),
        (
            "agent_started",
            "tool_executing",
            ("tool_executing", INNER),
            ("agent_thinking", {"parent_call_id": "c1"}),
            ("tool_completed", INNER),
            "tool_completed",
            "agent_completed",
            "final_response",
        ),
    ],
)
def test_a_grammatical_run_is_complete(kinds: tuple[Any, ...]) -> None:
    """A run that starts, pairs its calls and ends in its answer is complete."""
    grammar = checked(turn(*kinds))
    assert grammar.fault is None
    assert grammar.complete


@pytest.mark.parametrize("kinds", [(LONE,), ("agent_started", "error"), ("agent_started", "agent_thinking", "error")])
def test_a_run_that_failed_is_right_but_not_complete(kinds: tuple[Any, ...]) -> None:
    """An error ends a run at any time between its calls; one of a few may come before it started."""
    grammar = checked(turn(*kinds))
    assert grammar.fault is None
    assert not grammar.complete


def test_an_unfinished_run_is_not_complete() -> None:
    """Without its terminal a run is nothing yet."""
    assert not checked(turn(*CANONICAL[:-1])).complete
    assert not Grammar().complete


@pytest.mark.parametrize(
    ("events", "fault"),
    [
        (turn("agent_thinking"), "agent_thinking stands first"),
        (turn("agent_completed"), "agent_completed stands first"),
        (turn("final_response"), "final_response stands first"),
        (turn("error"), "error stands first"),
        (turn("agent_started", "agent_started"), "starts twice"),
        (turn(*CANONICAL, "agent_thinking"), "follows the end"),
        (turn(LONE, "error"), "follows the end"),
        (turn("agent_started", "final_response"), "may not stand"),
        (turn("agent_started", "agent_completed", "agent_thinking"), "may not stand"),
        (turn("agent_started", "agent_completed", "error"), "may not stand"),
        (turn("agent_started", "tool_executing", "agent_completed"), "while a tool is at work"),
        (turn("agent_started", "tool_executing", "error"), "while a tool is at work"),
        (turn("agent_started", "tool_completed"), "no open call"),
        (turn("agent_started", "tool_executing", "tool_completed", "tool_completed"), "no open call"),
        (turn("agent_started", "tool_executing", "tool_executing"), "opens twice"),
        (turn("agent_started", "tool_executing", "tool_completed", "tool_executing"), "opens twice"),
        (turn("agent_started", ("agent_thinking", {"parent_call_id": "c1"})), "belongs to no open call"),
        ([event(2, "agent_started")], "event 2 does not follow"),
        ([event(1, "agent_started"), event(3, "agent_thinking")], "event 3 does not follow"),
        ([event(1, "agent_started"), event(1, "agent_thinking")], "event 1 does not follow"),
        ([event(1, "agent_started"), event(2, "agent_thinking", run_id=OTHER)], "another run"),
    ],
)
def test_a_run_that_breaks_the_grammar_is_named(events: list[Event], fault: str) -> None:
    """Each way to break the grammar has its sentence, and no such run is complete."""
    grammar = checked(events)
    assert fault in (grammar.fault or "")
    assert not grammar.complete


def test_the_first_fault_stays() -> None:
    """A run that went wrong does not become right again."""
    grammar = checked([event(2, "agent_started"), *turn(*CANONICAL)[2:]])
    assert grammar.fault == "event 2 does not follow"
    assert not grammar.complete


@given(kinds=st.permutations(CANONICAL))
@PROPERTY
def test_no_other_order_of_a_turn_is_complete(kinds: list[str]) -> None:
    """Of all orders of the canonical events only those with thoughts between are complete runs."""
    steps = [kind for kind in kinds if kind != "agent_thinking"]
    right = ["agent_started", "tool_executing", "tool_completed", "agent_completed", "final_response"]
    closed = kinds.index("agent_started") == 0 and kinds[-2:] == ["agent_completed", "final_response"]
    assert checked(turn(*kinds)).complete == (steps == right and closed)


# What is printed.


def ticking() -> Iterator[float]:
    """Return seconds: 0, then a quarter more each time."""
    return iter(number / 4 for number in range(1000))


def account(out: io.StringIO, *, as_json: bool = False, colour: bool = False) -> Account:
    return Account(out, as_json=as_json, colour=colour, clock=ticking().__next__)


def told(events: list[Event], *, as_json: bool = False, colour: bool = False) -> list[str]:
    out = io.StringIO()
    grammar, one_account = Grammar(), account(out, as_json=as_json, colour=colour)
    for one in events:
        one_account.event(one, grammar.check(one))
    return out.getvalue().splitlines()


def test_each_event_is_one_line_with_its_time() -> None:
    """A turn reads as a list of what happened when."""
    assert told(turn(*CANONICAL)) == [
        "   0.25 s  ▶ started   tester: Starting.",
        "   0.50 s  ◌ thinking  I will look.",
        "   0.75 s  → calling   look: Looking",
        "   1.00 s  ✓ ok        look: Seen. (1.23 s)",
        "   1.25 s  ◌ thinking  I will look.",
        "   1.50 s  ✓ completed Done.",
        "   1.75 s  ■ answered  3 tokens in, 4 out",
    ]


def test_what_went_wrong_is_marked() -> None:
    """A failed call, an answer cut at the model's limit and an error are told apart from success."""
    assert told([event(1, "tool_completed", status="outcome_unknown")])[0].endswith(
        "✗ outcome_unknown look: Seen. (1.23 s)"
    )
    assert told([event(1, "final_response", finish_reason="length")])[0].endswith("out, cut off at the model's limit")
    assert told([event(1, "error")])[0].endswith("✗ error     internal: Something went wrong.")


def test_steps_of_a_sub_agent_are_indented() -> None:
    """A step stands as deep as the calls it is inside of."""
    lines = told(
        turn(
            "agent_started",
            "tool_executing",
            ("tool_executing", INNER),
            ("agent_thinking", {"parent_call_id": "c2"}),
            ("tool_completed", INNER),
            "tool_completed",
        )
    )
    assert [line[11:].index(line[11:].strip()) // 2 for line in lines] == [0, 0, 1, 2, 1, 0]


def test_the_accepted_line_names_thread_and_place() -> None:
    """Who waits for earlier turns is told how many."""
    out = io.StringIO()
    run = Run(PlaybyplayClient("ws://127.0.0.1"), RUN)
    run.thread_id, run.turn, run.position = OTHER, 3, 2
    account(out).accepted(run)
    assert out.getvalue() == f"   0.25 s  ● accepted  turn 3 of thread {OTHER}; 2 ahead of it\n"


def test_an_answer_keeps_its_lines() -> None:
    """The answer stands by itself, controls written out, line ends of any system as line ends."""
    out = io.StringIO()
    account(out).answer("# Head\r\n\n\tcode \x1b[2J\r\rend\n\n")
    assert out.getvalue() == "\n# Head\n\n\tcode \\u001b[2J\\u000d\\u000dend\n"


def test_text_of_the_server_cannot_drive_the_terminal() -> None:
    """Escapes in any field are written out, and no field makes a second line."""
    evil = "\x1b]0;x\x07 \x9b31m\n\u202e\x85"
    for kind, field in (
        ("agent_started", "agent_id"),
        ("agent_started", "message"),
        ("agent_thinking", "thought"),
        ("tool_executing", "tool_name"),
        ("tool_executing", "description"),
        ("tool_completed", "result_summary"),
        ("agent_completed", "message"),
        ("error", "message"),
    ):
        lines = told([event(1, kind, **{field: evil})])
        assert len(lines) == 1
        assert r"\u001b]0;x\u0007 \u009b31m \u202e\u0085" in lines[0]
        assert lines[0].isprintable()


def test_json_lines_are_safe_and_the_same_events() -> None:
    """What a terminal might obey is escaped as JSON can, so a program reads the very event."""
    events = turn(("agent_started", {"message": "\x1b[31m\x7f\x9b\u202e\n"}), "agent_thinking")
    lines = told(events, as_json=True, colour=True)
    assert all(line.isprintable() for line in lines)
    assert [EVENT.validate_json(line) for line in lines] == events


def test_with_json_nothing_but_events_is_printed() -> None:
    """Neither the accepted line nor the answer goes between the events."""
    out = io.StringIO()
    one = account(out, as_json=True)
    one.accepted(Run(PlaybyplayClient("ws://127.0.0.1"), RUN))
    one.answer("Text")
    assert out.getvalue() == ""


def test_colours_only_wrap() -> None:
    """Without its colours a coloured line is the plain one."""
    plain, coloured = told(turn(*CANONICAL)), told(turn(*CANONICAL), colour=True)
    for bare, line in zip(plain, coloured, strict=True):
        assert line != bare
        for code in ("31", "32", "36", "2", "0"):
            line = line.replace(f"\x1b[{code}m", "")  # noqa: PLW2901 - taken off one by one
        assert line == bare


@given(text=st.text())
@PROPERTY
def test_visible_text_has_no_controls_and_stays_readable(text: str) -> None:
    """Whatever comes in, nothing but tab and line feed controls the terminal, and plain text is untouched."""
    shown = visible(text)
    assert all(char in "\t\n" or not 0 <= ord(char) < 32 for char in shown)
    assert not any(0x7F <= ord(char) <= 0x9F or 0xD800 <= ord(char) <= 0xDFFF for char in shown)
    if text.isalnum():
        assert shown == text


# What is accepted.


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["sing"],
        ["chat"],
        ["chat", "Look.", "--thread", "one"],
        ["chat", "Look.", "--timeout", "soon"],
        ["chat", "Look.", "--timeout", "0"],
        ["chat", "Look.", "--timeout", "-1"],
        ["chat", "Look.", "--timeout", "nan"],
        ["chat", "Look.", "--timeout", "inf"],
        ["chat", "Look.", "--volume", "11"],
    ],
)
def test_a_wrong_command_line_is_exit_code_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """What is wrong is said on standard error; nothing is sent."""
    assert main(arguments) == NO_SERVER
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "error: " in printed.err


def test_help_is_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    """`--help` names every option."""
    assert main(["chat", "--help"]) == OK
    out = capsys.readouterr().out
    assert [option for option in ("TEXT", "--url", "--json", "--thread", "--timeout") if option not in out] == []


@pytest.mark.parametrize(
    "url",
    [
        "",
        "chess\x1b[31m",
        "ftp://127.0.0.1",
        "ws://",
        "ws://:8787",
        "ws://127.0.0.1:99999",
        "ws://127.0.0.1:0",
        "ws://127.0.0.1:x",
        "http://[::1",
    ],
)
def test_a_wrong_url_is_one_sentence(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A URL no server can have is exit code 2, said once, controls written out."""
    assert main(["chat", "Look.", "--url", url]) == NO_SERVER
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("Not the URL of a server: ")
    assert printed.err.count("\n") == 1
    assert "\x1b" not in printed.err


def test_standard_input_has_to_be_text(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Bytes that are not UTF-8 are refused before anything is sent."""
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"\xff"), encoding="utf-8"))
    assert main(["chat", "-"]) == NO_SERVER
    assert "standard input is not UTF-8 text" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("url", "socket", "ticket"),
    [
        ("http://127.0.0.1:8787", "ws://127.0.0.1:8787/ws", "http://127.0.0.1:8787/ticket"),
        ("http://127.0.0.1:8787/", "ws://127.0.0.1:8787/ws", "http://127.0.0.1:8787/ticket"),
        ("https://chat.example/app", "wss://chat.example/app/ws", "https://chat.example/app/ticket"),
        ("https://chat.example/ws", "wss://chat.example/ws", "https://chat.example/ticket"),
        ("ws://127.0.0.1:8787", "ws://127.0.0.1:8787/ws", "http://127.0.0.1:8787/ticket"),
        ("ws://127.0.0.1:8787/ws", "ws://127.0.0.1:8787/ws", "http://127.0.0.1:8787/ticket"),
        ("wss://chat.example/prod", "wss://chat.example/prod", "https://chat.example/ticket"),
        ("wss://chat.example/a/ws?x=1#y", "wss://chat.example/a/ws?x=1", "https://chat.example/a/ticket"),
        ("ws://[::1]:8787", "ws://[::1]:8787/ws", "http://[::1]:8787/ticket"),
    ],
)
def test_one_url_gives_socket_and_ticket(url: str, socket: str, ticket: str) -> None:
    """The socket's own URL or the site's: either is enough to know both addresses."""
    assert addresses(url) == (socket, ticket)


def test_a_client_of_no_url_is_refused_at_once() -> None:
    """The mistake shows where it is made."""
    with pytest.raises(CannotConnect, match="Not the URL"):
        PlaybyplayClient("chess")


def test_json_of_an_event_is_one_line() -> None:
    """A line feed inside a field does not break the line."""
    line = told([event(1, "agent_thinking", thought="a\nb")], as_json=True)
    assert len(line) == 1
    assert json.loads(line[0])["thought"] == "a\nb"
