"""What the contract says of time (C8, C11): recovery and silence are bounded; a fault prolongs them by as much."""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping

from tests.simulation.case import Case, Wire, runs_named
from tests.simulation.rule import Finding, rule

_UNTOLD_MS = 22_000.0


@rule("bounds.terminal", "puts")
def terminal(case: Case) -> Iterator[Finding]:
    """A run ends in time after its accept, the end of the turn before it, or the last fault before its end (C8)."""
    turn = {(run.user, run.thread_id, run.turn): run.run_id for run in case.evidence.runs}
    for key, chronicle in case.chronicles.items():
        run, ended_ms = case.runs.get(key), chronicle.ended_ms
        if run is None:
            continue
        before = case.chronicle(run.user, turn.get((run.user, run.thread_id, run.turn - 1)))
        end_ms = case.evidence.ended_ms if ended_ms is None else ended_ms
        since_ms = max(
            chronicle.put_ms.get(0, 0.0),
            (before.ended_ms or 0.0) if before is not None else 0.0,
            case.weather.whole_again_ms(end_ms),
        )
        if end_ms - since_ms > case.bounds.terminal_s * 1000:
            yield Finding(chronicle.run_id, f"it had not ended {(end_ms - since_ms) / 1000:g} s after it could go on")


@rule("bounds.silence", "puts")
def silence(case: Case) -> Iterator[Finding]:
    """A connected client with an open run gets some frame in time, faults aside (C11)."""
    frames: dict[Wire, list[float]] = defaultdict(list)
    for heard in case.heard:
        frames[heard.wire].append(heard.frame.at_ms)
    works, told = _work(case), _told(case)
    most_ms = case.bounds.silence_s * 1000
    for wire, from_ms, until_ms in case.spans:
        came = frames[wire]
        for begins_ms, ends_ms in works.get(case.users[wire[0]], ()):
            since_ms, to_ms = max(from_ms, begins_ms), min(until_ms, ends_ms, case.evidence.ended_ms)
            for gap in _gaps(came, since_ms, to_ms, most_ms):
                quiet = max((to - since for since, to in case.weather.calm(*gap)), default=0.0)
                knows = any(begins_ms <= at_ms <= gap[0] for at_ms in told[wire[0]])
                if quiet > (most_ms if knows else max(most_ms, _UNTOLD_MS)):
                    yield Finding(wire[0], f"it heard nothing for {quiet / 1000:g} s from {gap[0]:g} ms on")


def _told(case: Case) -> Mapping[str, list[float]]:
    """Return when each client was told of a run, or sent a message: who knows of none pings every 20 s only (C13)."""
    told: dict[str, list[float]] = defaultdict(list)
    for heard in case.heard:
        if runs_named(heard):
            told[heard.frame.client].append(heard.frame.at_ms)
    for said in case.said:
        if said.body.get("type") == "agent_message":
            told[said.frame.client].append(said.frame.at_ms)
    return told


@rule("bounds.pong")
def pong(case: Case) -> Iterator[Finding]:
    """A ping is answered in time even when the runner is dead, faults aside (C11)."""
    pongs: dict[Wire, list[float]] = defaultdict(list)
    for heard in case.heard:
        if heard.kind in ("pong", "message_rejected"):
            pongs[heard.wire].append(heard.frame.at_ms)
    open_until = {wire: until_ms for wire, _, until_ms in case.spans}
    for said in case.said:
        if said.body.get("type") != "ping":
            continue
        at_ms, came = said.frame.at_ms, pongs[said.wire]
        until_ms = at_ms + case.bounds.pong_s * 1000
        here = bisect_left(came, at_ms)
        answered = here < len(came) and came[here] <= until_ms
        peace = min(open_until.get(said.wire, 0.0), case.evidence.ended_ms) >= until_ms
        if not answered and peace and not case.weather.breaks(at_ms, until_ms):
            yield Finding(said.frame.client, f"its ping of {at_ms:g} ms was not answered in time")


@rule("bounds.whole", "puts")
def whole(case: Case) -> Iterator[Finding]:
    """A client that stays is whole in time after a run's end, its own last connecting, or the last fault (C12)."""
    opened: dict[str, list[float]] = defaultdict(list)
    for (client, _), from_ms, _ in case.spans:
        opened[client].append(from_ms)
    for times in opened.values():
        times.sort()
    at_ms = {(one.client, one.run_id, one.seq): one.at_ms for one in case.evidence.delivered}
    for client, runs in case.known_runs.items():
        for run in runs:
            chronicle = case.chronicles[run]
            got_ms = at_ms.get((client, run[1], chronicle.head))
            if got_ms is None:
                continue
            connected = bisect_right(opened[client], got_ms)
            since_ms = max(
                chronicle.ended_ms or 0.0,
                case.weather.whole_again_ms(got_ms),
                opened[client][connected - 1] if connected else 0.0,
            )
            if got_ms - since_ms > case.bounds.whole_s * 1000:
                yield Finding(client, f"it was whole of {run[1]} only after {(got_ms - since_ms) / 1000:g} s")


def _work(case: Case) -> dict[str, list[tuple[float, float]]]:
    """Return from when to when each user has an open run, in order and not overlapping."""
    works: dict[str, list[tuple[float, float]]] = defaultdict(list)
    spans_of_runs = sorted(
        (chronicle.put_ms[0], case.evidence.ended_ms if chronicle.ended_ms is None else chronicle.ended_ms, user)
        for (user, _), chronicle in case.chronicles.items()
        if 0 in chronicle.put_ms
    )
    for begins_ms, ends_ms, user in spans_of_runs:
        spans = works[user]
        if spans and begins_ms <= spans[-1][1]:
            spans[-1] = spans[-1][0], max(spans[-1][1], ends_ms)
        else:
            spans.append((begins_ms, ends_ms))
    return works


def _gaps(came: list[float], since_ms: float, to_ms: float, most_ms: float) -> Iterator[tuple[float, float]]:
    """Yield the times between two frames, or a frame and the end of the span, that are longer than may be."""
    last_ms = since_ms
    for at_ms in came[bisect_left(came, since_ms) : bisect_right(came, to_ms)]:
        if at_ms - last_ms > most_ms:
            yield last_ms, at_ms
        last_ms = at_ms
    if to_ms - last_ms > most_ms:
        yield last_ms, to_ms
