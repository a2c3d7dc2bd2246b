"""The supervisor: which jobs it takes, how often it tries, and how it holds on to a run."""

import asyncio
import contextlib
import gc
import time
import weakref
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest

from agent_runner.model import ModelRequest, ModelResponse, OnText
from playbyplay.errors import ConnectionGone
from playbyplay.ports import Acquired, Job, NotAcquired
from tests.fakes.faults import Crash, Fault, Faults, after, before, fail_after, fail_before, lost
from tests.fakes.ids import uuid
from tests.fakes.model import FakeModel, calls, says
from tests.fakes.run_queue import FakeReceipt
from tests.fakes.run_store import FakeRunStore
from tests.histories import CANONICAL, USER
from tests.house import QUICK, House, perform
from tests.unit.agent_runner.desk import Desk, done, ended, named, stalls, until


async def test_a_job_after_the_end_does_nothing() -> None:
    """However often it is delivered: nothing is appended, posted, asked or noted."""
    house = House()
    await house.watch()
    run = await house.say()
    await done(house, run, says("So."))
    records, texts = house.journal.records(USER, run.run_id), list(house.gateway.texts[house.seen])
    for _ in range(3):
        model = await done(house, run)
        assert model.requests == []
    assert house.journal.records(USER, run.run_id) == records
    assert house.gateway.texts[house.seen] == texts
    assert house.log.of("job_dropped")[-1] == {"run_id": run.run_id, "reason": "closed"}


async def test_a_job_of_no_run_is_dropped() -> None:
    """An unknown run, or one that is another user's."""
    house = House()
    run = await house.say()
    supervisor = house.supervisor(FakeModel())
    for job in (Job(USER, uuid(404)), Job("bob", run.run_id)):
        assert await supervisor.run(job, FakeReceipt()) is None
    assert house.events(run) == []
    assert [fields["reason"] for fields in house.log.of("job_dropped")] == ["unknown", "unknown"]


async def test_a_run_somebody_holds_comes_again_later() -> None:
    """Nothing is touched."""
    house = House()
    run = await house.say()
    now_ms = house.clock.now_ms()
    await house.runs.acquire(USER, run.run_id, "other", now_ms=now_ms, lease_until_ms=now_ms + 1)
    assert await perform(house.supervisor(FakeModel()), run) == QUICK.held_s
    assert house.events(run) == []
    house.clock.advance(0.001)
    await done(house, run, says("So."))


async def test_a_job_whose_turn_has_not_come_is_dropped() -> None:
    """Whoever settles the turn before it sends it; until then it is not held and not started."""
    house = House()
    first = await house.say("One.")
    second = await house.say("Two.", thread_id=first.thread_id)
    model = await done(house, second)
    assert model.requests == []
    assert house.events(second) == []
    assert house.run(second.run_id).owner is None
    house.queue.sent.clear()
    await done(house, first, says("One."))
    assert house.queue.sent == [Job(USER, second.run_id)]
    await done(house, second, says("Two."))
    assert ended(house, second) == ("completed", "")


async def test_a_dropped_job_sends_the_turn_it_waits_for() -> None:
    """Should that one's own job be lost, nobody else would; one that is owned is at work and is left alone."""
    house = House()
    first = await house.say("One.")
    second = await house.say("Two.", thread_id=first.thread_id)
    house.queue.sent.clear()
    await done(house, second)
    assert house.queue.sent == [Job(USER, first.run_id)]
    house.change(first, owner="other", lease_until_ms=house.clock.now_ms() + 60_000)
    house.queue.sent.clear()
    await done(house, second)
    assert house.queue.sent == []


async def test_dropped_jobs_use_up_no_attempts() -> None:
    """A turn that only waited has not killed a runner."""
    house = House()
    first = await house.say("One.")
    second = await house.say("Two.", thread_id=first.thread_id)
    for _ in range(5):
        await done(house, second)
    await done(house, first, says("One."))
    await done(house, second, says("Two."))
    assert ended(house, second) == ("completed", "")


async def test_an_end_that_was_not_noted_is_noted() -> None:
    """The journal has a terminal, the store does not know: nothing is appended, the next turn is sent."""
    house = House()
    first = await house.say("One.")
    second = await house.say("Two.", thread_id=first.thread_id)
    house.faults.plan("runs.settle", fail_before())
    assert await perform(house.supervisor(FakeModel(says("One."))), first) == QUICK.retry_s
    assert house.run(first.run_id).is_open
    house.lease_ends()
    house.queue.sent.clear()
    records = house.journal.records(USER, first.run_id)
    await done(house, first)
    assert house.journal.records(USER, first.run_id) == records
    assert ended(house, first) == ("completed", "")
    assert house.queue.sent == [Job(USER, second.run_id)]


async def test_a_run_that_kills_its_runners_ends() -> None:
    """After four attempts without an event; the open call is closed."""
    house = House()
    run = await house.say()
    house.change(run, attempts=4)
    model = await done(house, run)
    assert model.requests == []
    assert ended(house, run) == ("failed", "attempts_exhausted")


async def test_an_event_sets_the_attempts_back() -> None:
    """Four attempts without one are the limit: a run whose last owner got on is not given up."""
    of = Desk()
    run = await of.accepted()
    house = of.house
    house.faults.strike_at(2, after(Crash()), "journal.append")
    with pytest.raises(Crash):
        await perform(of.supervisor(), run)
    house.faults.dead = False
    house.change(run, attempts=4)
    house.lease_ends()
    assert await perform(of.supervisor(), run) is None
    of.check(run)


async def test_attempts_without_an_event_add_up() -> None:
    """A run that started and then kills every runner before its next event ends after four of them."""
    house = House()
    run = await house.say()
    asking, asked = asyncio.Event(), 0

    async def asks(request: ModelRequest, on_text: OnText) -> ModelResponse:
        asking.set()
        return await stalls(request, on_text)

    for _ in range(10):
        asking.clear()
        running = asyncio.ensure_future(perform(house.supervisor(FakeModel(asks)), run))
        await asyncio.wait({running, waiting := asyncio.ensure_future(asking.wait())}, return_when="FIRST_COMPLETED")
        waiting.cancel()
        if running.done():
            break
        asked += 1
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        house.lease_ends()
    assert ended(house, run) == ("failed", "attempts_exhausted")
    assert asked == 5
    assert house.events(run) == ["agent_started", "error"]


# What is known and done at the start.


class KnowingRunStore(FakeRunStore):
    """A store that can tell whether an earlier turn is open without a look at the thread."""

    may_wait = False

    async def acquire(
        self, user: str, run_id: str, owner: str, *, now_ms: int, lease_until_ms: int
    ) -> Acquired | NotAcquired:
        acquired = await super().acquire(user, run_id, owner, now_ms=now_ms, lease_until_ms=lease_until_ms)
        return replace(acquired, may_wait=self.may_wait) if isinstance(acquired, Acquired) else acquired


@pytest.mark.parametrize("may_wait", [False, True])
async def test_the_thread_is_looked_at_only_where_a_turn_may_wait(may_wait: bool) -> None:  # noqa: FBT001
    """The store knows with the lease whether an earlier turn can be open; where none can, a read is saved."""
    house = House()
    house.runs = KnowingRunStore(house.journal, house.faults)
    house.runs.may_wait = may_wait
    first = await house.say("One.")
    await done(house, first, says("One."))
    second = await house.say("Two.", thread_id=first.thread_id)
    house.faults.calls.clear()
    await done(house, second, says("Two."))
    assert ended(house, second) == ("completed", "")
    assert house.faults.count("runs.head") == (1 if may_wait else 0)


async def test_a_turn_that_may_wait_waits() -> None:
    """The store is not sure: the thread is looked at, and an earlier open turn keeps this one back."""
    house = House()
    house.runs = KnowingRunStore(house.journal, house.faults)
    house.runs.may_wait = True
    first = await house.say("One.")
    second = await house.say("Two.", thread_id=first.thread_id)
    model = await done(house, second)
    assert model.requests == []
    assert house.events(second) == []
    assert house.log.of("job_dropped") == [{"run_id": second.run_id, "reason": "predecessor"}]
    await done(house, first, says("One."))
    await done(house, second, says("Two."))
    assert ended(house, second) == ("completed", "")


async def test_a_job_is_hidden_before_anything_is_known_of_its_run() -> None:
    """Beside the lease and the journal, which are still on their way: a runner that falls there is followed soon."""
    house = House()
    run = await house.say()
    receipt, gate = FakeReceipt(), asyncio.Event()
    house.faults.plan("runs.acquire", Fault("before", gate=gate))
    house.faults.plan("journal.read", Fault("before", gate=gate))
    running = asyncio.ensure_future(perform(house.supervisor(FakeModel(says("So."))), run, receipt))
    await until(lambda: bool(receipt.extended))
    assert receipt.extended == [QUICK.visibility_s]
    assert house.run(run.run_id).owner is None
    gate.set()
    assert await running is None
    assert ended(house, run) == ("completed", "")


async def test_nothing_is_written_before_the_job_is_hidden() -> None:
    """A runner that has begun and falls has left a job that comes back after `visibility_s`, not later."""
    house = House()
    run = await house.say()
    faults, gate = Faults(), asyncio.Event()
    faults.plan("receipt.extend", Fault("before", gate=gate))
    running = asyncio.ensure_future(perform(house.supervisor(FakeModel(says("So."))), run, FakeReceipt(faults)))
    await until(lambda: house.run(run.run_id).owner is not None and house.faults.count("journal.read") == 1)
    await asyncio.sleep(0.005)
    assert house.faults.count("journal.append") == 0
    gate.set()
    assert await running is None
    assert ended(house, run) == ("completed", "")


@pytest.mark.parametrize("fault", [fail_before, fail_after, lost], ids=["unavailable", "written", "lost"])
async def test_a_job_that_cannot_be_hidden_is_done_all_the_same(fault: Callable[[], Fault]) -> None:
    """Now or at a renewal: it may come again, and finds the run held or ended."""
    house = House()
    run = await house.say()
    faults = Faults()
    faults.plan("receipt.extend", *[fault() for _ in range(3)])
    receipt = FakeReceipt(faults)

    async def waits() -> str:
        await until(lambda: faults.count("receipt.extend") >= 3)
        return "waited"

    supervisor = house.supervisor(FakeModel(calls("wait"), says("So.")), named("wait", waits))
    assert await perform(supervisor, run, receipt) is None
    assert house.events(run) == CANONICAL
    assert house.history(run).epoch == 1


async def test_a_lease_that_cannot_be_taken_leaves_a_job_that_comes_again() -> None:
    """The store fails while the job is being hidden: nothing is left at work, and the job is given back."""
    house = House()
    run = await house.say()
    receipt = FakeReceipt()
    house.faults.plan("runs.acquire", fail_before())
    assert await perform(house.supervisor(FakeModel()), run, receipt) == QUICK.retry_s
    assert receipt.extended == [QUICK.visibility_s]
    assert house.events(run) == []
    await done(house, run, says("So."))
    assert ended(house, run) == ("completed", "")


# Holding on.


async def test_nothing_follows_a_terminal() -> None:
    """No heartbeat and no renewal, even where both have been due since the last look."""
    house = House(timing=replace(QUICK, heartbeat_s=1e-6, renew_s=0))
    await house.watch()
    run = await house.say()

    async def takes_a_while(_request: ModelRequest, _on_text: OnText) -> ModelResponse:
        await until(lambda: len(house.gateway.frames(house.seen, "heartbeat")) > 1)
        return says("So.")

    supervisor = house.supervisor(FakeModel(takes_a_while))
    assert await perform(supervisor, run, FakeReceipt(house.faults)) is None
    assert house.gateway.frames(house.seen)[-1]["type"] == "final_response"
    calls_after_it = house.faults.calls[-1 - house.faults.calls[::-1].index("journal.append") :]
    assert set(calls_after_it) == {"journal.append", "connections.subscribers", "gateway.post", "runs.settle"}


async def test_a_silence_is_broken_by_heartbeats() -> None:
    """They say how far the run has come, how long it has taken and what it waits for."""
    house = House()
    await house.watch()
    run = await house.say()

    async def waits() -> str:
        house.clock.advance(7)
        await until(lambda: len(house.gateway.frames(house.seen, "heartbeat")) >= 2)
        return "waited"

    await done(house, run, calls("wait"), says("So."), tools=(named("wait", waits),))
    for frame in house.gateway.frames(house.seen, "heartbeat"):
        assert frame == {
            "type": "heartbeat",
            "run_id": run.run_id,
            "last_seq": 3,
            "elapsed_ms": 7_000,
            "activity": "running wait",
        }


async def test_a_silence_is_never_long_however_it_began() -> None:
    """A piece of text at any moment moves the heartbeat, but not by more than the contract's quarter."""
    beat_s = 0.2
    house = House(timing=replace(QUICK, heartbeat_s=beat_s, renew_s=5, delta_s=0.001))
    await house.watch()
    run = await house.say()
    times: list[float] = []
    house.gateway.on_post = lambda _connection, _frame: times.append(time.monotonic())

    async def pauses(_request: ModelRequest, on_text: OnText) -> ModelResponse:
        await asyncio.sleep(beat_s * 0.55)
        await on_text(1, "Hm.")
        await until(lambda: bool(house.gateway.frames(house.seen, "heartbeat")))
        return says("So.")

    await done(house, run, pauses)
    gaps = [late - early for early, late in pairwise(times)]
    assert max(gaps) < beat_s * 1.4


async def test_text_that_is_nothing_breaks_no_silence() -> None:
    """A model that streams empty pieces does not keep the heartbeats back."""
    house = House()
    await house.watch()
    run = await house.say()

    async def mumbles(_request: ModelRequest, on_text: OnText) -> ModelResponse:
        for _ in range(40):
            await on_text(1, "")
            await asyncio.sleep(0.005)
        return says("So.")

    await done(house, run, mumbles)
    assert house.gateway.frames(house.seen, "heartbeat")


async def test_an_owner_keeps_its_lease_and_its_job() -> None:
    """Both are prolonged while it works, so that nobody else takes the run."""
    house = House()
    run = await house.say()
    receipt = FakeReceipt()

    async def waits() -> str:
        house.clock.advance(20)
        await until(lambda: len(receipt.extended) >= 3)  # once at the start, then with each renewal
        assert house.run(run.run_id).lease_until_ms == house.clock.now_ms() + 30_000
        return "waited"

    supervisor = house.supervisor(FakeModel(calls("wait"), says("So.")), named("wait", waits))
    assert await perform(supervisor, run, receipt) is None
    assert set(receipt.extended) == {QUICK.visibility_s}
    assert ended(house, run) == ("completed", "")


async def test_an_owner_that_lost_its_lease_stops() -> None:
    """It appends nothing more, and the job comes again."""
    house = House()
    run = await house.say()
    running = asyncio.ensure_future(perform(house.supervisor(FakeModel(stalls)), run))
    await until(lambda: len(house.events(run)) == 1)
    house.change(run, owner="other", lease_until_ms=house.clock.now_ms() + 60_000)
    assert await running == QUICK.retry_s
    assert house.events(run) == ["agent_started"]
    assert house.run(run.run_id).owner == "other"
    assert house.log.of("run_retried") == [{"run_id": run.run_id, "reason": "demoted"}]


async def test_a_store_that_stays_away_gives_the_job_back() -> None:
    """After `store_s`; later another try ends the run as if nothing had happened."""
    house = House(timing=replace(QUICK, store_s=0.02))
    run = await house.say()
    for number in range(2, 200):
        house.faults.strike_at(number, lost(), "journal.append")
    assert await perform(house.supervisor(FakeModel(calls("look"))), run) == QUICK.retry_s
    assert house.events(run) == ["agent_started"]
    house.faults._numbered.clear()
    house.lease_ends()
    await done(house, run, calls("look"), says("So."))
    assert house.events(run) == CANONICAL


async def test_trouble_with_a_connection_is_no_trouble_of_the_run() -> None:
    """Every post fails and the store cannot note it: the run has its terminal, by its first owner."""
    house = House(timing=replace(QUICK, gone_grace_s=0))
    await house.watch()
    run = await house.say()
    house.gateway.always(house.seen, ConnectionGone())
    house.faults.plan("connections.remove", *[fail_before() for _ in range(50)])
    await done(house, run, calls("look"), says("So."))
    assert house.events(run) == CANONICAL
    assert house.history(run).epoch == 1


@pytest.mark.parametrize("cancel", [False, True], ids=["answered", "cancelled"])
async def test_an_ended_run_leaves_nothing_behind(cancel: bool) -> None:  # noqa: FBT001
    """A server that has served a million runs remembers none of them."""
    house = House()
    run = await house.say()
    supervisor = house.supervisor(FakeModel(stalls if cancel else says("So.")))
    trace = weakref.ref(supervisor)
    running = asyncio.ensure_future(perform(supervisor, run))
    if cancel:
        await until(lambda: len(house.events(run)) == 1)
        await house.runs.request_cancel(USER, run.run_id)
    await running
    del supervisor, running
    gc.collect()
    assert trace() is None


async def test_an_owner_that_falls_behind_its_fence_costs_no_run_what_it_had_got() -> None:
    """The attempts are set back before the fence: after it, the next owner does not see that the run had got on."""
    house = House()
    run = house.change(await house.say(), attempts=house.timing.max_attempts - 1)
    house.faults.strike_at(house.faults.count("journal.append") + 2, before(Crash()), "journal.append")
    with contextlib.suppress(Crash):
        await perform(house.supervisor(FakeModel(says("Never told."))), run)
    for _ in range(2):
        house.faults.dead = False
        house.lease_ends()
        house.faults.strike_at(house.faults.count("journal.append") + 1, after(Crash()), "journal.append")
        with contextlib.suppress(Crash):
            await perform(house.supervisor(FakeModel()), run)
    house.faults.dead = False
    house.lease_ends()
    assert house.run(run.run_id).attempts < house.timing.max_attempts
    await perform(house.supervisor(FakeModel(says("There."))), run)
    assert house.events(run)[-1] == "final_response"


async def test_a_run_that_got_on_is_said_to_have_at_once() -> None:
    """The fence of a later owner, a zombie's even, hides an event before it; the store does not forget."""
    house = House()
    run = house.change(await house.say(), attempts=2)
    house.faults.strike_at(house.faults.count("journal.append") + 2, before(Crash()), "journal.append")
    with contextlib.suppress(Crash):
        await perform(house.supervisor(FakeModel(says("Never told."))), run)
    assert house.events(run) == ["agent_started"]
    assert house.run(run.run_id).attempts == 1
