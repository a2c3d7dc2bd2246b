"""What ought to be there of a run and is not, judged from outside: by its journal and the store's rows alone.

Nothing that a runner says of itself counts, nor does any step that the writers of journals go by. A journal
that has begun to expire tells nothing: that is no violation.
"""

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from playbyplay.domain.connection import Subscriber
from playbyplay.domain.journal import Record, is_whole
from playbyplay.domain.journal_rules import breaches
from playbyplay.domain.thread import Run
from playbyplay.domain.timing import Timing, milliseconds
from playbyplay.protocol.base import MAX_CURSORS
from playbyplay.protocol.events import TERMINAL_TYPES, Event, StepFrame, ToolCompleted, ToolExecuting

Absence: TypeAlias = Literal["agent_started", "tool_completed", "terminal", "receipt", "journal", "user"]
"""What is missing: the beginning of a run whose turn it is; the end of a call that is open for too long, or whose
owner fell; the end of a run; what a client ought to have; a journal as the contract has it; the user."""
_GRACE = 0.2  # of a renewal, of which an owner may miss two
_LAGGING = 4  # times as long
_PINGS_MS = 10_000  # a client that lacks anything pings twice in so long (C13)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something of a run that is missing.

    Attributes:
        waits_ms: since it is due.
        rules: of journals, those that do not hold.
    """

    absence: Absence
    waits_ms: int
    rules: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A run as the stores have it.

    Attributes:
        run: read before its records.
        subscribers: the connections of its user.
        ready_ms: since when it is its turn, milliseconds since the epoch; None while an earlier turn is open.
        left_ms: since when its user has no connection; None while one is there, or where that is not known.
    """

    run: Run
    records: Sequence[Record]
    subscribers: Sequence[Subscriber] = ()
    ready_ms: int | None = None
    left_ms: int | None = None

    @functools.cached_property
    def events(self) -> list[Event]:
        """Its public events, as they stand."""
        return [event for record in self.records for event in record.events]

    @property
    def has_ended(self) -> bool:
        """Whether its terminal is in the journal, whatever the store says."""
        return any(event.type in TERMINAL_TYPES for event in self.events)

    @property
    def goes_on(self) -> bool:
        """Whether its terminal is still to come."""
        return self.run.is_open and not self.has_ended

    @property
    def is_unbegun(self) -> bool:
        """Whether nobody has begun it."""
        return self.goes_on and not self.events


def judge(seen: Seen, *, now_ms: int, timing: Timing) -> list[Finding]:
    """Return what is missing of a run, each absence once.

    Args:
        seen: what is known.
        now_ms: when it was read.
        timing: what may take how long.
    """
    run = seen.run
    if not is_whole(seen.records) and now_ms - run.created_ms > timing.journal_s * 1000:
        return [Finding("terminal", now_ms - run.deadline_ms)] if run.is_open else []
    waits: dict[Absence, int | None] = {
        "agent_started": _unbegun_ms(seen, now_ms, timing),
        "tool_completed": _open_call_ms(seen, now_ms, timing),
        "terminal": _unended_ms(seen, now_ms, timing),
        "receipt": _unreceived_ms(seen, now_ms, timing),
        "user": _abandoned_ms(seen, now_ms, timing),
    }
    found = [Finding(absence, max(0, wait_ms)) for absence, wait_ms in waits.items() if wait_ms is not None]
    if broken := dict.fromkeys(breach.rule for breach in breaches(run.run_id, seen.records)):
        found.append(Finding("journal", max(0, now_ms - _last_ms(seen)), tuple(broken)))
    return found


def _unbegun_ms(seen: Seen, now_ms: int, timing: Timing) -> int | None:
    if not seen.is_unbegun or seen.ready_ms is None:
        return None
    wait_ms = now_ms - max(seen.ready_ms, seen.run.created_ms)
    return wait_ms if wait_ms > timing.start_s * 1000 else None


def _open_call_ms(seen: Seen, now_ms: int, timing: Timing) -> int | None:
    """Of an owner that fell any open call is missing its end; of one at work, those that are silent for too long."""
    if not seen.goes_on:
        return None
    run = seen.run
    # A little grace, for clocks differ. An owner that gave the run back did not fall.
    fell = run.owner is not None and now_ms - run.lease_until_ms > timing.renew_s * _GRACE * 1000
    waits = [now_ms - since_ms for since_ms in _open_calls(seen.events).values()]
    longest_ms = max(waits, default=None)
    if longest_ms is None or not (fell or longest_ms > timing.call_s * 1000):
        return None
    return longest_ms


def _unended_ms(seen: Seen, now_ms: int, timing: Timing) -> int | None:
    if seen.has_ended:
        return None
    run, recovery_ms = seen.run, timing.recovery_s * 1000
    if not run.is_open:
        return now_ms - _last_ms(seen)
    due_ms = run.deadline_ms
    if seen.events:
        due_ms = min(due_ms, milliseconds(seen.events[0].timestamp) + round(timing.run_s * 1000))
    if now_ms - due_ms > recovery_ms:
        return now_ms - due_ms
    told_ms = now_ms - _last_ms(seen)
    # A lease is the word of its owner: one that only renews it, and tells nothing, is believed for so long.
    silent_ms = told_ms if told_ms > timing.silence_s * 1000 else now_ms - max(_last_ms(seen), run.lease_until_ms)
    return silent_ms if seen.events and silent_ms > recovery_ms else None


def _unreceived_ms(seen: Seen, now_ms: int, timing: Timing) -> int | None:
    """Of each connection the first event counts that it lacks: whoever hears of nothing new still lacks that one.

    What a client said long ago tells nothing: it has the rest since, and of a run that is over it says no more.
    """
    waits = []
    for one in seen.subscribers:
        if now_ms - one.received_ms > _PINGS_MS:
            continue
        held = one.receipts.get(seen.run.run_id)
        if held is None and (not seen.goes_on or len(one.receipts) >= MAX_CURSORS):
            continue  # it may have it all, and no ping names more runs
        lacked = next((event for event in seen.events if event.seq > (held or 0)), None)
        if lacked is None:
            continue
        due_ms = max(milliseconds(lacked.timestamp), one.opened_ms)
        # One that lags heals by its own resume, which may have to be asked for again.
        may_take_ms = timing.receipt_s * (_LAGGING if one.lagging else 1) * 1000
        if one.received_ms - due_ms > may_take_ms:
            waits.append(now_ms - due_ms)
    return max(waits, default=None)


def _abandoned_ms(seen: Seen, now_ms: int, timing: Timing) -> int | None:
    if not seen.goes_on or seen.subscribers or seen.left_ms is None:
        return None
    wait_ms = now_ms - max(seen.left_ms, seen.run.created_ms)
    return wait_ms if wait_ms > timing.away_s * 1000 else None


def _last_ms(seen: Seen) -> int:
    """Return when the journal last told anything."""
    return max((milliseconds(event.timestamp) for event in seen.events), default=seen.run.created_ms)


def _open_calls(events: Sequence[Event]) -> dict[str, int]:
    """Return since when each open call is silent: a delegation is at work while there are steps inside it."""
    since_ms: dict[str, int] = {}
    outer: dict[str, str | None] = {}
    for event in events:
        if not isinstance(event, StepFrame):
            continue
        at_ms = milliseconds(event.timestamp)
        if isinstance(event, ToolExecuting):
            since_ms[event.call_id] = at_ms
            outer[event.call_id] = event.parent_call_id
        elif isinstance(event, ToolCompleted):
            since_ms.pop(event.call_id, None)
        since_ms |= {call_id: at_ms for call_id in _around(event.parent_call_id, outer) if call_id in since_ms}
    return since_ms


def _around(call_id: str | None, outer: Mapping[str, str | None]) -> Iterator[str]:
    """Yield the delegations that a step stands in, the innermost first; a journal may be broken in any way."""
    passed: set[str] = set()
    while call_id is not None and call_id not in passed:
        yield call_id
        passed.add(call_id)
        call_id = outer.get(call_id)
