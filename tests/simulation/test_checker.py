"""The judge is judged: it passes what is well, and each of its rules bites what it is there for."""

import itertools
import json
import random
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.properties import PROPERTY
from tests.simulation import mutants_live, mutants_seen, mutants_stored
from tests.simulation.checker import RULES, check
from tests.simulation.evidence import Bounds, Client, Evidence, Fault, Frame, Logged, ModelAsked
from tests.simulation.mutants import Mutant, frame, late, says
from tests.simulation.sample import BOUNDS, DESK, LAPTOP, LOST, PHONE, PLAIN
from tests.simulation.valid import valid

MUTANTS = {**mutants_stored.MUTANTS, **mutants_seen.MUTANTS, **mutants_live.MUTANTS}
PONG = '{"type":"pong","heads":{}}'


def test_that_all_is_well() -> None:
    """Evidence in which all is well is valid, and every rule was asked."""
    report = check(valid())
    assert (report.verdict, report.violations, report.unjudged) == ("valid", (), ())
    assert (report.runs, report.frames) == (3, len(valid().frames))


def test_that_every_rule_has_a_mutant() -> None:
    """No rule is without a history that it must find wrong, and none speaks without a promise."""
    assert set(RULES) == set(MUTANTS)
    assert all(found.promise.endswith((".", ")")) for found in RULES.values())


@pytest.mark.parametrize("name", MUTANTS)
def test_that_a_rule_bites(name: str) -> None:
    """A history made wrong in one place is invalid by the rule that is there for it."""
    evidence = valid()
    MUTANTS[name](evidence)
    report = check(evidence)
    assert report.verdict == "invalid"
    assert name in report.broken
    assert all(violation.subject and violation.sentence for violation in report.violations)


@pytest.mark.parametrize("leak", mutants_seen.LEAKS.values(), ids=mutants_seen.LEAKS.keys())
def test_that_every_leak_is_found(leak: Mutant) -> None:
    """What is another's is found in a pong, in a text and in a name, not only in events."""
    evidence = valid()
    leak(evidence)
    assert "delivery.isolation" in check(evidence).broken


def test_that_no_runs_are_unknown() -> None:
    """A campaign that made no run says nothing, whatever clients came."""
    empty = Evidence(bounds=BOUNDS, clients=[Client(LAPTOP, "ann")], ended_ms=1_000)
    empty.frames.append(Frame(1.0, LAPTOP, "connection 1", "received", PONG))
    assert check(empty).verdict == "unknown"


def test_that_what_nobody_witnessed_is_said_to_be_unjudged() -> None:
    """Rules whose witnesses were not there are named, and not taken for kept."""
    evidence = valid()
    evidence.puts, evidence.called, evidence.effects, evidence.asked = [], [], [], []
    evidence.witnessed = frozenset()
    report = check(evidence)
    assert report.verdict == "valid"
    assert set(report.unjudged) == {name for name, found in RULES.items() if found.needs}
    assert {"journal.kept", "execution.unsafe_once", "bounds.terminal"} <= set(report.unjudged)


def test_that_a_broken_world_is_not_asked_for_bounds() -> None:
    """A fault that covers the silence, the ping and the end prolongs what they may take by as much."""
    for name in ("bounds.silence", "bounds.pong", "bounds.terminal", "bounds.whole", "answers.command"):
        evidence = valid()
        MUTANTS[name](evidence)
        evidence.faults.append(Fault(0.0, "store", "down", evidence.ended_ms))
        assert name not in check(evidence).broken, name


def test_that_an_instant_does_not_excuse_what_came_long_after() -> None:
    """A fault that was over prolongs nothing: the silence after it is as long as it is."""
    evidence = valid()
    MUTANTS["bounds.silence"](evidence)
    evidence.faults.append(Fault(9_400.0, "gateway", "drop", 9_400.0))
    assert "bounds.silence" in check(evidence).broken


def test_that_only_an_owner_held_up_may_come_late() -> None:
    """A model asked after its checkpoint is excused by a pause that covers the time, not by a crash."""
    for mode, broken in (("pause", False), ("crash_after", True)):
        evidence = valid()
        at_ms = evidence.ended_ms
        evidence.asked.append(ModelAsked(at_ms, PLAIN, None, 0))
        evidence.faults.append(Fault(at_ms - 40_000, "runner", mode, at_ms - 100))
        assert ("execution.no_step_repeated" in check(evidence).broken) is broken


@pytest.mark.parametrize(("after_s", "broken"), [(1, False), (14, False), (16, True)])
@pytest.mark.parametrize("skewed", [False, True])
def test_that_clocks_that_differ_excuse_an_owner_until_it_renews(after_s: float, *, broken: bool, skewed: bool) -> None:
    """One whose lease is over by another's clock is at work until its next renewal tells it, and no longer."""
    evidence = valid()
    assert evidence.terms is not None
    evidence.terms = replace(evidence.terms, skewed=skewed)
    put = next(one for one in evidence.puts if one.run_id == PLAIN and one.pos == 2)
    evidence.asked.append(ModelAsked(put.at_ms + after_s * 1000, PLAIN, None, 0))
    assert ("execution.no_step_repeated" in check(evidence).broken) is (broken or not skewed)


def test_that_a_pause_does_not_excuse_an_unsafe_call() -> None:
    """An unsafe tool is entered once, whatever was broken."""
    evidence = valid()
    MUTANTS["execution.unsafe_once"](evidence)
    evidence.faults.append(Fault(0.0, "runner", "pause", evidence.ended_ms))
    assert "execution.unsafe_once" in check(evidence).broken


def test_that_a_pure_call_may_be_made_again() -> None:
    """What a pure tool does may be done twice, by two owners, until it is completed."""
    evidence = valid()
    evidence.called = [replace(one, semantics="pure") if one.run_id == PLAIN else one for one in evidence.called]
    again = evidence.called[-1]
    evidence.called.append(replace(again, at_ms=again.at_ms + 1))
    evidence.effects.append(evidence.effects[-1])
    assert check(evidence).verdict == "valid"


def test_that_an_owner_that_let_go_is_no_attempt() -> None:
    """Fences of owners that handed the run on, or gave it back, are not counted as falls."""
    evidence = valid()
    MUTANTS["execution.attempts"](evidence)
    evidence.log = [Logged(1.0, "run_handed_on", {"run_id": LOST})] * 5
    assert "execution.attempts" not in check(evidence).broken


def test_that_a_device_that_left_need_not_be_whole() -> None:
    """Of a client that does not stay only what it got is judged."""
    evidence = valid()
    MUTANTS["delivery.whole"](evidence)
    evidence.clients = [replace(one, stays=one.name != PHONE) for one in evidence.clients]
    assert check(evidence).verdict == "valid"


def test_that_a_client_told_of_the_loss_need_not_be_whole() -> None:
    """A run whose events are no longer kept, and of which a client was told so, is no hole (C14)."""
    evidence = valid()
    MUTANTS["delivery.whole"](evidence)
    known = {run.run_id for run in evidence.runs if run.user == "ann"}
    for run_id in known:
        refusal = {"type": "message_rejected", "code": "expired", "message": "Gone.", "retryable": False}
        text = json.dumps(refusal | {"run_id": run_id})
        evidence.frames.append(Frame(evidence.ended_ms, PHONE, "connection 4", "received", text))
    assert check(evidence).verdict == "valid"


def test_that_an_altered_event_is_not_taken_for_the_same() -> None:
    """True is not 1: an event is compared as JSON, not as Python sees it; another spelling of it is the same."""
    evidence = valid()
    says(evidence, frame(evidence, "agent_started", client=DESK), {})
    assert check(evidence).verdict == "valid"
    says(evidence, frame(evidence, "agent_started", client=DESK), {"v": True})
    assert "delivery.as_stored" in check(evidence).broken


def test_that_a_repeat_by_the_network_is_no_second_acceptance() -> None:
    """An acceptance that came twice as it was is only wrong where no network was made to repeat frames."""
    for faults, broken in (([], True), ([Fault(0.0, "gateway", "dup", 0.0)], False)):
        evidence = valid()
        index = frame(evidence, "message_accepted", client=DESK)
        evidence.frames.insert(index, evidence.frames[index])
        evidence.faults += faults
        assert ("submission.duplicate" in check(evidence).broken) is broken


def test_that_violations_of_one_rule_do_not_bury_the_others() -> None:
    """Of each rule the first violations are told, and every rule that is broken is named."""
    evidence = valid()
    evidence.effects = evidence.effects[-1:] * 2
    evidence.frames += [
        Frame(evidence.ended_ms, DESK, "connection 3", "received", f'{{"type":"odd {number}"}}') for number in range(99)
    ]
    report = check(evidence)
    assert report.broken == {"delivery.known_frames", "execution.one_effect"}
    assert len(report.violations) == 51


def test_that_bounds_are_bounds() -> None:
    """Exactly at a bound is in time."""
    evidence = valid()
    index = frame(evidence, "pong", client=DESK)
    ping_ms, pong_ms = evidence.frames[index - 1].at_ms, evidence.frames[index].at_ms
    late(evidence, pong_ms - 1, 2_000 - (pong_ms - ping_ms))
    assert check(evidence).verdict == "valid"
    evidence.bounds = Bounds(terminal_s=100.0, silence_s=15.0, pong_s=1.999, whole_s=10.0)
    assert check(evidence).broken == {"bounds.pong"}


def _twice(evidence: Evidence, chance: random.Random) -> None:
    """Have the network repeat an event."""
    events = [index for index, one in enumerate(evidence.frames) if one.way == "received" and '"seq":' in one.text]
    index = chance.choice(events)
    evidence.frames.insert(index + 1, evidence.frames[index])


def _more_pings(evidence: Evidence, chance: random.Random) -> None:
    """Have a client ping once more."""
    at_ms = chance.uniform(1, evidence.ended_ms)
    for way, text in (("sent", '{"type":"ping"}'), ("received", PONG)):
        place = sum(one.at_ms <= at_ms for one in evidence.frames)
        made = Frame(at_ms, DESK, "connection 3", "sent" if way == "sent" else "received", text)
        evidence.frames.insert(place, made)


def _side_by_side(evidence: Evidence, chance: random.Random) -> None:
    """Have frames of different clients written down in another order; each client's own stays."""
    chosen = [one.client for one in evidence.frames]
    chance.shuffle(chosen)
    left = {client: iter([one for one in evidence.frames if one.client == client]) for client in set(chosen)}
    evidence.frames = [next(left[client]) for client in chosen]


def _runs_apart(evidence: Evidence, chance: random.Random) -> None:
    """Have the runs told in another order."""
    runs = list(evidence.runs)
    chance.shuffle(runs)
    evidence.runs = runs
    evidence.journals = dict(sorted(evidence.journals.items(), key=lambda _: chance.random()))
    puts = {
        run_id: [put for put in evidence.puts if put.run_id == run_id] for run_id in {p.run_id for p in evidence.puts}
    }
    evidence.puts = list(itertools.chain.from_iterable(puts.values()))


def _hears_of_others(evidence: Evidence, _chance: random.Random) -> None:
    """Have a gateway say that it failed, which names nobody."""
    text = '{"message": "Internal server error", "connectionId": "x=", "requestId": "y="}'
    evidence.frames.append(Frame(evidence.ended_ms, DESK, "connection 3", "received", text))


HARMLESS: tuple[Callable[[Evidence, random.Random], None], ...] = (
    _twice,
    _more_pings,
    _side_by_side,
    _runs_apart,
    _hears_of_others,
)


@PROPERTY
@given(st.lists(st.sampled_from(HARMLESS), min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_that_harmless_changes_raise_no_alarm(
    changes: list[Callable[[Evidence, random.Random], None]], chance: random.Random
) -> None:
    """Repeated frames, more pings, another order of what is independent: still valid."""
    evidence = valid()
    for change in changes:
        change(evidence, chance)
    assert check(evidence).violations == ()
