"""A sweep: so many looks and no more, none of which harms another, and an end to outlived connections."""

import asyncio

import pytest

from playbyplay.domain.connection import Session
from playbyplay.domain.thread import Run
from playbyplay.errors import ConnectionGone, OutcomeUnknown, StoreUnavailable
from playbyplay.ports import Limits
from tests.fakes.faults import Fault, before, fail_before
from tests.histories import USER, Story
from tests.house import House
from tests.unit.watchdog.kennel import Kennel, job_of, reaches, told
from watchdog.sweep import BUDGET_S, LOOKS

FIELDS = ("overdue", "astray", "sent", "ended", "settled", "unreadable", "failed", "closed")
NOTHING = dict.fromkeys(FIELDS, 0)


async def silent(house: House, count: int) -> list[Run]:
    """Accept messages one second after the other whose jobs are lost; all are overdue now."""
    runs = []
    for number in range(count):
        runs.append(await house.say(user=f"user{number % 7}"))
        house.clock.advance(1)
    house.queue.sent.clear()
    house.clock.advance(house.timing.first_check_s)
    return runs


async def test_a_sweep_tells_what_it_found() -> None:
    """Of runs that were sent, ended, settled, and merely put off; the last are none of these."""
    house = House()
    await silent(house, 2)
    await told(house, Story(), cancel=True)
    await told(house, Story().starts().fails())
    await told(house, Story(), owner="one", lease_until_ms=house.clock.now_ms() + 10**9)
    house.clock.advance(61)
    swept = await Kennel(house).sweep()
    assert swept.findings == {"sent": 2, "ended": 1, "settled": 1, "held": 1}
    assert (swept.overdue, swept.failed, swept.closed) == (5, 0, 0)
    told_fields = NOTHING | {"overdue": 5, "astray": 4, "sent": 2, "ended": 1, "settled": 1}
    assert house.log.of("watchdog_swept") == [told_fields]


async def test_a_turn_that_waits_its_turn_is_not_astray() -> None:
    """Nor is a run whose owner is at work: an alarm on them would be a false one."""
    house = House()
    first = await told(house, Story().starts(), owner="one", lease_until_ms=house.clock.now_ms() + 10**9)
    await house.say(thread_id=first.thread_id)
    house.clock.advance(house.timing.first_check_s + 1)
    swept = await Kennel(house).sweep()
    assert swept.findings == {"held": 1, "waits": 1}
    assert (swept.overdue, swept.astray) == (2, 0)


async def test_a_run_that_nobody_can_read_is_told() -> None:
    """No step is guessed, and an alarm can watch for it."""
    house = House()
    run = await told(house, Story().starts())
    del house.journal.slots[run.user, run.run_id][0]
    house.clock.advance(house.timing.first_check_s + 1)
    await Kennel(house).sweep()
    assert house.log.of("watchdog_swept") == [NOTHING | {"overdue": 1, "astray": 1, "unreadable": 1}]


async def test_a_sweep_that_finds_nothing_tells_so() -> None:
    """An alarm that sees no number cannot tell good from silent."""
    house = House()
    await house.say()
    await Kennel(house).sweep()
    assert house.log.of("watchdog_swept") == [NOTHING]
    assert house.faults.count("runs.get") == 0


async def test_a_sweep_takes_no_more_looks_however_many_runs_are_overdue(monkeypatch: pytest.MonkeyPatch) -> None:
    """It looks at those of the longest ago, in a few rounds; the sweeps that follow come to the others."""
    monkeypatch.setattr("watchdog.sweep.ROUNDS", 3)
    most = 3 * LOOKS
    house = House(limits=Limits(open_runs=most))
    runs = await silent(house, most + 9)
    sweep = Kennel(house).sweep
    before_it = house.faults.count("runs.get")
    assert (await sweep()).overdue == most
    assert house.faults.count("runs.get") - before_it == most
    assert house.faults.count("overdue.first") == 3
    assert {job.run_id for job in house.queue.sent} == {run.run_id for run in runs[:most]}
    assert (await sweep()).overdue == 9
    assert sorted(job.run_id for job in house.queue.sent) == sorted(run.run_id for run in runs)
    assert (await sweep()).overdue == 0


async def test_a_sweep_ends_in_time() -> None:
    """When its time is up no more looks are begun, and what it found is told."""
    house = House()
    await silent(house, 40)
    kennel, passed = Kennel(house), iter([0.0, 0.0, *[BUDGET_S] * 9])
    kennel.sweep._monotonic = lambda: next(passed)
    swept = await kennel.sweep()
    assert 0 < swept.overdue < 40
    assert house.log.of("watchdog_swept")[0]["sent"] == swept.overdue


async def test_what_does_not_depend_on_runs_is_done_first() -> None:
    """A minute that is bad for the runs costs neither the note of the backlog nor the end of sessions."""
    house = House()
    await silent(house, 1)
    await house.connections.add("over=", Session(USER, 0), now_ms=0)
    house.faults.plan("overdue.first", fail_before())
    with pytest.raises(StoreUnavailable):
        await Kennel(house).sweep()
    assert house.gateway.closed == ["over="]


async def test_a_look_that_fails_stops_no_other() -> None:
    """Whatever it meets: it is counted and logged by the type's name, and made again soon, after the others."""
    house = House()
    runs = await silent(house, 20)
    house.faults.plan("runs.get", fail_before(), before(ZeroDivisionError("a SECRET")))
    kennel = Kennel(house)
    swept = await kennel.sweep()
    assert (swept.failed, swept.findings) == (2, {"sent": 18})
    reasons = [fields["reason"] for fields in house.log.of("run_retried")]
    assert reasons == ["StoreUnavailable", "ZeroDivisionError"]
    assert (await kennel.sweep()).overdue == 0
    house.clock.advance(house.timing.check_again_s + 1)
    assert (await kennel.sweep()).findings["sent"] >= 2
    assert {job.run_id for job in house.queue.sent} == {run.run_id for run in runs}


async def test_a_look_that_hangs_keeps_others_at_work() -> None:
    """Looks are made several at a time."""
    house = House()
    runs = await silent(house, 3)
    gate = asyncio.Event()
    house.faults.plan("queue.send", Fault("before", gate=gate))
    sweeping = asyncio.create_task(Kennel(house).sweep())
    await reaches(house, "queue.send")
    for _ in range(50):
        await asyncio.sleep(0)
    assert house.queue.sent == [job_of(run) for run in runs[1:]]
    gate.set()
    assert (await sweeping).findings == {"sent": 3}


async def test_a_sweep_that_cannot_see_what_is_overdue_fails() -> None:
    """It tells no number: the schedule counts an error."""
    house = House()
    house.faults.plan("overdue.first", fail_before())
    with pytest.raises(StoreUnavailable):
        await Kennel(house).sweep()
    assert house.log.events == []


async def test_connections_that_outlived_their_session_are_closed() -> None:
    """And forgotten, also those that are gone by now; the others stay."""
    house = House()
    now_ms = house.clock.now_ms()
    for name, ends_ms in (("over=", now_ms), ("gone=", now_ms - 1), ("young=", now_ms + 1)):
        await house.connections.add(name, Session(USER, ends_ms), now_ms=now_ms - 9_000)
    house.faults.plan("gateway.close", None, before(ConnectionGone("gone=")))
    swept = await Kennel(house).sweep()
    assert swept.closed == 2
    assert house.gateway.closed == ["over="]
    assert [one.connection_id for one in await house.connections.subscribers(USER)] == ["young="]
    assert (await Kennel(house).sweep()).closed == 0


async def test_a_sweep_closes_so_many_connections_and_no_more() -> None:
    """The sweeps that follow close the others."""
    house = House()
    for number in range(200):
        await house.connections.add(f"{number}=", Session(f"user{number}", 0), now_ms=0)
    sweep = Kennel(house).sweep
    assert [(await sweep()).closed for _ in range(4)] == [96, 96, 8, 0]
    assert len(set(house.gateway.closed)) == 200


@pytest.mark.parametrize("operation", ["connections.outlived", "connections.remove"])
@pytest.mark.parametrize("error", [StoreUnavailable("by order"), OutcomeUnknown("by order")], ids=["down", "unknown"])
async def test_connections_that_cannot_be_forgotten_fail_no_sweep(operation: str, error: Exception) -> None:
    """What it found of runs is told, and the connection is closed by the next sweep."""
    house = House()
    await silent(house, 1)
    await house.connections.add("over=", Session(USER, 0), now_ms=0)
    house.faults.plan(operation, before(error))
    assert (await Kennel(house).sweep()).findings == {"sent": 1}
    await Kennel(house).sweep()
    assert house.connections.rows == {}
