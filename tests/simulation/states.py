"""Which interesting states a campaign reached: a fault that never led anywhere proves nothing."""

import json
from collections import Counter
from collections.abc import Sequence
from typing import Final

from playbyplay.domain.journal import EventEntry, FenceEntry, Record
from playbyplay.errors import SlotTaken
from playbyplay.protocol.events import ErrorEvent, Event, FinalResponse, ToolCompleted, ToolExecuting
from tests.fakes.journal import FakeJournal
from tests.simulation.evidence import Delivered, Evidence, Frame
from tests.simulation.process import Process

WANTED: Final = (
    "append in doubt: it was ours",
    "append in doubt: it was another's",
    "append in doubt: it was not written",
    "taken over before anything",
    "taken over while a tool was open",
    "taken over a take-over",
    "a process that stood still was demoted",
    "unsafe call of unknown outcome",
    "cancel won",
    "cancel lost",
    "gap healed by resume",
    "head above the client's told by a pong",
    "duplicate accepted",
    "second turn waited",
    "swept: settled",
    "swept: ended",
    "swept: waits",
    "job sent again by the watchdog",
    "job handed on",
    "dead letter looked at",
    "a connection lagged",
    "error: attempts_exhausted",
    "error: deadline_exceeded",
)


class States:
    """Counts what was reached.

    Attributes:
        seen: by name.
    """

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()

    def see(self, name: str) -> None:
        """Count one."""
        self.seen[name] += 1

    def watch(self, journal: FakeJournal, process: Process) -> "WatchedJournal":
        """Return a journal that notices how appends in doubt are resolved."""
        return WatchedJournal(journal, process, self)

    def judge(self, evidence: Evidence) -> None:
        """Count what can be told from the end."""
        for records in evidence.journals.values():
            self._read(records)
        for line in evidence.log:
            match line.name:
                case "job_sent_again":
                    self.see("job sent again by the watchdog")
                case "run_handed_on":
                    self.see("job handed on")
                case "message_accepted" if line.fields["duplicate"]:
                    self.see("duplicate accepted")
                case "message_accepted" if line.fields["position"]:
                    self.see("second turn waited")
        self._read_frames(evidence)
        cancelled = {run.run_id for run in evidence.runs if run.cancel}
        for run in evidence.runs:
            if run.run_id in cancelled:
                self.see("cancel won" if run.status == "cancelled" else "cancel lost")

    def _read_frames(self, evidence: Evidence) -> None:
        held: Counter[tuple[str, str]] = Counter()
        happened: list[Frame | Delivered] = [*evidence.delivered, *evidence.frames]
        for one in sorted(happened, key=lambda one: one.at_ms):
            if isinstance(one, Delivered):
                held[one.client, one.run_id] = one.seq
            elif one.way == "received":
                self._read_frame(one, held)

    def _read_frame(self, frame: Frame, held: Counter[tuple[str, str]]) -> None:
        if '"replay":true' in frame.text and '"type":"run_input"' not in frame.text:
            self.see("gap healed by resume")
        elif '"type":"lagging"' in frame.text:
            self.see("a connection lagged")
        elif '"type":"pong"' in frame.text:
            for run_id, head in json.loads(frame.text)["heads"].items():
                if head["last_seq"] > held[frame.client, run_id]:
                    self.see("head above the client's told by a pong")

    def _read(self, records: Sequence[Record]) -> None:
        fences, open_calls = 0, set[str]()
        for entry in (entry for record in records for entry in record.entries):
            if isinstance(entry, FenceEntry):
                fences += 1
                self._taken(fences, while_open=bool(open_calls))
            elif isinstance(entry, EventEntry) and isinstance(entry.event, ToolExecuting):
                open_calls.add(entry.event.call_id)
            elif isinstance(entry, EventEntry):
                self._happened(entry.event)
                if isinstance(entry.event, ToolCompleted):
                    open_calls.discard(entry.event.call_id)

    def _taken(self, fences: int, *, while_open: bool) -> None:
        if fences > 1:
            self.see("taken over while a tool was open" if while_open else "taken over before anything")
        if fences > 2:
            self.see("taken over a take-over")

    def _happened(self, event: Event) -> None:
        match event:
            case ToolCompleted(status="outcome_unknown"):
                self.see("unsafe call of unknown outcome")
            case ErrorEvent():
                self.see(f"error: {event.code}")
            case FinalResponse():
                self.see("answered")


class WatchedJournal:
    """A journal that notices how appends in doubt are resolved, and who is demoted."""

    def __init__(self, inner: FakeJournal, process: Process, states: States) -> None:
        self._inner = inner
        self._process = process
        self._states = states
        self._tokens: dict[tuple[str, int], str] = {}
        self.last_seq = inner.last_seq

    async def append(self, user: str, run_id: str, record: Record) -> None:
        """Append, and remember with what token."""
        self._tokens[run_id, record.pos] = record.token
        try:
            await self._inner.append(user, run_id, record)
        except SlotTaken:
            taken = await self._inner.read(user, run_id, from_pos=record.pos)
            if self._process.stood_still and taken[0].token != record.token:
                self._states.see("a process that stood still was demoted")
            raise

    async def read(self, user: str, run_id: str, *, from_pos: int = 0) -> list[Record]:
        """Read; from a position that was tried before, it is a doubt that is resolved."""
        records = await self._inner.read(user, run_id, from_pos=from_pos)
        if from_pos > 0:
            ours = records and records[0].token == self._tokens.get((run_id, from_pos))
            found = "not written" if not records else "ours" if ours else "another's"
            self._states.see(f"append in doubt: it was {found}")
        return records
