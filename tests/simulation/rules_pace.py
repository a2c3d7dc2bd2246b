"""What the contract says of owners, where nothing is broken: they begin, go on, speak and stop in time (C8, C11, C16).

A bound that a fault may prolong hides a step that is left out and made up for later; these are held to the second.
"""

import itertools
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping

from playbyplay.domain.journal import EventEntry, FenceEntry
from playbyplay.observability import Value
from playbyplay.protocol.events import AgentStarted, ErrorEvent, FinalResponse
from playbyplay.protocol.replies import CancelAccepted, Heartbeat, ResponseDelta
from tests.simulation.case import Case, Wire
from tests.simulation.chronicle import Chronicle, RunKey
from tests.simulation.rule import Finding, rule
from tests.simulation.terms import Terms

_BEFORE_MS = 40_000.0  # a fault may leave a lease behind that lasts so long
_AROUND_MS = 5_000.0
_RECOVERY_MS = 180_000.0  # C8, with the job lost
_ALIVE_MS = 14_000.0  # an owner is heard of so often
_TIME_IS_UP = "time is up"
_LET_GO = frozenset({"run_retried", "run_handed_on"})


@rule("pace.start", "puts", "terms")
def start(case: Case) -> Iterator[Finding]:
    """A run that can go on is begun at once, if a runner is free: its job is sent with its turn (C2, C17)."""
    terms = case.terms
    if terms.skewed:
        return
    turn = {(run.user, run.thread_id, run.turn): run.run_id for run in case.evidence.runs}
    busy = _busy(case)
    settled_ms = {line.fields["run_id"]: line.at_ms for line in case.evidence.log if line.name == "run_settled"}
    for key, chronicle in case.chronicles.items():
        run = case.runs.get(key)
        if run is None or 0 not in chronicle.put_ms:
            continue
        since_ms = accepted_ms = chronicle.put_ms[0]
        earlier = [case.chronicle(run.user, turn.get((run.user, run.thread_id, at))) for at in range(1, run.turn)]
        ends_ms = [_noted_ms(case, settled_ms, one) for one in earlier if one is not None]
        if None in ends_ms:
            continue
        since_ms = max([since_ms, *(end_ms for end_ms in ends_ms if end_ms is not None)])
        until_ms = since_ms + terms.start_s * 1000
        if chronicle.put_ms.get(1, case.evidence.ended_ms) <= until_ms:
            continue
        calm = not case.weather.breaks(max(accepted_ms - _AROUND_MS, since_ms - _BEFORE_MS), until_ms)
        if calm and _free(busy, terms, since_ms, until_ms):
            yield Finding(chronicle.run_id, f"it could begin at {since_ms:g} ms, and nobody took it")


@rule("pace.handed_on", "puts", "terms")
def handed_on(case: Case) -> Iterator[Finding]:
    """A run that is handed on goes on at once, if a runner is free (C16)."""
    terms = case.terms
    if terms.skewed:
        return
    busy = _busy(case)
    for line in case.evidence.log:
        user = case.owner.get(str(line.fields.get("run_id")))
        if line.name != "run_handed_on" or user is None:
            continue
        chronicle = case.chronicles[user, str(line.fields["run_id"])]
        until_ms = line.at_ms + terms.start_s * 1000
        went_on = any(line.at_ms - 1_000 < at_ms <= until_ms for at_ms in chronicle.put_ms.values())
        # Its own slot is free again.
        if (
            not went_on
            and (chronicle.ended_ms or until_ms) >= line.at_ms
            and not case.weather.breaks(line.at_ms - _BEFORE_MS, until_ms)
            and _free(busy, terms, line.at_ms, until_ms, but=chronicle.run)
        ):
            yield Finding(chronicle.run_id, f"it was handed on at {line.at_ms:g} ms, and nobody took it")


@rule("pace.in_time", "terms")
def in_time(case: Case) -> Iterator[Finding]:
    """A runner lets go before its time is up: none is ended at work unless something held it up (C16)."""
    for fault in case.evidence.faults:
        if fault.mode == _TIME_IS_UP and not case.weather.breaks(fault.at_ms - _BEFORE_MS, fault.at_ms - 1):
            yield Finding(fault.site, f"it was at work when its time was up at {fault.at_ms:g} ms")


@rule("pace.kept", "puts", "terms")
def kept(case: Case) -> Iterator[Finding]:
    """A runner that is well keeps its run: nobody takes it over while it works and nothing is broken (C5)."""
    if case.terms.skewed:
        return
    told = _told(case)
    let_go: dict[object, list[float]] = defaultdict(list)
    for line in case.evidence.log:
        if line.name in _LET_GO:
            let_go[line.fields.get("run_id")].append(line.at_ms)
    for chronicle in case.chronicles.values():
        for record in chronicle.records[2:]:
            at_ms = chronicle.put_ms.get(record.pos)
            if at_ms is None or not any(isinstance(entry, FenceEntry) for entry in record.entries):
                continue
            heard = told[chronicle.run]
            here = bisect_left(heard, at_ms)
            alive_ms = max(chronicle.put_ms.get(record.pos - 1, 0.0), heard[here - 1] if here else 0.0)
            since_ms = alive_ms - 2 * _BEFORE_MS
            if (
                at_ms - alive_ms < _ALIVE_MS
                and not case.weather.breaks(since_ms, at_ms)
                and not any(since_ms <= gone_ms <= at_ms for gone_ms in let_go[chronicle.run_id])
            ):
                yield Finding(chronicle.run_id, f"position {record.pos} takes it from an owner that was at work")


@rule("pace.cancel", "puts", "terms")
def cancel(case: Case) -> Iterator[Finding]:
    """Once a cancel is accepted, the run soon ends: its owner looks for it, and one nobody owns is ended (C19)."""
    wait_ms = case.terms.cancel_s * 1000
    # An owner whose watch failed watches again when it renews its lease.
    for heard in case.heard:
        if not isinstance(heard.reply, CancelAccepted):
            continue
        at_ms, chronicle = heard.frame.at_ms, case.chronicle(heard.user, heard.reply.run_id)
        if chronicle is None or case.weather.breaks(at_ms - 3 * _AROUND_MS, at_ms + wait_ms):
            continue
        if _works_on_after(case, chronicle, at_ms + wait_ms) or _waits_after(case, chronicle, at_ms + wait_ms):
            yield Finding(chronicle.run_id, f"it went on long after its cancel was accepted at {at_ms:g} ms")


@rule("pace.limits", "puts", "terms")
def limits(case: Case) -> Iterator[Finding]:
    """No run goes on after its time, nor begins after it waited too long (C16)."""
    terms = case.terms
    if terms.skewed:
        return
    for chronicle in case.chronicles.values():
        started = next((one for one in chronicle.events if isinstance(one.event, AgentStarted)), None)
        if started is None:
            continue
        started_ms = chronicle.seq_ms.get(1, 0.0)
        waited_ms = started_ms - chronicle.put_ms.get(0, started_ms)
        if waited_ms > (terms.queue_s + terms.late_s) * 1000 and not _broken(case, started_ms):
            yield Finding(chronicle.run_id, f"it began after {waited_ms / 1000:g} s of waiting")
        if _works_on_after(case, chronicle, started_ms + (terms.run_s + terms.late_s) * 1000):
            yield Finding(chronicle.run_id, f"it went on {terms.late_s:g} s after its time was up")


@rule("pace.heartbeat", "puts", "terms")
def heartbeat(case: Case) -> Iterator[Finding]:
    """While an owner works, every connection hears of the run itself again and again, not only pongs (C11)."""
    most_ms = case.terms.beat_s * 1000
    works = _long_works(case, most_ms)
    heard: dict[tuple[Wire, str], list[float]] = defaultdict(list)
    for frame in case.heard if works else ():
        run_id = frame.stored.run[1] if frame.stored is not None else getattr(frame.reply, "run_id", None)
        if run_id in works and (frame.stored is not None or isinstance(frame.reply, Heartbeat | ResponseDelta)):
            heard[frame.wire, run_id].append(frame.frame.at_ms)
    for run_id, spans in works.items():
        for since_ms, to_ms in spans:
            for wire, opened_ms, closed_ms in case.spans_of(case.owner[run_id]):
                begins_ms, ends_ms = max(since_ms, opened_ms), min(to_ms, closed_ms)
                came = heard[wire, run_id]
                times = [begins_ms, *came[bisect_right(came, begins_ms) : bisect_left(came, ends_ms)], ends_ms]
                for last_ms, next_ms in itertools.pairwise(times):
                    held_up = case.weather.stalled(last_ms)  # a frame that is not taken holds up its sender
                    if next_ms - last_ms > most_ms and not held_up and case.is_served(wire, last_ms, last_ms + most_ms):
                        yield Finding(wire[0], f"of {run_id} at work it heard nothing from {last_ms:g} ms on")


def _long_works(case: Case, most_ms: float) -> dict[str, list[tuple[float, float]]]:
    """Return from when to when an owner worked on a run and wrote nothing, where that is long."""
    works: dict[str, list[tuple[float, float]]] = {}
    for chronicle in case.chronicles.values():
        for one, other in itertools.pairwise(chronicle.records[1:]):
            since_ms, to_ms = chronicle.put_ms.get(one.pos, 0.0), chronicle.put_ms.get(other.pos, 0.0)
            if one.epoch == other.epoch and to_ms - since_ms > most_ms:
                works.setdefault(chronicle.run_id, []).append((since_ms, to_ms))
    return works


def _told(case: Case) -> dict[RunKey, list[float]]:
    """Return when an owner of each run was heard of by a client."""
    told: dict[RunKey, list[float]] = defaultdict(list)
    for heard in case.heard:
        if isinstance(heard.reply, Heartbeat):
            told[heard.user, heard.reply.run_id].append(heard.frame.at_ms)
    return told


def _busy(case: Case) -> list[tuple[float, float, RunKey]]:
    """Return from when to when a runner may have been at work on each run."""
    ended_ms = case.evidence.ended_ms
    return [
        (chronicle.put_ms[1] - 1_000, (chronicle.ended_ms or ended_ms) + 1_000, chronicle.run)
        for chronicle in case.chronicles.values()
        if 1 in chronicle.put_ms
    ]


def _noted_ms(case: Case, settled_ms: Mapping[Value, float], chronicle: Chronicle) -> float | None:
    """Return when the next turn could begin: at the end of this one, or when it was noted if a fault was in the way."""
    ended_ms = chronicle.ended_ms
    noted_ms = settled_ms.get(chronicle.run_id)
    if ended_ms is None or noted_ms is None or not case.weather.breaks(ended_ms, ended_ms + _AROUND_MS):
        return ended_ms
    return max(ended_ms, min(noted_ms, case.weather.whole_again_ms(noted_ms) + _RECOVERY_MS))


def _free(
    busy: list[tuple[float, float, RunKey]], terms: Terms, from_ms: float, to_ms: float, *, but: RunKey | None = None
) -> bool:
    others = sum(begins <= to_ms and ends >= from_ms and run != but for begins, ends, run in busy)
    return others < terms.runners


def _broken(case: Case, at_ms: float) -> bool:
    return case.weather.breaks(at_ms - 3 * _AROUND_MS, at_ms) or case.weather.stalled(at_ms)


def _works_on_after(case: Case, chronicle: Chronicle, at_ms: float) -> bool:
    """Whether anything but an end is written after a moment, by an owner nothing held up."""
    for record in reversed(chronicle.records):
        put_ms = chronicle.put_ms.get(record.pos, 0.0)
        if put_ms <= at_ms:
            return False
        ends = record.events and isinstance(record.events[-1], ErrorEvent | FinalResponse)
        if not ends and not _broken(case, put_ms):
            return True
    return False


def _waits_after(case: Case, chronicle: Chronicle, at_ms: float) -> bool:
    """Whether a run that never began is ended by nobody until after a moment."""
    begun = any(isinstance(entry, EventEntry) for record in chronicle.records[:2] for entry in record.entries)
    ended_ms = case.evidence.ended_ms if chronicle.ended_ms is None else chronicle.ended_ms
    lone = len(chronicle.records) <= 2 or not begun
    first_ms = chronicle.put_ms.get(1, ended_ms)
    return lone and first_ms > at_ms and not case.weather.breaks(chronicle.put_ms.get(0, 0.0), at_ms)
