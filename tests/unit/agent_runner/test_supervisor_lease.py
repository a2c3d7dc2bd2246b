"""A lease that was taken is given back when anything fails: nobody fell, so no attempt counts and nobody waits."""

import pytest

from playbyplay.errors import StoreRefused
from tests.fakes.faults import before, fail_after, fail_before
from tests.fakes.model import FakeModel, says
from tests.house import QUICK, House, perform

FAILURES = {
    "the journal cannot be read": ("journal.read", fail_before()),
    "the lease is taken and nobody can say so": ("runs.acquire", fail_after()),
    "the journal takes no fence": ("journal.append", fail_before()),
    "the end cannot be noted": ("runs.settle", fail_before()),
}


@pytest.mark.parametrize("failure", FAILURES)
async def test_the_next_try_has_the_run_at_once(failure: str) -> None:
    """No lease is left that nobody holds: the job that comes again goes on."""
    house = House()
    run = await house.say()
    operation, fault = FAILURES[failure]
    house.faults.plan(operation, *[fault] * (200 if operation == "journal.append" else 1))
    assert await perform(house.supervisor(FakeModel(says("So."))), run) == QUICK.retry_s
    assert house.run(run.run_id).owner is None
    house.faults.heal(operation)
    assert await perform(house.supervisor(FakeModel(says("So."))), run) is None
    assert house.run(run.run_id).status == "completed"


async def test_a_turn_whose_predecessor_cannot_be_looked_up_is_given_back() -> None:
    """It was leased to find out whether it has to wait."""
    house = House()
    first = await house.say()
    second = await house.say(thread_id=first.thread_id)
    house.faults.plan("runs.head", fail_before())
    assert await perform(house.supervisor(FakeModel()), second) == QUICK.retry_s
    assert house.run(second.run_id).owner is None


async def test_a_journal_that_is_down_wears_no_run_out() -> None:
    """The runs answer, the journal does not: however long that lasts, no runner fell and the run is not given up."""
    house = House()
    run = await house.say()
    tries = 3 * QUICK.max_attempts
    house.faults.plan("journal.read", *[fail_before()] * tries)
    for _ in range(tries):
        assert await perform(house.supervisor(FakeModel(says("So."))), run) == QUICK.retry_s
    assert house.run(run.run_id).attempts == 0
    assert await perform(house.supervisor(FakeModel(says("So."))), run) is None
    assert house.run(run.run_id).status == "completed"


async def test_a_run_that_is_given_up_and_cannot_be_is_given_back() -> None:
    """A verdict is a write like any other."""
    house = House()
    run = await house.say()
    house.clock.advance(QUICK.queue_s + 1)
    house.faults.plan("journal.append", *[fail_before()] * 200)
    assert await perform(house.supervisor(FakeModel()), run) == QUICK.retry_s
    assert house.run(run.run_id).owner is None


async def test_what_the_store_will_never_take_counts_as_an_attempt() -> None:
    """A bug of ours must not be tried for ever: the lease stays, and so does the attempt."""
    house = House()
    run = await house.say()
    house.faults.plan("journal.append", *[before(StoreRefused("by order of the test"))] * 200)
    for tries in range(1, 4):
        with pytest.raises(StoreRefused):
            await perform(house.supervisor(FakeModel(says("So."))), run)
        assert house.run(run.run_id).attempts == tries
        house.lease_ends()
    house.faults.heal("journal.append")
    assert await perform(house.supervisor(FakeModel(says("So."))), run) is None
    assert house.run(run.run_id).status == "completed"


async def test_a_record_of_a_later_version_wears_no_run_out() -> None:
    """What this version cannot read is left to the one that can, however often the job comes before it is there."""
    house = House()
    run = await house.say()
    unreadable = ValueError("by order of the test")
    house.faults.plan("journal.read", *[before(unreadable)] * 9)
    for _ in range(9):
        with pytest.raises(ValueError, match="by order"):
            await perform(house.supervisor(FakeModel()), run)
    assert house.run(run.run_id).attempts == 0
    assert await perform(house.supervisor(FakeModel(says("So."))), run) is None
