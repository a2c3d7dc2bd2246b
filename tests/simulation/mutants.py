"""How a mutant is made: small changes of the evidence, each of something that happened in the valid campaign."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeAlias

from playbyplay.domain.journal import Entry, EventEntry, Record
from tests.simulation.evidence import Evidence
from tests.simulation.sample import CANCELLED, LOST, PLAIN

Mutant: TypeAlias = Callable[[Evidence], None]
_HAPPENED = ("links", "frames", "delivered", "puts", "called", "effects", "asked", "faults", "jobs", "taken", "gone")
USER_OF = {LOST: "ann", CANCELLED: "ann", PLAIN: "bob"}


def journal(evidence: Evidence, run_id: str) -> list[Record]:
    """Return the records of a run; they can be changed."""
    found = evidence.journals[USER_OF[run_id], run_id]
    assert isinstance(found, list)
    return found


def record(evidence: Evidence, run_id: str, pos: int, **changes: Any) -> None:
    """Change a record as if it had been written so."""
    records = journal(evidence, run_id)
    records[pos] = replace(records[pos], **changes)


def entries(
    evidence: Evidence, run_id: str, pos: int, change: Callable[[tuple[Entry, ...]], tuple[Entry, ...]]
) -> None:
    """Change the entries of a record."""
    record(evidence, run_id, pos, entries=change(journal(evidence, run_id)[pos].entries))


def event(evidence: Evidence, run_id: str, seq: int, /, **changes: Any) -> None:
    """Change an event, in the journal and wherever it came."""
    for one in journal(evidence, run_id):
        made = tuple(_changed(entry, seq, changes) for entry in one.entries)
        if made != one.entries:
            record(evidence, run_id, one.pos, entries=made)
    for index, frame in enumerate(evidence.frames):
        body = json.loads(frame.text)
        if (body.get("run_id"), body.get("seq")) == (run_id, seq):
            evidence.frames[index] = replace(frame, text=json.dumps(body | changes, separators=(",", ":")))


def frame(evidence: Evidence, kind: str, nth: int = 0, *, client: str | None = None, way: str = "received") -> int:
    """Return where a frame of a type stands."""
    found = [
        index
        for index, one in enumerate(evidence.frames)
        if one.way == way and client in (None, one.client) and json.loads(one.text).get("type") == kind
    ]
    return found[nth]


def says(evidence: Evidence, index: int, changes: Mapping[str, Any], *, without: str = "") -> None:
    """Change what a frame says."""
    body = json.loads(evidence.frames[index].text) | changes
    body.pop(without, None)
    evidence.frames[index] = replace(evidence.frames[index], text=json.dumps(body))


def run(evidence: Evidence, run_id: str, **changes: Any) -> None:
    """Change a run as the store keeps it."""
    evidence.runs = [replace(one, **changes) if one.run_id == run_id else one for one in evidence.runs]


def late(evidence: Evidence, after_ms: float, by_ms: float) -> None:
    """Have everything that came after a moment come later."""
    for name in _HAPPENED:
        things = getattr(evidence, name)
        things[:] = [replace(one, at_ms=one.at_ms + by_ms) if one.at_ms > after_ms else one for one in things]
    evidence.ended_ms += by_ms


def _changed(entry: Entry, seq: int, changes: Mapping[str, Any]) -> Entry:
    if isinstance(entry, EventEntry) and entry.event.seq == seq:
        return entry.model_copy(update={"event": entry.event.model_copy(update=changes)})
    return entry
