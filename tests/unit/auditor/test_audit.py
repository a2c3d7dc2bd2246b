"""One run as the auditor reads it: what it asks for, what it makes of that, and that it changes nothing."""

from collections.abc import Sequence

import pytest

from playbyplay.domain.audit import Absence, Finding
from playbyplay.domain.thread import Run
from playbyplay.errors import StoreUnavailable
from playbyplay.ports import Job
from tests.fakes.faults import before, fail_before
from tests.fakes.ids import uuid
from tests.histories import OTHER, USER, Story, call
from tests.house import House
from tests.unit.auditor.office import Office, ends, job_of, told, written


async def missing(house: House, run: Run) -> dict[Absence, float]:
    """Return what the auditor finds missing of a run, and for how many seconds."""
    before = written(house)
    audited = await Office(house).audit(job_of(run))
    assert audited is not None
    kept, findings = audited
    assert kept == house.run(run.run_id, run.user)
    assert written(house) == before
    return {finding.absence: finding.waits_ms / 1000 for finding in findings}


async def test_a_run_that_nobody_knows_is_none() -> None:
    """Nor is one of another user."""
    house = House()
    run = await house.say()
    audit = Office(house).audit
    assert await audit(Job(USER, uuid(404))) is None
    assert await audit(Job(OTHER, run.run_id)) is None


async def test_a_run_that_goes_well_lacks_nothing() -> None:
    """It costs three reads: the run, its journal, its user's connections."""
    house = House()
    await house.watch()
    run = await told(house, lambda story: story.starts(), status="running", owner="one", lease_until_ms=9**15)
    before = len(house.faults.calls)
    assert await missing(house, run) == {}
    assert house.faults.calls[before:] == ["runs.get", "journal.read", "connections.subscribers"]


async def test_a_first_turn_that_nobody_begins_lacks_its_start() -> None:
    """Nothing else need be asked."""
    house = House()
    run = await told(house)
    before = len(house.faults.calls)
    house.clock.advance(10)
    assert await missing(house, run) == {}
    house.clock.advance(1)
    assert await missing(house, run) == {"agent_started": 11}
    assert not {"runs.open_runs", "runs.turns"} & set(house.faults.calls[before:])


async def turns(house: House, count: int) -> Sequence[Run]:
    """Return that many turns of one thread; a second thread of the user is open beside it."""
    await told(house, lambda story: story.starts(), status="running", owner="one", lease_until_ms=9**15)
    first = await told(house)
    return [first, *[await told(house, thread_id=first.thread_id) for _ in range(count - 1)]]


def write(house: House, run: Run, story: Story, status: str) -> None:
    house.journal.slots[run.user, run.run_id] = {record.pos: record for record in story.records}
    house.change(run, status=status)


async def test_a_turn_whose_predecessor_is_open_waits() -> None:
    """However long; another thread of its user is none of its business."""
    house = House()
    first, second = await turns(house, 2)
    write(house, first, Story(run_id=first.run_id).starts(), "running")
    house.change(first, owner="one", lease_until_ms=9**15)
    house.clock.advance(170)
    assert await missing(house, second) == {}


async def test_a_turn_waits_for_no_predecessor_whose_end_is_in_its_journal() -> None:
    """The store may never learn of it, where whoever wrote the end fell: then nobody sent the turn after it."""
    house = House()
    first, second = await turns(house, 2)
    write(house, first, ends(Story(run_id=first.run_id).starts(), house.clock.now_ms() + 60_000), "running")
    house.clock.advance(71)
    assert await missing(house, second) == {"agent_started": 11}


async def test_a_predecessor_that_cannot_be_read_tells_nothing() -> None:
    """An open one is waited for, of one that is over the end is not known; the turn after it is judged all the same."""
    house = House()
    first, second = await turns(house, 2)
    house.clock.advance(20)
    for status, expected in (("running", {}), ("failed", {"agent_started": 20})):
        house.change(first, status=status)
        house.faults.plan("journal.read", None, before(ValueError("of a later version")))
        assert await missing(house, second) == expected


async def test_the_wait_of_a_turn_counts_from_the_end_of_the_turn_before_it() -> None:
    """As its journal tells it."""
    house = House()
    first, second = await turns(house, 2)
    at_ms = house.clock.now_ms() + 60_000
    write(house, first, ends(Story(run_id=first.run_id).starts(), at_ms), "failed")
    house.clock.advance(70)
    assert await missing(house, second) == {}
    house.clock.advance(1)
    assert await missing(house, second) == {"agent_started": 11}


async def test_a_turn_that_was_cancelled_in_its_queue_waited_for_nobody() -> None:
    """So the turns before it are asked too, until one that had begun: that one waited for all."""
    house = House()
    runs = await turns(house, 4)
    begun_ms = house.clock.now_ms()
    write(house, runs[0], ends(Story(run_id=runs[0].run_id).starts(), begun_ms + 90_000), "failed")
    write(house, runs[1], ends(Story(run_id=runs[1].run_id).starts(), begun_ms + 60_000), "failed")
    cancelled = Story(run_id=runs[2].run_id, turn=3).taken_over()
    write(house, runs[2], ends(cancelled, begun_ms + 5_000, "cancelled"), "cancelled")
    house.clock.advance(75)
    assert await missing(house, runs[3]) == {"agent_started": 15}


async def test_turns_before_it_that_are_no_longer_kept_tell_nothing() -> None:
    """The wait counts from the accept."""
    house = House()
    first, second = await turns(house, 2)
    house.change(first, status="completed")
    house.journal.slots[first.user, first.run_id].clear()
    house.clock.advance(20)
    assert await missing(house, second) == {"agent_started": 20}


async def test_a_call_whose_owner_fell_and_a_run_that_nobody_goes_on_with_are_found() -> None:
    """Each is an absence of its own."""
    house = House()
    lease_ms = house.clock.now_ms() + 30_000
    run = await told(house, lambda story: story.starts().asks(call(1)), owner="one", lease_until_ms=lease_ms)
    house.clock.advance(41)
    assert await missing(house, run) == {"tool_completed": 41}
    house.clock.advance(170)
    assert await missing(house, run) == {"tool_completed": 211, "terminal": 181}


async def test_a_client_that_lacks_an_event_is_found_by_its_receipts() -> None:
    """As the connection store keeps them; one that resumed is in order again."""
    house = House()
    name = await house.watch()
    run = await told(house, lambda story: story.starts().fails(), status="failed")
    house.clock.advance(31)
    await house.connections.receive(name, {run.run_id: 1}, now_ms=house.clock.now_ms())
    assert await missing(house, run) == {"receipt": 31}
    await house.connections.receive(name, {run.run_id: 2}, now_ms=house.clock.now_ms())
    assert await missing(house, run) == {}


async def test_a_user_who_left_a_run_is_found() -> None:
    """Once the last connection is gone, and until there is one again."""
    house = House()
    run = await told(house, lambda story: story.starts(), owner="one", lease_until_ms=9**15)
    for name in ("one=", "two="):
        await house.watch(name)
    house.clock.advance(20)
    await house.connections.remove("one=")
    house.clock.advance(20)
    await house.connections.remove("two=")
    house.clock.advance(10)
    assert await missing(house, run) == {}
    house.clock.advance(2)
    assert await missing(house, run) == {"user": 12}
    await house.watch("three=")
    assert await missing(house, run) == {}


async def test_a_journal_that_breaks_the_contract_is_found() -> None:
    """With the rules it breaks."""
    house = House()
    run = await told(house, lambda story: story.starts(), owner="one", lease_until_ms=9**15)
    del house.journal.slots[run.user, run.run_id][0]
    audited = await Office(house).audit(job_of(run))
    assert audited is not None
    assert audited[1] == [Finding("journal", 0, ("journal.no_hole",))]


async def test_a_journal_that_cannot_be_read_is_found() -> None:
    """It holds what is no record, or one of a later version: no runner goes on with it, so its user waits."""
    house = House()
    run = await told(house, lambda story: story.starts(), owner="one", lease_until_ms=9**15)
    house.clock.advance(7)
    house.faults.plan("journal.read", before(ValueError("of a later version")))
    audited = await Office(house).audit(job_of(run))
    assert audited == (house.run(run.run_id), [Finding("journal", 7_000, ("journal.readable",))])


async def test_an_end_that_comes_while_it_reads_is_no_absence() -> None:
    """The run is read before its records: a run that the store calls over has its terminal in what is read then."""
    house = House()
    run = await told(house, lambda story: story.starts())
    records = house.journal.read

    async def meanwhile(user: str, run_id: str, *, from_pos: int = 0) -> object:
        write(house, run, Story(run_id=run.run_id).starts().fails(), "failed")
        return await records(user, run_id, from_pos=from_pos)

    house.journal.read = meanwhile  # type: ignore[assignment,method-assign]  # as a runner at work would
    audited = await Office(house).audit(job_of(run))
    assert audited is not None
    assert audited[1] == []


@pytest.mark.parametrize("operation", ["runs.get", "journal.read", "connections.subscribers", "connections.left_ms"])
async def test_what_is_not_read_is_not_judged(operation: str) -> None:
    """Half of what there is would tell of absences that are none."""
    house = House()
    run = await told(house)
    house.faults.plan(operation, fail_before())
    with pytest.raises(StoreUnavailable):
        await Office(house).audit(job_of(run))
