"""A sweep of the auditor: so many looks and no more, of the right runs, told in numbers and one by one."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from auditor.sweep import BUDGET_S, RUNS
from playbyplay.domain.thread import Run
from playbyplay.errors import StoreUnavailable
from playbyplay.observability import EVENTS
from playbyplay.ports import Limits
from tests.fakes.faults import Fault, before, fail_before
from tests.histories import OTHER, Story, call
from tests.house import House
from tests.unit.auditor.office import Office, over, told, written

NOTHING = {
    "audited": 0,
    "open": 0,
    "complete": True,
    "accepted_without_agent_started": 0,
    "tool_executing_without_tool_completed": 0,
    "runs_without_terminal": 0,
    "posted_without_receipt": 0,
    "journal_violations": 0,
    "abandoned": 0,
    "unread": 0,
}


def starts(story: Story) -> Story:
    return story.starts()


def calls(story: Story) -> Story:
    return story.starts().asks(call(1))


def fails(story: Story) -> Story:
    return story.starts().fails()


async def test_a_house_without_runs_tells_zeros() -> None:
    """An alarm that sees no number cannot tell good from silent."""
    house = House()
    swept = await Office(house).sweep()
    assert house.log.events == [("audit_swept", NOTHING)]
    assert swept.found == []
    assert set(NOTHING) == set(next(event.fields for event in EVENTS if event.name == "audit_swept").split())


async def test_runs_that_go_well_are_counted_and_nothing_else() -> None:
    """Those that are open, and those that ended a while ago."""
    house = House()
    await told(house, starts, status="running", owner="one", lease_until_ms=9**15)
    await over(house, fails, "failed")
    house.clock.advance(31)
    swept = await Office(house).sweep()
    assert (swept.found, swept.complete) == ([], True)
    assert house.log.of("audit_swept") == [NOTHING | {"audited": 2, "open": 1}]
    assert house.log.of("absence_found") == []


async def broken(house: House) -> Run:
    run = await told(house, starts, owner="one", lease_until_ms=9**15)
    slots = house.journal.slots[run.user, run.run_id]
    slots[1] = replace(slots[1], epoch=7, last_seq=9)
    return run


async def unheard(house: House) -> Run:
    await house.watch("mine=", OTHER)
    run = await told(house, starts, user=OTHER, owner="one", lease_until_ms=9**15)
    late_ms = house.clock.now_ms() + 180_000
    await house.connections.receive("mine=", {run.run_id: 0}, now_ms=late_ms)
    return run


async def left(house: House) -> Run:
    run = await told(house, starts, owner="one", lease_until_ms=9**15)
    await house.watch()
    await house.connections.remove(house.seen)
    return run


FOUND: dict[str, tuple[str, Callable[[House], object]]] = {
    "accepted_without_agent_started": ("agent_started", told),
    "tool_executing_without_tool_completed": (
        "tool_completed",
        lambda house: told(house, calls, owner="one", lease_until_ms=house.clock.now_ms() + 30_000),
    ),
    "runs_without_terminal": ("terminal", lambda house: told(house, starts, status="running")),
    "posted_without_receipt": ("receipt", unheard),
    "journal_violations": ("journal", broken),
    "abandoned": ("user", left),
}


@pytest.mark.parametrize("field", FOUND)
async def test_each_absence_has_a_number_and_a_line(field: str) -> None:
    """The number is what an alarm sees; the line names the run, and for how long it waits."""
    house = House()
    absence, make = FOUND[field]
    run = await make(house)  # type: ignore[misc]  # each is a coroutine
    house.clock.advance(181)
    before_it = written(house)
    swept = await Office(house).sweep()
    assert written(house) == before_it
    assert house.log.of("audit_swept")[0] == NOTHING | {"audited": 1, "open": 1, field: 1}
    rules = "journal.seq journal.epochs" if absence == "journal" else None
    (line,) = house.log.of("absence_found")
    assert line == {"run_id": run.run_id, "absence": absence, "waits_ms": 181_000, "rules": rules}
    assert swept.missing == {absence: 1}


async def test_what_is_missing_is_told_at_every_sweep_until_it_is_there() -> None:
    """The number is how many there are, not how many are new."""
    house = House()
    for number in range(3):
        await told(house, user=f"user{number}")
    house.clock.advance(11)
    sweep = Office(house).sweep
    for _ in range(2):
        assert (await sweep()).missing == {"agent_started": 3}
    house.runs.runs.clear()
    assert (await sweep()).missing == {}


async def test_a_run_that_ended_is_looked_at_once_its_clients_could_tell() -> None:
    """Not before, and not for ever: three times, and once more where the sweeps are not on the second."""
    house = House()
    await over(house, starts)  # its journal has no end
    sweep = Office(house).sweep
    house.clock.advance(30)
    assert (await sweep()).audited == 0
    house.clock.advance(1)
    for _ in range(4):
        assert (await sweep()).missing == {"terminal": 1}
        house.clock.advance(house.timing.audit_s)
    assert (await sweep()).audited == 0


async def test_what_ended_since_a_sweep_is_looked_at_however_late_the_next_one_comes() -> None:
    """One that failed, or a machine that was busy or slept, leaves none out."""
    house = House()
    sweep = Office(house).sweep
    await sweep()
    await over(house, starts)  # its journal has no end
    house.faults.plan("ended.between", fail_before())
    house.clock.advance(60)
    with pytest.raises(StoreUnavailable):
        await sweep()
    house.clock.advance(5 * house.timing.audit_s)
    assert (await sweep()).missing == {"terminal": 1}
    house.clock.advance(house.timing.audit_s)
    assert (await sweep()).audited == 0  # it was long ago


async def test_a_run_that_is_in_both_lists_is_looked_at_once() -> None:
    """Indexes are a moment old."""
    house = House()
    run = await over(house, fails, "failed")
    house.clock.advance(31)
    house.runs.checks[run.user, run.run_id] = 0
    swept = await Office(house).sweep()
    assert (swept.audited, swept.open) == (1, 0)


async def test_a_run_that_is_gone_since_it_was_listed_is_none() -> None:
    """It was removed with age; nothing is missing of it."""
    house = House()
    run = await told(house)
    del house.runs.runs[run.user, run.run_id]
    house.clock.advance(31)
    assert await Office(house).sweep() is not None
    assert house.log.events[-1] == ("audit_swept", NOTHING)


async def test_a_sweep_looks_at_so_many_runs_and_no_more() -> None:
    """Those due first, and those that ended last; it says that there may be more."""
    house = House(limits=Limits(open_runs=10**6, messages_per_minute=10**6))
    for _ in range(RUNS + 5):
        await told(house, starts, owner="one", lease_until_ms=9**15)
        await over(house, fails, "failed")
    house.clock.advance(31)
    asked = len(house.faults.calls)
    swept = await Office(house).sweep()
    assert (swept.audited, swept.open, swept.complete) == (2 * RUNS, RUNS, False)
    assert len(house.faults.calls) - asked <= 2 + 2 * RUNS * 4
    assert house.log.of("audit_swept")[0]["complete"] is False


@pytest.mark.parametrize("ended", [False, True])
async def test_a_full_page_of_either_kind_may_not_be_all(monkeypatch: pytest.MonkeyPatch, *, ended: bool) -> None:
    """One run less is all there are."""
    monkeypatch.setattr("auditor.sweep.RUNS", 3)
    house = House()
    for complete in (True, True, False):
        await (over(house, fails, "failed") if ended else told(house, starts, owner="one", lease_until_ms=9**15))
        house.clock.advance(31 if ended else 0)
        swept = await Office(house).sweep()
        house.clock.advance(-31 if ended else 0)
        assert swept.complete is complete


async def test_a_sweep_ends_in_time() -> None:
    """When its time is up no more looks are begun; what it found is told, and that it is not all."""
    house = House(limits=Limits(open_runs=99))
    for _ in range(40):
        await told(house)
    house.clock.advance(11)
    office, passed = Office(house), iter([0.0, 0.0, *[BUDGET_S] * 9])
    office.sweep._monotonic = lambda: next(passed)
    swept = await office.sweep()
    assert 0 < swept.audited < 40
    assert swept.complete is False
    assert swept.missing == {"agent_started": swept.audited}


async def test_looks_are_made_several_at_a_time_but_not_all_at_once() -> None:
    """One that hangs holds up no other beside it, and the store is not asked for everything in one moment."""
    house = House(limits=Limits(open_runs=99))
    for _ in range(40):
        await told(house)
    gate = asyncio.Event()
    house.faults.plan("runs.get", *[Fault("before", gate=gate)] * 40)
    sweeping = asyncio.create_task(Office(house).sweep())
    for _ in range(50):
        await asyncio.sleep(0)
    assert house.faults.count("runs.get") == 16
    gate.set()
    assert (await sweeping).audited == 40


async def test_a_run_that_cannot_be_read_stops_no_other() -> None:
    """Whatever it meets; it is counted, and no word of it is told."""
    house = House()
    for number in range(5):
        await told(house, user=f"user{number}")
    house.clock.advance(11)
    house.faults.plan("journal.read", fail_before(), before(ZeroDivisionError("a SECRET")))
    swept = await Office(house).sweep()
    assert (swept.audited, swept.unread, swept.missing) == (3, 2, {"agent_started": 3})
    assert house.log.of("audit_swept")[0]["unread"] == 2
    assert "SECRET" not in str(house.log.events)


async def test_a_sweep_that_can_read_no_run_fails() -> None:
    """Zeros would tell the alarms that nothing is missing."""
    house = House()
    for number in range(2):
        await told(house, user=f"user{number}")
    house.faults.plan("journal.read", fail_before(), fail_before())
    with pytest.raises(StoreUnavailable):
        await Office(house).sweep()
    assert house.log.of("audit_swept") == []


@pytest.mark.parametrize("operation", ["overdue.first", "ended.between"])
async def test_a_sweep_that_cannot_see_which_runs_there_are_fails(operation: str) -> None:
    """It tells no number: what half of them lack is not what is missing."""
    house = House()
    await told(house)
    house.faults.plan(operation, fail_before())
    with pytest.raises(StoreUnavailable):
        await Office(house).sweep()
    assert house.log.of("audit_swept") == []
