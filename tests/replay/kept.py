"""A journal that keeps bytes, as every store does: what is read was written by who knows which version."""

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from playbyplay.domain.journal import Record
from playbyplay.errors import SlotTaken
from tests.fakes.journal import FakeJournal
from tests.replay.recording import Recording, Stored, Turn
from tests.replay.stage import Stage


class KeptJournal(FakeJournal):
    """Implements `ports.Journal`.

    Attributes:
        kept: what is stored, by user and run, in order.
    """

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[tuple[str, str], list[Stored]] = {}

    def put(self, user: str, run_id: str, record: Record) -> None:
        stored = self.kept.setdefault((user, run_id), [])
        if record.pos < len(stored):
            raise SlotTaken(f"slot {record.pos} is not empty")
        stored.append(Stored.of(record))

    def records(self, user: str, run_id: str) -> list[Record]:
        return [stored.record() for stored in self.kept.get((user, run_id), [])]

    def keep(self, turn: Turn, records: Iterable[Stored]) -> None:
        """Store records as they are."""
        self.kept[turn.run.user, turn.run.run_id] = list(records)


def stage_of(recording: Recording, records: Iterable[Stored]) -> tuple[Stage, KeptJournal]:
    """Return a stage on which a run stands as if this had been stored of it, with the earlier turns of its thread."""
    stage, journal = Stage(), KeptJournal()
    house = stage.house
    journal.faults = house.faults
    house.journal = journal
    house.clock.ms = recording.read_ms
    house.ids = type(house.ids)(500_000)  # later than any id of a recording
    for turn in recording.earlier:
        journal.keep(turn, turn.records)
        house.runs.runs[turn.run.user, turn.run.run_id] = replace(turn.run, status="completed")
    run = recording.turn.run
    journal.keep(recording.turn, records)
    house.runs.runs[run.user, run.run_id] = replace(run, attempts=1)
    house.runs.checks[run.user, run.run_id] = recording.read_ms
    return stage, journal


def with_entry(stored: Stored, **entry: Any) -> Stored:
    """Return a record with one more entry, written by a version that knows more."""
    return replace(stored, entries=json.dumps([*json.loads(stored.entries), entry], separators=(",", ":")))


def with_field(stored: Stored, **fields: Any) -> Stored:
    """Return a record whose last entry, or the event in it, has more fields."""
    *entries, last = json.loads(stored.entries)
    last.get("event", last).update(fields)
    return replace(stored, entries=json.dumps([*entries, last], separators=(",", ":")))
