"""The journal of a run: entries, records and the history they add up to.

A record holds one or more entries that become true together, at one position, by one conditional
put. A History is what a reader that holds records 0..p-1 knows; it refuses what cannot follow.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, TypeAdapter

from playbyplay.domain.run import RunState, advance
from playbyplay.errors import GrammarError
from playbyplay.protocol.base import Frame, Ordinal, Timestamp, Uuid
from playbyplay.protocol.events import AgentStarted, Event, FinishReason, ToolCompleted, ToolExecuting, Usage


class ToolCall(Frame):
    """A call the model asked for, under an id of ours; `arguments` is the model's own JSON text.

    `delegate` names the agent a delegation goes to; `unsafe` says that the call is started at most once.
    """

    call_id: str
    tool_name: str
    arguments: str
    delegate: str | None = None
    unsafe: Literal[True] | None = None


class InputEntry(Frame):
    """The user's message; the whole of record 0."""

    kind: Literal["input"] = "input"
    thread_id: Uuid
    turn: Ordinal
    content: str
    timestamp: Timestamp
    client_message_id: Uuid | None = None


class EventEntry(Frame):
    """A public event, exactly as it is sent."""

    kind: Literal["event"] = "event"
    event: Event


class CheckpointEntry(Frame):
    """Private: one response of the model, so that no successor asks for it again.

    `scope` is the call id of the delegation it belongs to, absent for the run's own agent.
    """

    kind: Literal["checkpoint"] = "checkpoint"
    scope: str | None = None
    text: str
    calls: tuple[ToolCall, ...] = ()
    finish_reason: FinishReason = "stop"
    usage: Usage = Usage()


class ResultEntry(Frame):
    """Private: what a call returned to the model, recorded with its `tool_completed`."""

    kind: Literal["result"] = "result"
    call_id: str
    content: str


class FenceEntry(Frame):
    """A new owner: whoever wrote before it may write no more."""

    kind: Literal["fence"] = "fence"
    epoch: Ordinal


Entry = Annotated[
    InputEntry | EventEntry | CheckpointEntry | ResultEntry | FenceEntry,
    Field(discriminator="kind"),
]
# What a version does not know it refuses, without a word of what a user said: the error may reach a log.
ENTRIES: TypeAdapter[tuple[Entry, ...]] = TypeAdapter(tuple[Entry, ...], config=ConfigDict(hide_input_in_errors=True))


@dataclass(frozen=True, slots=True)
class Record:
    """One slot of the journal.

    Attributes:
        pos: 0, 1, 2 ... without holes.
        epoch: the owner generation that wrote it.
        token: made anew for each record; tells an own write from another's.
        last_seq: the seq of the last event up to and including this record.
        entries: what became true.
        events: the public events among them, in order.
    """

    pos: int
    epoch: int
    token: str
    last_seq: int
    entries: tuple[Entry, ...]
    events: tuple[Event, ...] = field(init=False, compare=False, repr=False)
    _frames: tuple[str, ...] | None = field(init=False, compare=False, repr=False, default=None)

    def __post_init__(self) -> None:
        """Note the events: every append asks for them several times."""
        events = tuple([entry.event for entry in self.entries if isinstance(entry, EventEntry)])
        object.__setattr__(self, "events", events)

    @property
    def frames(self) -> tuple[str, ...]:
        """The events as they go over the wire: rendered once, for the store and for every connection."""
        if self._frames is None:
            object.__setattr__(self, "_frames", tuple([event.to_json() for event in self.events]))
        return self._frames or ()

    def entries_json(self) -> str:
        """Return the entries as JSON, absent fields omitted; `ENTRIES.validate_json` reads it back."""
        frames = iter(self.frames)
        return f"[{','.join(_entry_json(entry, frames) for entry in self.entries)}]"


def is_whole(records: Sequence[Record]) -> bool:
    """Whether these are records 0, 1, 2 ...: a journal that has begun to expire is not."""
    return bool(records) and all(record.pos == pos for pos, record in enumerate(records))


def _entry_json(entry: Entry, frames: Iterator[str]) -> str:
    if isinstance(entry, EventEntry):
        return f'{{"kind":"event","event":{next(frames)}}}'
    return entry.to_json()


@dataclass(slots=True)
class History:
    """The journal of one run, as far as its reader holds it.

    Attributes:
        started: the first event, once it happened.
        opened: the `tool_executing` of each call, by call id.
        opened_at: the epoch each call was opened in, by call id.
        unsafe: the calls that are started at most once.
        checkpoints: the model's responses, in order.
        results: what each call returned, by call id.
        progressed: whether a public event follows the last fence.
    """

    user: str
    run_id: str
    records: list[Record] = field(default_factory=list)
    state: RunState = field(default_factory=RunState)
    epoch: int = 0
    checkpoints: list[CheckpointEntry] = field(default_factory=list)
    results: dict[str, str] = field(default_factory=dict)
    started: AgentStarted | None = None
    opened: dict[str, ToolExecuting] = field(default_factory=dict)
    opened_at: dict[str, int] = field(default_factory=dict)
    unsafe: set[str] = field(default_factory=set)
    progressed: bool = False
    _next: tuple[Record, RunState] | None = None

    @classmethod
    def of(cls, user: str, run_id: str, records: Iterable[Record]) -> "History":
        """Fold records into a history.

        Raises:
            GrammarError: the records do not follow each other.
        """
        history = cls(user, run_id)
        for record in records:
            history.extend(record)
        return history

    @property
    def input(self) -> InputEntry:
        """The user's message."""
        entry = self.records[0].entries[0]
        if not isinstance(entry, InputEntry):
            raise GrammarError("record 0 holds no input")
        return entry

    @property
    def events(self) -> list[Event]:
        """All public events, in order."""
        return [event for record in self.records for event in record.events]

    @property
    def open_calls(self) -> tuple[ToolExecuting, ...]:
        """The calls that wait for their `tool_completed`, in the order of opening."""
        return tuple(self.opened[call_id] for call_id in self.state.open_calls)

    @property
    def usage(self) -> Usage:
        """Model tokens used so far."""
        return Usage(
            input_tokens=sum(point.usage.input_tokens for point in self.checkpoints),
            output_tokens=sum(point.usage.output_tokens for point in self.checkpoints),
        )

    def scope(self, scope: str | None) -> list[CheckpointEntry]:
        """Return the model's responses in one scope, in order."""
        return [point for point in self.checkpoints if point.scope == scope]

    def record(self, token: str, entries: Sequence[Entry]) -> Record:
        """Make the next record of these entries; nothing is changed.

        Raises:
            GrammarError: the entries may not follow.
        """
        state, epoch = self._after(entries)
        record = Record(len(self.records), epoch, token, state.last_seq, tuple(entries))
        self._next = record, state
        return record

    def extend(self, record: Record) -> None:
        """Take in the next record.

        Raises:
            GrammarError: it may not follow; nothing is changed.
        """
        state, epoch = self._state_after(record), record.epoch
        for entry in record.entries:
            self._note(entry, epoch)
        self.records.append(record)
        self.state, self.epoch = state, epoch

    def _state_after(self, record: Record) -> RunState:
        if record.pos != len(self.records):
            raise GrammarError(f"record {record.pos} after {len(self.records) - 1}")
        if self._next is not None and self._next[0] is record:  # made here, by `record`
            return self._next[1]
        state, epoch = self._after(record.entries)
        if record.epoch != epoch or record.last_seq != state.last_seq:
            raise GrammarError(f"record {record.pos} contradicts its entries")
        return state

    def _after(self, entries: Sequence[Entry]) -> tuple[RunState, int]:
        state, epoch = self.state, self.epoch
        if state.phase == "ended":
            raise GrammarError("nothing follows a terminal")
        if not entries:
            raise GrammarError("a record holds at least one entry")
        self._check_input(entries)
        for entry in entries:
            if isinstance(entry, FenceEntry):
                if entry.epoch != epoch + 1:
                    raise GrammarError(f"fence {entry.epoch} after epoch {epoch}")
                epoch = entry.epoch
            elif epoch == 0 and self.records:
                raise GrammarError("nothing but a fence follows the input")
            if isinstance(entry, EventEntry):
                state = advance(state, entry.event)
        if state.phase == "completing":
            raise GrammarError("agent_completed and final_response are one record")
        return state, epoch

    def _check_input(self, entries: Sequence[Entry]) -> None:
        """The input is the whole of record 0, and nothing else is."""
        inputs = sum(isinstance(entry, InputEntry) for entry in entries)
        if inputs != (0 if self.records else 1) or (inputs and len(entries) > 1):
            raise GrammarError("the input is the whole of record 0")

    def _note(self, entry: Entry, epoch: int) -> None:
        if isinstance(entry, FenceEntry):
            self.progressed = False
        elif isinstance(entry, CheckpointEntry):
            self.checkpoints.append(entry)
            self.unsafe.update(call.call_id for call in entry.calls if call.unsafe)
        elif isinstance(entry, ResultEntry):
            self.results[entry.call_id] = entry.content
        elif isinstance(entry, EventEntry):
            self.progressed = True
            if isinstance(entry.event, AgentStarted):
                self.started = entry.event
            elif isinstance(entry.event, ToolExecuting):
                self.opened[entry.event.call_id] = entry.event
                self.opened_at[entry.event.call_id] = epoch
            elif isinstance(entry.event, ToolCompleted):
                self.results.setdefault(entry.event.call_id, entry.event.result_summary)
