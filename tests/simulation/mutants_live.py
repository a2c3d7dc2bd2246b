"""Mutants of what happens at once where nothing is broken, and of what only a world sees that is known from inside."""

from collections.abc import Mapping
from dataclasses import replace

from playbyplay.domain.journal import FenceEntry, Record
from tests.fakes.ids import uuid
from tests.simulation.evidence import Evidence, Fault, Frame, Gone, Logged, Put, Sent
from tests.simulation.mutants import Mutant, event, frame, journal, late, says
from tests.simulation.sample import CANCELLED, DESK, LAPTOP, LOST, PHONE, PLAIN

_DESK_WIRE = "connection 3"


def _put(evidence: Evidence, run_id: str, pos: int) -> Put:
    return next(put for put in evidence.puts if (put.run_id, put.pos) == (run_id, pos))


def _moved(evidence: Evidence, run_id: str, pos: int, at_ms: float) -> None:
    """Have a record put at another time."""
    put = _put(evidence, run_id, pos)
    evidence.puts[evidence.puts.index(put)] = replace(put, at_ms=at_ms)


def _undelivered(evidence: Evidence, seq: int) -> None:
    """Have the desk's page get no more of its run from an event on."""
    evidence.delivered[:] = [one for one in evidence.delivered if one.run_id != PLAIN or one.seq < seq]


def _begun_late(evidence: Evidence) -> None:
    late(evidence, _put(evidence, PLAIN, 0).at_ms, 9_000)


def _handed_to_nobody(evidence: Evidence) -> None:
    late(evidence, _put(evidence, PLAIN, 0).at_ms - 1, 60_000)
    evidence.log.append(Logged(_put(evidence, PLAIN, 2).at_ms + 2_000, "run_handed_on", {"run_id": PLAIN}))


def _taken_from_the_living(evidence: Evidence) -> None:
    late(evidence, _put(evidence, PLAIN, 0).at_ms - 1, 90_000)
    journal(evidence, PLAIN).insert(3, Record(3, 2, "thief", 4, (FenceEntry(epoch=2),)))


def _cancel_unheard(evidence: Evidence) -> None:
    late(evidence, _put(evidence, CANCELLED, 0).at_ms - 1, 20_000)
    at_ms = evidence.frames[frame(evidence, "cancel_accepted")].at_ms
    late(evidence, at_ms, 8_000)
    _moved(evidence, CANCELLED, 2, at_ms + 6_000)


def _without_limit(evidence: Evidence) -> None:
    late(evidence, _put(evidence, PLAIN, 2).at_ms, 3_700_000)


def _out_of_time(evidence: Evidence) -> None:
    evidence.faults.append(Fault(evidence.ended_ms, "runner.process", "time is up", evidence.ended_ms))


def _no_heartbeat(evidence: Evidence) -> None:
    evidence.frames[:] = [one for one in evidence.frames if '"heartbeat"' not in one.text]


def _told_later(evidence: Evidence) -> None:
    del evidence.frames[frame(evidence, "tool_completed", -1, client=PHONE)]


def _between(evidence: Evidence) -> None:
    asked = evidence.frames[frame(evidence, "resume", 1, client=DESK, way="sent")]
    evidence.frames[:] = [one for one in evidence.frames if '"final_response"' not in one.text or one.client != DESK]
    _moved(evidence, PLAIN, 6, asked.at_ms + 1)


def _untold_message(evidence: Evidence) -> None:
    del evidence.frames[frame(evidence, "run_input", client=LAPTOP)]


def _old_as_new(evidence: Evidence) -> None:
    late(evidence, _put(evidence, LOST, 4).at_ms, 2_000)
    index = frame(evidence, "tool_completed", client=PHONE)
    evidence.frames[index] = replace(
        evidence.frames[index], text=evidence.frames[index].text.replace(',"replay":true', "")
    )


def _posted_to_the_gone(evidence: Evidence) -> None:
    evidence.gone += [Gone(60_000.0, _DESK_WIRE), Gone(75_000.0, _DESK_WIRE)]


def _piece_changed(evidence: Evidence) -> None:
    says(evidence, frame(evidence, "response_delta", 1), {"index": 0, "text": "It is the disk."})


def _hole_unasked(evidence: Evidence) -> None:
    late(evidence, _put(evidence, PLAIN, 3).at_ms - 1, 10_000)
    late(evidence, _put(evidence, PLAIN, 6).at_ms + 45, 10_000)
    _undelivered(evidence, 5)


def _wrongly_closed(evidence: Evidence) -> None:
    event(evidence, CANCELLED, 4, status="failed")


def _unanswered(evidence: Evidence) -> None:
    text = f'{{"type":"agent_message","content":"Well?","client_message_id":"{uuid(399)}"}}'
    evidence.frames.append(Frame(evidence.ended_ms, DESK, _DESK_WIRE, "sent", text))


def _other_content_accepted(evidence: Evidence) -> None:
    accepted = evidence.frames[frame(evidence, "message_accepted", 1, client=DESK)]
    index = frame(evidence, "message_rejected")
    evidence.frames[index] = replace(evidence.frames[index], text=accepted.text)


def _busy(evidence: Evidence) -> None:
    says(evidence, frame(evidence, "message_rejected"), {"code": "thread_busy"})


def _out_of_turn(evidence: Evidence) -> None:
    evidence.jobs.append(Sent(5.0, CANCELLED))


def _given_up(evidence: Evidence) -> None:
    event(evidence, CANCELLED, 5, code="attempts_exhausted")


def _our_fault(evidence: Evidence) -> None:
    event(evidence, CANCELLED, 5, code="internal")


MUTANTS: Mapping[str, Mutant] = {
    "pace.start": _begun_late,
    "pace.handed_on": _handed_to_nobody,
    "pace.kept": _taken_from_the_living,
    "pace.cancel": _cancel_unheard,
    "pace.limits": _without_limit,
    "pace.in_time": _out_of_time,
    "pace.heartbeat": _no_heartbeat,
    "live.event": _told_later,
    "live.after_replay": _between,
    "live.input": _untold_message,
    "live.flag": _old_as_new,
    "live.gone": _posted_to_the_gone,
    "live.pieces": _piece_changed,
    "live.hole": _hole_unasked,
    "journal.closing": _wrongly_closed,
    "submission.answered": _unanswered,
    "submission.conflict": _other_content_accepted,
    "submission.second": _busy,
    "submission.head_only": _out_of_turn,
    "execution.exhausted": _given_up,
    "execution.no_bug": _our_fault,
}
