"""What is known of a campaign: what clients sent and saw, what was stored, what tools did, what was broken.

Both the simulator and the campaign with real processes write it down; `checker` judges it. All times are
milliseconds of one clock, that of the campaign. Lists are in the order in which things happened.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from playbyplay.domain.journal import Record
from playbyplay.domain.thread import Run
from tests.simulation.terms import Terms

Witness = Literal["puts", "tools", "model", "terms"]
OUTSIDE: frozenset[Witness] = frozenset({"puts", "tools", "model"})
EVERYTHING: frozenset[Witness] = OUTSIDE | {"terms"}
MARK = "mark-"
"""How a word begins that stands in the messages of one user only: whoever else sees it sees what is not theirs."""
STALLS = frozenset(
    {
        "pause",
        "zombie",
        "runner stands still",
        "hang",
        "late",
        "delay",
        "slow",
        "down",
        "stuck",
        "skew",
        "fail_before",
        "fail_after",
    }
)


@dataclass(frozen=True, slots=True)
class Client:
    """One device of a user, over any number of connections.

    Attributes:
        stays: whether it was there to the end, and the network was whole long enough for it to be too.
    """

    name: str
    user: str
    stays: bool = True


@dataclass(frozen=True, slots=True)
class Frame:
    """One text frame between a client and a gateway, as it was on the wire."""

    at_ms: float
    client: str
    connection: str
    way: Literal["sent", "received"]
    text: str


@dataclass(frozen=True, slots=True)
class Link:
    """A connection of a client begins or ends, as the client sees it."""

    at_ms: float
    client: str
    connection: str
    change: Literal["opened", "closed"]


@dataclass(frozen=True, slots=True)
class Delivered:
    """An event a client's reassembly handed to its page."""

    at_ms: float
    client: str
    run_id: str
    seq: int
    type: str


@dataclass(frozen=True, slots=True)
class Put:
    """A record that was committed to a journal: told by the store, whoever wrote it and whether they ever learned."""

    at_ms: float
    user: str
    run_id: str
    pos: int
    token: str


@dataclass(frozen=True, slots=True)
class ToolCalled:
    """A tool was entered.

    Attributes:
        key: its idempotency key.
    """

    at_ms: float
    run_id: str
    call_id: str
    tool_name: str
    semantics: Literal["pure", "idempotent", "unsafe"]
    key: str


@dataclass(frozen=True, slots=True)
class ToolEffect:
    """A tool changed the world: an idempotent one leaves it at one change for each key."""

    at_ms: float
    run_id: str
    call_id: str
    key: str


@dataclass(frozen=True, slots=True)
class ModelAsked:
    """The model was asked.

    Attributes:
        scope: call id of the delegation, None for the run's own agent.
        step: how many responses of that scope it was told of: the step it was asked to take.
    """

    at_ms: float
    run_id: str
    scope: str | None
    step: int


@dataclass(frozen=True, slots=True)
class Fault:
    """Something was broken on purpose.

    Attributes:
        site: where, such as `runner.journal.append` or `proxy`.
        mode: how; one of `STALLS` may leave an owner at work that has lost its run, `dup` repeats frames.
        until_ms: when it was whole again.
    """

    at_ms: float
    site: str
    mode: str
    until_ms: float


@dataclass(frozen=True, slots=True)
class Logged:
    """A line of a server's log."""

    at_ms: float
    name: str
    fields: Mapping[str, str | float | bool | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What the contract lets take so long, seconds; a fault that lasts prolongs it by as much.

    Attributes:
        terminal_s: from the accept, or the last fault, to the terminal of a run whose own work takes `work_s`.
        silence_s: between two frames to a connected client that has an open run.
        pong_s: from a ping to its pong.
        whole_s: from the last fault to a client that has everything.
        answer_s: from any other command to its answer.
        max_attempts: owners in a row that append no public event.
    """

    terminal_s: float
    silence_s: float
    pong_s: float
    whole_s: float
    answer_s: float = 30.0
    max_attempts: int = 4


@dataclass(frozen=True, slots=True)
class Sent:
    """A job was sent to the queue by the product."""

    at_ms: float
    run_id: str


@dataclass(frozen=True, slots=True)
class Taken:
    """Somebody acquired a run."""

    at_ms: float
    run_id: str


@dataclass(frozen=True, slots=True)
class Gone:
    """A post met a connection that was no more."""

    at_ms: float
    connection: str


@dataclass(slots=True, kw_only=True)
class Evidence:
    """Everything that is known.

    Attributes:
        links: a connection without one is taken to be open from its first frame to its last.
        puts: record 0, which the accept writes, among them.
        jobs, taken, gone, terms: known only where `terms` are witnessed.
        witnessed: what was written down of what only the insides show; what was not, is not judged.
        runs: as the run store keeps them at the end.
        journals: every record at the end, by user and run.
        ended_ms: when the campaign ended; it was quiet and whole for long before.
    """

    bounds: Bounds
    clients: Sequence[Client] = ()
    links: list[Link] = field(default_factory=list)
    frames: list[Frame] = field(default_factory=list)
    delivered: list[Delivered] = field(default_factory=list)
    puts: list[Put] = field(default_factory=list)
    called: list[ToolCalled] = field(default_factory=list)
    effects: list[ToolEffect] = field(default_factory=list)
    asked: list[ModelAsked] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    log: list[Logged] = field(default_factory=list)
    runs: Sequence[Run] = ()
    journals: Mapping[tuple[str, str], Sequence[Record]] = field(default_factory=dict)
    ended_ms: float = 0.0
    jobs: list[Sent] = field(default_factory=list)
    taken: list[Taken] = field(default_factory=list)
    gone: list[Gone] = field(default_factory=list)
    terms: Terms | None = None
    witnessed: frozenset[Witness] = OUTSIDE
