"""What is missing of a run: each absence from the moment on in which it is one, and nothing else of what goes well."""

from dataclasses import replace
from typing import Any

import pytest

from playbyplay.adapters.tables import JOURNAL_KEPT_S
from playbyplay.domain.audit import Finding, Seen, judge
from playbyplay.domain.connection import Subscriber
from playbyplay.domain.thread import Run
from playbyplay.domain.timing import CLOUD, ONE_MACHINE, Timing, timestamp
from playbyplay.protocol.base import MAX_CURSORS
from playbyplay.protocol.events import ToolCompleted
from tests.fakes.ids import uuid
from tests.histories import RUN, THREAD, TIME_MS, USER, Story, call, canonical

BEGAN = Story().starts()
CALLING = Story().starts().asks(call(1))
HOUR_S = 3600.0
DAY_S = 86_400.0


def run_of(**changes: Any) -> Run:
    """Return a run that was accepted at the time of all events of the stories."""
    run = Run(USER, RUN, THREAD, 1, None, "", TIME_MS, TIME_MS + round(2 * HOUR_S * 1000))
    return replace(run, **changes)


def held(until_s: float, **changes: Any) -> Run:
    """Return a run with an owner, whose lease ends so long after the accept."""
    return run_of(status="running", owner="one", lease_until_ms=TIME_MS + round(until_s * 1000), **changes)


def client(after_s: float, receipts: dict[str, int] | None = None, **changes: Any) -> Subscriber:
    """Return a connection whose last receipts came so long after the accept."""
    kept = Subscriber("mine=", TIME_MS - 60_000, False, receipts or {}, TIME_MS + round(after_s * 1000))
    return replace(kept, **changes)


def found(
    after_s: float, story: Story, run: Run, *, timing: Timing = CLOUD, ready_ms: int | None = TIME_MS, **more: Any
) -> dict[str, float]:
    """Return what is missing so long after the accept, and for how many seconds."""
    seen = Seen(run=run, records=story.records, ready_ms=ready_ms, **more)
    findings = judge(seen, now_ms=TIME_MS + round(after_s * 1000), timing=timing)
    assert len({finding.absence for finding in findings}) == len(findings)
    return {finding.absence: finding.waits_ms / 1000 for finding in findings}


BOTH = pytest.mark.parametrize("timing", [CLOUD, ONE_MACHINE], ids=["AWS", "one machine"])


@BOTH
@pytest.mark.parametrize("after_s", [0, 1, 4])
def test_a_run_that_goes_well_lacks_nothing(timing: Timing, after_s: float) -> None:
    """While it waits for a runner, while a tool is at work, and when it is over."""
    watching = [client(after_s, {RUN: 3})]
    assert found(after_s, Story(), run_of(), timing=timing) == {}
    assert found(after_s, CALLING, held(5), timing=timing, subscribers=watching) == {}
    assert found(after_s, canonical(), run_of(status="completed"), timing=timing) == {}


@BOTH
def test_a_run_that_nobody_begins_lacks_its_start(timing: Timing) -> None:
    """Ten seconds are enough; an owner that has written nothing is no beginning."""
    assert found(10, Story(), run_of(), timing=timing) == {}
    assert found(10.001, Story(), run_of(), timing=timing) == {"agent_started": 10.001}
    assert found(11, Story().taken_over(), held(60), timing=timing) == {"agent_started": 11}


def test_a_run_that_waits_its_turn_lacks_nothing() -> None:
    """Its wait counts from the end of the turn before it."""
    assert found(900, Story(), run_of(), ready_ms=None) == {}
    assert found(900, Story(), run_of(), ready_ms=TIME_MS + 890_000) == {}
    assert found(900, Story(), run_of(), ready_ms=TIME_MS + 889_000) == {"agent_started": 11}
    assert found(900, Story(), run_of(), ready_ms=TIME_MS - 5_000) == {"agent_started": 900}


def test_a_run_that_was_over_before_it_began_lacks_nothing() -> None:
    """Its user cancelled it, it may be; nor does one whose end the store has not noted yet."""
    story = Story().taken_over().fails("cancelled")
    assert found(900, story, run_of(status="cancelled")) == {}
    assert found(900, story, run_of()) == {}


def test_a_call_whose_owner_fell_lacks_its_end() -> None:
    """From a little after the end of the lease on; how long the call itself is open is told."""
    assert found(32, CALLING, held(30)) == {}
    assert found(32.001, CALLING, held(30)) == {"tool_completed": 32.001}
    assert found(32.001, Story().starts().asks(call(1)).returns("c1"), held(30)) == {}
    assert found(3.2, CALLING, held(3), timing=ONE_MACHINE) == {}
    assert found(3.201, CALLING, held(3), timing=ONE_MACHINE) == {"tool_completed": 3.201}


def test_an_owner_that_gave_the_run_back_did_not_fall() -> None:
    """The next one is on its way, and another absence is told if it is not."""
    assert found(40, CALLING, run_of(status="running")) == {}


@BOTH
def test_a_call_that_is_open_for_too_long_lacks_its_end(timing: Timing) -> None:
    """Whoever holds the run, and however truly."""
    assert found(600, CALLING, held(610), timing=timing) == {}
    assert found(600.001, CALLING, held(610), timing=timing) == {"tool_completed": 600.001}


def test_a_delegation_is_at_work_while_there_are_steps_inside() -> None:
    """However long the sub-agent takes; one whose sub-agent is silent is not."""
    story = Story().starts().asks(call(1, "ask_reader", delegate="reader"))
    story.asks(call(2, "ask_writer", delegate="writer"), scope="c1", agent="reader")
    story.asks(call(3), scope="c2", agent="writer").returns("c3")
    later = _all_later(story, "c3", 280)
    assert found(700, story, held(900)) == {"tool_completed": 700}
    assert found(700, later, held(900)) == {}
    assert found(881, later, held(900)) == {"tool_completed": 601}


def _all_later(story: Story, call_id: str, seconds: float) -> Story:
    """Return a story in which the end of a call came so much later."""
    late = Story.again(story)
    record = late.history.records[-1]
    (ended,) = record.events
    assert isinstance(ended, ToolCompleted)
    assert ended.call_id == call_id
    time = timestamp(TIME_MS + round(seconds * 1000))
    entry = record.entries[1].model_copy(update={"event": ended.model_copy(update={"timestamp": time})})
    late.history.records[-1] = replace(record, entries=(record.entries[0], entry))
    return late


@pytest.mark.parametrize(("timing", "recovery_s"), [(CLOUD, 180.0), (ONE_MACHINE, 5.0)], ids=["AWS", "one machine"])
def test_a_run_that_nobody_goes_on_with_lacks_its_end(timing: Timing, recovery_s: float) -> None:
    """As long as the recovery of a lost job may take after the last event, or after the last lease."""
    given_back = run_of(status="running")
    assert found(recovery_s, BEGAN, given_back, timing=timing) == {}
    assert found(recovery_s + 1, BEGAN, given_back, timing=timing) == {"terminal": recovery_s + 1}
    assert found(recovery_s + 1, BEGAN, held(1), timing=timing) == {}
    assert found(recovery_s + 2, BEGAN, held(1), timing=timing) == {"terminal": recovery_s + 1}


@BOTH
def test_a_run_past_its_deadline_lacks_its_end(timing: Timing) -> None:
    """An hour from its start, two from its accept, and the time of a recovery: whoever says to be at work on it."""
    timing = replace(timing, silence_s=9 * HOUR_S)
    grace_s = timing.recovery_s
    busy = held(9 * HOUR_S)
    assert found(HOUR_S + grace_s, BEGAN, busy, timing=timing) == {}
    assert found(HOUR_S + grace_s + 1, BEGAN, busy, timing=timing) == {"terminal": grace_s + 1}
    waiting = run_of()
    assert found(2 * HOUR_S + grace_s, Story(), waiting, timing=timing, ready_ms=None) == {}
    assert found(2 * HOUR_S + grace_s + 1, Story(), waiting, timing=timing, ready_ms=None) == {"terminal": grace_s + 1}


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
def test_a_run_that_the_store_calls_over_lacks_the_end_its_journal_lacks(status: str) -> None:
    """At once: the journal is the truth, and the store is told after it."""
    assert found(0.5, BEGAN, run_of(status=status)) == {"terminal": 0.5}
    assert found(0.5, Story(), run_of(status=status)) == {"terminal": 0.5}
    assert found(0.5, canonical(), run_of(status=status)) == {}
    fallen = run_of(status=status, owner="one")
    assert found(400, CALLING, fallen, left_ms=TIME_MS) == {"terminal": 400}  # and nothing of one that goes on
    assert found(400, Story(), fallen, left_ms=TIME_MS) == {"terminal": 400}


def test_an_open_run_whose_journal_has_ended_lacks_nothing() -> None:
    """The store's status is a cache: no owner, no lease, no user is missed any more."""
    assert found(9 * HOUR_S, canonical(), held(1), left_ms=TIME_MS) == {}


@pytest.mark.parametrize(("timing", "receipt_s"), [(CLOUD, 30.0), (ONE_MACHINE, 5.0)], ids=["AWS", "one machine"])
def test_a_client_that_pings_and_lacks_an_event_is_found(timing: Timing, receipt_s: float) -> None:
    """By the receipts it gave long after the event: the last of them was to name it."""
    over, now_s = run_of(status="completed"), receipt_s + 3
    assert found(now_s, canonical(), over, timing=timing, subscribers=[client(receipt_s, {RUN: 6})]) == {}
    behind = [client(receipt_s + 1, {RUN: 6})]
    assert found(now_s, canonical(), over, timing=timing, subscribers=behind) == {"receipt": now_s}
    assert found(now_s, canonical(), over, timing=timing, subscribers=[client(receipt_s + 1, {RUN: 7})]) == {}


def test_a_client_is_found_by_the_first_event_that_it_lacks() -> None:
    """While a run goes on and on its last event is always young."""
    story = Story().starts().asks(call(1)).returns("c1")
    story = _all_later(story, "c1", 59)
    assert found(60, story, held(90), subscribers=[client(58, {RUN: 2})]) == {"receipt": 60}
    assert found(60, story, held(90), subscribers=[client(58, {RUN: 3})]) == {}


def test_a_client_that_does_not_name_an_open_run_lacks_all_of_it() -> None:
    """One that is over it names no more, and no ping has room for more than so many runs."""
    unheard = [client(58, {uuid(77): 4})]
    assert found(60, BEGAN, held(90), subscribers=unheard) == {"receipt": 60}
    assert found(60, canonical(), run_of(status="completed"), subscribers=unheard) == {}
    assert found(60, canonical(), held(90), subscribers=unheard) == {}
    full = client(58, {uuid(1000 + number): 1 for number in range(MAX_CURSORS)})
    assert found(60, BEGAN, held(90), subscribers=[full]) == {}
    assert found(9, Story(), run_of(), subscribers=[client(900, {uuid(77): 4})]) == {}


def test_only_a_client_that_could_have_it_is_judged() -> None:
    """Not one that never pinged, that has just begun to lag and will resume, that is new, or that pings no more."""
    for quiet in (
        client(0, received_ms=0),
        client(58, {RUN: 0}, lagging=True),
        client(59, {RUN: 0}, opened_ms=TIME_MS + 29_000),
        client(49.999, {RUN: 0}),
    ):
        assert found(60, BEGAN, held(90), subscribers=[quiet]) == {}
    assert found(60, BEGAN, held(90), subscribers=[client(50, {RUN: 0})]) == {"receipt": 60}
    for after_s, lacks in ((120, {}), (121, {"receipt": 121})):
        lagging = client(after_s, {RUN: 0}, lagging=True)
        assert found(after_s, BEGAN, held(after_s + 30), subscribers=[lagging]) == lacks
    young = client(60, {RUN: 0}, opened_ms=TIME_MS + 29_000)
    assert found(60, BEGAN, held(90), subscribers=[young]) == {"receipt": 31}


def test_one_client_of_many_is_enough() -> None:
    """The one that lacks the most is told."""
    first, second = client(59, {RUN: 1}), client(59, {RUN: 0}, connection_id="other=", opened_ms=TIME_MS + 5_000)
    assert found(60, BEGAN, held(90), subscribers=[first]) == {}
    assert found(60, BEGAN, held(90), subscribers=[first, second]) == {"receipt": 55}
    third = client(59, {RUN: 0}, connection_id="third=", opened_ms=TIME_MS + 9_000)
    assert found(60, BEGAN, held(90), subscribers=[third, second]) == {"receipt": 55}


@BOTH
def test_an_owner_that_only_renews_its_lease_is_not_believed_for_ever(timing: Timing) -> None:
    """It may hang: a quarter of an hour without any event is longer than a call, or an answer, may take."""
    assert timing.silence_s > timing.call_s
    assert found(900, BEGAN, held(930), timing=timing) == {}
    assert found(900.001, BEGAN, held(930), timing=timing) == {"terminal": 900.001}


@BOTH
def test_a_user_who_left_is_missed(timing: Timing) -> None:
    """Ten seconds after the last connection went, of a run that was there by then or came later."""
    left_ms = TIME_MS + 1_000
    assert found(11, BEGAN, held(15), timing=timing, left_ms=left_ms) == {}
    assert found(11.5, BEGAN, held(15), timing=timing, left_ms=left_ms) == {"user": 10.5}
    assert found(10, BEGAN, held(15), timing=timing, left_ms=TIME_MS - 99_000) == {}
    assert found(10.5, BEGAN, held(15), timing=timing, left_ms=TIME_MS - 99_000) == {"user": 10.5}


def test_a_user_who_is_there_or_whose_run_is_over_is_not_missed() -> None:
    """Nor one of whom nothing is known."""
    assert found(20, BEGAN, held(30), left_ms=TIME_MS, subscribers=[client(0)]) == {}
    assert found(20, BEGAN, held(30)) == {}
    assert found(20, canonical(), run_of(status="completed"), left_ms=TIME_MS) == {}


def test_a_journal_that_breaks_a_rule_is_told_with_the_rules() -> None:
    """Once, whatever the number of them."""
    records = list(canonical().records)
    records[2] = replace(records[2], epoch=7, last_seq=9)
    seen = Seen(run=run_of(status="completed"), records=records)
    told = Finding("journal", 5_000, ("journal.seq", "journal.epochs"))
    assert judge(seen, now_ms=TIME_MS + 5_000, timing=CLOUD) == [told]
    old_ms = round(33 * DAY_S * 1000)  # as long as it is whole it is judged
    assert judge(seen, now_ms=TIME_MS + old_ms, timing=CLOUD) == [replace(told, waits_ms=old_ms)]


@pytest.mark.parametrize("gone", [0, 1, 3, "all"])
def test_a_hole_is_a_violation_until_records_may_have_expired(gone: int | str) -> None:
    """A run is kept for 37 days, its journal for 30: of what has begun to expire nothing is said."""
    records = list(canonical().records)
    del records[slice(None) if gone == "all" else slice(int(gone), int(gone) + 1)]
    seen = Seen(run=run_of(status="completed"), records=records)
    young = judge(seen, now_ms=TIME_MS + round(30 * DAY_S * 1000), timing=CLOUD)
    assert "journal" in {finding.absence for finding in young}
    assert judge(seen, now_ms=TIME_MS + round(30 * DAY_S * 1000) + 1, timing=CLOUD) == []


def test_an_old_run_that_is_still_open_lacks_its_end() -> None:
    """Whatever is left of its journal."""
    assert set(found(31 * DAY_S, BEGAN, run_of())) == {"terminal"}
    seen = Seen(run=run_of(), records=BEGAN.records[1:])
    (told,) = judge(seen, now_ms=TIME_MS + round(31 * DAY_S * 1000), timing=CLOUD)
    assert told == Finding("terminal", round((31 * DAY_S - 2 * HOUR_S) * 1000))


def test_calls_that_stand_inside_each_other_are_judged_all_the_same() -> None:
    """A journal that no writer would write must not hold the auditor up."""
    records = list(CALLING.records)
    entries = records[2].entries
    opened = records[2].events[1].model_copy(update={"parent_call_id": "c1"})
    again = opened.model_copy(update={"seq": 4, "call_id": "c2", "parent_call_id": "c1"})
    looped = opened.model_copy(update={"seq": 5, "parent_call_id": "c2"})
    made = (*entries[:2], *(entries[2].model_copy(update={"event": one}) for one in (opened, again, looped)))
    records[2] = replace(records[2], entries=made, last_seq=5)
    seen = Seen(run=held(30), records=records)
    absences = {finding.absence for finding in judge(seen, now_ms=TIME_MS + 60_000, timing=CLOUD)}
    assert absences == {"tool_completed", "journal"}


def test_a_clock_that_is_behind_tells_no_negative_wait() -> None:
    """A record may be of a moment that the auditor's clock has not come to."""
    assert found(-1, BEGAN, run_of(status="completed")) == {"terminal": 0}


def test_the_auditor_goes_by_how_long_records_are_kept() -> None:
    """On either home: a rule of the domain cannot ask the adapter that removes them."""
    assert CLOUD.journal_s == ONE_MACHINE.journal_s == JOURNAL_KEPT_S
