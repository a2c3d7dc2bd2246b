"""The run grammar: a table, and a second reading of the contract that agrees with it."""

import re
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from playbyplay.domain.run import LONE_ERRORS, MOVES, RunState, advance
from playbyplay.errors import GrammarError
from playbyplay.protocol.events import EVENT_TYPES, Event
from tests.histories import CANONICAL, canonical, event_of
from tests.properties import PROPERTY

FIELDS: dict[str, dict[str, Any]] = {
    "agent_started": {"agent_id": "root", "message": "Starting."},
    "agent_thinking": {"agent_id": "root", "thought": "Hm."},
    "tool_executing": {"agent_id": "root", "tool_name": "look", "description": "Looking"},
    "tool_completed": {
        "agent_id": "root",
        "tool_name": "look",
        "status": "ok",
        "result_summary": "Found.",
        "duration_ms": 1,
    },
    "agent_completed": {"agent_id": "root", "message": "Done.", "duration_ms": 1},
    "final_response": {"content": "It is slow.", "usage": {}, "finish_reason": "stop"},
    "error": {"code": "internal", "message": "It failed.", "retryable": True},
}
START, THINK, OPEN, CLOSE, DONE, FINAL, FAIL = FIELDS
Step = tuple[str, dict[str, Any]]


def made(*steps: Step | str) -> list[Event]:
    """Return events numbered from 1: a type, or a type with fields."""
    pairs = [(step, {}) if isinstance(step, str) else step for step in steps]
    return [event_of(kind, seq, **FIELDS[kind] | fields) for seq, (kind, fields) in enumerate(pairs, start=1)]


def opens(call: str, parent: str | None = None) -> Step:
    return OPEN, {"call_id": call, "parent_call_id": parent}


def closes(call: str, parent: str | None = None) -> Step:
    return CLOSE, {"call_id": call, "parent_call_id": parent}


def thinks(parent: str | None = None) -> Step:
    return THINK, {"parent_call_id": parent}


def run(events: Sequence[Event]) -> RunState:
    """Return the state after all of them."""
    state = RunState()
    for event in events:
        state = advance(state, event)
    return state


@pytest.mark.parametrize("kind", EVENT_TYPES)
@pytest.mark.parametrize("phase", ["queued", "running", "completing", "ended"])
def test_the_table_is_the_contracts(phase: Any, kind: str) -> None:
    """Of the 28 pairs of phase and event eight are moves; every other is refused."""
    allowed = {
        ("queued", START): "running",
        ("queued", FAIL): "ended",
        ("running", THINK): "running",
        ("running", OPEN): "running",
        ("running", CLOSE): "running",
        ("running", DONE): "completing",
        ("running", FAIL): "ended",
        ("completing", FINAL): "ended",
    }
    assert allowed == MOVES
    calls = {"c1": "open"} if kind == CLOSE else {}
    state = RunState(phase=phase, last_seq=4, calls=calls)  # type: ignore[arg-type]
    fields = FIELDS[kind] | ({"call_id": "c1"} if kind in (OPEN, CLOSE) else {})
    fields |= {"code": "cancelled"} if kind == FAIL else {}
    event = event_of(kind, 5, **fields)
    if (phase, kind) in allowed:
        assert advance(state, event).phase == allowed[phase, kind]
    else:
        with pytest.raises(GrammarError):
            advance(state, event)


def test_the_canonical_turn_is_a_run() -> None:
    """Seven events, one terminal, completed."""
    events = canonical().history.events
    assert [event.type for event in events] == CANONICAL
    assert run(events).status == "completed"
    assert [run(events[:count]).status for count in range(8)] == ["queued", *["running"] * 6, "completed"]


@pytest.mark.parametrize("seq", [0, 1, 2, 4, 7])
def test_seq_has_no_holes_and_no_repeats(seq: int) -> None:
    """After 2 comes 3 and nothing else."""
    state = run(made(START, THINK))
    event = event_of(THINK, max(seq, 1), **FIELDS[THINK]).model_copy(update={"seq": seq})
    with pytest.raises(GrammarError):
        advance(state, event)
    assert advance(state, event_of(THINK, 3, **FIELDS[THINK])).last_seq == 3


@pytest.mark.parametrize("code", ["queue_timeout", "cancelled", "attempts_exhausted", "deadline_exceeded"])
def test_an_error_may_stand_alone_where_nothing_was_tried(code: str) -> None:
    """Four codes can end a run that never started."""
    state = run(made((FAIL, {"code": code})))
    assert state.phase == "ended"
    assert code in LONE_ERRORS
    assert state.status == ("cancelled" if code == "cancelled" else "failed")


@pytest.mark.parametrize(
    "code",
    ["model_unavailable", "model_refused", "tool_loop_limit", "budget_exceeded", "context_too_long", "internal"],
)
def test_any_other_error_needs_a_start(code: str) -> None:
    """A run that never started cannot have asked a model."""
    with pytest.raises(GrammarError):
        run(made((FAIL, {"code": code})))
    assert run(made(START, (FAIL, {"code": code}))).status == "failed"


BAD: dict[str, list[Step | str]] = {
    "a call opened twice": [START, opens("a"), opens("a")],
    "a call opened again after its end": [START, opens("a"), closes("a"), opens("a")],
    "a call closed twice": [START, opens("a"), closes("a"), closes("a")],
    "a call closed before it opened": [START, closes("a")],
    "another call closed": [START, opens("a"), closes("b")],
    "an end with an open call": [START, opens("a"), DONE],
    "an error with an open call": [START, opens("a"), FAIL],
    "an error with one of two calls open": [START, opens("a"), opens("b"), closes("a"), FAIL],
    "a step inside no call": [START, thinks("a")],
    "a call inside no call": [START, opens("b", "a")],
    "a step inside a closed call": [START, opens("a"), closes("a"), thinks("a")],
    "a call inside itself": [START, opens("a", "a")],
    "an inner call closed after its delegation": [START, opens("a"), opens("b", "a"), closes("a"), closes("b", "a")],
    "a second start": [START, START],
    "an answer without a completion": [START, FINAL],
    "a step after the completion": [START, DONE, THINK],
    "an error after the completion": [START, DONE, FAIL],
    "two completions": [START, DONE, DONE],
    "anything after the answer": [START, DONE, FINAL, THINK],
    "a second terminal": [START, DONE, FINAL, FAIL],
    "a second error": [START, FAIL, FAIL],
    "a start after a lone error": [(FAIL, {"code": "cancelled"}), START],
}


@pytest.mark.parametrize("steps", BAD.values(), ids=BAD.keys())
def test_what_the_grammar_does_not_allow_is_refused(steps: list[Step | str]) -> None:
    """The last event is the wrong one, and the state before it is untouched."""
    *before, last = made(*steps)
    state = run(before)
    with pytest.raises(GrammarError):
        advance(state, last)
    assert state == run(before)


def test_calls_may_run_side_by_side_and_inside_each_other() -> None:
    """In any order of closing, as long as the inner one goes first."""
    state = run(made(START, opens("a"), opens("b"), thinks("a"), opens("c", "a"), closes("b")))
    assert state.open_calls == ("a", "c")
    events = made(
        START, opens("a"), opens("b"), opens("c", "a"), closes("b"), closes("c", "a"), closes("a"), DONE, FINAL
    )
    assert run(events).status == "completed"


# A second reading of the contract: the whole sequence against one regular expression, then each call by itself.

LETTER = {START: "S", THINK: "t", OPEN: "o", CLOSE: "c", DONE: "D", FINAL: "F", FAIL: "E"}
PREFIX = re.compile(r"|S[toc]*|S[toc]*D|S[toc]*DF|S[toc]*E|E")


def grammatical(events: Sequence[Event]) -> bool:
    """Say whether events are the beginning of a run, without any state: by looking at all of them."""
    numbered = [event.seq for event in events] == list(range(1, len(events) + 1))
    shaped = PREFIX.fullmatch("".join(LETTER[event.type] for event in events)) is not None
    lone = not events or events[0].type != FAIL or getattr(events[0], "code", "") in LONE_ERRORS
    return numbered and shaped and lone and _calls_are_right(events)


def _calls_are_right(events: Sequence[Event]) -> bool:
    """Each call opens once and closes once, before the end; what has a parent stands inside it."""
    places: dict[str, list[int]] = {}
    for at, event in enumerate(events):
        if event.type in (OPEN, CLOSE):
            places.setdefault(getattr(event, "call_id", ""), []).append(at)
    ending = any(event.type in (DONE, FAIL) for event in events)
    for own in places.values():
        kinds = [events[at].type for at in own]
        if kinds != [OPEN, CLOSE] and (kinds != [OPEN] or ending):
            return False
    for at, event in enumerate(events):
        parent = getattr(event, "parent_call_id", None)
        span = [*places.get(parent, []), len(events)] if parent is not None else [-1, at]
        if len(span) == 1 or not span[0] < at <= span[1]:
            return False
    return True


CALLS = st.sampled_from(["a", "b", "c"])
PARENTS = st.none() | CALLS
STEPS: st.SearchStrategy[Step] = st.one_of(
    st.sampled_from([(THINK, {}), (DONE, {}), (FINAL, {}), (FAIL, {}), (FAIL, {"code": "cancelled"}), (START, {})]),
    st.builds(opens, CALLS, PARENTS),
    st.builds(closes, CALLS, PARENTS),
    st.builds(thinks, PARENTS),
)


def agrees(events: list[Event]) -> None:
    """Compare both readings on every prefix up to the first refusal."""
    state = RunState()
    for count, event in enumerate(events, start=1):
        expected = grammatical(events[:count])
        try:
            state = advance(state, event)
        except GrammarError:
            assert not expected, [one.type for one in events[:count]]
            return
        assert expected, [one.type for one in events[:count]]


@PROPERTY
@given(st.lists(STEPS, max_size=12))
def test_both_readings_agree_on_any_sequence(steps: list[Step]) -> None:
    """The table allows what the second reading allows, event by event."""
    agrees(made(*steps))


@PROPERTY
@given(st.data())
def test_both_readings_agree_on_long_runs(data: st.DataObject) -> None:
    """The same where each step is likely to fit, so that long runs are reached."""
    steps: list[Step] = [(START, {})]
    state = run(made(*steps))
    for _ in range(data.draw(st.integers(0, 15))):
        likely = [(OPEN, call) for call in "abc" if call not in state.calls]
        likely += [(CLOSE, call) for call in state.open_calls]
        kind, call = data.draw(st.sampled_from([*likely, (THINK, ""), (DONE, ""), (FAIL, ""), (FINAL, "")]))
        parent = data.draw(st.sampled_from([None, None, *state.open_calls]))
        fields = {"call_id": call} if call else {}
        steps.append((kind, fields | ({"parent_call_id": parent} if kind in (OPEN, CLOSE, THINK) and parent else {})))
        agrees(made(*steps))
        try:
            state = run(made(*steps))
        except GrammarError:
            return
