"""Reassembly: frames in, actions out, each event of each run once and in order (promise C13).

No socket and no clock: the caller says what came and when, and does what it is told. A run is known
from its first frame of any kind, whoever sent its message; runs do not wait for each other.
"""

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from playbyplay.errors import RejectionCode
from playbyplay.protocol import replies
from playbyplay.protocol.base import MAX_CURSORS
from playbyplay.protocol.events import TERMINAL_TYPES, Event, EventFrame

MAX_HELD = 256
HOLE_S = 1.0  # a live frame may be late; after this it counts as lost
ANSWER_S = 5.0  # a resume that brought nothing for so long is asked again
FIRST_WAIT_S, LAST_WAIT_S = 1.0, 20.0  # between replays that brought nothing new
PING_S, PING_OPEN_S = 20.0, 5.0


@dataclass(frozen=True, slots=True)
class Deliver:
    """Hand this on: a run's next event, the user's input of a run, or the next piece of an answer being written.

    A piece of a higher draft than the last one starts the text over.
    """

    frame: Event | replies.RunInput | replies.ResponseDelta


@dataclass(frozen=True, slots=True)
class AskResume:
    """Send `resume`."""

    run_id: str
    after_seq: int


@dataclass(frozen=True, slots=True)
class Lost:
    """The log can no longer make this run whole; the code says why (`expired`, `not_found`, ...)."""

    run_id: str
    code: RejectionCode


Action: TypeAlias = Deliver | AskResume | Lost


class Reassembly:
    """All runs of one client, over any number of connections.

    Times are seconds of any clock that never goes back. What is returned is to be done in its order.
    """

    def __init__(self) -> None:
        self._runs: dict[str, _Run] = {}

    @property
    def open_runs(self) -> tuple[str, ...]:
        """The runs whose terminal was not handed on yet, lost ones left out."""
        return tuple(run.run_id for run in self._runs.values() if run.phase == "open")

    @property
    def ping_interval_s(self) -> float:
        """How long to wait between two pings."""
        return PING_OPEN_S if self.open_runs else PING_S

    def cursors(self) -> dict[str, int]:
        """Return the last seq of open runs, for a ping: at most 16, those first that were not heard of for longest."""
        quietest = sorted((self._runs[run_id] for run_id in self.open_runs), key=lambda run: run.heard_s)
        return {run.run_id: run.last for run in quietest[:MAX_CURSORS]}

    def receive(self, frame: Event | replies.Reply, now_s: float) -> list[Action]:
        """Take in one frame of the server."""
        if isinstance(frame, replies.Pong):
            return [
                action for run_id, head in frame.heads.items() for action in self._head(run_id, head.last_seq, now_s)
            ]
        closes = isinstance(frame, replies.ReplayComplete | replies.MessageRejected)
        if frame.run_id is None or (closes and frame.run_id not in self._runs):
            return []
        return self._run(frame.run_id, now_s).receive(frame, now_s)

    def tick(self, now_s: float) -> list[Action]:
        """Let time pass; call it a few times a second."""
        return [action for run in self._runs.values() for action in run.tick(now_s)]

    def follow(self, run_id: str, after_seq: int, now_s: float) -> list[Action]:
        """Take up a run after an event that is already known, 0 for none; a run already followed stays as it is."""
        known = self._runs.get(run_id)
        if known is not None and known.phase != "lost":
            return []
        run = self._runs[run_id] = _Run(run_id, last=after_seq, head=after_seq, heard_s=now_s)
        return run.want(now_s)

    def reconnected(self, now_s: float) -> list[Action]:
        """Begin on a new connection: what was asked on the old one is void, open runs go on where they stood."""
        return [action for run in self._runs.values() for action in run.reconnected(now_s)]

    def forget(self, run_id: str) -> None:
        """Drop a run; a frame of it that still comes makes it new."""
        self._runs.pop(run_id, None)

    def _run(self, run_id: str, now_s: float) -> "_Run":
        run = self._runs.setdefault(run_id, _Run(run_id))
        run.heard_s = now_s
        return run

    def _head(self, run_id: str, last_seq: int, now_s: float) -> list[Action]:
        known = run_id in self._runs
        run = self._run(run_id, now_s)
        return run.at_head(last_seq, now_s) if known else run.want(now_s)  # its input is missing too


@dataclass(slots=True)
class _Run:
    """One run as far as it was handed on.

    Attributes:
        last, head: the last seq handed on, and the highest known to exist.
        wanted: whether a replay is wanted whatever the head.
        asked: what `last` was when the resume was sent that waits for its `replay_complete`.
        tries: resumes in a row that brought nothing.
        due_s: when to look again; None only while nothing is missing and nothing is asked.
        heard_s: when the last frame about this run came.
    """

    run_id: str
    last: int = 0
    head: int = 0
    phase: Literal["open", "ended", "lost"] = "open"
    held: dict[int, Event] = field(default_factory=dict)
    has_input: bool = False
    wanted: bool = False
    asked: int | None = None
    tries: int = 0
    due_s: float | None = None
    heard_s: float = 0.0
    draft: int = -1
    index: int = 0
    pieces: dict[int, replies.ResponseDelta] = field(default_factory=dict)

    def receive(self, frame: Event | replies.Reply, now_s: float) -> list[Action]:
        actions: list[Action] = []
        match frame:
            case EventFrame() if self.phase == "open":
                actions = self._event(frame, now_s)
            case replies.RunInput() if not self.has_input:
                self.has_input = True
                actions = [Deliver(frame)]
            case replies.ResponseDelta() if self.phase == "open":
                actions = self._delta(frame)
            case replies.Heartbeat():
                actions = self.at_head(frame.last_seq, now_s)
            case replies.ReplayComplete():
                actions = self._replayed(frame.last_seq or 0, now_s)
            case replies.Lagging() if self.phase != "lost":
                # Nothing live comes on this connection until it resumes, even where this run is whole.
                self.head = max(self.head, frame.last_seq)
                actions = self.want(now_s)
            case replies.MessageAccepted() if frame.duplicate and self.phase == "open" and self.asked is None:
                actions = self.want(now_s)  # its events may have gone out before this connection was there
            case replies.MessageRejected():
                actions = self._refused(frame, now_s)
        return actions

    def tick(self, now_s: float) -> list[Action]:
        if self.due_s is None or now_s < self.due_s:
            return []
        if not self._is_missing():
            self.asked, self.due_s, self.tries = None, None, 0
            return []
        self.tries += self.asked is not None
        return self._ask(now_s)

    def want(self, now_s: float) -> list[Action]:
        self.wanted = True
        return self._ask(now_s)

    def at_head(self, last_seq: int, now_s: float) -> list[Action]:
        """Ask for what is missing below a head, unless it is asked for already or waits its turn."""
        self.head = max(self.head, last_seq)
        waits = self.asked is not None or self.tries > 0
        return self._ask(now_s) if self._is_missing() and not waits else []

    def reconnected(self, now_s: float) -> list[Action]:
        self.asked, self.wanted, self.due_s, self.tries = None, False, None, 0
        return self.want(now_s) if self.phase == "open" else []

    def _is_missing(self) -> bool:
        return self.wanted or (self.phase == "open" and self.last < self.head)

    def _ask(self, now_s: float) -> list[Action]:
        self.asked, self.due_s = self.last, now_s + max(ANSWER_S, self._wait_s())
        return [AskResume(self.run_id, self.last)]

    def _wait_s(self) -> float:
        return float(min(LAST_WAIT_S, FIRST_WAIT_S * 2 ** min(max(self.tries - 1, 0), 8)))

    def _event(self, event: Event, now_s: float) -> list[Action]:
        if event.seq <= self.last or event.seq in self.held:
            return []
        self.head = max(self.head, event.seq)
        if event.seq == self.last + 1:
            return self._deliver(event, now_s)
        if len(self.held) >= MAX_HELD:
            self.held.clear()
            return [] if self.asked is not None else self._ask(now_s)
        self.held[event.seq] = event
        self.due_s = now_s + HOLE_S if self.due_s is None else self.due_s
        return []

    def _deliver(self, event: Event | None, now_s: float) -> list[Action]:
        actions: list[Action] = []
        while event is not None:
            actions.append(Deliver(event))
            self.last = event.seq
            if event.type in TERMINAL_TYPES:
                self.phase = "ended"
                self.held.clear()
                self.pieces.clear()
            event = self.held.pop(event.seq + 1, None)
        self.tries = 0
        if self.asked is not None:
            self.due_s = now_s + ANSWER_S
        else:
            self.due_s = now_s + HOLE_S if self._is_missing() else None
        return actions

    def _replayed(self, last_seq: int, now_s: float) -> list[Action]:
        progressed = self.asked is not None and self.last > self.asked
        self.asked, self.wanted, self.head = None, False, max(self.head, last_seq)
        if not self._is_missing():
            self.tries, self.due_s = 0, None
            return []
        if progressed:  # one replay is at most 200 events: there is more
            return self._ask(now_s)
        self.tries += 1
        self.due_s = now_s + self._wait_s()
        return []

    def _refused(self, refusal: replies.MessageRejected, now_s: float) -> list[Action]:
        if self.asked is None and refusal.code != "expired":
            return []  # of a cancel or an answer, not of a resume
        self.asked = None
        if refusal.retryable:
            self.tries += 1
            self.due_s = now_s + max(self._wait_s(), (refusal.retry_after_ms or 0) / 1000)
            return []
        self.wanted, self.due_s = False, None
        if self.phase != "open":
            return []
        self.phase = "lost"
        self.held.clear()
        return [Lost(self.run_id, refusal.code)]

    def _delta(self, delta: replies.ResponseDelta) -> list[Action]:
        if delta.draft > self.draft:
            self.draft, self.index = delta.draft, 0
            self.pieces.clear()
        due = delta.index == self.index
        if delta.draft == self.draft and (due or (delta.index > self.index and len(self.pieces) < MAX_HELD)):
            self.pieces[delta.index] = delta
        actions: list[Action] = []
        while (piece := self.pieces.pop(self.index, None)) is not None:
            actions.append(Deliver(piece))
            self.index += 1
        return actions
