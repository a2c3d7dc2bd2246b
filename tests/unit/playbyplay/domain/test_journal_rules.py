"""The rules of one journal: what follows the contract passes them all, and each has a journal that it alone bites."""

import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from playbyplay.domain.journal import CheckpointEntry, Entry, EventEntry, FenceEntry, Record, ResultEntry
from playbyplay.domain.journal_rules import RULES, breaches
from playbyplay.domain.run import MOVES
from tests.fakes.ids import uuid
from tests.histories import RUN, Story, call, canonical, event_of
from tests.simulation.checker import RULES as CHECKED

Mutate = Callable[[list[Record]], None]
SECRET = "a word nobody may read"  # noqa: S105 - what somebody said


def broken(records: Sequence[Record], run_id: str = RUN) -> set[str]:
    return {breach.rule for breach in breaches(run_id, records)}


def cancelled() -> Story:
    """Return a run that was cancelled while a tool was at work."""
    story = Story().starts().asks(call(1))
    ended = event_of(
        "tool_completed",
        4,
        agent_id="root",
        call_id="c1",
        tool_name="look",
        status="cancelled",
        result_summary="Stopped.",
        duration_ms=0,
    )
    error = event_of("error", 5, code="cancelled", message="It was cancelled.", retryable=True)
    return story.add(EventEntry(event=ended), EventEntry(event=error))


def delegated() -> Story:
    """Return a run with a sub-agent, taken over in between."""
    story = Story().starts().asks(call(1, "ask_reader", delegate="reader")).taken_over()
    story.asks(call(2), scope="c1", agent="reader").returns("c2").answers("It is slow.", scope="c1", agent="reader")
    return story.returns("c1").answers().completes()


WELL = {
    "accepted": Story(),
    "taken": Story().add(FenceEntry(epoch=1)),
    "started": Story().starts(),
    "inside a call": Story().starts().asks(call(1), call(2)).returns("c2"),
    "canonical": canonical(),
    "delegated": delegated(),
    "cancelled": cancelled(),
    "failed": Story().starts().fails(),
    "never started": Story().add(FenceEntry(epoch=1)).fails("queue_timeout"),
}


@pytest.mark.parametrize("name", WELL)
def test_a_journal_as_the_contract_has_it_breaks_no_rule(name: str) -> None:
    """Nor does any beginning of it: a run under way is no violation."""
    records = WELL[name].records
    for length in range(1, len(records) + 1):
        assert list(breaches(RUN, records[:length])) == []


def change(records: list[Record], pos: int, **changes: Any) -> None:
    records[pos] = replace(records[pos], **changes)


def entries(records: list[Record], pos: int, *made: Entry) -> None:
    change(records, pos, entries=made)


def event(records: list[Record], seq: int, /, **changes: Any) -> None:
    """Change an event as if it had been written so."""
    for record in list(records):
        made = tuple(
            entry.model_copy(update={"event": entry.event.model_copy(update=changes)})
            if isinstance(entry, EventEntry) and entry.event.seq == seq
            else entry
            for entry in record.entries
        )
        change(records, record.pos, entries=made)


def _hole(records: list[Record]) -> None:
    # The first fence and the second are all there is beyond the input, and one of the records between is gone.
    del records[2:]
    records.append(Record(3, 2, uuid(9), 1, (FenceEntry(epoch=2),)))


def _skipped_seq(records: list[Record]) -> None:
    event(records, 7, seq=9)
    change(records, 5, last_seq=9)


def _wrong_last_seq(records: list[Record]) -> None:
    change(records, 2, last_seq=9)


def _nothing_after_its_work(records: list[Record]) -> None:
    entries(records, 5, records[5].entries[1])  # an answer without its agent_completed
    event(records, 7, seq=6)
    change(records, 5, last_seq=6)


def _ends_apart(records: list[Record]) -> None:
    done, answer = records[5].entries
    records[5:] = [Record(5, 1, uuid(8), 6, (done,)), Record(6, 1, uuid(9), 7, (answer,))]


def _early_error(records: list[Record]) -> None:
    error = event_of("error", 1, code="internal", message=SECRET, retryable=True)
    records[1:] = [Record(1, 1, uuid(9), 1, (FenceEntry(epoch=1), EventEntry(event=error)))]


def _two_inputs(records: list[Record]) -> None:
    entries(records, 2, *records[2].entries, records[0].entries[0])


def _more_than_the_input(records: list[Record]) -> None:
    entries(records, 0, *records[0].entries, CheckpointEntry(text=SECRET))


def _input_again(records: list[Record]) -> None:
    later = [replace(record, pos=record.pos + 1) for record in records[2:]]
    records[2:] = [Record(2, 1, uuid(9), 1, records[0].entries), *later]


def _nothing(records: list[Record]) -> None:
    records.clear()


def _fence_after_end(records: list[Record]) -> None:
    records.append(Record(6, 2, uuid(9), 7, (FenceEntry(epoch=2),)))


def _closed_as_another(records: list[Record]) -> None:
    event(records, 4, tool_name="book")


def _ended_open(records: list[Record]) -> None:
    entries(records, 3, records[3].entries[0])
    for seq in (5, 6, 7):
        event(records, seq, seq=seq - 1)
    for record in records[3:]:
        change(records, record.pos, last_seq=record.last_seq - 1)


def _epoch_skipped(records: list[Record]) -> None:
    entries(records, 1, FenceEntry(epoch=2), records[1].entries[1])
    for record in records[1:]:
        change(records, record.pos, epoch=2)


def _foreign_epoch(records: list[Record]) -> None:
    change(records, 4, epoch=2)


def _by_nobody(records: list[Record]) -> None:
    entries(records, 1, records[1].entries[1])
    for record in records[1:]:
        change(records, record.pos, epoch=0)


def _of_another_turn(records: list[Record]) -> None:
    event(records, 2, turn=2)


def _flagged(records: list[Record]) -> None:
    event(records, 2, replay=True)


def _another_answer(records: list[Record]) -> None:
    event(records, 7, content=SECRET)


def _unasked(records: list[Record]) -> None:
    point = records[2].entries[0]
    assert isinstance(point, CheckpointEntry)
    entries(records, 2, point.model_copy(update={"calls": ()}), *records[2].entries[1:])


def _without_result(records: list[Record]) -> None:
    entries(records, 3, *(entry for entry in records[3].entries if not isinstance(entry, ResultEntry)))


MUTANTS: tuple[tuple[str, Mutate], ...] = (
    ("journal.no_hole", _hole),
    ("journal.seq", _skipped_seq),
    ("journal.seq", _wrong_last_seq),
    ("journal.grammar", _nothing_after_its_work),
    ("journal.grammar", _ends_apart),
    ("journal.grammar", _early_error),
    ("journal.input", _two_inputs),
    ("journal.input", _more_than_the_input),
    ("journal.input", _input_again),
    ("journal.input", _nothing),
    ("journal.one_terminal", _fence_after_end),
    ("journal.calls", _closed_as_another),
    ("journal.calls", _ended_open),
    ("journal.epochs", _epoch_skipped),
    ("journal.epochs", _foreign_epoch),
    ("journal.epochs", _by_nobody),
    ("journal.own_events", _of_another_turn),
    ("journal.own_events", _flagged),
    ("journal.answer", _another_answer),
    ("journal.answer", _unasked),
    ("journal.closing", _without_result),
)


@pytest.mark.parametrize(("name", "mutate"), MUTANTS, ids=[mutate.__name__[1:] for _name, mutate in MUTANTS])
def test_a_rule_bites_what_it_is_there_for(name: str, mutate: Mutate) -> None:
    """No other rule does, so none could be left out; and what is told of it holds no word of anybody."""
    records = list(canonical().records)
    mutate(records)
    assert broken(records) == {name}
    assert not any(SECRET in breach.sentence for breach in breaches(RUN, records))


def test_a_terminal_is_one() -> None:
    """A second one is against the grammar as well."""
    records = list(canonical().records)
    error = event_of("error", 8, code="internal", message=SECRET, retryable=True)
    records.append(Record(6, 1, uuid(9), 8, (EventEntry(event=error),)))
    assert broken(records) == {"journal.one_terminal", "journal.grammar"}
    assert list(RULES["journal.one_terminal"](RUN, records)) == [
        "terminals stand at positions [5, 6]",
        "something follows the terminal at position 5",
    ]


def test_a_call_opens_once_and_closes_once() -> None:
    """Under one id there is one call."""
    records = list(canonical().records)
    again = event_of("tool_executing", 8, agent_id="root", call_id="c1", tool_name="look", description="Again")
    records[5:] = [Record(5, 1, uuid(9), 6, (EventEntry(event=again.model_copy(update={"seq": 6})),))]
    assert "journal.calls" in broken(records)
    records = list(Story().starts().asks(call(1)).returns("c1").records)
    ended = records[3].events[0].model_copy(update={"seq": 5})
    records.append(Record(4, 1, uuid(9), 5, (ResultEntry(call_id="c1", content=SECRET), EventEntry(event=ended))))
    assert broken(records) == {"journal.calls"}


def test_what_a_terminal_leaves_open_is_closed_as_what_it_is() -> None:
    """A cancelled run's call is cancelled or unknown, one of a run past its deadline timed out."""
    for status, ok in (("outcome_unknown", True), ("timeout", False), ("ok", False)):
        records = list(cancelled().records)
        event(records, 4, status=status)
        assert broken(records) == (set() if ok else {"journal.closing"})
    late = list(cancelled().records)
    event(late, 5, code="deadline_exceeded")
    assert broken(late) == {"journal.closing"}
    event(late, 4, status="timeout")
    assert broken(late) == set()


def test_a_long_answer_is_the_beginning_of_what_the_checkpoint_says() -> None:
    """It says that it is cut, or it is another answer."""
    records = list(canonical().records)
    event(records, 7, content="It is")
    assert broken(records) == {"journal.answer"}
    event(records, 7, truncated=True)
    assert broken(records) == set()


def test_the_runs_id_is_its_own() -> None:
    """A journal that stands under another run's key is found by every event of it."""
    assert broken(canonical().records, uuid(77)) == {"journal.own_events"}


def test_the_checker_of_the_tests_asks_every_rule() -> None:
    """What the auditor watches for in production is what campaigns are judged by."""
    assert set(RULES) <= set(CHECKED)
    assert all(CHECKED[name].promise == rule.__doc__ for name, rule in RULES.items())


def test_the_second_grammar_says_the_same_as_the_writers_table() -> None:
    """It is written another way, and of no sequence of up to five types the two think differently."""
    types = ("agent_started", "agent_thinking", "agent_completed", "final_response", "error")
    for length in range(1, 6):
        for kinds in itertools.product(types, repeat=length):
            assert _by_table(kinds) == _by_rule(kinds), kinds


def _by_table(kinds: Sequence[str]) -> bool:
    phase: Any = "queued"
    for kind in kinds:
        phase = MOVES.get((phase, kind))
        if phase is None:
            return False
    return bool(phase != "completing")


def _by_rule(kinds: Sequence[str]) -> bool:
    own: dict[str, dict[str, Any]] = {
        "agent_started": {"agent_id": "root", "message": "Starting."},
        "agent_thinking": {"agent_id": "root", "thought": "I look."},
        "agent_completed": {"agent_id": "root", "message": "Done.", "duration_ms": 1},
        "final_response": {"content": "It is slow.", "usage": {}, "finish_reason": "stop"},
        "error": {"code": "cancelled", "message": "It was cancelled.", "retryable": True},
    }
    made = tuple(EventEntry(event=event_of(kind, seq, **own[kind])) for seq, kind in enumerate(kinds, 1))
    record = Record(1, 1, uuid(9), len(kinds), made)
    return not any(re.fullmatch("its events read .*", sentence) for sentence in RULES["journal.grammar"](RUN, [record]))
