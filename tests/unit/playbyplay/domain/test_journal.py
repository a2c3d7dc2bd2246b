"""Records and histories: what may follow what, and what they add up to."""

import json
import traceback
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from playbyplay.domain.journal import ENTRIES, Entry, FenceEntry, History, InputEntry, Record
from playbyplay.errors import GrammarError
from tests.fakes.ids import uuid
from tests.histories import CANONICAL, MESSAGE, RUN, THREAD, TIME, USER, Story, call, canonical, types

INPUT = InputEntry(thread_id=THREAD, turn=1, content="Hi.", timestamp=TIME)


def refuses(story: Story, *entries: Entry) -> None:
    """Assert that entries may not follow, and that trying leaves no trace."""
    history = story.history
    before = (list(history.records), history.state, history.epoch, dict(history.results), list(history.checkpoints))
    with pytest.raises(GrammarError):
        history.record("token", entries)
    state = history.state
    with pytest.raises(GrammarError):
        history.extend(Record(len(history.records), history.epoch, "token", state.last_seq, entries))
    assert before == (history.records, history.state, history.epoch, history.results, history.checkpoints)


def test_a_history_is_the_fold_of_its_records() -> None:
    """Read again from the first record on, it is the same."""
    story = canonical()
    read = History.of(USER, RUN, story.records)
    assert types(read.events) == CANONICAL
    assert (read.state, read.epoch, read.results, read.checkpoints, read.usage) == (
        story.history.state,
        1,
        {"c1": "Found it."},
        story.history.checkpoints,
        story.history.usage,
    )
    assert read.input.client_message_id == MESSAGE
    assert (read.usage.input_tokens, read.usage.output_tokens) == (20, 10)


def test_a_record_says_where_it_stands() -> None:
    """Position, epoch and last seq, for every record of the canonical turn."""
    assert [(record.pos, record.epoch, record.last_seq) for record in canonical().records] == [
        (0, 0, 0),
        (1, 1, 1),
        (2, 1, 3),
        (3, 1, 4),
        (4, 1, 5),
        (5, 1, 7),
    ]


def test_making_a_record_changes_nothing() -> None:
    """Only `extend` takes it in; made twice it is the same but for its token."""
    story = Story().starts()
    entries = [story.fence()]
    one, two = story.history.record("one", entries), story.history.record("two", entries)
    assert one == replace(two, token=one.token)
    assert len(story.records) == 2
    story.history.extend(two)
    assert story.history.epoch == 2


def test_a_record_made_elsewhere_is_checked_as_well() -> None:
    """What a reader takes in is checked like what a writer makes, were it equal to the one made last."""
    story = Story().starts()
    made = story.history.record("token", [story.event("agent_thinking", agent_id="root", thought="Hm.")])
    for wrong in (replace(made, last_seq=3), replace(made, epoch=2), replace(made, pos=1), replace(made, pos=3)):
        with pytest.raises(GrammarError):
            story.history.extend(wrong)
    story.history.extend(replace(made))
    assert story.history.state.last_seq == 2
    with pytest.raises(GrammarError):
        story.history.extend(made)


def test_records_have_no_holes_and_no_repeats() -> None:
    """A reader that misses one, or meets one twice, refuses the rest."""
    records = canonical().records
    for broken in (records[1:], [*records[:2], *records[3:]], [records[0], records[0]], [records[1], records[0]]):
        with pytest.raises(GrammarError):
            History.of(USER, RUN, broken)


def test_the_input_is_record_0_and_nothing_else_is() -> None:
    """It stands alone, first, once."""
    empty = History(USER, RUN)
    wrong: list[list[Entry]] = [[FenceEntry(epoch=1)], [INPUT, FenceEntry(epoch=1)], []]
    for entries in wrong:
        with pytest.raises(GrammarError):
            empty.record("token", entries)
    refuses(Story(), INPUT)
    refuses(Story().starts(), INPUT)


def test_a_run_has_one_input() -> None:
    """Two messages in record 0 are no record."""
    with pytest.raises(GrammarError):
        History(USER, RUN).record("token", [INPUT, INPUT])


def test_nothing_but_a_fence_follows_the_input() -> None:
    """Whoever writes owns the run first."""
    story = Story()
    refuses(story, story.event("agent_started", agent_id="root", message="Starting."))
    refuses(Story(), canonical().history.checkpoints[0])


@pytest.mark.parametrize("epoch", [1, 3, 4])
def test_each_fence_is_one_above_the_last(epoch: int) -> None:
    """After epoch 1 comes 2."""
    refuses(Story().starts(), FenceEntry(epoch=epoch))


def test_a_record_holds_something() -> None:
    """An empty one is none."""
    refuses(Story().starts())


def test_completion_and_answer_are_one_record() -> None:
    """Nobody can read an `agent_completed` without its `final_response`."""
    story = Story().starts().answers()
    refuses(story, story.event("agent_completed", agent_id="root", message="Done.", duration_ms=1))


def test_nothing_follows_a_terminal() -> None:
    """Neither an event nor a fence."""
    for story in (canonical(), Story().starts().fails()):
        refuses(story, story.fence())


def test_an_event_that_may_not_follow_is_refused_with_its_whole_record() -> None:
    """A record is taken in as a whole or not at all."""
    story = Story().starts()
    good = story.event("agent_thinking", agent_id="root", thought="Hm.")
    refuses(story, good, good)


def test_open_calls_are_known_with_the_epoch_they_were_opened_in() -> None:
    """So that a later owner knows which are not its own."""
    story = Story().starts().asks(call(1), call(2)).taken_over().returns("c2").taken_over()
    assert [one.call_id for one in story.history.open_calls] == ["c1"]
    assert story.history.opened_at == {"c1": 1, "c2": 1}
    assert story.history.epoch == 3


def test_progress_is_an_event_since_the_last_fence() -> None:
    """A fence forgets it, an event in the fence's own record counts."""
    story = Story()
    seen = []
    for step in (story.starts, story.taken_over, lambda: story.asks(call(1)), story.taken_over):
        step()
        seen.append(story.history.progressed)
    assert seen == [True, False, True, False]


def test_a_call_without_a_recorded_result_has_its_summary() -> None:
    """A call closed by an ending still answers the model with something."""
    story = Story().starts().asks(call(1), call(2))
    story.returns("c1", "All of it.")
    stopped = {"agent_id": "root", "tool_name": "look", "status": "cancelled", "duration_ms": 0}
    story.add(story.event("tool_completed", call_id="c2", result_summary="Stopped.", **stopped))
    assert story.history.results == {"c1": "All of it.", "c2": "Stopped."}


def test_responses_are_known_by_scope() -> None:
    """The run's own agent and each delegation have their own."""
    story = Story().starts().asks(call(1, "delegate_to_x", delegate="x")).answers("Inner.", scope="c1", agent="x")
    assert [point.text for point in story.history.scope(None)] == ["I will look."]
    assert [point.text for point in story.history.scope("c1")] == ["Inner."]
    assert story.history.scope("c9") == []


def test_entries_are_written_down_and_read_back() -> None:
    """As JSON without nulls; every event stands in it exactly as it is sent."""
    for record in canonical().records:
        text = record.entries_json()
        assert ENTRIES.validate_json(text) == record.entries
        assert "null" not in text
        assert [json.dumps(entry["event"]) for entry in json.loads(text) if entry["kind"] == "event"] == [
            json.dumps(json.loads(frame)) for frame in record.frames
        ]
        assert list(record.frames) == [event.to_json() for event in record.events]


def test_a_run_that_started_knows_when() -> None:
    """Its first event is kept at hand."""
    assert Story().history.started is None
    story = Story().starts().taken_over()
    assert story.history.started == story.history.events[0]
    assert Story(run_id=uuid(5)).history.run_id == uuid(5)


SECRET = "SECRET-TEXT"  # noqa: S105 - a word to look for
LATER: dict[str, Any] = {
    "a field": [
        {"kind": "input", "thread_id": THREAD, "turn": 1, "content": SECRET, "timestamp": TIME, "mood": SECRET}
    ],
    "a kind": [{"kind": "whisper", "content": SECRET}],
    "a field of an event": [{"kind": "event", "event": {"type": "final_response", "content": SECRET}}],
    "no list": {"kind": "input", "content": SECRET},
    "a value": SECRET,
}


@pytest.mark.parametrize("entries", LATER.values(), ids=LATER.keys())
def test_what_a_later_version_wrote_is_refused_without_a_word_of_it(entries: Any) -> None:
    """Nor of one that was cut off. The error may reach a log: it says what is wrong and where, not what was said."""
    for text in (json.dumps(entries), json.dumps(entries)[:-1]):
        with pytest.raises(ValidationError) as refused:
            ENTRIES.validate_json(text)
        shown = str(refused.value) + repr(refused.value) + "".join(traceback.format_exception(refused.value))
        assert SECRET not in shown
        assert "input_value" not in shown
