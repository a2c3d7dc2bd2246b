"""Mutants of what is stored and what is done: journals, messages, tools and models."""

from collections.abc import Mapping
from dataclasses import replace

from playbyplay.domain.journal import FenceEntry, Record
from tests.fakes.ids import uuid
from tests.simulation.evidence import Evidence, ModelAsked, Put, ToolCalled
from tests.simulation.mutants import Mutant, entries, event, frame, journal, record, run, says
from tests.simulation.sample import CANCELLED, DESK, LAPTOP, LOST, MESSAGES, PHONE, PLAIN
from tests.simulation.valid import REFUSED


def _hole(evidence: Evidence) -> None:
    del journal(evidence, LOST)[3]


def _skipped_seq(evidence: Evidence) -> None:
    event(evidence, LOST, 2, seq=12)


def _thought_after_answer(evidence: Evidence) -> None:
    entries(evidence, PLAIN, 6, lambda made: (made[0], made[2], made[1], made[3]))


def _foreign_epoch(evidence: Evidence) -> None:
    record(evidence, LOST, 4, epoch=1)


def _no_input(evidence: Evidence) -> None:
    first = journal(evidence, LOST)[0].entries
    entries(evidence, LOST, 1, lambda made: (*made, *first))


def _fence_after_end(evidence: Evidence) -> None:
    records = journal(evidence, PLAIN)
    pos, last_seq = len(records), records[-1].last_seq
    records.append(Record(pos, 2, "zombie", last_seq, (FenceEntry(epoch=2),)))
    evidence.puts.append(Put(evidence.ended_ms, "bob", PLAIN, pos, "zombie"))


def _call_closed_as_another(evidence: Evidence) -> None:
    event(evidence, CANCELLED, 4, call_id="c7")


def _epoch_skipped(evidence: Evidence) -> None:
    record(evidence, LOST, 3, entries=(FenceEntry(epoch=3),), epoch=3)


def _event_of_another_turn(evidence: Evidence) -> None:
    event(evidence, LOST, 2, turn=2)


def _another_answer(evidence: Evidence) -> None:
    event(evidence, PLAIN, 10, content="It is the disk.")


def _put_twice(evidence: Evidence) -> None:
    again = next(put for put in evidence.puts if put.pos == 2)
    evidence.puts.append(again)


def _overwritten(evidence: Evidence) -> None:
    record(evidence, LOST, 2, token="zombie")  # noqa: S106 - of a record


def _forged(evidence: Evidence) -> None:
    evidence.puts[:] = [put for put in evidence.puts if (put.run_id, put.pos) != (LOST, 4)]


def _put_ahead(evidence: Evidence) -> None:
    mine = [index for index, put in enumerate(evidence.puts) if put.run_id == LOST]
    one, other = mine[3], mine[4]
    evidence.puts[one], evidence.puts[other] = evidence.puts[other], evidence.puts[one]


def _second_run(evidence: Evidence) -> None:
    run(evidence, CANCELLED, client_message_id=MESSAGES[LOST])


def _lost_run(evidence: Evidence) -> None:
    evidence.runs = [one for one in evidence.runs if one.run_id != PLAIN]


def _other_content(evidence: Evidence) -> None:
    says(evidence, frame(evidence, "agent_message", client=LAPTOP, way="sent"), {"content": "Send no letter."})


def _from_nowhere(evidence: Evidence) -> None:
    del evidence.frames[frame(evidence, "agent_message", client=PHONE, way="sent")]


def _accepted_as_another(evidence: Evidence) -> None:
    says(evidence, frame(evidence, "message_accepted", 1, client=DESK), {"run_id": uuid(299)})


def _twice_new(evidence: Evidence) -> None:
    says(evidence, frame(evidence, "message_accepted", 1, client=DESK), {"duplicate": False})


def _turn_twice(evidence: Evidence) -> None:
    run(evidence, CANCELLED, turn=1)


def _turn_too_early(evidence: Evidence) -> None:
    early = next(put for put in evidence.puts if (put.run_id, put.pos) == (CANCELLED, 1))
    evidence.puts[evidence.puts.index(early)] = replace(early, at_ms=5.0)


def _refused_and_made(evidence: Evidence) -> None:
    run(evidence, PLAIN, client_message_id=REFUSED)


def _half_accepted(evidence: Evidence) -> None:
    run(evidence, PLAIN, content_digest="of something else")


def _never_ends(evidence: Evidence) -> None:
    del journal(evidence, PLAIN)[-1]


def _stale_status(evidence: Evidence) -> None:
    run(evidence, PLAIN, status="running")


def _enters(evidence: Evidence, run_id: str, at_ms: float) -> None:
    """Have the tool of a run entered once more, at another time."""
    first = next(one for one in evidence.called if one.run_id == run_id)
    evidence.called.append(replace(first, at_ms=at_ms))


def _unsafe_twice(evidence: Evidence) -> None:
    _enters(evidence, LOST, next(one.at_ms for one in evidence.called) + 1)


def _effect_twice(evidence: Evidence) -> None:
    evidence.effects.append(evidence.effects[-1])


def _new_key(evidence: Evidence) -> None:
    evidence.called[-1] = replace(evidence.called[-1], key=f"{PLAIN}:c1:2")


def _entered_unwritten(evidence: Evidence) -> None:
    evidence.called[-1] = replace(evidence.called[-1], at_ms=1.0)


def _entered_again(evidence: Evidence) -> None:
    _enters(evidence, PLAIN, evidence.ended_ms)


def _asked_again(evidence: Evidence) -> None:
    evidence.asked.append(ModelAsked(evidence.ended_ms, PLAIN, None, 0))


def _asked_ahead(evidence: Evidence) -> None:
    evidence.asked.append(ModelAsked(1.0, PLAIN, None, 1))


def _ok_uncalled(evidence: Evidence) -> None:
    kept: list[ToolCalled] = [one for one in evidence.called if one.run_id != PLAIN]
    evidence.called[:] = kept


def _lost_said_ok(evidence: Evidence) -> None:
    event(evidence, LOST, 4, status="failed")


def _falls_forever(evidence: Evidence) -> None:
    records = journal(evidence, LOST)
    last_seq = records[2].last_seq
    records[3:3] = [Record(3, epoch, "", last_seq, (FenceEntry(epoch=epoch),)) for epoch in range(2, 7)]


MUTANTS: Mapping[str, Mutant] = {
    "journal.no_hole": _hole,
    "journal.seq": _skipped_seq,
    "journal.grammar": _thought_after_answer,
    "journal.readable": _foreign_epoch,
    "journal.input": _no_input,
    "journal.one_terminal": _fence_after_end,
    "journal.calls": _call_closed_as_another,
    "journal.epochs": _epoch_skipped,
    "journal.own_events": _event_of_another_turn,
    "journal.answer": _another_answer,
    "journal.put_once": _put_twice,
    "journal.kept": _overwritten,
    "journal.no_forgery": _forged,
    "journal.put_in_order": _put_ahead,
    "submission.one_run": _second_run,
    "submission.durable": _lost_run,
    "submission.as_sent": _other_content,
    "submission.sent": _from_nowhere,
    "submission.same_run": _accepted_as_another,
    "submission.duplicate": _twice_new,
    "submission.turns": _turn_twice,
    "submission.turn_by_turn": _turn_too_early,
    "submission.rejected": _refused_and_made,
    "submission.whole_accept": _half_accepted,
    "submission.ends": _never_ends,
    "submission.status": _stale_status,
    "execution.unsafe_once": _unsafe_twice,
    "execution.one_effect": _effect_twice,
    "execution.key": _new_key,
    "execution.written_ahead": _entered_unwritten,
    "execution.no_repeat": _entered_again,
    "execution.no_step_repeated": _asked_again,
    "execution.from_journal": _asked_ahead,
    "execution.ok_was_called": _ok_uncalled,
    "execution.lost_is_unknown": _lost_said_ok,
    "execution.attempts": _falls_forever,
}
