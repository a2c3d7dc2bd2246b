"""The journal of one run as the checker looks at it: what stands there, and when each part of it was put."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from playbyplay.domain.journal import CheckpointEntry, InputEntry, Record
from playbyplay.protocol.base import RunStatus
from playbyplay.protocol.events import ErrorEvent, Event, FinalResponse
from tests.simulation.evidence import Put

RunKey = tuple[str, str]
"""A user and a run."""


class Stored(NamedTuple):
    """An event in the journal."""

    run: RunKey
    seq: int
    pos: int
    event: Event


@dataclass(slots=True)
class Chronicle:
    """The journal of one run at the end, beside what was put into it.

    Attributes:
        put_ms: when each slot was first put.
        seq_ms: when each event was.
    """

    run: RunKey
    records: list[Record]
    puts: list[Put]
    events: list[Stored] = field(init=False)
    put_ms: dict[int, float] = field(default_factory=dict)
    seq_ms: dict[int, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.events = [
            Stored(self.run, event.seq, record.pos, event) for record in self.records for event in record.events
        ]
        for put in self.puts:
            self.put_ms.setdefault(put.pos, put.at_ms)
        for one in self.events:
            if one.pos in self.put_ms:
                self.seq_ms.setdefault(one.seq, self.put_ms[one.pos])

    @property
    def run_id(self) -> str:
        """The run."""
        return self.run[1]

    @property
    def head(self) -> int:
        """The seq of its last event."""
        return max((one.seq for one in self.events), default=0)

    @property
    def input(self) -> InputEntry | None:
        """The user's message."""
        return next((e for record in self.records for e in record.entries if isinstance(e, InputEntry)), None)

    @property
    def checkpoints(self) -> Iterator[tuple[Record, CheckpointEntry]]:
        """The model's responses, each with its record."""
        return ((record, e) for record in self.records for e in record.entries if isinstance(e, CheckpointEntry))

    @property
    def terminal(self) -> Stored | None:
        """Its first terminal."""
        return next((one for one in self.events if isinstance(one.event, FinalResponse | ErrorEvent)), None)

    @property
    def outcome(self) -> RunStatus | None:
        """How it ended; None where it did not."""
        terminal = self.terminal
        if terminal is None:
            return None
        if isinstance(terminal.event, ErrorEvent):
            return "cancelled" if terminal.event.code == "cancelled" else "failed"
        return "completed"

    @property
    def ended_ms(self) -> float | None:
        """When its terminal was put; None where it was not."""
        terminal = self.terminal
        return None if terminal is None else self.seq_ms.get(terminal.seq)
