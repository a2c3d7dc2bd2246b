"""Mutants of what clients see, and when: events, answers, bounds."""

from collections.abc import Mapping
from dataclasses import replace

from tests.simulation.evidence import Evidence
from tests.simulation.mutants import Mutant, frame, late, says
from tests.simulation.sample import DESK, LAPTOP, LOST, PHONE, PLAIN, THREADS


def _altered(evidence: Evidence) -> None:
    says(evidence, frame(evidence, "agent_thinking", client=DESK), {"thought": "Another."})


def _phantom(evidence: Evidence) -> None:
    index = frame(evidence, "tool_completed", client=DESK)
    evidence.frames[index] = replace(evidence.frames[index], at_ms=evidence.frames[index].at_ms - 9_000)


def _page_out_of_order(evidence: Evidence) -> None:
    evidence.delivered[0], evidence.delivered[2] = evidence.delivered[2], evidence.delivered[0]


def _page_made_up(evidence: Evidence) -> None:
    del evidence.frames[frame(evidence, "tool_executing", client=LAPTOP)]


def _page_cut_short(evidence: Evidence) -> None:
    evidence.delivered[:] = [one for one in evidence.delivered if one.client != PHONE]


def _foreign_event(evidence: Evidence) -> None:
    index = frame(evidence, "final_response", client=DESK)
    evidence.frames.insert(index, replace(evidence.frames[index], client=LAPTOP, connection="connection 1"))


def _foreign_head(evidence: Evidence) -> None:
    index = frame(evidence, "pong", client=DESK)
    says(evidence, index, {"heads": {LOST: {"last_seq": 1, "status": "running"}}})


def _foreign_words(evidence: Evidence) -> None:
    says(evidence, frame(evidence, "response_delta"), {"text": "He says mark-of-ann-000001."})


def _foreign_thread(evidence: Evidence) -> None:
    says(evidence, frame(evidence, "response_delta"), {"thread_id": THREADS["ann"]})


def _other_input(evidence: Evidence) -> None:
    says(evidence, frame(evidence, "run_input", client=PHONE), {"turn": 2})


def _refusal_as_error(evidence: Evidence) -> None:
    index = frame(evidence, "message_rejected")
    says(evidence, index, {"type": "error"})


def _unknown_frame(evidence: Evidence) -> None:
    says(evidence, frame(evidence, "heartbeat"), {"type": "alive"})


def _no_cancel_accepted(evidence: Evidence) -> None:
    del evidence.frames[frame(evidence, "cancel_accepted")]


def _no_replay_complete(evidence: Evidence) -> None:
    del evidence.frames[frame(evidence, "replay_complete")]


def _replay_with_hole(evidence: Evidence) -> None:
    del evidence.frames[frame(evidence, "replay_complete") - 1]


def _head_in_future(evidence: Evidence) -> None:
    says(evidence, frame(evidence, "heartbeat"), {"last_seq": 6})


def _wrong_status(evidence: Evidence) -> None:
    says(evidence, frame(evidence, "replay_complete", client=DESK), {"status": "failed"})


def _draft_falls(evidence: Evidence) -> None:
    says(evidence, frame(evidence, "response_delta", 2), {"draft": 2})


def _ends_late(evidence: Evidence) -> None:
    end = next(put.at_ms for put in reversed(evidence.puts) if put.run_id == PLAIN)
    late(evidence, end - 1, 500_000)


def _silence(evidence: Evidence) -> None:
    evidence.frames[:] = [one for one in evidence.frames if '"heartbeat"' not in one.text]


def _slow_pong(evidence: Evidence) -> None:
    index = frame(evidence, "pong", client=DESK)
    late(evidence, evidence.frames[index].at_ms - 1, 3_000)


def _whole_late(evidence: Evidence) -> None:
    end = next(index for index, one in enumerate(evidence.delivered) if (one.run_id, one.seq) == (PLAIN, 10))
    evidence.delivered[end] = replace(evidence.delivered[end], at_ms=evidence.delivered[end].at_ms + 11_000)


MUTANTS: Mapping[str, Mutant] = {
    "delivery.as_stored": _altered,
    "delivery.no_phantom": _phantom,
    "delivery.in_order": _page_out_of_order,
    "delivery.from_frames": _page_made_up,
    "delivery.whole": _page_cut_short,
    "delivery.isolation": _foreign_event,
    "delivery.input": _other_input,
    "delivery.refusals": _refusal_as_error,
    "delivery.known_frames": _unknown_frame,
    "answers.command": _no_cancel_accepted,
    "answers.resume": _no_replay_complete,
    "answers.replay": _replay_with_hole,
    "answers.heads": _head_in_future,
    "answers.status": _wrong_status,
    "answers.drafts": _draft_falls,
    "bounds.terminal": _ends_late,
    "bounds.silence": _silence,
    "bounds.pong": _slow_pong,
    "bounds.whole": _whole_late,
}
LEAKS: Mapping[str, Mutant] = {"a head": _foreign_head, "words": _foreign_words, "a thread": _foreign_thread}
"""Other ways in which a user may see what is another's."""
