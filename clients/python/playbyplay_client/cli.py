r"""`playbyplay chat "..."`: one message, and the account of the work as it happens; `faults` and `audit`: see there.

Exit code: 0 a complete run with an answer; 1 a run that failed, broke the grammar or took too long;
2 no server, or a message it refused; 130 Ctrl-C. What the server says is shown, never executed:
whatever a terminal might obey is written out, as `\u001b`.
"""

import argparse
import asyncio
import contextlib
import io
import math
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TextIO

from playbyplay.protocol.base import MAX_CONTENT_BYTES, UUID_PATTERN
from playbyplay.protocol.events import (
    TERMINAL_TYPES,
    AgentCompleted,
    AgentStarted,
    AgentThinking,
    ErrorEvent,
    Event,
    FinalResponse,
    ToolCompleted,
    ToolExecuting,
)
from playbyplay_client import audit, faults
from playbyplay_client.client import PlaybyplayClient
from playbyplay_client.dialer import SignIn
from playbyplay_client.errors import ClientError, Rejected, RunLost
from playbyplay_client.run import Run

URL = "ws://127.0.0.1:8787/ws"
TOKEN = "PLAYBYPLAY_TOKEN"  # noqa: S105 - the variable's name; a token in an argument would show in `ps`
OK, FAILED, NO_SERVER, INTERRUPTED = 0, 1, 2, 130
_LONE_ERRORS = frozenset({"queue_timeout", "cancelled", "attempts_exhausted", "deadline_exceeded"})
_LAST_WORDS_S = 3.0  # what a cancelled run gets to say so
# Controls but tab and line feed, what reorders or hides text, halves of characters.
_UNSEEN = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]"
)
_REFUSALS = {
    "bad_value": f"It is empty, longer than {MAX_CONTENT_BYTES} bytes, or holds control characters.",
    "bad_encoding": "It is not valid Unicode text.",
    "too_large": "It is too long.",
}
_RED, _GREEN, _CYAN, _DIM = "31", "32", "36", "2"


def visible(text: str) -> str:
    r"""Return a text with all a terminal might obey written out as `\u001b`; tabs and line feeds stay."""
    return _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text.replace("\r\n", "\n"))


@dataclass(slots=True)
class Grammar:
    """Checks a run as it is read: `agent_started step* agent_completed final_response`, or an `error` for its end.

    Attributes:
        last: the event before.
        open_calls: the calls that wait for their `tool_completed`.
        depths: how many calls each call stands inside of, by its id.
        fault: what was wrong first; None while nothing was.
    """

    last: Event | None = None
    open_calls: set[str] = field(default_factory=set)
    depths: dict[str, int] = field(default_factory=dict)
    fault: str | None = None

    @property
    def complete(self) -> bool:
        """Whether the run ended in its answer and nothing was wrong."""
        return self.fault is None and isinstance(self.last, FinalResponse)

    def check(self, event: Event) -> int:
        """Take in the next event; return how many calls it stands inside of."""
        self.fault = self.fault or self._fault(event)
        depth = self._depth(event)
        if isinstance(event, ToolExecuting):
            self.open_calls.add(event.call_id)
            self.depths[event.call_id] = depth
        elif isinstance(event, ToolCompleted):
            self.open_calls.discard(event.call_id)
        self.last = event
        return depth

    def _depth(self, event: Event) -> int:
        parent = getattr(event, "parent_call_id", None)
        return 0 if parent is None else self.depths.get(parent, 0) + 1

    def _fault(self, event: Event) -> str | None:
        last, kind = self.last, event.type
        parent = getattr(event, "parent_call_id", None)
        closes = isinstance(event, AgentCompleted | ErrorEvent)
        lone = isinstance(event, ErrorEvent) and event.code in _LONE_ERRORS
        faults = (
            (event.seq != (last.seq if last else 0) + 1, f"event {event.seq} does not follow"),
            (last is not None and last.run_id != event.run_id, f"{kind} is of another run"),
            (last is not None and last.type in TERMINAL_TYPES, f"{kind} follows the end"),
            (last is None and not isinstance(event, AgentStarted) and not lone, f"{kind} stands first"),
            (last is not None and isinstance(event, AgentStarted), "the agent starts twice"),
            (isinstance(last, AgentCompleted) != isinstance(event, FinalResponse), f"{kind} where it may not stand"),
            (closes and bool(self.open_calls), f"{kind} while a tool is at work"),
            (parent is not None and parent not in self.open_calls, f"{kind} belongs to no open call"),
            (isinstance(event, ToolExecuting) and event.call_id in self.depths, "a call opens twice"),
            (isinstance(event, ToolCompleted) and event.call_id not in self.open_calls, "no open call to complete"),
        )
        return next((sentence for wrong, sentence in faults if wrong), None)


class Account:
    """Writes what happens, a line each, for a person or as JSON for a program.

    Args:
        out: where to.
        as_json: events only, as they came.
        colour: whether `out` understands colours.
        clock: seconds; the first call is the beginning.
    """

    def __init__(
        self, out: TextIO, *, as_json: bool = False, colour: bool = False, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._out = out
        self._as_json = as_json
        self._colour = colour
        self._clock = clock
        self._began_s = clock()

    def accepted(self, run: Run) -> None:
        """Tell that the message is in safe hands, and where."""
        ahead = f"; {run.position} ahead of it" if run.position else ""
        self._line("●", "accepted", f"turn {run.turn} of thread {run.thread_id}{ahead}", _DIM)

    def event(self, event: Event, depth: int) -> None:
        """Tell an event, `depth` calls deep."""
        if self._as_json:
            self._write(visible(event.to_json()))
            return
        match event:
            case AgentStarted():
                self._line("▶", "started", f"{event.agent_id}: {event.message}", _CYAN)
            case AgentThinking():
                self._line("◌", "thinking", event.thought, _DIM, depth)
            case ToolExecuting():
                self._line("→", "calling", f"{event.tool_name}: {event.description}", _CYAN, depth)
            case ToolCompleted():
                good = event.status == "ok"
                text = f"{event.tool_name}: {event.result_summary} ({event.duration_ms / 1000:.2f} s)"
                self._line("✓" if good else "✗", event.status, text, _GREEN if good else _RED, depth)
            case AgentCompleted():
                self._line("✓", "completed", event.message, _GREEN)
            case FinalResponse():
                used = f"{event.usage.input_tokens} tokens in, {event.usage.output_tokens} out"
                cut = ", cut off at the model's limit" if event.finish_reason == "length" else ""
                self._line("■", "answered", used + cut, _GREEN)
            case ErrorEvent():
                self._line("✗", "error", f"{event.code}: {event.message}", _RED)

    def answer(self, text: str) -> None:
        """Tell the answer."""
        if not self._as_json:
            self._write(f"\n{visible(text).strip()}")

    def _line(self, icon: str, word: str, text: str, colour: str, depth: int = 0) -> None:
        if self._as_json:
            return
        elapsed = f"{self._clock() - self._began_s:7.2f} s"
        label = f"{icon} {word:<9}"
        if self._colour:
            elapsed, label = f"\x1b[{_DIM}m{elapsed}\x1b[0m", f"\x1b[{colour}m{label}\x1b[0m"
        self._write(f"{elapsed}  {'  ' * depth}{label} {_one_line(text)}")

    def _write(self, line: str) -> None:
        self._out.write(line + "\n")
        self._out.flush()


class Chat:
    """One message and its run."""

    def __init__(self, url: str, account: Account, sign_in: SignIn | None = None) -> None:
        self._client = PlaybyplayClient(url, sign_in=sign_in)
        self._account = account
        self._grammar = Grammar()
        self._run: Run | None = None

    async def work(self, text: str, thread_id: str | None) -> str | None:
        """Send a message and tell its run to the end; return what was wrong with it, None for nothing."""
        async with self._client as client:
            self._run = run = await client.send(text, thread_id)
            self._account.accepted(run)
            async for event in run:
                self._account.event(event, self._grammar.check(event))
            if self._grammar.complete:
                self._account.answer(await run.answer())
                return None
        if self._grammar.fault is None and isinstance(self._grammar.last, ErrorEvent):
            return f"The run failed: {self._grammar.last.message}"
        return f"The account of this run is not right: {self._grammar.fault}."

    async def stop(self, working: "asyncio.Task[str | None]") -> str:
        """Cancel the run, wait a little for it to say so, and return how it stands."""
        if self._run is not None:
            with contextlib.suppress(ClientError, TimeoutError):
                async with asyncio.timeout(_LAST_WORDS_S):
                    await self._run.cancel()
            await asyncio.wait({working}, timeout=_LAST_WORDS_S)
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
        match self._grammar.last:
            case ErrorEvent(code="cancelled"):
                return "the run was cancelled."
            case ErrorEvent() | FinalResponse():
                return "the run had ended before it could be cancelled."
        return "the run may go on at the server." if self._run is not None else "no run is known to have begun."


async def _faults(options: argparse.Namespace) -> int:
    _print(await faults.work(options))
    return OK


async def _audit(options: argparse.Namespace) -> int:
    audited = await audit.work(options)
    _print(audited.lines)
    return FAILED if audited.missing else OK


async def _chat(options: argparse.Namespace) -> int:
    colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    account = Account(sys.stdout, as_json=options.json, colour=colour)
    stopped = asyncio.Event()
    with contextlib.suppress(NotImplementedError):  # not everywhere can a loop take signals
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, stopped.set)
    chat = Chat(options.url, account, _sign_in(options))
    working = asyncio.create_task(chat.work(options.text, options.thread))
    stopping = asyncio.create_task(stopped.wait())
    await asyncio.wait({working, stopping}, timeout=options.timeout, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if working.done():
        fault = working.result()
        return OK if fault is None else _say(fault, FAILED)
    standing = await chat.stop(working)
    if stopped.is_set():
        return _say(f"Stopped; {standing}", INTERRUPTED)
    return _say(f"Not done within {options.timeout:g} s; {standing}", FAILED)


_COMMANDS = {"chat": _chat, "faults": _faults, "audit": _audit}


def _sign_in(options: argparse.Namespace) -> SignIn | None:
    if options.ticket_url is None:
        return None
    return SignIn(ticket_url=options.ticket_url, token=os.environ.get(TOKEN) or None, in_query=options.ticket_in_query)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; return the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    code, sentence = NO_SERVER, ""
    try:
        options = _options(argv)
        code = asyncio.run(_COMMANDS[options.command](options))
    except SystemExit as usage:  # argparse has said what there is to say
        code = usage.code if isinstance(usage.code, int) else NO_SERVER
    except KeyboardInterrupt:
        code = INTERRUPTED
    except BrokenPipeError:  # nobody reads on; a silent stdout keeps Python from complaining at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = FAILED
    except RunLost as lost:
        code, sentence = FAILED, lost.message
    except Rejected as refusal:
        sentence = f"The message was refused: {_REFUSALS.get(refusal.code, refusal.message)}"
    except ClientError as error:
        sentence = str(error)
    return _say(sentence, code) if sentence else code


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="playbyplay", description="Talk with a Playbyplay server.")
    parser.set_defaults(command="chat")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    faults.add_command(commands, URL)
    audit.add_command(commands, URL)
    command = commands.add_parser(
        "chat", help="send a message and watch the work", description="Send a message and watch the work."
    )
    command.add_argument("text", metavar="TEXT", help="the message; - reads it from standard input")
    command.add_argument("--url", default=URL, help="the server's socket (%(default)s)")
    command.add_argument("--json", action="store_true", help="print the events as JSON, one a line, and nothing else")
    command.add_argument("--thread", metavar="ID", type=_thread, help="go on in this thread")
    command.add_argument("--timeout", metavar="SECONDS", type=_seconds, help="cancel a run that takes longer")
    command.add_argument("--ticket-url", metavar="URL", help=f"POST here for a ticket, with the token in ${TOKEN}")
    command.add_argument(
        "--ticket-in-query", action="store_true", help="put it into the socket's URL: the gateway knows no other way"
    )
    options = parser.parse_args(argv)
    if options.command != "chat":
        return options
    if options.ticket_in_query and options.ticket_url is None:
        command.error("--ticket-in-query needs --ticket-url")
    if options.text == "-":
        try:
            options.text = sys.stdin.read().removesuffix("\n")
        except UnicodeDecodeError:
            command.error("standard input is not UTF-8 text")
    return options


def _thread(text: str) -> str:
    if not re.fullmatch(UUID_PATTERN, text):
        raise argparse.ArgumentTypeError("a thread's id is a UUID, as the accepted line shows it")
    return text


def _seconds(text: str) -> float:
    with contextlib.suppress(ValueError):
        if 0 < (seconds := float(text)) < math.inf:
            return seconds
    raise argparse.ArgumentTypeError("a time is a number of seconds above 0")


def _print(lines: Iterable[str]) -> None:
    for line in lines:
        sys.stdout.write(visible(line).replace("\n", " ") + "\n")


def _say(sentence: str, code: int) -> int:
    sys.stderr.write(_one_line(sentence) + "\n")
    return code


def _one_line(text: str) -> str:
    return re.sub(r"\s+", " ", visible(text))


if __name__ == "__main__":
    sys.exit(main())
