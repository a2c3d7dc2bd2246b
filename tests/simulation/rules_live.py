"""What the contract says of connections, where nothing is broken: what is live comes at once, to all and no others.

A client heals whatever it misses, so that a server which tells it nothing would pass for one that does (C12, C15).
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator

from playbyplay.protocol.replies import MessageAccepted, ResponseDelta, RunInput
from tests.simulation.case import Case, Wire
from tests.simulation.rule import Finding, rule

_AGAIN_MS = 10_000.0  # a run's next events, and heartbeats, come in this time
_YOUNG_MS = 35_000.0  # "gone" is not believed of a younger connection
_PATIENCE_MS = 22_000.0  # between two resumes of a run that brought nothing


@rule("live.event", "puts", "terms")
def event(case: Case) -> Iterator[Finding]:
    """An event comes at once to every connection of its user that is there: no need to ask for it (C12, C15)."""
    came = case.came
    most_ms = case.terms.live_s * 1000
    for chronicle in case.chronicles.values():
        spans = case.spans_of(chronicle.run[0])
        for seq, at_ms in chronicle.seq_ms.items():
            for wire, opened_ms, closed_ms in spans:
                if opened_ms > at_ms or closed_ms < at_ms + most_ms or case.evidence.ended_ms < at_ms + most_ms:
                    continue
                if came.get((wire, chronicle.run_id, seq), at_ms + 2 * most_ms) > at_ms + most_ms and case.is_served(
                    wire, at_ms, at_ms + most_ms
                ):
                    yield Finding(wire[0], f"seq {seq} of {chronicle.run_id} did not come when it happened")


@rule("live.after_replay", "puts", "terms")
def after_replay(case: Case) -> Iterator[Finding]:
    """What happens while a replay is made comes in it or after it: the row stands before the journal is read (C12)."""
    came = case.came
    most_ms = case.terms.live_s * 1000
    closed = {wire: until_ms for wire, _, until_ms in case.spans}
    for wire, run_id, asked_ms, done_ms in case.replays:
        until_ms = done_ms + most_ms
        chronicle = case.chronicle(case.users[wire[0]], run_id)
        if chronicle is None or closed[wire] < until_ms or case.weather.of(wire[0]).breaks(asked_ms, until_ms):
            continue
        for seq, at_ms in chronicle.seq_ms.items():
            if asked_ms <= at_ms <= done_ms and came.get((wire, run_id, seq), until_ms + 1) > until_ms:
                yield Finding(wire[0], f"seq {seq} of {run_id} fell between its replay and what is live")


@rule("live.input", "puts", "terms")
def inputs(case: Case) -> Iterator[Finding]:
    """A message comes to its user's other connections when it is accepted, and never to the one it came from."""
    told: dict[tuple[Wire, str], float] = {}
    sender: dict[str, Wire] = {}
    for heard in case.heard:
        if isinstance(heard.reply, RunInput) and not heard.reply.replay:
            told.setdefault((heard.wire, heard.reply.run_id), heard.frame.at_ms)
        elif isinstance(heard.reply, MessageAccepted) and not heard.reply.duplicate:
            sender.setdefault(heard.reply.run_id, heard.wire)
    most_ms = case.terms.input_s * 1000
    for chronicle in case.chronicles.values():
        wire_of, at_ms = sender.get(chronicle.run_id), chronicle.put_ms.get(0)
        if wire_of is None or at_ms is None:
            continue
        if (wire_of, chronicle.run_id) in told:
            yield Finding(wire_of[0], f"it was told its own message of {chronicle.run_id}")
        for wire, opened_ms, closed_ms in case.spans_of(chronicle.run[0]):
            there = opened_ms <= at_ms and closed_ms >= at_ms + most_ms and wire != wire_of
            in_time = told.get((wire, chronicle.run_id), at_ms + 2 * most_ms) <= at_ms + most_ms
            if there and not in_time and case.is_served(wire, at_ms - 1, at_ms + most_ms):
                yield Finding(wire[0], f"it was not told the message of {chronicle.run_id}")


@rule("live.flag", "puts", "terms")
def flag(case: Case) -> Iterator[Finding]:
    """What a connection gets of the time before it was opened is flagged as a replay."""
    opened = {wire: at_ms for wire, at_ms, _ in case.spans}
    for heard in case.heard:
        if heard.stored is None or '"replay":true' in heard.frame.text:
            continue
        put_ms = case.chronicles[heard.stored.run].seq_ms.get(heard.stored.seq)
        opened_ms = opened[heard.wire]
        if put_ms is not None and put_ms + 1_000 < opened_ms and not case.weather.breaks(put_ms - 1_000, opened_ms):
            yield Finding(heard.frame.client, f"seq {heard.stored.seq} of {heard.stored.run[1]} came as if it were new")


@rule("live.gone", "terms")
def gone(case: Case) -> Iterator[Finding]:
    """A connection that is gone is forgotten: nothing is posted to it again and again (C15)."""
    last = {wire[1]: until_ms for wire, _, until_ms in case.spans}
    opened = {wire[1]: at_ms for wire, at_ms, _ in case.spans}
    first: dict[str, float] = {}
    for one in case.evidence.gone:
        if one.connection not in last or one.at_ms - opened[one.connection] < _YOUNG_MS or case.terms.skewed:
            continue
        since_ms = first.setdefault(one.connection, one.at_ms)
        if one.at_ms - since_ms > _AGAIN_MS and not case.weather.breaks(since_ms - 1_000, one.at_ms):
            yield Finding(one.connection, f"it was found gone at {since_ms:g} ms, and again at {one.at_ms:g} ms")
            return


@rule("live.pieces")
def pieces(case: Case) -> Iterator[Finding]:
    """One index of one draft is one piece of text, on every connection: a later try is a higher draft."""
    said: dict[tuple[str, int, int], str] = {}
    first_ms: dict[tuple[Wire, str, int, int], float] = {}
    for heard in case.heard:
        told = heard.reply
        if isinstance(told, ResponseDelta):
            text = said.setdefault((told.run_id, told.draft, told.index), told.text)
            if text != told.text:
                yield Finding(heard.frame.client, f"piece {told.index} of draft {told.draft} of {told.run_id} changed")
            at_ms = heard.frame.at_ms
            since_ms = first_ms.setdefault((heard.wire, told.run_id, told.draft, told.index), at_ms)
            if at_ms - since_ms > _AGAIN_MS and not case.weather.stalled(at_ms):
                yield Finding(heard.frame.client, f"draft {told.draft} of {told.run_id} began again as itself")


@rule("live.hole", "terms")
def hole(case: Case) -> Iterator[Finding]:
    """A client that gets an event above the next asks for what is missing, soon (C13)."""
    pages: dict[tuple[str, str], list[tuple[float, int]]] = defaultdict(list)
    for one in case.evidence.delivered:
        pages[one.client, one.run_id].append((one.at_ms, one.seq))
    asked: dict[tuple[str, str], list[float]] = defaultdict(list)
    for said in case.said:
        if said.body.get("type") == "resume":
            asked[said.frame.client, str(said.body.get("run_id"))].append(said.frame.at_ms)
    closed = {wire: until_ms for wire, _, until_ms in case.spans}
    for heard in case.heard:
        if heard.stored is None:
            continue
        at_ms, key = heard.frame.at_ms, (heard.frame.client, heard.stored.run[1])
        until_ms = at_ms + case.terms.hole_s * 1000
        page = pages[key]
        here = bisect_right(page, (until_ms, 0))
        filled = here > 0 and page[here - 1][1] >= heard.stored.seq - 1
        told_of = heard.stored.run in case.known_runs.get(key[0], ())
        if filled or not told_of or closed[heard.wire] < until_ms:
            continue
        times = asked[key]
        if not any(at_ms - _PATIENCE_MS < one <= until_ms for one in times[bisect_left(times, at_ms - _PATIENCE_MS) :]):
            yield Finding(heard.frame.client, f"seq {heard.stored.seq} of {key[1]} left a hole, and it did not ask")
