"""What the contract says of one journal (C3, C5, C6), judged from its records alone: for the auditor and the checker.

The grammar stands here a second time, as a pattern over letters, so that a slip in the table of `run`, which
every writer goes by, cannot hide itself.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from playbyplay.domain.journal import CheckpointEntry, EventEntry, FenceEntry, InputEntry, Record, ResultEntry
from playbyplay.protocol.events import ErrorEvent, Event, FinalResponse, ToolCompleted, ToolExecuting

JournalRule: TypeAlias = Callable[[str, Sequence[Record]], Iterator[str]]
"""Takes a run's id and its records; yields what is wrong, with positions and seqs, never what somebody said."""

_LETTERS = {
    "agent_started": "S",
    "agent_thinking": "T",
    "tool_executing": "X",
    "tool_completed": "C",
    "agent_completed": "D",
    "final_response": "F",
    "error": "E",
}
_RUN = re.compile(r"(S[TXC]*(DF|E)?|E)?")
_CLOSED_BY = {"deadline_exceeded": "timeout"}
_BEFORE_START = frozenset({"queue_timeout", "cancelled", "attempts_exhausted", "deadline_exceeded"})


class Breach(NamedTuple):
    """A rule that does not hold, and where."""

    rule: str
    sentence: str


def breaches(run_id: str, records: Sequence[Record]) -> Iterator[Breach]:
    """Yield every place where a journal breaks a rule."""
    for name, rule in RULES.items():
        for sentence in rule(run_id, records):
            yield Breach(name, sentence)


def no_hole(_run_id: str, records: Sequence[Record]) -> Iterator[str]:
    """The records of a run stand at positions 0, 1, 2 ... without holes."""
    for expected, record in enumerate(records):
        if record.pos != expected:
            yield f"position {record.pos} stands where {expected} belongs"
            return


def seqs(_run_id: str, records: Sequence[Record]) -> Iterator[str]:
    """The events of a run are seq 1, 2, 3 ... without holes, and each record says which was the last."""
    last = 0
    for record in records:
        for event in record.events:
            if event.seq != last + 1:
                yield f"seq {event.seq} follows {last} at position {record.pos}"
            last = event.seq
        if record.last_seq != last:
            yield f"position {record.pos} says last_seq {record.last_seq}, it is {last}"


def grammar(_run_id: str, records: Sequence[Record]) -> Iterator[str]:
    """A run is agent_started, steps, and one of its two ends, or an error alone before it ever started."""
    stored = list(_events(records))
    letters = "".join(_LETTERS[event.type] for _pos, event in stored)
    if not _RUN.fullmatch(letters):
        yield f"its events read {letters}"
    first = stored[0][1] if stored else None
    if isinstance(first, ErrorEvent) and first.code not in _BEFORE_START:
        yield f"error {first.code} stands before agent_started"
    ends = {pos for pos, event in stored if event.type in ("agent_completed", "final_response")}
    if len(ends) > 1:
        yield f"agent_completed and final_response stand at positions {sorted(ends)}"


def input_first(_run_id: str, records: Sequence[Record]) -> Iterator[str]:
    """Record 0 is exactly the user's message, and no other record holds one."""
    if not records:
        yield "there is no record 0"
    for record in records:
        inputs = sum(isinstance(entry, InputEntry) for entry in record.entries)
        if inputs != (record.pos == 0) or (inputs and len(record.entries) > 1):
            yield f"position {record.pos} holds {inputs} inputs"


def one_terminal(_run_id: str, records: Sequence[Record]) -> Iterator[str]:
    """A run has at most one terminal, and nothing at all follows it, not even a fence."""
    entries = [(record.pos, entry) for record in records for entry in record.entries]
    ends = [
        number
        for number, (_, entry) in enumerate(entries)
        if isinstance(entry, EventEntry) and isinstance(entry.event, FinalResponse | ErrorEvent)
    ]
    if len(ends) > 1:
        yield f"terminals stand at positions {[entries[end][0] for end in ends]}"
    if ends and ends[0] != len(entries) - 1:
        yield f"something follows the terminal at position {entries[ends[0]][0]}"


def calls(_run_id: str, records: Sequence[Record]) -> Iterator[str]:
    """Each call opens once and closes once, as the same call, and none is open at a terminal."""
    opened: dict[str, ToolExecuting] = {}
    closed: set[str] = set()
    for _pos, event in _events(records):
        if isinstance(event, ToolExecuting):
            if event.call_id in opened:
                yield f"seq {event.seq} opens call {event.call_id} again"
            opened[event.call_id] = event
        elif isinstance(event, ToolCompleted):
            if event.call_id in closed or not _closes(opened.get(event.call_id), event):
                yield f"seq {event.seq} closes call {event.call_id}, which is not open so"
            closed.add(event.call_id)
        elif event.type in ("agent_completed", "error") and (left := sorted(set(opened) - closed)):
            yield f"seq {event.seq} ends the run while {', '.join(left)} are open"


def epochs(_run_id: str, records: Sequence[Record]) -> Iterator[str]:
    """The epoch rises by one with each fence, the first before any other entry, and every record bears the current."""
    epoch = 0
    for record in records:
        for entry in record.entries:
            if isinstance(entry, FenceEntry):
                if entry.epoch != epoch + 1:
                    yield f"fence {entry.epoch} follows epoch {epoch} at {record.pos}"
                epoch = entry.epoch
            elif epoch == 0 and record.pos > 0:
                yield f"position {record.pos} is written by nobody: no fence before it"
        if record.epoch != epoch:
            yield f"position {record.pos} bears epoch {record.epoch}, not {epoch}"


def own_events(run_id: str, records: Sequence[Record]) -> Iterator[str]:
    """Every event of a journal names the journal's own run, thread and turn, and is stored unflagged."""
    said = next((entry for record in records for entry in record.entries if isinstance(entry, InputEntry)), None)
    if said is None:
        return
    whose = (run_id, said.thread_id, said.turn, None)
    for _pos, event in _events(records):
        if (event.run_id, event.thread_id, event.turn, event.replay) != whose:
            yield f"seq {event.seq} is of another run, thread or turn, or of a replay"


def answer(_run_id: str, records: Sequence[Record]) -> Iterator[str]:
    """The answer is the last response of the run's own agent, and every call was asked for by a response (C6)."""
    points = [(record.pos, e) for record in records for e in record.entries if isinstance(e, CheckpointEntry)]
    asked = {call.call_id: (call.tool_name, pos) for pos, point in points for call in point.calls}
    said = [point.text for _pos, point in points if point.scope is None]
    for pos, event in _events(records):
        if isinstance(event, ToolExecuting) and asked.get(event.call_id) != (event.tool_name, pos):
            yield f"seq {event.seq} opens call {event.call_id}, which its record asks not for"
        if isinstance(event, FinalResponse):
            whole = said[-1] if said else ""
            if whole != event.content and not (event.truncated and whole.startswith(event.content)):
                yield f"seq {event.seq} is not what the last checkpoint says"


def closing(_run_id: str, records: Sequence[Record]) -> Iterator[str]:
    """What a terminal leaves open is closed as what it is, and what a call returned stands beside its end (C6)."""
    for record in records:
        end = record.events[-1] if record.events else None
        results = {entry.call_id for entry in record.entries if isinstance(entry, ResultEntry)}
        for event in record.events:
            if not isinstance(event, ToolCompleted):
                continue
            if isinstance(end, ErrorEvent):
                if event.status not in (_CLOSED_BY.get(end.code, "cancelled"), "outcome_unknown"):
                    yield f"{end.code} leaves call {event.call_id} {event.status}"
            elif event.call_id not in results:
                yield f"seq {event.seq} ends call {event.call_id} without its result"


def _events(records: Sequence[Record]) -> Iterator[tuple[int, Event]]:
    return ((record.pos, event) for record in records for event in record.events)


def _closes(opened: ToolExecuting | None, event: ToolCompleted) -> bool:
    return opened is not None and (opened.tool_name, opened.agent_id, opened.parent_call_id) == (
        event.tool_name,
        event.agent_id,
        event.parent_call_id,
    )


RULES: Mapping[str, JournalRule] = {
    "journal.no_hole": no_hole,
    "journal.seq": seqs,
    "journal.grammar": grammar,
    "journal.input": input_first,
    "journal.one_terminal": one_terminal,
    "journal.calls": calls,
    "journal.epochs": epochs,
    "journal.own_events": own_events,
    "journal.answer": answer,
    "journal.closing": closing,
}
"""Every rule by its name, in the order in which a reader would ask."""
