"""The supervisor under crashes: at every append and at every call of a port, and with an owner that comes back.

`answered` is a journal as an earlier version left it: its answer is recorded, its end is not.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import get_args

import pytest

from agent_runner.agent import Semantics
from agent_runner.model import ModelResponse
from playbyplay.domain.journal import FenceEntry
from playbyplay.domain.thread import Run
from playbyplay.protocol.events import EVENT_TYPES
from tests.fakes.faults import Crash, Fault, Faults, after, before, fail_after, fail_before, lost
from tests.fakes.model import calls
from tests.fakes.run_queue import FakeReceipt
from tests.histories import CANONICAL
from tests.house import QUICK, House, perform
from tests.unit.agent_runner.desk import ANSWER, CANONICAL_PLAN, DELEGATED_PLAN, Desk, answered, until

PLANS = {"canonical": CANONICAL_PLAN, "delegated": DELEGATED_PLAN, "answered": CANONICAL_PLAN}
APPENDS = {"canonical": 4, "delegated": 8, "answered": 2}
FEWEST_CALLS = {"canonical": 18, "delegated": 30, "answered": 10}
DELEGATED = sorted(
    [
        *("agent_started", "agent_completed", "final_response"),
        *["agent_thinking"] * 4,
        *["tool_executing", "tool_completed"] * 3,
    ]
)
SWEEP = [(name, number) for name, count in APPENDS.items() for number in range(1, count + 1)]


def desk(name: str, semantics: Semantics = "pure") -> Desk:
    plan: Mapping[str, Sequence[ModelResponse]] = PLANS[name]
    return Desk(plan, semantics)


async def begun(name: str, of: Desk) -> Run:
    """Return the run as its next owner finds it; calls of ports are counted from here."""
    run = await (answered(of, APPENDS["canonical"]) if name == "answered" else of.accepted())
    of.house.faults = _fresh(of.house)
    return run


async def crashes(of: Desk, run: Run) -> bool:
    """Let a runner work until the process is gone; say whether it was."""
    with contextlib.suppress(Crash):
        await perform(of.supervisor(), run, FakeReceipt(of.house.faults))
    crashed, of.house.faults.dead = of.house.faults.dead, False
    of.house.lease_ends()
    return crashed


def right(name: str, of: Desk, run: Run) -> None:
    """Assert that the run ended as if nothing had happened."""
    types = of.check(run)
    assert sorted(types) == DELEGATED if name == "delegated" else types == CANONICAL


@pytest.mark.parametrize("name", PLANS)
async def test_a_turn_without_a_crash_has_so_many_appends(name: str) -> None:
    """Which is how many places the other tests crash at."""
    of = desk(name)
    run = await begun(name, of)
    assert await perform(of.supervisor(), run) is None
    right(name, of, run)
    assert of.house.faults.count("journal.append") == APPENDS[name]
    assert set(of.called.values()) == {1}


async def test_an_answer_without_its_end_is_finished_by_whoever_comes() -> None:
    """No model is asked and no tool is called: what is recorded is all that is needed."""
    of = desk("answered")
    run = await begun("answered", of)
    asked, called = len(of.model.requests), dict(of.called)
    assert await perform(of.supervisor(), run) is None
    right("answered", of, run)
    assert (len(of.model.requests), of.called) == (asked, called)
    final = of.house.gateway.frames(of.house.seen, "final_response")[0]
    assert (final["content"], final["usage"]) == (ANSWER.text, {"input_tokens": 2, "output_tokens": 2})
    ends = of.house.journal.records(run.user, run.run_id)[-2:]
    assert [[getattr(one, "kind", "") for one in record.entries] for record in ends] == [["fence"], ["event", "event"]]


@pytest.mark.parametrize("when", [before, after], ids=["before the commit", "after the commit"])
@pytest.mark.parametrize(("name", "number"), SWEEP)
async def test_a_crash_at_any_append_loses_and_repeats_nothing(
    name: str, number: int, when: Callable[[BaseException], Fault]
) -> None:
    """The next runner ends the run as if nothing had happened; what was recorded is not done again."""
    of = desk(name)
    run = await begun(name, of)
    of.house.faults.strike_at(number, when(Crash()), "journal.append")
    assert await crashes(of, run)
    assert await perform(of.supervisor(), run) is None
    right(name, of, run)


async def test_a_run_that_crashes_at_every_append_in_turn_gets_through() -> None:
    """Each of twenty owners appends one record and dies: none of them is an attempt without progress."""
    rounds = [calls("look", text=f"Look number {number}.") for number in range(10)]
    of = Desk({"supervisor": [*rounds, ANSWER]})
    run = await of.accepted()
    for number in range(1, 99):
        of.house.faults = _fresh(of.house)
        of.house.faults.strike_at(2 if number > 1 else 1, after(Crash()), "journal.append")
        if not await crashes(of, run):
            break
    assert of.check(run).count("tool_completed") == 10
    assert of.house.history(run).epoch >= 20
    assert set(of.called.values()) == {1}


@pytest.mark.parametrize("when", [before, after], ids=["before", "after"])
@pytest.mark.parametrize("name", PLANS)
async def test_two_crashes_one_after_the_other_lose_and_repeat_nothing(
    name: str, when: Callable[[BaseException], Fault]
) -> None:
    """At every pair of appends of the first owner and the second."""
    for first in range(1, APPENDS[name] + 1):
        for second in range(1, APPENDS[name] + 3 - first):
            of = desk(name)
            run = await begun(name, of)
            for number in (first, second):
                of.house.faults = _fresh(of.house)
                of.house.faults.strike_at(number, when(Crash()), "journal.append")
                await crashes(of, run)
            assert await perform(of.supervisor(), run) is None
            right(name, of, run)


def _fresh(house: House) -> Faults:
    """Give every port of a house new faults, so that calls are counted from 1."""
    faults = Faults()
    for port in (house.journal, house.runs, house.queue, house.connections, house.gateway):
        port.faults = faults
    return faults


def still(name: str) -> Desk:
    """Return a desk at which no time passes: a slow machine adds no heartbeat and no renewal to the calls."""
    of = desk(name)
    of.house.monotonic = lambda: 0.0
    return of


async def _calls_of(name: str) -> int:
    of = still(name)
    run = await begun(name, of)
    await perform(of.supervisor(), run, FakeReceipt(of.house.faults))
    return len(of.house.faults.calls)


@pytest.mark.parametrize("when", [before, after], ids=["before", "after"])
@pytest.mark.parametrize("name", PLANS)
async def test_a_crash_at_any_call_of_any_port_loses_and_repeats_nothing(
    name: str, when: Callable[[BaseException], Fault]
) -> None:
    """Leases, reads, appends, posts, settling and the queue: the job comes again, and all is well."""
    count = await _calls_of(name)
    struck = 0
    for number in range(1, count + 1):
        of = still(name)
        run = await begun(name, of)
        of.house.faults.strike_at(number, when(Crash()))
        struck += await crashes(of, run)
        assert await perform(of.supervisor(), run) is None, number
        right(name, of, run)
    assert struck >= count - 2
    assert count >= FEWEST_CALLS[name]


@pytest.mark.parametrize("fault", [fail_before, fail_after, lost], ids=["unavailable", "written", "lost"])
@pytest.mark.parametrize(("name", "number"), SWEEP)
async def test_a_doubtful_append_anywhere_is_no_trouble(name: str, number: int, fault: Callable[[], Fault]) -> None:
    """The same owner finds out and goes on; every event is posted once."""
    of = desk(name)
    run = await begun(name, of)
    epoch = of.house.history(run).epoch
    of.house.faults.strike_at(number, fault(), "journal.append")
    assert await perform(of.supervisor(), run) is None
    right(name, of, run)
    seqs = [frame["seq"] for frame in of.house.gateway.frames(of.house.seen, *EVENT_TYPES)]
    assert seqs == list(range(1, len(of.house.events(run)) + 1))
    assert of.house.history(run).epoch == epoch + 1


@pytest.mark.parametrize(
    "operation", ["runs.acquire", "journal.read", "runs.settle", "runs.head", "runs.renew", "connections.subscribers"]
)
@pytest.mark.parametrize("fault", [fail_before, lost], ids=["unavailable", "lost"])
async def test_a_store_that_fails_for_a_moment_is_no_trouble(operation: str, fault: Callable[[], Fault]) -> None:
    """Whatever it was doing, the job comes again or goes on."""
    of = desk("canonical")
    run = await of.accepted()
    of.house.faults.plan(operation, fault())
    for _ in range(3):
        if await perform(of.supervisor(), run) is None:
            break
        of.house.lease_ends()
    right("canonical", of, run)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("name", "number"), SWEEP)
async def test_an_owner_that_comes_back_changes_nothing(name: str, number: int, when: str) -> None:
    """It hangs at an append, another ends the run; woken up, it adds nothing, and no unsafe call is made twice."""
    of = desk(name, "unsafe")
    run = await begun(name, of)
    gate = asyncio.Event()
    of.house.faults.strike_at(number, Fault("before" if when == "before" else "after", gate=gate), "journal.append")
    zombie = asyncio.ensure_future(perform(of.supervisor(), run))
    await until(lambda: of.house.faults.count("journal.append") == number)
    await asyncio.sleep(0.002)
    assert not zombie.done()
    of.house.lease_ends()
    assert await perform(of.supervisor(), run) is None
    records = of.house.journal.records(run.user, run.run_id)
    gate.set()
    outcome = await zombie
    assert outcome in (None, QUICK.retry_s)
    of.wrong.clear()  # a question of the one who did not know it yet is no repeated step
    assert of.house.journal.records(run.user, run.run_id) == records
    assert max(of.called.values(), default=0) <= 1
    right(name, of, run)
    assert await perform(of.supervisor(), run) is None
    right(name, of, run)


async def test_two_owners_at_once_write_one_journal() -> None:
    """Even where the lease keeps nobody out: who is too late is demoted, and there is one terminal."""
    for semantics in get_args(Semantics) * 3:
        of = desk("delegated", semantics)
        run = await of.accepted()
        one = asyncio.ensure_future(perform(of.supervisor(), run))
        for _ in range(20):
            await asyncio.sleep(0)
        assert of.house.run(run.run_id).owner is not None
        of.house.lease_ends()
        two = asyncio.ensure_future(perform(of.supervisor(), run))
        outcomes = await asyncio.gather(one, two)
        if None not in outcomes:  # the one lost its lease, the other its slot: the job comes again
            of.house.lease_ends()
            assert await perform(of.supervisor(), run) is None
        of.wrong.clear()
        assert semantics != "unsafe" or max(of.called.values(), default=0) <= 1
        right("delegated", of, run)


@pytest.mark.parametrize("semantics", ["pure", "idempotent", "unsafe"])
async def test_a_call_that_was_cut_off_is_repeated_only_if_it_may_be(semantics: Semantics) -> None:
    """Pure and idempotent ones run again; an unsafe one may have taken effect and is never called again."""
    of = desk("canonical", semantics)
    run = await of.accepted()
    of.house.faults.strike_at(3, before(Crash()), "journal.append")
    assert await crashes(of, run)
    assert of.called == {"c1": 1}
    assert await perform(of.supervisor(), run) is None
    right("canonical", of, run)
    completed = of.house.history(run).events[3]
    assert getattr(completed, "status", "") == ("outcome_unknown" if semantics == "unsafe" else "ok")
    assert of.called["c1"] == (1 if semantics == "unsafe" else 2)
    told = of.model.requests[-1].messages[-1]
    assert ("unknown" in getattr(told, "content", "")) == (semantics == "unsafe")


async def test_an_unsafe_call_that_was_never_made_is_not_made_by_the_next_owner() -> None:
    """Its start was recorded: nobody can tell any more whether it was called."""
    of = desk("canonical", "unsafe")
    run = await of.accepted()
    of.house.faults.strike_at(2, after(Crash()), "journal.append")
    assert await crashes(of, run)
    assert await perform(of.supervisor(), run) is None
    right("canonical", of, run)
    assert of.called == {}
    assert getattr(of.house.history(run).events[3], "status", "") == "outcome_unknown"


async def test_an_unsafe_call_whose_outcome_is_lost_is_not_called_cancelled() -> None:
    """Though the run ends at its take-over: what may have taken effect is told as unknown."""
    of = desk("canonical", "unsafe")
    run = await of.accepted()
    of.house.faults.strike_at(3, before(Crash()), "journal.append")
    assert await crashes(of, run)
    of.house.change(run, attempts=9)
    of.house.journal.put(run.user, run.run_id, of.house.history(run).record("dead", [FenceEntry(epoch=2)]))
    assert await perform(of.supervisor(), run) is None
    of.check(run, status="failed")
    (completed,) = [event for event in of.house.history(run).events if event.type == "tool_completed"]
    assert getattr(completed, "status", "") == "outcome_unknown"
