"""A small campaign in which all is well, written by hand: two users, three devices, three runs.

One run loses its runner inside an unsafe tool, one is cancelled, one is plain; a device drops out and
resumes, a message is sent twice. Mutants are made of it, so it holds what each rule looks at.
"""

from collections import defaultdict
from dataclasses import replace
from typing import Any

from playbyplay.domain.journal import CheckpointEntry, Entry, EventEntry, History, InputEntry, ResultEntry, ToolCall
from playbyplay.domain.thread import Run, digest
from playbyplay.protocol import commands, replies
from playbyplay.protocol.base import Frame as WireFrame
from tests.fakes.ids import uuid
from tests.histories import TIME, event_of
from tests.simulation.evidence import (
    EVERYTHING,
    Bounds,
    Client,
    Delivered,
    Evidence,
    Fault,
    Frame,
    Link,
    ModelAsked,
    Put,
    ToolCalled,
    ToolEffect,
)
from tests.simulation.terms import TERMS as THE_TERMS

BOUNDS = Bounds(terminal_s=100.0, silence_s=15.0, pong_s=2.0, whole_s=10.0)
# Four runners, or those of the runs before would be at work still.
TERMS = replace(THE_TERMS, runners=4, cancel_s=5.0)
LAPTOP, PHONE, DESK = "ann laptop", "ann phone", "bob desk"
USERS = {LAPTOP: "ann", PHONE: "ann", DESK: "bob"}
THREADS = {"ann": uuid(101), "bob": uuid(102)}
LOST, CANCELLED, PLAIN = uuid(201), uuid(202), uuid(203)
MESSAGES = {LOST: uuid(301), CANCELLED: uuid(302), PLAIN: uuid(303)}
CONTENTS = {
    LOST: "Send the letter mark-of-ann-000001.",
    CANCELLED: "Never mind mark-of-ann-000002.",
    PLAIN: "Why is it slow, mark-of-bob-000003?",
}


class Scene:
    """Writes the evidence down while it tells what happens; time passes a little with everything."""

    def __init__(self) -> None:
        clients = [Client(name, user) for name, user in USERS.items()]
        self.evidence = Evidence(bounds=BOUNDS, clients=clients, terms=TERMS, witnessed=EVERYTHING)
        self.histories: dict[str, History] = {}
        self.runs: list[Run] = []
        self.now_ms = 0.0
        self._wires: dict[str, str] = {}
        self._connections = 0
        self._pages: dict[tuple[str, str], int] = defaultdict(int)

    def passes(self, ms: float = 10.0) -> float:
        """Let time pass; return what it is then."""
        self.now_ms += ms
        return self.now_ms

    def connects(self, client: str) -> None:
        """Open a connection."""
        self._connections += 1
        self._wires[client] = f"connection {self._connections}"
        self.evidence.links.append(Link(self.passes(), client, self._wires[client], "opened"))

    def drops(self, client: str) -> None:
        """Lose it."""
        self.evidence.links.append(Link(self.passes(), client, self._wires.pop(client), "closed"))

    def says(self, client: str, command: commands.Command) -> None:
        """Send a command."""
        self.evidence.frames.append(
            Frame(self.passes(), client, self._wires[client], "sent", command.to_json()),
        )

    def hears(self, client: str, frame: WireFrame) -> None:
        """Receive a frame; an event goes on to the page when it is the next one."""
        self.evidence.frames.append(Frame(self.passes(), client, self._wires[client], "received", frame.to_json()))
        seq, run_id = getattr(frame, "seq", 0), getattr(frame, "run_id", "")
        if seq and seq == self._pages[client, run_id] + 1:
            self._pages[client, run_id] = seq
            kind: str = getattr(frame, "type", "")
            self.evidence.delivered.append(Delivered(self.passes(0), client, run_id, seq, kind))

    def tells(self, run_id: str, frame: WireFrame) -> None:
        """Have everybody connected hear a frame of a run."""
        user = self.histories[run_id].user
        for client in [client for client in self._wires if USERS[client] == user]:
            self.hears(client, frame)

    def sends(self, client: str, run_id: str, turn: int, *, thread: bool = False) -> None:
        """Send a message that is accepted."""
        user, content, message = USERS[client], CONTENTS[run_id], MESSAGES[run_id]
        thread_id = THREADS[user]
        self.says(client, self.message(run_id, thread_id if thread else None))
        self.histories[run_id] = History(user, run_id)
        self.puts(
            run_id,
            InputEntry(thread_id=thread_id, turn=turn, content=content, timestamp=TIME, client_message_id=message),
        )
        self.runs.append(Run(user, run_id, thread_id, turn, message, digest(content), 0, 0))
        self.hears(client, self.accepted(run_id))
        for other in [one for one in self._wires if USERS[one] == user and one != client]:
            self.hears(other, self.input_of(run_id))

    def message(self, run_id: str, thread_id: str | None = None, content: str | None = None) -> commands.AgentMessage:
        """Return the message a run is of."""
        return commands.AgentMessage(
            content=content or CONTENTS[run_id], client_message_id=MESSAGES[run_id], thread_id=thread_id
        )

    def accepted(self, run_id: str, *, duplicate: bool = False) -> replies.MessageAccepted:
        """Return the acceptance of a run's message."""
        given = self.histories[run_id].input
        return replies.MessageAccepted(
            client_message_id=MESSAGES[run_id],
            run_id=run_id,
            thread_id=given.thread_id,
            turn=given.turn,
            duplicate=duplicate,
            position=0,
        )

    def input_of(self, run_id: str, *, replay: bool = False) -> replies.RunInput:
        """Return the message of a run as its user's other devices see it."""
        given = self.histories[run_id].input
        return replies.RunInput(
            run_id=run_id,
            thread_id=given.thread_id,
            turn=given.turn,
            content=given.content,
            timestamp=TIME,
            replay=True if replay else None,
        )

    def puts(self, run_id: str, *entries: Entry | tuple[str, dict[str, Any]]) -> None:
        """Append a record, and tell its events; an event is given by its type and its own fields."""
        history = self.histories[run_id]
        seq, made = history.state.last_seq, list[Entry]()
        for entry in entries:
            if isinstance(entry, tuple):
                seq += 1
                made.append(EventEntry(event=self._event(history, seq, *entry)))
            else:
                made.append(entry)
        pos = len(history.records)
        record = history.record(f"token {pos} of {run_id}", made)
        history.extend(record)
        self.evidence.puts.append(Put(self.passes(), history.user, run_id, pos, record.token))
        for event in record.events:
            self.tells(run_id, event)

    def asks(self, run_id: str, scope: str | None, step: int) -> None:
        """Ask the model."""
        self.evidence.asked.append(ModelAsked(self.passes(), run_id, scope, step))

    def enters(self, run_id: str, call_id: str, tool: str, semantics: Any, *, takes_effect: bool = True) -> None:
        """Enter a tool."""
        key = f"{run_id}:{call_id}"
        self.evidence.called.append(ToolCalled(self.passes(), run_id, call_id, tool, semantics, key))
        if takes_effect:
            self.evidence.effects.append(ToolEffect(self.passes(), run_id, call_id, key))

    def breaks(self, site: str, mode: str, ms: float = 0.0) -> None:
        """Break something."""
        self.evidence.faults.append(Fault(self.passes(), site, mode, self.now_ms + ms))
        self.passes(ms)

    def resumes(self, client: str, run_id: str, after_seq: int) -> None:
        """Ask for what came after, and get it."""
        self.says(client, commands.Resume(run_id=run_id, after_seq=after_seq))
        if after_seq == 0:
            self.hears(client, self.input_of(run_id, replay=True))
        history = self.histories[run_id]
        for event in history.events[after_seq:]:
            self.hears(client, event.model_copy(update={"replay": True}))
        state = history.state
        self.hears(
            client,
            replies.ReplayComplete(run_id=run_id, after_seq=after_seq, last_seq=state.last_seq, status=state.status),
        )

    def pings(self, client: str, *runs: str) -> None:
        """Ask for heads, and get them."""
        states = {run_id: self.histories[run_id].state for run_id in runs}
        self.says(client, commands.Ping(cursors=dict.fromkeys(runs, 0)))
        heads = {run_id: replies.Head(last_seq=one.last_seq, status=one.status) for run_id, one in states.items()}
        self.hears(client, replies.Pong(heads=heads))

    def _event(self, history: History, seq: int, kind: str, fields: dict[str, Any]) -> Any:
        given = history.input
        common = {"run_id": history.run_id, "thread_id": given.thread_id, "turn": given.turn}
        return event_of(kind, seq, **(common | fields))


def thought(scope: str | None = None, agent: str = "root") -> tuple[str, dict[str, Any]]:
    """Return a thought."""
    return "agent_thinking", {"agent_id": agent, "thought": "I look into it.", "parent_call_id": scope}


def opens(call: ToolCall) -> tuple[str, dict[str, Any]]:
    """Return the opening of a call."""
    return "tool_executing", {
        "agent_id": "root",
        "call_id": call.call_id,
        "tool_name": call.tool_name,
        "description": "At it",
    }


def closes(call: ToolCall, status: str) -> tuple[str, dict[str, Any]]:
    """Return the end of a call."""
    return "tool_completed", {
        "agent_id": "root",
        "call_id": call.call_id,
        "tool_name": call.tool_name,
        "status": status,
        "result_summary": "Done.",
        "duration_ms": 5,
    }


def answers(text: str) -> tuple[Entry | tuple[str, dict[str, Any]], ...]:
    """Return the record of an answer: it is known, and the run ends with it."""
    return (
        CheckpointEntry(text=text),
        thought(),
        ("agent_completed", {"agent_id": "root", "message": "Done.", "duration_ms": 7}),
        ("final_response", {"content": text, "usage": {}, "finish_reason": "stop"}),
    )


def result(call: ToolCall) -> ResultEntry:
    """Return what a call returned."""
    return ResultEntry(call_id=call.call_id, content="Found it.")
