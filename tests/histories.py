"""Journals to test with: written event by event, in the words of the contract, without the engine."""

from collections.abc import Sequence
from typing import Any

from playbyplay.domain.journal import (
    CheckpointEntry,
    Entry,
    EventEntry,
    FenceEntry,
    History,
    InputEntry,
    Record,
    ResultEntry,
    ToolCall,
)
from playbyplay.protocol.events import EVENT, Event, FinishReason, Usage
from tests.fakes.ids import uuid

USER = "ann"
OTHER = "bob"
RUN = uuid(1)
THREAD = uuid(2)
MESSAGE = uuid(3)
TIME = "2025-06-15T15:06:40.000Z"
TIME_MS = 1_750_000_000_000


class Story:
    """Writes a journal, one record per call; each method returns the story."""

    def __init__(self, content: str = "Why is it slow?", *, user: str = USER, run_id: str = RUN, turn: int = 1) -> None:
        self.history = History(user, run_id)
        self._turn = turn
        self._seq = 0
        self._epoch = 0
        self.add(
            InputEntry(thread_id=THREAD, turn=turn, content=content, timestamp=TIME, client_message_id=MESSAGE),
        )

    @classmethod
    def again(cls, story: "Story") -> "Story":
        """Return a copy that can be written on by itself."""
        copy = cls(story.history.input.content)
        copy.history = History.of(story.history.user, story.history.run_id, story.records)
        copy._seq, copy._epoch = story._seq, story._epoch
        return copy

    @property
    def records(self) -> list[Record]:
        """All records so far."""
        return self.history.records

    def add(self, *entries: Entry) -> "Story":
        """Append one record."""
        self.history.extend(self.history.record(uuid(10_000 + len(self.history.records)), entries))
        return self

    def event(self, kind: str, **fields: Any) -> EventEntry:
        """Return the next event as an entry."""
        self._seq += 1
        return EventEntry(event=event_of(kind, self._seq, run_id=self.history.run_id, turn=self._turn, **fields))

    def fence(self) -> FenceEntry:
        """Return the next fence."""
        self._epoch += 1
        return FenceEntry(epoch=self._epoch)

    def starts(self) -> "Story":
        """A runner owns the run for the first time."""
        return self.add(self.fence(), self.event("agent_started", agent_id="root", message="Starting."))

    def taken_over(self) -> "Story":
        """Another runner owns the run."""
        return self.add(self.fence())

    def asks(
        self, *calls: ToolCall, text: str = "I will look.", scope: str | None = None, agent: str = "root"
    ) -> "Story":
        """The model answers with calls, and they are opened."""
        thinking = self.event("agent_thinking", agent_id=agent, thought=text, parent_call_id=scope)
        opened = [
            self.event(
                "tool_executing",
                agent_id=agent,
                parent_call_id=scope,
                call_id=one.call_id,
                tool_name=one.tool_name,
                description="Looking",
            )
            for one in calls
        ]
        checkpoint = CheckpointEntry(scope=scope, text=text, calls=calls, usage=Usage(input_tokens=10, output_tokens=5))
        return self.add(checkpoint, thinking, *opened)

    def answers(
        self,
        text: str = "It is slow.",
        *,
        scope: str | None = None,
        agent: str = "root",
        finish_reason: FinishReason = "stop",
    ) -> "Story":
        """The model answers without calls."""
        checkpoint = CheckpointEntry(
            scope=scope, text=text, usage=Usage(input_tokens=10, output_tokens=5), finish_reason=finish_reason
        )
        return self.add(
            checkpoint, self.event("agent_thinking", agent_id=agent, thought="I know.", parent_call_id=scope)
        )

    def returns(self, call_id: str, content: str = "Found it.", *, status: str = "ok") -> "Story":
        """A call ends."""
        opened = self.history.opened[call_id]
        completed = self.event(
            "tool_completed",
            agent_id=opened.agent_id,
            parent_call_id=opened.parent_call_id,
            call_id=call_id,
            tool_name=opened.tool_name,
            status=status,
            result_summary="Found.",
            duration_ms=5,
        )
        return self.add(ResultEntry(call_id=call_id, content=content), completed)

    def completes(self, content: str = "It is slow.") -> "Story":
        """The run ends with its answer."""
        return self.add(
            self.event("agent_completed", agent_id="root", message="Done.", duration_ms=7),
            self.event("final_response", content=content, usage={}, finish_reason="stop"),
        )

    def fails(self, code: str = "internal") -> "Story":
        """The run ends with an error."""
        return self.add(self.event("error", code=code, message="It failed.", retryable=True))


def event_of(kind: str, seq: int, **fields: Any) -> Event:
    """Return an event of a kind; what is not given is filled in."""
    common = {"run_id": RUN, "thread_id": THREAD, "turn": 1, "seq": seq, "timestamp": TIME, "v": 1, "type": kind}
    given = {name: value for name, value in fields.items() if value is not None}
    return EVENT.validate_python(common | given)


def call(number: int, name: str = "look", *, delegate: str | None = None, arguments: str = "{}") -> ToolCall:
    """Return a call as the engine numbers them."""
    return ToolCall(call_id=f"c{number}", tool_name=name, arguments=arguments, delegate=delegate)


def canonical() -> Story:
    """Return the canonical turn, complete."""
    return Story().starts().asks(call(1)).returns("c1").answers().completes()


def types(events: Sequence[Event]) -> list[str]:
    """Return the types of events."""
    return [event.type for event in events]


CANONICAL = [
    "agent_started",
    "agent_thinking",
    "tool_executing",
    "tool_completed",
    "agent_thinking",
    "agent_completed",
    "final_response",
]
