"""The whole system in virtual time: the use cases as AWS runs them, each call a process of its own, all ports faulty.

A world holds what outlives every process: stores, queues, network. What the processes did and what came of
it is written down as evidence.
"""

import asyncio
import contextlib
import random
from collections.abc import Coroutine
from dataclasses import dataclass, field, replace
from typing import Any, Final

from message.caller import Caller
from playbyplay.domain.connection import SESSION_S, Session
from playbyplay.domain.timing import CLOUD, Timing
from playbyplay.ports import Limits
from playbyplay.settings import DoubleText
from playbyplay_client.errors import CannotConnect
from tests.fakes.backlog import FakeBacklog
from tests.fakes.connection_store import FakeConnectionStore
from tests.fakes.faults import Crash, Faults
from tests.fakes.ids import FakeIds
from tests.simulation.cast import Stage
from tests.simulation.evidence import EVERYTHING, Bounds, Evidence, Fault
from tests.simulation.faulty_ports import Plan
from tests.simulation.network import Network, Wire
from tests.simulation.process import Process, task_factory
from tests.simulation.sabotage import ForgetfulRunStore, Sabotage, WrittenJournal, WrittenQueue, WrittenRunStore
from tests.simulation.simulated_queue import Received, SimulatedQueue
from tests.simulation.staff import Staff
from tests.simulation.states import States
from tests.simulation.terms import TERMS

BASE_MS: Final = 1_750_000_000_000
MAX_RECEIVES: Final = 12  # few, so that dead letters happen
# From the accept or the last fault: a lost job and then a fallen runner (C8: 180 s), and the run's own work.
BOUNDS: Final = Bounds(terminal_s=420.0, silence_s=15.0, pong_s=2.0, whole_s=40.0)
_GATEWAY_ERROR: Final = '{"message": "Internal server error", "connectionId":"x", "requestId":"y"}'


class _Whole(Faults):
    """Nothing of the store's own goes wrong: faults come in at the ports of each process."""

    @contextlib.asynccontextmanager
    async def around(self, operation: str) -> Any:
        yield


class _WorldClock:
    """The true time."""

    def now_ms(self) -> int:
        return BASE_MS + round(asyncio.get_running_loop().time() * 1000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Laws:
    """What holds in one world.

    Attributes:
        seed: of all chance.
        invocation_s: after how long a runner is ended, as Lambda does it; None for never.
        skew_s: how far a process's clock may be off, either way.
        journal_s: how long the journal takes for a put or a read; it is slow, not broken.
        flaky: whether each third frame is posted in vain the first time, which nobody is to notice.
        sabotage: what this world breaks that the contract promises.
    """

    seed: int
    plan: Plan
    timing: Timing = CLOUD
    double_text: DoubleText = "queue"
    limits: Limits = field(default_factory=Limits)
    invocation_s: float | None = None
    skew_s: float = 0.0
    journal_s: float = 0.0
    flaky: bool = False
    sabotage: Sabotage | None = None


class World:
    """Everything that outlives a process. Made and used on one virtual loop."""

    def __init__(self, laws: Laws) -> None:
        self.laws = laws
        # A lease that a wrong clock dated ends as much later, and so does each look of the watchdog: safety never.
        self.evidence = Evidence(bounds=replace(BOUNDS, terminal_s=BOUNDS.terminal_s + 3 * laws.skew_s))
        self.evidence.witnessed = EVERYTHING
        self.evidence.terms = replace(
            TERMS,
            run_s=laws.timing.run_s,
            queue_s=laws.timing.queue_s,
            double_text=laws.double_text,
            skewed=laws.skew_s > 0,
        )
        self.states = States()
        self.chance = random.Random(f"{laws.seed} world")
        self.ids = FakeIds()
        faults, clock = _Whole(), _WorldClock()
        self.journal = WrittenJournal(faults)
        self.journal.evidence = self.evidence
        self.journal.takes_s = laws.journal_s
        self.journal.overwrites = laws.sabotage == "the journal overwrites"
        store = ForgetfulRunStore if laws.sabotage == "an accept forgets the message before" else WrittenRunStore
        self.runs = store(self.journal, faults, clock=clock, timing=laws.timing)
        self.runs.evidence = self.evidence
        self.connections = FakeConnectionStore(faults, clock=clock)
        self.backlog = FakeBacklog(faults)
        self.dead = SimulatedQueue(max_receives=10**6)
        self.queue = WrittenQueue(max_receives=MAX_RECEIVES, dead=self.dead)
        self.queue.evidence = self.evidence
        self.stage = Stage(self.evidence, random.Random(f"{laws.seed} stage"), self.broke)
        self.stage.forgets = laws.sabotage == "a tool forgets its keys"
        self.network = Network(self.evidence, self.chance, self._takes, self._left)
        self.network.flaky = laws.flaky
        self.network.leaks = laws.sabotage == "frames reach strangers"
        self.unseen: set[str] = set()  # clients whose next connection is forgotten as soon as it is there
        self.at_work: dict[Process, None] = {}  # in the order in which they began
        self._tasks: list[asyncio.Task[None]] = []
        asyncio.get_running_loop().set_task_factory(task_factory)

    def start(self) -> None:
        """Begin to run jobs, sweep, and read dead letters."""
        works: list[Coroutine[Any, Any, None]] = [self._run_jobs() for _ in range(TERMS.runners)]
        works += [self._read_dead_letters()]
        works += [self._sweep()] if self.laws.sabotage != "nobody sweeps" else []
        self._tasks = [asyncio.ensure_future(work) for work in works]

    async def stop(self) -> None:
        """End all of that."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def is_quiet(self) -> bool:
        """Whether every run is over, and no dead letter is left."""
        return not any(run.is_open for run in self.runs.runs.values()) and self.dead.is_empty

    def process(self, role: str) -> Staff:
        """Begin a process."""
        skew_ms = round(self.laws.skew_s * 1000 * (2 * self.chance.random() - 1))
        return Staff(self, Process(role, base_ms=BASE_MS, skew_ms=skew_ms))

    def broke(self, site: str, mode: str, seconds: float) -> None:
        """Write a fault down."""
        now_ms = asyncio.get_running_loop().time() * 1000
        self.evidence.faults.append(Fault(now_ms, site, mode, now_ms + seconds * 1000))

    async def admit(self, wire: Wire) -> None:
        """Take a connection in, as `connect` does.

        Raises:
            CannotConnect: it failed.
        """
        staff = self.process("connect")
        session = Session(wire.user, staff.process.now_ms() + SESSION_S * 1000)
        try:
            if unseen := wire.client in self.unseen:
                self.unseen.discard(wire.client)
                self.broke(f"network.{wire.client}", "unseen", 0.0)
            await staff.process.run(staff.attendance.open(wire.connection_id, session))
            if unseen:
                self.connections.rows.pop(wire.connection_id, None)
        except (Exception, Crash):  # noqa: BLE001 - a handshake fails for any reason
            raise CannotConnect("The handshake failed.") from None

    async def _left(self, connection_id: str) -> None:
        staff = self.process("connect")
        with contextlib.suppress(Exception, Crash):
            await staff.process.run(staff.attendance.close(connection_id, 1001))

    async def _takes(self, wire: Wire, text: str) -> None:
        """Serve a client's frame, as `message` does; the gateway answers for one that fell."""
        if self.laws.sabotage == "no resume arrives" and '"type":"resume"' in text:
            return
        staff = self.process("message")
        caller = Caller(wire.connection_id, Session(wire.user, BASE_MS + SESSION_S * 1000))
        try:
            reply = await staff.process.run(staff.dispatch.__call__(caller, text))
            answer = await staff.process.run(staff.points.call("reply.render", _of(reply.to_json())))
        except (Exception, Crash):  # noqa: BLE001 - the gateway answers for whatever fails
            answer = _GATEWAY_ERROR if self.chance.random() < 0.5 else None
        if answer is not None and not wire.closed:
            wire.arrive(answer)

    async def _run_jobs(self) -> None:
        while True:
            received = await self.queue.receive()
            mode = self.laws.plan.next("queue.deliver", asyncio.get_running_loop().time())
            if mode == "dup":
                self.broke("queue.deliver", "dup", 0.0)
                self.queue.again(received)
            with contextlib.suppress(Exception, Crash):
                await self._run_job(received)

    async def _run_job(self, received: Received) -> None:
        staff, loop = self.process("runner"), asyncio.get_running_loop()
        limit_s, ends_s = self.laws.invocation_s, None
        ending = None
        if limit_s is not None:
            ends_s = loop.time() + limit_s
            ending = loop.call_at(ends_s, self._time_is_up, staff.process)
        self.at_work[staff.process] = None
        try:
            again_s = await staff.process.run(staff.run(received, ends_s))
            if again_s is None:
                if self.laws.plan.next("queue.delete", loop.time()) != "drop":
                    await self.queue.delete(received)
                else:
                    self.broke("queue.delete", "drop", 0.0)
            else:
                await received.extend(again_s)
        finally:
            self.at_work.pop(staff.process, None)
            if ending is not None:
                ending.cancel()

    def _time_is_up(self, process: Process) -> None:
        self.broke("runner.process", "time is up", 0.0)
        process.fall()

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(self.laws.timing.sweep_s)
            staff = self.process("watchdog")
            with contextlib.suppress(Exception, Crash):
                swept = await staff.process.run(staff.sweep())
                for finding in swept.findings:
                    self.states.see(f"swept: {finding}")

    async def _read_dead_letters(self) -> None:
        while True:
            received = await self.dead.receive()
            staff = self.process("watchdog")
            try:
                await staff.process.run(staff.look(received.job))
            except (Exception, Crash):  # noqa: BLE001 - it comes again
                await received.extend(60.0)
            else:
                self.states.see("dead letter looked at")
                await self.dead.delete(received)


def _of(text: str) -> Any:
    async def give() -> str:
        return text

    return give
