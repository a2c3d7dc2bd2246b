"""One run as the stores have it, and what is missing of it. Reads and nothing else."""

from collections.abc import Sequence

from playbyplay.domain.audit import Finding, Seen, judge
from playbyplay.domain.journal import Record
from playbyplay.domain.thread import Run
from playbyplay.domain.timing import Timing, milliseconds
from playbyplay.ports import Clock, ConnectionStore, Job, Journal, RunStore
from playbyplay.protocol.events import TERMINAL_TYPES, Event

UNREADABLE = "journal.readable"  # the checker's name for it
_OPEN_RUNS = 256  # of one user, those accepted first
_TURNS_BACK = 16  # that were over unbegun, one after the other, until the last that was not


class Audit:
    """Looks at one run.

    `RunStore.head` is not asked: it mends what it finds, and whoever audits changes nothing.
    """

    def __init__(
        self, *, runs: RunStore, journal: Journal, connections: ConnectionStore, clock: Clock, timing: Timing
    ) -> None:
        self._runs = runs
        self._journal = journal
        self._connections = connections
        self._clock = clock
        self._timing = timing

    async def __call__(self, job: Job) -> tuple[Run, list[Finding]] | None:
        """Return a run and what is missing of it; None where the store knows none.

        Raises:
            StoreUnavailable: something was not read.
        """
        now_ms = self._clock.now_ms()
        run = await self._runs.get(job.user, job.run_id)  # before its records: they are at least as new
        if run is None:
            return None
        try:
            records = await self._journal.read(run.user, run.run_id)
        except ValueError:  # what it holds is no record, or one of a later version: no runner gets on with it either
            return run, [Finding("journal", now_ms - run.created_ms, (UNREADABLE,))]
        subscribers = await self._connections.subscribers(run.user)
        seen = Seen(
            run=run,
            records=records,
            subscribers=subscribers,
            ready_ms=await self._ready_ms(run, records, now_ms),
            left_ms=await self._connections.left_ms(run.user) if run.is_open and not subscribers else None,
        )
        return run, judge(seen, now_ms=now_ms, timing=self._timing)

    async def _ready_ms(self, run: Run, records: Sequence[Record], now_ms: int) -> int | None:
        """Return since when it is a run's turn; None while it is not. Of most runs it need not be found out.

        Whether the turns before it have ended their journals tell: the store's word may never come.
        """
        begun = any(record.events for record in records)
        young = now_ms - run.created_ms <= self._timing.start_s * 1000
        if begun or young or run.turn == 1 or not run.is_open:
            return run.created_ms
        others = await self._runs.open_runs(run.user, limit=_OPEN_RUNS)
        for other in others:
            if other.thread_id == run.thread_id and other.turn < run.turn and not _ends(await self._events(other)):
                return None
        return await self._ended_before_ms(run)

    async def _ended_before_ms(self, run: Run) -> int:
        """Return when the last of the turns before a run ended.

        A turn that was begun waited for all before it; one that was over unbegun, such as a cancelled one, for none.
        """
        ready_ms = run.created_ms
        first = max(1, run.turn - _TURNS_BACK)
        for turn in reversed(await self._runs.turns(run.user, run.thread_id, from_turn=first, to_turn=run.turn - 1)):
            events = await self._events(turn)
            ready_ms = max([ready_ms, *_ends(events)])
            if len(events) != 1:
                break
        return ready_ms

    async def _events(self, run: Run) -> list[Event]:
        """Return the events of an earlier turn; none where they cannot be read, which is told of that turn alone."""
        try:
            records = await self._journal.read(run.user, run.run_id)
        except ValueError:
            return []
        return [event for record in records for event in record.events]


def _ends(events: Sequence[Event]) -> list[int]:
    """Return when terminals came, in milliseconds since the epoch."""
    return [milliseconds(event.timestamp) for event in events if event.type in TERMINAL_TYPES]
