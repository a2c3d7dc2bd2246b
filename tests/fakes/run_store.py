"""Runs, threads, turns and cancels in memory, when each open run is to be looked at, and when the others ended."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable
from dataclasses import replace

from playbyplay.domain.journal import History, InputEntry
from playbyplay.domain.thread import Run
from playbyplay.domain.timing import CLOUD, Timing
from playbyplay.errors import Refused
from playbyplay.ports import MAX_TURNS, Acceptance, Accepted, Acquired, Clock, Job, NotAcquired, Settled
from playbyplay.protocol.base import RunStatus
from tests.fakes.clock import FakeClock
from tests.fakes.faults import Faults
from tests.fakes.journal import FakeJournal

MINUTE_MS = 60_000


class FakeRunStore:
    """Implements `ports.RunStore`, `ports.CancelWatch`, `ports.OverdueRuns` and `ports.EndedRuns`.

    Args:
        clock: tells when a run was settled.
        timing: when a run is to be looked at.

    Attributes:
        runs: every run, by user and id.
        checks: when each open run is to be looked at, by user and id.
        ended: when the end of each run was noted, by user and id.
    """

    def __init__(
        self, journal: FakeJournal, faults: Faults | None = None, *, clock: Clock | None = None, timing: Timing = CLOUD
    ) -> None:
        self.faults = faults or Faults()
        self.runs: dict[tuple[str, str], Run] = {}
        self.checks: dict[tuple[str, str], int] = {}
        self.ended: dict[tuple[str, str], int] = {}
        self._journal = journal
        self._clock = clock or FakeClock()
        self._timing = timing
        self._next_turn: dict[tuple[str, str], int] = {}
        self._cancels: dict[tuple[str, str], asyncio.Event] = defaultdict(asyncio.Event)

    async def accept(self, acceptance: Acceptance) -> Accepted:
        async with self.faults.around("runs.accept"):
            return self._accept(acceptance)

    async def find(self, user: str, client_message_id: str) -> Accepted | None:
        async with self.faults.around("runs.find"):
            return self._find(user, client_message_id)

    async def get(self, user: str, run_id: str) -> Run | None:
        async with self.faults.around("runs.get"):
            return self.runs.get((user, run_id))

    async def acquire(
        self, user: str, run_id: str, owner: str, *, now_ms: int, lease_until_ms: int
    ) -> Acquired | NotAcquired:
        async with self.faults.around("runs.acquire"):
            run = self.runs.get((user, run_id))
            if run is None:
                return NotAcquired("unknown")
            if not run.is_open:
                return NotAcquired("closed")
            if run.owner is not None and run.lease_until_ms > now_ms:
                return NotAcquired("held")
            run = self._change(
                run, owner=owner, lease_until_ms=lease_until_ms, attempts=run.attempts + 1, status="running"
            )
            self._check_after(run, lease_until_ms, self._timing.after_lease_s)
            return Acquired(run, may_wait=run.turn > 1)

    async def renew(self, user: str, run_id: str, owner: str, *, lease_until_ms: int, reset_attempts: bool) -> bool:
        async with self.faults.around("runs.renew"):
            run = self.runs.get((user, run_id))
            if run is None or run.owner != owner:
                return False
            attempts = 1 if reset_attempts else run.attempts
            self._change(run, lease_until_ms=lease_until_ms, attempts=attempts)
            self._check_after(run, lease_until_ms, self._timing.after_lease_s)
            return True

    async def release(self, user: str, run_id: str, owner: str) -> None:
        async with self.faults.around("runs.release"):
            run = self.runs.get((user, run_id))
            if run is not None and run.owner == owner:
                self._change(run, owner=None, lease_until_ms=0, attempts=max(0, run.attempts - 1))

    async def request_cancel(self, user: str, run_id: str) -> Run | None:
        async with self.faults.around("runs.request_cancel"):
            run = self.runs.get((user, run_id))
            if run is None or not run.is_open:
                return run
            self._cancels[user, run_id].set()
            return self._change(run, cancel=True)

    async def settle(self, run: Run, status: RunStatus) -> Settled:
        async with self.faults.around("runs.settle"):
            kept = self.runs.get((run.user, run.run_id))
            changed = kept is not None and kept.is_open
            if kept is not None and changed:
                self._change(kept, status=status, owner=None, lease_until_ms=0)
                self.checks.pop((run.user, run.run_id), None)
                self.ended[run.user, run.run_id] = self._clock.now_ms()
            head = self._head(run.user, run.thread_id)
            if head is not None:
                soon_ms = self._clock.now_ms() + round(self._timing.first_check_s * 1000)
                self.checks[head.user, head.run_id] = min(self.checks[head.user, head.run_id], soon_ms)
            return Settled(head, changed)

    async def head(self, user: str, thread_id: str) -> Run | None:
        async with self.faults.around("runs.head"):
            return self._head(user, thread_id)

    async def turns(self, user: str, thread_id: str, *, from_turn: int, to_turn: int | None = None) -> list[Run]:
        async with self.faults.around("runs.turns"):
            return [
                run
                for run in self._thread(user, thread_id)
                if from_turn <= run.turn and (to_turn is None or run.turn <= to_turn)
            ][:MAX_TURNS]

    async def open_runs(self, user: str, *, limit: int) -> list[Run]:
        async with self.faults.around("runs.open_runs"):
            mine = [run for (owner, _run_id), run in self.runs.items() if owner == user and run.is_open]
            return sorted(mine, key=lambda run: (run.created_ms, run.run_id))[:limit]

    async def first(self, *, now_ms: int, limit: int) -> list[Job]:
        async with self.faults.around("overdue.first"):
            due = sorted((at_ms, key) for key, at_ms in self.checks.items() if at_ms < now_ms)
            return [Job(*key) for _at_ms, key in due[:limit]]

    async def postpone(self, user: str, run_id: str, *, until_ms: int) -> None:
        async with self.faults.around("overdue.postpone"):
            if (user, run_id) in self.checks:
                self.checks[user, run_id] = until_ms

    async def between(self, *, from_ms: int, to_ms: int, limit: int) -> list[Job]:
        async with self.faults.around("ended.between"):
            newest = sorted(
                ((at_ms, key) for key, at_ms in self.ended.items() if from_ms <= at_ms < to_ms), reverse=True
            )
            return [Job(*key) for _at_ms, key in newest[:limit]]

    def requested(self, user: str, run_id: str) -> Awaitable[None]:
        return self._requested(user, run_id)

    async def _requested(self, user: str, run_id: str) -> None:
        async with self.faults.around("runs.requested"):
            pass
        await self._cancels[user, run_id].wait()

    def _accept(self, acceptance: Acceptance) -> Accepted:
        wanted = acceptance.run
        if wanted.client_message_id is not None:
            found = self._find(wanted.user, wanted.client_message_id)
            if found is not None:  # by an earlier try of this accept, it may be
                return replace(found, duplicate=found.run.run_id != wanted.run_id)
        made = self.runs.get((wanted.user, wanted.run_id))
        if made is not None:
            return Accepted(made, duplicate=False, position=self._ahead(made))
        thread = wanted.user, wanted.thread_id
        if not acceptance.new_thread and thread not in self._next_turn:
            raise Refused("not_found", "There is no such thread.")
        self._check_limits(acceptance)
        turn = self._next_turn.get(thread, 1)
        run = replace(wanted, turn=turn)
        entry = InputEntry(
            thread_id=run.thread_id,
            turn=turn,
            content=acceptance.content,
            timestamp=acceptance.timestamp,
            client_message_id=run.client_message_id,
        )
        record = History(run.user, run.run_id).record(acceptance.token, [entry])
        self._next_turn[thread] = turn + 1
        self.runs[run.user, run.run_id] = run
        self._check_after(run, run.created_ms, self._timing.first_check_s)
        self._journal.put(run.user, run.run_id, record)
        return Accepted(run, duplicate=False, position=self._ahead(run))

    def _check_limits(self, acceptance: Acceptance) -> None:
        wanted, limits = acceptance.run, acceptance.limits
        if acceptance.only_if_idle and self._head(wanted.user, wanted.thread_id) is not None:
            raise Refused("thread_busy", "An earlier message of this thread is being answered.", retry_after_ms=1000)
        mine = [run for run in self.runs.values() if run.user == wanted.user]
        if sum(run.is_open for run in mine) >= limits.open_runs:
            raise Refused("rate_limited", "Too many messages are being answered.", retry_after_ms=1000)
        lately = [run.created_ms for run in mine if run.created_ms > wanted.created_ms - MINUTE_MS]
        if len(lately) >= limits.messages_per_minute:
            wait_ms = sorted(lately)[-limits.messages_per_minute] + MINUTE_MS - wanted.created_ms
            raise Refused("rate_limited", "Too many messages. Slow down.", retry_after_ms=wait_ms)

    def _check_after(self, run: Run, at_ms: int, seconds: float) -> None:
        self.checks[run.user, run.run_id] = at_ms + round(seconds * 1000)

    def _find(self, user: str, client_message_id: str) -> Accepted | None:
        for run in self.runs.values():
            if (run.user, run.client_message_id) == (user, client_message_id):
                return Accepted(run, duplicate=True, position=self._ahead(run))
        return None

    def _head(self, user: str, thread_id: str) -> Run | None:
        return next((run for run in self._thread(user, thread_id) if run.is_open), None)

    def _ahead(self, run: Run) -> int:
        return sum(other.is_open and other.turn < run.turn for other in self._thread(run.user, run.thread_id))

    def _thread(self, user: str, thread_id: str) -> list[Run]:
        mine = (run for run in self.runs.values() if (run.user, run.thread_id) == (user, thread_id))
        return sorted(mine, key=lambda run: run.turn)

    def _change(self, run: Run, **changes: str | int | bool | None) -> Run:
        changed = replace(run, **changes)  # type: ignore[arg-type]  # the names are Run's own
        self.runs[run.user, run.run_id] = changed
        return changed
