"""Endings: rendered from the journal alone, the same by whoever writes them, and never too long."""

import json
from typing import Literal, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from playbyplay.domain import ending
from playbyplay.domain.journal import Entry, EventEntry, FenceEntry
from playbyplay.domain.text import clean
from playbyplay.errors import GrammarError, RunError, TerminalCode
from playbyplay.protocol.base import MAX_ANSWER_BYTES, MAX_EVENT_BYTES
from playbyplay.protocol.events import AgentCompleted, AgentThinking, ErrorEvent, Event, FinalResponse, ToolCompleted
from tests.histories import RUN, THREAD, TIME_MS, Story, call, canonical
from tests.properties import PROPERTY

NOW = TIME_MS + 4_321


def events(entries: list[Entry]) -> list[Event]:
    assert all(isinstance(entry, EventEntry) for entry in entries)
    return [entry.event for entry in entries if isinstance(entry, EventEntry)]


def final(text: str) -> FinalResponse:
    """Return the final response to an answer."""
    (_completed, last) = events(ending.completed(Story().starts().answers(text).history, NOW))
    assert isinstance(last, FinalResponse)
    return last


def test_a_completion_is_two_events_of_one_record() -> None:
    """`agent_completed`, then the answer with what was used and why the model stopped."""
    story = Story().starts().asks(call(1)).returns("c1").answers("It is slow.", finish_reason="length")
    completed, answer = events(ending.completed(story.history, NOW))
    assert isinstance(completed, AgentCompleted)
    assert isinstance(answer, FinalResponse)
    assert (completed.agent_id, completed.status, completed.duration_ms) == ("root", "success", 4_321)
    assert (answer.content, answer.finish_reason, answer.truncated, answer.full_bytes) == (
        "It is slow.",
        "length",
        None,
        None,
    )
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (20, 10)
    assert [(one.seq, one.run_id, one.thread_id, one.turn) for one in (completed, answer)] == [
        (6, RUN, THREAD, 1),
        (7, RUN, THREAD, 1),
    ]
    story.history.extend(story.history.record("token", ending.completed(story.history, NOW)))
    assert story.history.state.status == "completed"


@pytest.mark.parametrize(
    ("calls", "words"), [(0, "Done."), (1, "Done after 1 tool call."), (2, "Done after 2 tool calls.")]
)
def test_a_completion_counts_the_calls(calls: int, words: str) -> None:
    """In words a person reads."""
    story = Story().starts()
    for number in range(1, calls + 1):
        story.asks(call(number)).returns(f"c{number}")
    completed, _answer = events(ending.completed(story.answers().history, NOW))
    assert isinstance(completed, AgentCompleted)
    assert completed.message == words


def test_anybody_renders_the_same_ending() -> None:
    """An acquirer that comes later writes the same answer, with its own fence before it."""
    story = Story().starts().asks(call(1)).returns("c1").answers("It is slow.")
    by_the_owner = ending.completed(story.history, NOW)
    by_the_next = ending.completed(story.taken_over().history, NOW)
    assert by_the_owner == by_the_next


def test_without_an_answer_there_is_no_completion() -> None:
    """Not before the model answered, not while calls are open, not before the start."""
    for story in (Story(), Story().starts(), Story().starts().asks(call(1))):
        assert ending.answer_of(story.history) is None
        with pytest.raises(GrammarError):
            ending.completed(story.history, NOW)


def test_an_inner_answer_is_not_the_runs() -> None:
    """A sub-agent that has answered leaves the run's own agent with work."""
    story = Story().starts().asks(call(1, "delegate_to_x", delegate="x")).answers("Inner.", scope="c1", agent="x")
    assert ending.answer_of(story.history) is None


def test_a_clock_that_went_back_makes_no_negative_time() -> None:
    """The duration is at least 0."""
    (completed, _answer) = events(ending.completed(Story().starts().answers().history, TIME_MS - 99))
    assert isinstance(completed, AgentCompleted)
    assert completed.duration_ms == 0


def test_an_error_closes_every_open_call_inner_ones_first() -> None:
    """So that no step stands outside its delegation; the record follows the grammar."""
    story = Story().starts().asks(call(1), call(2, "delegate_to_x", delegate="x"))
    story.asks(call(3, "delegate_to_y", delegate="y"), scope="c2", agent="x").asks(call(4), scope="c3", agent="y")
    entries = ending.failed(story.history, RunError("model_unavailable", "The model is not available."), NOW)
    *closings, error = events(entries)
    assert [one.call_id for one in closings if isinstance(one, ToolCompleted)] == ["c4", "c3", "c2", "c1"]
    assert [getattr(one, "parent_call_id", None) for one in closings] == ["c3", "c2", None, None]
    assert [getattr(one, "agent_id", None) for one in closings] == ["y", "x", "root", "root"]
    assert isinstance(error, ErrorEvent)
    assert (error.code, error.message, error.retryable) == ("model_unavailable", "The model is not available.", True)
    story.history.extend(story.history.record("token", entries))
    assert story.history.state.status == "failed"


@pytest.mark.parametrize("code", get_args(TerminalCode))
def test_open_calls_are_closed_by_the_reason_of_the_end(code: TerminalCode) -> None:
    """The deadline closes as `timeout`, a cancel as `cancelled`."""
    story = Story().starts().asks(call(1))
    closing, error = events(ending.failed(story.history, RunError(code, "It failed."), NOW))
    assert isinstance(closing, ToolCompleted)
    assert isinstance(error, ErrorEvent)
    assert closing.status == ("timeout" if code == "deadline_exceeded" else "cancelled")
    assert closing.result_summary
    assert error.retryable == (code not in ("model_refused", "context_too_long"))


@pytest.mark.parametrize(("unsafe", "lost"), [(True, False), (True, True), (None, True)])
def test_an_unsafe_call_of_an_earlier_owner_is_closed_as_unknown(unsafe: Literal[True] | None, lost: bool) -> None:  # noqa: FBT001
    """It may have taken effect; one's own is stopped by its owner, and any other may be called again."""
    opened = call(1).model_copy(update={"unsafe": unsafe})
    for taken_over in (False, True):
        story = Story().starts().asks(opened)
        if lost and not taken_over:
            story.taken_over()
        entries = ending.failed(story.history, RunError("internal", "It failed."), NOW, taken_over=lost and taken_over)
        closing = events(entries)[0]
        assert isinstance(closing, ToolCompleted)
        assert closing.status == ("outcome_unknown" if unsafe and lost else "cancelled")


def test_a_run_that_never_started_ends_in_a_lone_error() -> None:
    """After its fence, with seq 1."""
    story = Story()
    entries = [ending.fence(story.history), *ending.failed(story.history, RunError("queue_timeout", "Too late."), NOW)]
    story.history.extend(story.history.record("token", entries))
    assert story.history.epoch == 1
    assert [(event.type, event.seq) for event in story.history.events] == [("error", 1)]


def test_a_fence_is_one_above_the_last() -> None:
    """Whoever takes the run over is the next."""
    assert ending.fence(Story().history) == FenceEntry(epoch=1)
    assert ending.fence(Story().starts().taken_over().history) == FenceEntry(epoch=3)


def test_the_start_is_the_time_of_the_first_event() -> None:
    """0 for a run that has none."""
    assert ending.started_ms(canonical().history) == TIME_MS
    assert ending.started_ms(Story().history) == 0


def test_a_stamp_numbers_on() -> None:
    """Each event it makes is one above the one before; the history is untouched."""
    story = Story().starts()
    stamp = ending.Stamp(story.history, NOW)
    made = [stamp.event(AgentThinking, agent_id="root", thought="Hm.").event for _ in range(3)]
    assert [event.seq for event in made] == [2, 3, 4]
    assert {event.timestamp for event in made} == {"2025-06-15T15:06:44.321Z"}
    assert story.history.state.last_seq == 1


LONG = {
    "ascii": "a" * 30_000,
    "two bytes": "é" * 20_000,
    "three bytes": "€" * 20_000,
    "four bytes": "😀" * 20_000,
    "quotes": '"' * 30_000,
    "backslashes": "\\" * 30_000,
    "lines": "\n" * 30_000,
    "controls": "\x01" * 30_000,
    "surrogates": "\ud800" * 30_000,
    "a mixture": 'é"\n😀\x00\\a' * 4_000,
    "a quarter of a mebibyte": "x" * MAX_ANSWER_BYTES,
}


@pytest.mark.parametrize("text", LONG.values(), ids=LONG.keys())
def test_a_long_answer_is_cut_to_one_frame_and_says_so(text: str) -> None:
    """The frame is at most 24 KiB as JSON, holds a beginning of the answer, and tells how long the whole is."""
    shown = clean(text)
    answer = final(shown)
    assert len(answer.to_json().encode()) <= MAX_EVENT_BYTES
    assert answer.truncated is True
    assert answer.full_bytes == len(shown.encode())
    assert shown.startswith(answer.content)
    assert len(json.dumps(answer.content, ensure_ascii=False).encode()) > MAX_EVENT_BYTES // 2


def test_an_answer_that_fits_is_whole() -> None:
    """No mark of a cut, and no length."""
    answer = final("x" * 20_000)
    assert answer.content == "x" * 20_000
    assert "truncated" not in answer.to_json()
    assert "full_bytes" not in answer.to_json()


@PROPERTY
@given(st.text(st.characters(exclude_categories=[]), min_size=1, max_size=200).map(clean), st.integers(1, 400))
def test_any_answer_makes_a_frame_that_fits(text: str, times: int) -> None:
    """Whatever the model wrote, `final_response` is valid JSON of at most 24 KiB, and cut exactly if it says so."""
    answer = final(text * times)
    assert len(answer.to_json().encode()) <= MAX_EVENT_BYTES
    assert (answer.truncated is True) == (answer.full_bytes is not None)
    assert (answer.full_bytes or 0) > len(answer.content.encode()) or answer.truncated is None
