"""What the contract says of events on their way (C4, C12, C13, C18): as stored, to the page once, to nobody else."""

import re
from collections import defaultdict
from collections.abc import Iterator

from playbyplay.protocol.events import EVENT_TYPES
from playbyplay.protocol.replies import MessageRejected, RunInput
from tests.simulation.case import Case, Heard, runs_named
from tests.simulation.evidence import MARK
from tests.simulation.rule import Finding, rule

_MARKED = re.compile(MARK + r"[\w-]+")
_GATEWAY = frozenset({"message", "connectionId", "requestId"})


@rule("delivery.as_stored")
def as_stored(case: Case) -> Iterator[Finding]:
    """Every event frame equals the event that is stored, the replay flag aside (C4)."""
    for heard in case.heard:
        if heard.stored is None and heard.kind in EVENT_TYPES:
            body = heard.body or {}
            told = f"seq {body.get('seq')} of {body.get('run_id')}"
            yield Finding(heard.frame.client, f"{heard.kind}, {told}, is not as the journal holds it")


@rule("delivery.no_phantom", "puts")
def no_phantom(case: Case) -> Iterator[Finding]:
    """No event is sent before it is committed (C4)."""
    for heard in case.heard:
        if (one := heard.stored) is None:
            continue
        put_ms = case.chronicles[one.run].put_ms.get(one.pos)
        if put_ms is None or heard.frame.at_ms < put_ms:
            when = "never" if put_ms is None else f"{put_ms - heard.frame.at_ms:g} ms later"
            yield Finding(heard.frame.client, f"seq {one.seq} of {one.run[1]} came, and was put {when}")


@rule("delivery.in_order")
def in_order(case: Case) -> Iterator[Finding]:
    """A client hands each event of a run to its page once and in order, as what it is (C13)."""
    last: dict[tuple[str, str], int] = defaultdict(int)
    types = {(*one.run, one.seq): one.event.type for chronicle in case.chronicles.values() for one in chronicle.events}
    for one in case.evidence.delivered:
        key = one.client, one.run_id
        if one.seq != last[key] + 1:
            yield Finding(one.client, f"its page got seq {one.seq} of {one.run_id} after {last[key]}")
        last[key] = one.seq
        if types.get((case.users[one.client], one.run_id, one.seq)) != one.type:
            yield Finding(one.client, f"its page got seq {one.seq} of {one.run_id} as {one.type}, which it is not")


@rule("delivery.from_frames")
def from_frames(case: Case) -> Iterator[Finding]:
    """What a client hands to its page it has received: reassembly makes nothing up (C13)."""
    came: dict[tuple[str, str, int], float] = {}
    for heard in case.heard:
        if heard.stored is not None:
            came.setdefault((heard.frame.client, heard.stored.run[1], heard.stored.seq), heard.frame.at_ms)
    for one in case.evidence.delivered:
        at_ms = came.get((one.client, one.run_id, one.seq))
        if at_ms is None or one.at_ms < at_ms:
            yield Finding(one.client, f"its page got seq {one.seq} of {one.run_id} before any frame brought it")


@rule("delivery.whole")
def whole(case: Case) -> Iterator[Finding]:
    """A client that stays gets every event of each run it sent the message of or heard of, to the end (C12, C14)."""
    got: dict[tuple[str, str], int] = defaultdict(int)
    for one in case.evidence.delivered:
        got[one.client, one.run_id] = max(got[one.client, one.run_id], one.seq)
    for client, runs in case.known_runs.items():
        for run in runs:
            head = case.chronicles[run].head
            if got[client, run[1]] < head:
                yield Finding(client, f"of {run[1]} its page got {got[client, run[1]]} of {head} events")


@rule("delivery.isolation")
def isolation(case: Case) -> Iterator[Finding]:
    """No frame about a foreign run or thread, and no marked word of a foreign message, comes to a client (C18)."""
    threads = {run.thread_id: run.user for run in case.evidence.runs}
    marks = _marks(case)
    clean: set[int] = set()
    for heard in case.heard:
        if (one := heard.stored) is not None and one.run[0] == heard.user:
            if id(one) in clean:  # it went to several devices, and was looked at
                continue
            clean.add(id(one))
        if any(case.owner.get(run_id, heard.user) != heard.user for run_id in _runs_in(heard)):
            yield Finding(heard.frame.client, f"{heard.kind} tells it of a foreign run at {heard.frame.at_ms:g} ms")
        elif threads.get(_thread_in(heard), heard.user) != heard.user:
            yield Finding(heard.frame.client, f"{heard.kind} tells it of a foreign thread at {heard.frame.at_ms:g} ms")
        elif any(heard.user not in marks.get(word, {heard.user}) for word in _marked(heard.frame.text)):
            yield Finding(heard.frame.client, f"{heard.kind} repeats a foreign message at {heard.frame.at_ms:g} ms")


@rule("delivery.input")
def inputs(case: Case) -> Iterator[Finding]:
    """A run_input is the message as it is stored, with its thread, turn and time (C12)."""
    for heard in case.heard:
        told = heard.reply
        if not isinstance(told, RunInput):
            continue
        chronicle = case.chronicle(heard.user, told.run_id)
        kept = chronicle.input if chronicle is not None else None
        if kept is None or (told.thread_id, told.turn, told.content, told.timestamp) != (
            kept.thread_id,
            kept.turn,
            kept.content,
            kept.timestamp,
        ):
            yield Finding(heard.frame.client, f"the run_input of {told.run_id} is not as the journal holds it")


@rule("delivery.refusals")
def refusals(case: Case) -> Iterator[Finding]:
    """A refusal is message_rejected, never error: error is a run's terminal, so it names its run and seq."""
    for heard in case.heard:
        body = heard.body or {}
        if heard.kind == "error" and heard.stored is None and not {"run_id", "seq"} <= body.keys():
            yield Finding(heard.frame.client, f"an error that is no event came at {heard.frame.at_ms:g} ms")


@rule("delivery.known_frames")
def known_frames(case: Case) -> Iterator[Finding]:
    """Every frame a client gets is one of the contract's, or the gateway's own, which has no type."""
    for heard in case.heard:
        if heard.stored is not None or heard.reply is not None or heard.kind in EVENT_TYPES:
            continue
        body = heard.body or {}
        if "type" in body or "message" not in body or not body.keys() <= _GATEWAY:
            yield Finding(heard.frame.client, f"a frame of type {heard.kind!r} is none of the contract's")


def _marks(case: Case) -> dict[str, set[str]]:
    """Return who said each marked word, in a message that is stored or was only sent."""
    marks: dict[str, set[str]] = defaultdict(set)
    for (user, _), chronicle in case.chronicles.items():
        for word in _marked(chronicle.input.content if chronicle.input is not None else ""):
            marks[word].add(user)
    for said in case.said:
        for word in _marked(said.frame.text):
            if word in marks:
                marks[word].add(said.user)
    return marks


def _marked(text: str) -> list[str]:
    return _MARKED.findall(text) if MARK in text else []


def _runs_in(heard: Heard) -> tuple[str, ...]:
    """Return the runs a frame is about; a refusal only repeats what was asked."""
    body = heard.body or {}
    named = (*runs_named(heard), getattr(heard.reply, "run_id", None), body.get("run_id"))
    return () if isinstance(heard.reply, MessageRejected) else tuple(one for one in named if isinstance(one, str))


def _thread_in(heard: Heard) -> str:
    thread = heard.stored.event.thread_id if heard.stored is not None else getattr(heard.reply, "thread_id", None)
    thread = thread or (heard.body or {}).get("thread_id")
    return thread if isinstance(thread, str) else ""
