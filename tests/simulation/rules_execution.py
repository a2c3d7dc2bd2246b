"""What the contract says of tools, models and owners (C6, C7, C9): what a retry may do again, and how often."""

from collections import Counter, defaultdict
from collections.abc import Iterator

from playbyplay.domain.journal import FenceEntry
from playbyplay.protocol.events import ErrorEvent, ToolCompleted, ToolExecuting
from tests.simulation.case import Case
from tests.simulation.chronicle import Chronicle
from tests.simulation.evidence import ToolCalled, ToolEffect
from tests.simulation.rule import Finding, rule

# A log line of these tells of an owner that let go of a run by itself: it did not fall, and counts as no attempt.
_LET_GO = frozenset({"run_retried", "run_handed_on"})
_NOTICE_MS = 15_000.0  # at its next renewal, after 10 s, an owner at work finds out that a clock took its run away


@rule("execution.unsafe_once", "tools")
def unsafe_once(case: Case) -> Iterator[Finding]:
    """An unsafe tool is entered at most once for each call (C7)."""
    entered = Counter((one.run_id, one.call_id) for one in case.evidence.called if one.semantics == "unsafe")
    for (run_id, call_id), times in entered.items():
        if times > 1:
            yield Finding(run_id, f"unsafe call {call_id} was entered {times} times")


@rule("execution.one_effect", "tools")
def one_effect(case: Case) -> Iterator[Finding]:
    """One key takes effect once, except that of a pure call, which has none that counts (C7)."""
    pure = {(one.run_id, one.call_id) for one in case.evidence.called if one.semantics == "pure"}
    counted = Counter((one.run_id, one.key) for one in case.evidence.effects if (one.run_id, one.call_id) not in pure)
    for (run_id, key), times in counted.items():
        if times > 1:
            yield Finding(run_id, f"key {key} took effect {times} times")


@rule("execution.key", "tools")
def key(case: Case) -> Iterator[Finding]:
    """The key of a call is `run_id:call_id`, whoever makes it and however often (C7)."""
    made: list[ToolCalled | ToolEffect] = [*case.evidence.called, *case.evidence.effects]
    for one in made:
        if one.key != f"{one.run_id}:{one.call_id}":
            yield Finding(one.run_id, f"call {one.call_id} got the key {one.key}")


@rule("execution.written_ahead", "puts", "tools")
def written_ahead(case: Case) -> Iterator[Finding]:
    """No tool is entered before its tool_executing is committed (C7)."""
    opened = _times(case, ToolExecuting)
    for one in case.evidence.called:
        at_ms = opened.get((one.run_id, one.call_id))
        if at_ms is None or one.at_ms < at_ms:
            yield Finding(one.run_id, f"call {one.call_id} was entered before its tool_executing was put")


@rule("execution.no_repeat", "puts", "tools")
def no_repeat(case: Case) -> Iterator[Finding]:
    """No tool is entered once its tool_completed is committed, unless by an owner that lost the run (C6, section 4)."""
    closed = _times(case, ToolCompleted)
    for one in case.evidence.called:
        at_ms = closed.get((one.run_id, one.call_id))
        if at_ms is not None and one.at_ms > at_ms and not _knows_no_better(case, one.at_ms, since_ms=at_ms):
            yield Finding(one.run_id, f"call {one.call_id} was entered after its tool_completed was put")


@rule("execution.no_step_repeated", "puts", "model")
def no_step_repeated(case: Case) -> Iterator[Finding]:
    """No model is asked for a step whose checkpoint is committed, unless by an owner that lost the run (C6)."""
    responded = _checkpoint_times(case)
    for one in case.evidence.asked:
        times = responded.get((one.run_id, one.scope), [])
        late = one.step < len(times) and one.at_ms > times[one.step]
        if late and not _knows_no_better(case, one.at_ms, since_ms=times[one.step]):
            yield Finding(one.run_id, f"step {one.step} of {one.scope or 'the run'} was asked for after its checkpoint")


@rule("execution.from_journal", "puts", "model")
def from_journal(case: Case) -> Iterator[Finding]:
    """The context of a step is the journal's: no model is told of a response that is not committed (C6)."""
    responded = _checkpoint_times(case)
    for one in case.evidence.asked:
        times = responded.get((one.run_id, one.scope), [])
        if one.step > len(times) or (one.step > 0 and one.at_ms < times[one.step - 1]):
            yield Finding(one.run_id, f"step {one.step} of {one.scope or 'the run'} was asked for ahead of the journal")


@rule("execution.ok_was_called", "puts", "tools")
def ok_was_called(case: Case) -> Iterator[Finding]:
    """A call that ended ok was entered before it ended; a delegation is worked on instead (C7)."""
    entered: dict[tuple[str, str], float] = {}
    for call in case.evidence.called:
        entered.setdefault((call.run_id, call.call_id), call.at_ms)
    for chronicle in case.chronicles.values():
        handed = {asked.call_id for _, point in chronicle.checkpoints for asked in point.calls if asked.delegate}
        for one in chronicle.events:
            event = one.event
            if isinstance(event, ToolCompleted) and event.status == "ok" and event.call_id not in handed:
                at_ms = entered.get((chronicle.run_id, event.call_id))
                if at_ms is None or at_ms > chronicle.seq_ms.get(one.seq, at_ms):
                    yield Finding(chronicle.run_id, f"seq {one.seq} says ok of call {event.call_id}, not entered then")


@rule("execution.lost_is_unknown")
def lost_is_unknown(case: Case) -> Iterator[Finding]:
    """An unsafe call that a later owner closes is outcome_unknown, and no other call is (C7)."""
    semantics = {(one.run_id, one.call_id): one.semantics for one in case.evidence.called}
    for chronicle in case.chronicles.values():
        epoch = {record.pos: record.epoch for record in chronicle.records}
        unsafe = {call.call_id for _, point in chronicle.checkpoints for call in point.calls if call.unsafe}
        opened: dict[str, int] = {}
        for one in chronicle.events:
            event = one.event
            if isinstance(event, ToolExecuting):
                opened[event.call_id] = epoch[one.pos]
            elif isinstance(event, ToolCompleted):
                is_unsafe = event.call_id in unsafe or semantics.get((chronicle.run_id, event.call_id)) == "unsafe"
                lost = is_unsafe and opened.get(event.call_id, epoch[one.pos]) < epoch[one.pos]
                if lost != (event.status == "outcome_unknown"):
                    yield Finding(chronicle.run_id, f"seq {one.seq} says {event.status} of call {event.call_id}")


@rule("execution.attempts")
def attempts(case: Case) -> Iterator[Finding]:
    """Owners in a row that append no public event are few: a run that kills its runner ends (C9)."""
    let_go = Counter(line.fields.get("run_id") for line in case.evidence.log if line.name in _LET_GO)
    for chronicle in case.chronicles.values():
        # One more than may fall: the store learns that a run got on only from the owner after the one that did it.
        allowed = case.bounds.max_attempts + 1 + let_go[chronicle.run_id]
        most = _most_in_a_row(chronicle)
        if most > allowed:
            yield Finding(chronicle.run_id, f"{most} owners in a row appended no event, {allowed} may")


_TAKES_BACK = frozenset({"pause", "runner stands still"})


@rule("execution.exhausted", "puts", "terms")
def exhausted(case: Case) -> Iterator[Finding]:
    """A run that is given up had all its attempts: none that let go counts, nor any before it got on (C9)."""
    taken: dict[str, list[float]] = defaultdict(list)
    for one in case.evidence.taken:
        taken[one.run_id].append(one.at_ms)
    let_go: dict[object, list[float]] = defaultdict(list)
    for line in case.evidence.log:
        if line.name in _LET_GO or (line.name == "job_dropped" and line.fields.get("reason") == "predecessor"):
            let_go[line.fields.get("run_id")].append(line.at_ms)
    # Owners that take the run from each other, since their clocks differ or one stood still, use up its attempts.
    faults = case.evidence.faults
    if case.terms.skewed or any(fault.mode in _TAKES_BACK for fault in faults):
        return
    # Whoever could not take a run comes again as one who let go of it does: the log does not tell them apart.
    if any(fault.site.endswith((".acquire", ".renew", ".release")) for fault in faults):
        return
    for chronicle in case.chronicles.values():
        last = chronicle.records[-1] if chronicle.records else None
        end = last.events[-1] if last is not None and last.events else None
        if last is None or not isinstance(end, ErrorEvent) or end.code != "attempts_exhausted":
            continue
        got_on = [record.pos for record in chronicle.records[:-1] if record.events]
        since_ms = chronicle.put_ms.get(got_on[-1] if got_on else 0, 0.0)
        count = sum(since_ms < at_ms for at_ms in taken[chronicle.run_id])
        count -= sum(since_ms < at_ms for at_ms in let_go[chronicle.run_id])
        if count < case.bounds.max_attempts:
            yield Finding(chronicle.run_id, f"it was given up after {count} attempts")


@rule("execution.no_bug", "terms")
def no_bug(case: Case) -> Iterator[Finding]:
    """No run ends in internal: a lost post, a lost lease and a slow store fail no run (C15)."""
    for chronicle in case.chronicles.values():
        end = chronicle.terminal
        if end is not None and isinstance(end.event, ErrorEvent) and end.event.code == "internal":
            yield Finding(chronicle.run_id, f"seq {end.seq} says that something went wrong on our side")


def _most_in_a_row(chronicle: Chronicle) -> int:
    most = row = 0
    for record in chronicle.records:
        row += any(isinstance(entry, FenceEntry) for entry in record.entries)
        row = 0 if record.events else row
        most = max(most, row)
    return most


def _times(case: Case, kind: type[ToolExecuting | ToolCompleted]) -> dict[tuple[str, str], float]:
    """Return when each call's event of a kind was put, by run and call."""
    return {
        (chronicle.run_id, one.event.call_id): chronicle.seq_ms[one.seq]
        for chronicle in case.chronicles.values()
        for one in chronicle.events
        if isinstance(one.event, ToolExecuting | ToolCompleted)
        and isinstance(one.event, kind)
        and one.seq in chronicle.seq_ms
    }


def _checkpoint_times(case: Case) -> dict[tuple[str, str | None], list[float]]:
    """Return when each response of a scope was put, by run and scope."""
    times: dict[tuple[str, str | None], list[float]] = defaultdict(list)
    for chronicle in case.chronicles.values():
        for record, point in chronicle.checkpoints:
            times[chronicle.run_id, point.scope].append(chronicle.put_ms.get(record.pos, float("inf")))
    return times


def _knows_no_better(case: Case, at_ms: float, *, since_ms: float) -> bool:
    """Whether an owner may not know that it lost its run: it was held up, or a clock that differs ended its lease."""
    terms = case.evidence.terms
    taken_away = terms is not None and terms.skewed and at_ms - since_ms <= _NOTICE_MS
    return taken_away or case.weather.stalled(at_ms)
