"""What the contract says of journals (C3, C5): order, no holes, one writer, nothing overwritten.

The grammar stands here a second time, as a pattern over letters, so that a slip in the product's own
table cannot hide itself.
"""

import itertools
import re
from collections import Counter
from collections.abc import Iterator

from playbyplay.domain.journal import EventEntry, FenceEntry, History, InputEntry, ResultEntry
from playbyplay.errors import GrammarError
from playbyplay.protocol.events import ErrorEvent, FinalResponse, ToolCompleted, ToolExecuting
from tests.simulation.case import Case
from tests.simulation.chronicle import Chronicle
from tests.simulation.rule import Finding, rule

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


@rule("journal.no_hole")
def no_hole(case: Case) -> Iterator[Finding]:
    """The records of a run stand at positions 0, 1, 2 ... without holes."""
    for chronicle in case.chronicles.values():
        for expected, record in enumerate(chronicle.records):
            if record.pos != expected:
                yield Finding(chronicle.run_id, f"position {record.pos} stands where {expected} belongs")
                break


@rule("journal.seq")
def seqs(case: Case) -> Iterator[Finding]:
    """The events of a run are seq 1, 2, 3 ... without holes, and each record says which was the last."""
    for chronicle in case.chronicles.values():
        last = 0
        for record in chronicle.records:
            for event in record.events:
                if event.seq != last + 1:
                    yield Finding(chronicle.run_id, f"seq {event.seq} follows {last} at position {record.pos}")
                last = event.seq
            if record.last_seq != last:
                yield Finding(chronicle.run_id, f"position {record.pos} says last_seq {record.last_seq}, it is {last}")


@rule("journal.grammar")
def grammar(case: Case) -> Iterator[Finding]:
    """A run is agent_started, steps, and one of its two ends, or an error alone before it ever started."""
    for chronicle in case.chronicles.values():
        letters = "".join(_LETTERS[one.event.type] for one in chronicle.events)
        if not _RUN.fullmatch(letters):
            yield Finding(chronicle.run_id, f"its events read {letters}")
        first = chronicle.events[0].event if chronicle.events else None
        if isinstance(first, ErrorEvent) and first.code not in _BEFORE_START:
            yield Finding(chronicle.run_id, f"error {first.code} stands before agent_started")
        ends = {one.pos for one in chronicle.events if one.event.type in ("agent_completed", "final_response")}
        if len(ends) > 1:
            yield Finding(chronicle.run_id, f"agent_completed and final_response stand at positions {sorted(ends)}")


@rule("journal.readable")
def readable(case: Case) -> Iterator[Finding]:
    """Every reader of the product's own can fold the journal: the records follow each other."""
    for (user, run_id), chronicle in case.chronicles.items():
        try:
            History.of(user, run_id, chronicle.records)
        except (GrammarError, ValueError, IndexError) as error:
            yield Finding(run_id, f"it cannot be read: {error}")


@rule("journal.input")
def input_first(case: Case) -> Iterator[Finding]:
    """Record 0 is exactly the user's message, and no other record holds one."""
    for chronicle in case.chronicles.values():
        if not chronicle.records:
            yield Finding(chronicle.run_id, "there is no record 0")
        for record in chronicle.records:
            inputs = sum(isinstance(entry, InputEntry) for entry in record.entries)
            if inputs != (record.pos == 0) or (inputs and len(record.entries) > 1):
                yield Finding(chronicle.run_id, f"position {record.pos} holds {inputs} inputs")


@rule("journal.one_terminal")
def one_terminal(case: Case) -> Iterator[Finding]:
    """A run has at most one terminal, and nothing at all follows it, not even a fence."""
    for chronicle in case.chronicles.values():
        entries = [(record.pos, entry) for record in chronicle.records for entry in record.entries]
        ends = [
            number
            for number, (_, entry) in enumerate(entries)
            if isinstance(entry, EventEntry) and isinstance(entry.event, FinalResponse | ErrorEvent)
        ]
        if len(ends) > 1:
            yield Finding(chronicle.run_id, f"terminals stand at positions {[entries[end][0] for end in ends]}")
        if ends and ends[0] != len(entries) - 1:
            yield Finding(chronicle.run_id, f"something follows the terminal at position {entries[ends[0]][0]}")


@rule("journal.calls")
def calls(case: Case) -> Iterator[Finding]:
    """Each call opens once and closes once, as the same call, and none is open at a terminal."""
    for chronicle in case.chronicles.values():
        opened: dict[str, ToolExecuting] = {}
        closed: set[str] = set()
        for one in chronicle.events:
            event = one.event
            if isinstance(event, ToolExecuting):
                if event.call_id in opened:
                    yield Finding(chronicle.run_id, f"seq {one.seq} opens call {event.call_id} again")
                opened[event.call_id] = event
            elif isinstance(event, ToolCompleted):
                if event.call_id in closed or not _closes(opened.get(event.call_id), event):
                    yield Finding(chronicle.run_id, f"seq {one.seq} closes call {event.call_id}, which is not open so")
                closed.add(event.call_id)
            elif event.type in ("agent_completed", "error") and (left := sorted(set(opened) - closed)):
                yield Finding(chronicle.run_id, f"seq {one.seq} ends the run while {', '.join(left)} are open")


@rule("journal.epochs")
def epochs(case: Case) -> Iterator[Finding]:
    """The epoch rises by one with each fence, the first before any other entry, and every record bears the current."""
    for chronicle in case.chronicles.values():
        epoch = 0
        for record in chronicle.records:
            for entry in record.entries:
                if isinstance(entry, FenceEntry):
                    if entry.epoch != epoch + 1:
                        yield Finding(chronicle.run_id, f"fence {entry.epoch} follows epoch {epoch} at {record.pos}")
                    epoch = entry.epoch
                elif epoch == 0 and record.pos > 0:
                    yield Finding(chronicle.run_id, f"position {record.pos} is written by nobody: no fence before it")
            if record.epoch != epoch:
                yield Finding(chronicle.run_id, f"position {record.pos} bears epoch {record.epoch}, not {epoch}")


@rule("journal.own_events")
def own_events(case: Case) -> Iterator[Finding]:
    """Every event of a journal names the journal's own run, thread and turn, and is stored unflagged."""
    for chronicle in case.chronicles.values():
        said = chronicle.input
        whose = (chronicle.run_id, said.thread_id, said.turn, None) if said is not None else None
        for one in chronicle.events:
            event = one.event
            if whose is not None and (event.run_id, event.thread_id, event.turn, event.replay) != whose:
                yield Finding(chronicle.run_id, f"seq {one.seq} is of another run, thread or turn, or of a replay")


@rule("journal.answer")
def answer(case: Case) -> Iterator[Finding]:
    """The answer is the last response of the run's own agent, and every call was asked for by a response (C6)."""
    for chronicle in case.chronicles.values():
        asked = {call.call_id: (call.tool_name, record.pos) for record, p in chronicle.checkpoints for call in p.calls}
        said = [point.text for _, point in chronicle.checkpoints if point.scope is None]
        for one in chronicle.events:
            event = one.event
            if isinstance(event, ToolExecuting) and asked.get(event.call_id) != (event.tool_name, one.pos):
                yield Finding(
                    chronicle.run_id, f"seq {one.seq} opens call {event.call_id}, which its record asks not for"
                )
            if isinstance(event, FinalResponse):
                whole = said[-1] if said else ""
                if whole != event.content and not (event.truncated and whole.startswith(event.content)):
                    yield Finding(chronicle.run_id, f"seq {one.seq} is not what the last checkpoint says")


@rule("journal.closing")
def closing(case: Case) -> Iterator[Finding]:
    """What a terminal leaves open is closed as what it is, and what a call returned stands beside its end (C6)."""
    for chronicle in case.chronicles.values():
        for record in chronicle.records:
            end = record.events[-1] if record.events else None
            closed = [event for event in record.events if isinstance(event, ToolCompleted)]
            results = {entry.call_id for entry in record.entries if isinstance(entry, ResultEntry)}
            for event in closed:
                if isinstance(end, ErrorEvent):
                    if event.status not in (_CLOSED_BY.get(end.code, "cancelled"), "outcome_unknown"):
                        yield Finding(chronicle.run_id, f"{end.code} leaves call {event.call_id} {event.status}")
                elif event.call_id not in results:
                    yield Finding(chronicle.run_id, f"seq {event.seq} ends call {event.call_id} without its result")


@rule("journal.put_once", "puts")
def put_once(case: Case) -> Iterator[Finding]:
    """Every slot is put once: the condition on an empty slot is the lock."""
    for chronicle in case.chronicles.values():
        for pos, times in Counter(put.pos for put in chronicle.puts).items():
            if times > 1:
                yield Finding(chronicle.run_id, f"position {pos} was put {times} times")


@rule("journal.kept", "puts")
def kept(case: Case) -> Iterator[Finding]:
    """What was put stays as it was put: the last dump holds each slot with its token."""
    for chronicle in case.chronicles.values():
        tokens = {record.pos: record.token for record in chronicle.records}
        for put in chronicle.puts:
            if tokens.get(put.pos) != put.token:
                state = "has another token" if put.pos in tokens else "is gone"
                yield Finding(chronicle.run_id, f"position {put.pos} {state} at the end")


@rule("journal.no_forgery", "puts")
def no_forgery(case: Case) -> Iterator[Finding]:
    """Nothing stands in a journal that was never put there."""
    for chronicle in case.chronicles.values():
        for pos in _unput(chronicle):
            yield Finding(chronicle.run_id, f"position {pos} was never put")


@rule("journal.put_in_order", "puts")
def put_in_order(case: Case) -> Iterator[Finding]:
    """A writer puts a position only after all before it: no reader ever sees a hole."""
    for chronicle in case.chronicles.values():
        order = [put.pos for put in chronicle.puts]
        for before, after in itertools.pairwise(order):
            if after != before + 1:
                yield Finding(chronicle.run_id, f"position {after} was put after {before}")


def _closes(opened: ToolExecuting | None, event: ToolCompleted) -> bool:
    return opened is not None and (opened.tool_name, opened.agent_id, opened.parent_call_id) == (
        event.tool_name,
        event.agent_id,
        event.parent_call_id,
    )


def _unput(chronicle: Chronicle) -> list[int]:
    return [record.pos for record in chronicle.records if record.pos not in chronicle.put_ms]
