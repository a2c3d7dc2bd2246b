"""What the use cases need from outside, as small Protocols named by role.

Every home brings its own: SQLite and aiohttp on one machine, DynamoDB, SQS and API Gateway on AWS.
One contract suite per port runs on all of them and on the fakes.
"""

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from playbyplay.domain.connection import Session, Subscriber
from playbyplay.domain.journal import Record
from playbyplay.domain.thread import Run
from playbyplay.protocol.base import RunStatus


class Clock(Protocol):
    """Wall-clock time."""

    def now_ms(self) -> int:
        """Return milliseconds since the epoch, UTC."""
        ...


class Ids(Protocol):
    """Everything that must be new."""

    def uuid(self) -> str:
        """Return a UUIDv7 (RFC 9562), canonical lower case; later ones sort higher."""
        ...

    def secret(self) -> str:
        """Return 256 random bits, base64url without padding."""
        ...

    def fraction(self) -> float:
        """Return a random number of [0, 1), for jitter."""
        ...


class Log(Protocol):
    """The log, by the catalogue of `observability`."""

    def event(self, name: str, **fields: str | float | bool | None) -> None:
        """Record one event. Never message text, arguments, tickets or keys."""
        ...


class Journal(Protocol):
    """The ordered, append-only records of a run."""

    async def append(self, user: str, run_id: str, record: Record) -> None:
        """Put a record on the condition that its slot is empty.

        Raises:
            SlotTaken: somebody wrote this slot.
            OutcomeUnknown: it may have been written.
            StoreUnavailable: it was not written.
            StoreRefused: it never will be: a bug of ours.
        """
        ...

    async def read(self, user: str, run_id: str, *, from_pos: int = 0) -> list[Record]:
        """Return the records from a position on, strongly consistent; [] for none."""
        ...

    async def last_seq(self, user: str, run_id: str) -> int | None:
        """Return the seq of the last event, strongly consistent; None where there is no journal."""
        ...


MAX_TURNS = 256  # a thread is read piece by piece


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much one user may ask for.

    Attributes:
        open_runs: at any one time, those that wait their turn included. A home that counts by the minute of the clock
            may let messages of two such minutes, being accepted at once, have so many each: twice as many at the most.
        messages_per_minute: accepted ones; a home may count by the minute of the clock.
    """

    open_runs: int = 16
    messages_per_minute: int = 100


@dataclass(frozen=True, slots=True)
class Acceptance:
    """What one accept writes, all or nothing: the run, its turn and record 0 of its journal.

    Attributes:
        run: without its turn; the store takes the next one of the thread (`run.turn` is 0).
        new_thread: whether the thread begins with this run.
        timestamp: the input's.
        only_if_idle: whether it is refused while an earlier turn of the thread is open.
        limits: what its user may not exceed.
    """

    run: Run
    new_thread: bool
    content: str
    timestamp: str
    token: str
    only_if_idle: bool = False
    limits: Limits = Limits()


@dataclass(frozen=True, slots=True)
class Accepted:
    """What the store says of an accepted message.

    Attributes:
        duplicate: whether it was accepted before.
        position: open turns ahead of it in its thread.
    """

    run: Run
    duplicate: bool
    position: int


@dataclass(frozen=True, slots=True)
class Acquired:
    """The run is ours until the lease ends.

    Attributes:
        may_wait: whether an earlier turn of its thread may still be open; no turn before it can open later.
    """

    run: Run
    may_wait: bool


@dataclass(frozen=True, slots=True)
class NotAcquired:
    """The run is not ours: `held` by another owner, `closed`, or `unknown` to the store."""

    reason: Literal["held", "closed", "unknown"]


@dataclass(frozen=True, slots=True)
class Settled:
    """What settling a run came to.

    Attributes:
        head: the first open turn of its thread.
        changed: whether the run was open until then. Of many who settle it one is told so; none, where the answer
            that said so was lost.
    """

    head: Run | None
    changed: bool


class RunStore(Protocol):
    """Runs, threads and turns. Every method takes the user: a foreign id is an absent one."""

    async def accept(self, acceptance: Acceptance) -> Accepted:
        """Make a run, or find the one this message made before; the same acceptance again is no duplicate.

        Raises:
            Refused: `not_found`: no such thread of this user; `thread_busy`: an earlier turn of it is open;
                `rate_limited`: the user has reached a limit; `overloaded`: too many turns of the thread wait;
                `expired`: what this message made is no longer kept. Of a message that made a run already only
                the last can be true.
            OutcomeUnknown: it may have been written; `find` tells.
            StoreUnavailable: it was not written.
        """
        ...

    async def find(self, user: str, client_message_id: str) -> Accepted | None:
        """Return what a message made, as a duplicate."""
        ...

    async def get(self, user: str, run_id: str) -> Run | None:
        """Return a run, strongly consistent."""
        ...

    async def acquire(
        self, user: str, run_id: str, owner: str, *, now_ms: int, lease_until_ms: int
    ) -> Acquired | NotAcquired:
        """Take the lease of an open run that nobody holds; counts an attempt."""
        ...

    async def renew(self, user: str, run_id: str, owner: str, *, lease_until_ms: int, reset_attempts: bool) -> bool:
        """Prolong an own lease; False when it is another's by now."""
        ...

    async def release(self, user: str, run_id: str, owner: str) -> None:
        """Give an own lease back, and take back the attempt it counted: this owner did not fall. The status stays."""
        ...

    async def request_cancel(self, user: str, run_id: str) -> Run | None:
        """Mark an open run for cancelling; return it as it stands, None if unknown."""
        ...

    async def settle(self, run: Run, status: RunStatus) -> Settled:
        """Note that a run has ended; return the first open turn of its thread as well. Repeats change nothing.

        That turn is to be looked at soon, and that is noted before this run is: whoever falls in between loses none.
        """
        ...

    async def head(self, user: str, thread_id: str) -> Run | None:
        """Return the first open turn of a thread."""
        ...

    async def turns(self, user: str, thread_id: str, *, from_turn: int, to_turn: int | None = None) -> list[Run]:
        """Return runs of a thread by turn, `MAX_TURNS` at the most; [] for an absent thread."""
        ...

    async def open_runs(self, user: str, *, limit: int) -> list[Run]:
        """Return a user's open runs, oldest first."""
        ...


MAX_HOPS = 30  # of a run of an hour in functions of 15 minutes four are enough


@dataclass(frozen=True, slots=True)
class Job:
    """What the queue carries: ids, and a count.

    Attributes:
        hops: how often the run was handed on by a runner whose time was up; `MAX_HOPS` at the most.
    """

    user: str
    run_id: str
    hops: int = 0


class OverdueRuns(Protocol):
    """The open runs of everybody that should have been heard of by now.

    A run is to be looked at `first_check_s` after its accept, `after_lease_s` after the end of its lease, and
    `first_check_s` after a turn before it was settled: `RunStore` sees to that with the writes it makes anyway.
    """

    async def first(self, *, now_ms: int, limit: int) -> list[Job]:
        """Return runs that were to be looked at before now, those of the longest ago first; a moment old.

        The work is the same however many runs there are.

        Raises:
            StoreUnavailable: the store did not answer.
        """
        ...

    async def postpone(self, user: str, run_id: str, *, until_ms: int) -> None:
        """Have an open run looked at then, and not before; any write of `RunStore` that sets it anew counts more.

        Raises:
            StoreUnavailable: it stays as it was.
        """
        ...


class EndedRuns(Protocol):
    """The runs of everybody that have ended, each by when the store noted its end: `RunStore.settle` does.

    A run that an earlier version of the store ended has no such time: it is not told.
    """

    async def between(self, *, from_ms: int, to_ms: int, limit: int) -> list[Job]:
        """Return runs whose end was noted in [`from_ms`, `to_ms`), newest first; a moment old, always the same work.

        Raises:
            StoreUnavailable: the store did not answer.
        """
        ...


class RunQueue(Protocol):
    """Where a run is put when it is its turn. A job may be delivered more than once."""

    async def send(self, job: Job) -> None:
        """Ask for a runner.

        Raises:
            StoreUnavailable: the job was not sent.
        """
        ...


class Backlog(Protocol):
    """How far the runners are behind."""

    async def age_s(self) -> float:
        """Return how long the runners have been behind, as far as is known; asks nobody.

        So long has the job waited that waits longest; a home whose queue serves users in turn leaves out what one
        or two users alone wait for.
        """
        ...

    async def refresh(self) -> None:
        """Ask anew, where asking costs something and the answer is old; a failure leaves what is known."""
        ...


class Receipt(Protocol):
    """A job in a runner's hands."""

    async def extend(self, seconds: float) -> None:
        """Keep the job hidden from others for so long, from now."""
        ...


class CancelWatch(Protocol):
    """How an owner learns that its user asked for the end."""

    def requested(self, user: str, run_id: str) -> Awaitable[None]:
        """Return what is done when the run is marked for cancelling, at once if it is already."""
        ...


class ConnectionStore(Protocol):
    """Connections, and who gets the live frames of a user's runs."""

    async def add(self, connection_id: str, session: Session, *, now_ms: int) -> list[str]:
        """Remember a connection; return the oldest ones that had to give way.

        Adding one that is there already changes nothing.
        """
        ...

    async def remove(self, connection_id: str) -> None:
        """Forget a connection and note when it left; an unknown one is no error, and nothing is noted for it."""
        ...

    async def subscribers(self, user: str) -> list[Subscriber]:
        """Return a user's connections, strongly consistent."""
        ...

    async def left_ms(self, user: str) -> int | None:
        """Return since when a user has no connection; None while one is there, or where that is not known."""
        ...

    async def mark_lagging(self, connection_id: str, *, lagging: bool) -> None:
        """Note that a connection missed a live frame, or that it has resumed."""
        ...

    async def receive(self, connection_id: str, cursors: Mapping[str, int], *, now_ms: int) -> None:
        """Note a connection's receipts: the last seq it holds of each run, in place of those before, and the time."""
        ...

    async def outlived(self, *, now_ms: int, limit: int) -> list[str]:
        """Return connections whose session is over; a moment old."""
        ...


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a ticket lets its bearer be."""

    user: str
    origin: str | None
    expires_ms: int
    session_expires_ms: int


class TicketStore(Protocol):
    """One-use tickets, kept by the SHA-256 of their text."""

    async def put(self, ticket_digest: str, ticket: Ticket) -> None:
        """Keep a ticket."""
        ...

    async def redeem(self, ticket_digest: str) -> Ticket | None:
        """Return a ticket the first time it is asked for, None ever after."""
        ...


class Quota(Protocol):
    """How much one connection may ask for."""

    async def wait_s(self, user: str, connection_id: str, kind: str) -> float:
        """Count one command of a type; return 0 where it fits, else the seconds until it would (it is not counted)."""
        ...


class Gateway(Protocol):
    """The sockets."""

    async def post(self, connection_id: str, text: str) -> None:
        """Send one text frame; takes 2 s at the most, whatever the connection does.

        Raises:
            ConnectionGone: the connection is closed.
            PostFailed: it could not take the frame now, or not in time.
        """
        ...

    async def close(self, connection_id: str) -> None:
        """Close a connection; an unknown one is no error."""
        ...
