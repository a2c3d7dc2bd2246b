"""What the contract says of the other frames (C11 to C13): answers come, heads are true, drafts only rise."""

import itertools
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator

from playbyplay.domain.journal import FenceEntry
from playbyplay.protocol.base import MAX_REPLAYED, RunStatus
from playbyplay.protocol.replies import (
    Heartbeat,
    Lagging,
    MessageRejected,
    Pong,
    ReplayComplete,
    ResponseDelta,
    RunInput,
)
from tests.simulation.case import Case, Heard, Said, Wire
from tests.simulation.chronicle import Chronicle
from tests.simulation.rule import Finding, rule

_ANSWERS = {
    "agent_message": "message_accepted",
    "cancel": "cancel_accepted",
    "answer": "answer_part",
    "resume": "replay_complete",
}
_PATIENCE_MS = 15_000.0  # a replay that takes as long may be cut short, and says so
_OVER = frozenset({"completed", "failed", "cancelled"})


@rule("answers.command")
def command(case: Case) -> Iterator[Finding]:
    """Every message, cancel and answer gets its reply or a refusal, unless the link or the world broke meanwhile."""
    for said in _unanswered(case, "agent_message", "cancel", "answer"):
        yield Finding(said.frame.client, f"its {said.body['type']} of {said.frame.at_ms:g} ms was never answered")


@rule("answers.resume")
def resume(case: Case) -> Iterator[Finding]:
    """Every resume ends in replay_complete or a refusal, unless the link or the world broke meanwhile (C12)."""
    for said in _unanswered(case, "resume"):
        yield Finding(said.frame.client, f"its resume of {said.frame.at_ms:g} ms was never answered")


@rule("answers.replay")
def replay(case: Case) -> Iterator[Finding]:
    """Before replay_complete come the run, the message first, and every event after the one asked from (C12)."""
    asked: dict[tuple[Wire, str, int], float] = {}
    for said in case.said:
        run_id, after = said.body.get("run_id"), said.body.get("after_seq")
        if said.body.get("type") == "resume" and isinstance(run_id, str) and isinstance(after, int):
            asked.setdefault((said.wire, run_id, after), said.frame.at_ms)
    came: dict[tuple[Wire, str], dict[int, float]] = {(wire, run_id): {} for wire, run_id, _ in asked}
    for heard in case.heard:
        told, at_ms = heard.reply, heard.frame.at_ms
        if heard.stored is not None:
            if (seen := came.get((heard.wire, heard.stored.run[1]))) is not None:
                seen[heard.stored.seq] = at_ms
        elif isinstance(told, RunInput):
            came.get((heard.wire, told.run_id), {})[0] = at_ms
        elif isinstance(told, ReplayComplete) and told.run_id is not None and told.after_seq is not None:
            since = asked.get((heard.wire, told.run_id, told.after_seq), at_ms)
            seen = came.get((heard.wire, told.run_id), {})
            lacking = [seq for seq in _replayed(told.after_seq, told.last_seq or 0) if seen.get(seq, -1.0) < since]
            if lacking and at_ms - since < _PATIENCE_MS and not case.weather.breaks(since, at_ms):
                yield Finding(heard.frame.client, f"the replay of {told.run_id} after {told.after_seq} lacks {lacking}")


@rule("answers.heads")
def heads(case: Case) -> Iterator[Finding]:
    """No frame names a head above what the journal held when it came."""
    for heard in case.heard:
        for run_id, last_seq, _ in _heads(heard):
            chronicle = case.chronicle(heard.user, run_id)
            if chronicle is None:
                yield Finding(heard.frame.client, f"{heard.kind} names the head of {run_id}, which has no journal")
            elif last_seq > chronicle.head or heard.frame.at_ms < chronicle.seq_ms.get(last_seq, 0.0):
                yield Finding(heard.frame.client, f"{heard.kind} names head {last_seq} of {run_id} too early")


@rule("answers.status")
def status(case: Case) -> Iterator[Finding]:
    """The status of replay_complete is that of its head; a pong, from a cache, may be late but names no wrong end."""
    for heard in case.heard:
        for run_id, last_seq, told in _heads(heard):
            chronicle = case.chronicle(heard.user, run_id)
            if chronicle is None or told is None:
                continue
            if isinstance(heard.reply, ReplayComplete):
                right = told == _status_at(chronicle, last_seq)
            else:
                right = told not in _OVER or told == chronicle.outcome
            if not right:
                yield Finding(heard.frame.client, f"{heard.kind} calls {run_id} {told} at head {last_seq}")


@rule("answers.drafts")
def drafts(case: Case) -> Iterator[Finding]:
    """The drafts of a run that had one owner never fall on a connection; an old owner may talk on for a while."""
    fences = Counter(
        run_id
        for (_user, run_id), records in case.evidence.journals.items()
        for record in records
        for entry in record.entries
        if isinstance(entry, FenceEntry)
    )
    highest: dict[tuple[Wire, str], int] = {}
    for heard in case.heard:
        told = heard.reply
        if not isinstance(told, ResponseDelta):
            continue
        key = heard.wire, told.run_id
        if told.draft < highest.get(key, 0) and fences[told.run_id] == 1:
            yield Finding(heard.frame.client, f"draft {told.draft} of {told.run_id} came after {highest[key]}")
        highest[key] = max(told.draft, highest.get(key, 0))


def _heads(heard: Heard) -> Iterator[tuple[str, int, RunStatus | None]]:
    """Yield each run whose head a frame names, with the head and the status it names."""
    told = heard.reply
    if isinstance(told, Pong):
        for run_id, head in told.heads.items():
            yield run_id, head.last_seq, head.status
    elif isinstance(told, ReplayComplete) and told.run_id is not None and told.last_seq is not None:
        yield told.run_id, told.last_seq, told.status
    elif isinstance(told, Heartbeat | Lagging):
        yield told.run_id, told.last_seq, None


def _replayed(after_seq: int, last_seq: int) -> range:
    """Return what one replay brings; from 0 on the message, as 0, is the first of the 200."""
    first = after_seq + 1 if after_seq > 0 else 0
    return range(first, min(last_seq + 1, first + MAX_REPLAYED))


def _status_at(chronicle: Chronicle, last_seq: int) -> RunStatus:
    terminal = chronicle.terminal
    if terminal is not None and last_seq >= terminal.seq and chronicle.outcome is not None:
        return chronicle.outcome
    return "running" if last_seq else "queued"


def _unanswered(case: Case, *kinds: str) -> Iterator[Said]:
    """Yield the commands that had the time and the peace to be answered on their connection, and were not."""
    answers: dict[Wire, list[Heard]] = defaultdict(list)
    wanted = {_ANSWERS[kind] for kind in kinds} | {"message_rejected"}
    for heard in case.heard:
        if heard.kind in wanted:
            answers[heard.wire].append(heard)
    open_until = {wire: until_ms for wire, _, until_ms in case.spans}
    for said in case.said:
        at_ms = said.frame.at_ms
        if said.body.get("type") not in kinds:
            continue
        until_ms = at_ms + case.bounds.answer_s * 1000
        came = answers[said.wire]
        later = itertools.islice(came, bisect_left(came, at_ms, key=_at_ms), None)
        in_time = itertools.takewhile(lambda heard, until_ms=until_ms: heard.frame.at_ms <= until_ms, later)  # type: ignore[misc]
        peace = min(open_until.get(said.wire, 0.0), case.evidence.ended_ms) >= until_ms
        if peace and not any(_answers(said, heard) for heard in in_time) and not case.weather.breaks(at_ms, until_ms):
            yield said


def _answers(said: Said, heard: Heard) -> bool:
    """Whether a frame answers a command; a refusal without a name may be of any, and any of one without a name."""
    kind, told = str(said.body["type"]), heard.reply
    if isinstance(told, MessageRejected):
        own = said.body.get("client_message_id" if kind == "agent_message" else "run_id")
        named = told.client_message_id or told.run_id
        return own is None or named is None or named == own
    names = ("client_message_id",) if kind == "agent_message" else ("run_id", "thread_id")
    return heard.kind == _ANSWERS[kind] and all(
        said.body.get(name) in (None, getattr(told, name, None)) for name in names
    )


def _at_ms(heard: Heard) -> float:
    return heard.frame.at_ms
