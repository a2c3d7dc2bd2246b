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

from agent_runner.engine import Budget, Engine
from agent_runner.supervisor import Supervisor
from agent_runner.tool_executor import ToolExecutor
from connect.admission import Attendance
from message.accept import Accept
from message.answer import Answer
from message.caller import Caller
from message.cancel import Cancel
from message.dispatch import Dispatch
from message.ping import Ping
from message.present import Presence
from message.resume import Resume
from playbyplay.domain.connection import SESSION_S, Session
from playbyplay.domain.timing import CLOUD, Timing
from playbyplay.notifier import Notifier
from playbyplay.ports import Job, Limits
from playbyplay.settings import DoubleText
from playbyplay.settlement import Settlement
from playbyplay_client.errors import CannotConnect
from tests.fakes.backlog import FakeBacklog
from tests.fakes.connection_store import FakeConnectionStore
from tests.fakes.faults import Crash, Faults
from tests.fakes.ids import FakeIds
from tests.fakes.quota import FakeQuota
from tests.fakes.run_store import FakeRunStore
from tests.simulation.cast import RUN, WORK, Stage
from tests.simulation.evidence import Bounds, Evidence, Fault, Logged
from tests.simulation.faulty_ports import Plan, Points
from tests.simulation.network import Network, Wire
from tests.simulation.process import Process, task_factory
from tests.simulation.sabotage import ForgetfulRunStore, Sabotage, WrittenJournal
from tests.simulation.simulated_queue import Received, SimulatedQueue
from tests.simulation.states import States
from watchdog.look import Look
from watchdog.sweep import Sweep

BASE_MS: Final = 1_750_000_000_000
MAX_RECEIVES: Final = 12  # few, so that dead letters happen
_RUNNERS: Final = 2
# From the accept or the last fault: a lost job and then a fallen runner (C8: 180 s), and the run's own work.
BOUNDS: Final = Bounds(terminal_s=420.0, silence_s=15.0, pong_s=2.0, whole_s=40.0)
_GATEWAY_ERROR: Final = '{"message": "Internal server error", "connectionId":"x", "requestId":"y"}'


class _Whole(Faults):
    """Nothing of the store's own goes wrong: faults come in at the ports of each process."""

    @contextlib.asynccontextmanager
    async def around(self, operation: str) -> Any:
        yield


class _Log:
    """Implements `ports.Log` for one process."""

    def __init__(self, evidence: Evidence, process: Process) -> None:
        self._evidence = evidence
        self._process = process

    def event(self, name: str, **fields: str | float | bool | None) -> None:
        if self._process.alive:
            self._evidence.log.append(Logged(asyncio.get_running_loop().time() * 1000, name, fields))


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
        sabotage: what this world breaks that the contract promises.
    """

    seed: int
    plan: Plan
    timing: Timing = CLOUD
    double_text: DoubleText = "queue"
    limits: Limits = field(default_factory=Limits)
    invocation_s: float | None = None
    skew_s: float = 0.0
    sabotage: Sabotage | None = None


class World:
    """Everything that outlives a process. Made and used on one virtual loop."""

    def __init__(self, laws: Laws) -> None:
        self.laws = laws
        # A lease that a wrong clock dated ends as much later, and so does each look of the watchdog: safety never.
        self.evidence = Evidence(bounds=replace(BOUNDS, terminal_s=BOUNDS.terminal_s + 3 * laws.skew_s))
        self.states = States()
        self.chance = random.Random(f"{laws.seed} world")
        self.ids = FakeIds()
        faults, clock = _Whole(), _WorldClock()
        self.journal = WrittenJournal(faults)
        self.journal.evidence = self.evidence
        self.journal.overwrites = laws.sabotage == "the journal overwrites"
        store = ForgetfulRunStore if laws.sabotage == "an accept forgets the message before" else FakeRunStore
        self.runs = store(self.journal, faults, clock=clock, timing=laws.timing)
        self.connections = FakeConnectionStore(faults)
        self.backlog = FakeBacklog(faults)
        self.dead = SimulatedQueue(max_receives=10**6)
        self.queue = SimulatedQueue(max_receives=MAX_RECEIVES, dead=self.dead)
        self.stage = Stage(self.evidence, random.Random(f"{laws.seed} stage"))
        self.stage.forgets = laws.sabotage == "a tool forgets its keys"
        self.network = Network(self.evidence, self.chance, self._takes, self._left)
        self.network.leaks = laws.sabotage == "frames reach strangers"
        self.at_work: dict[Process, None] = {}  # in the order in which they began
        self._tasks: list[asyncio.Task[None]] = []
        asyncio.get_running_loop().set_task_factory(task_factory)

    def start(self) -> None:
        """Begin to run jobs, sweep, and read dead letters."""
        works: list[Coroutine[Any, Any, None]] = [self._run_jobs() for _ in range(_RUNNERS)]
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

    def process(self, role: str) -> "Staff":
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
            await staff.process.run(staff.attendance.open(wire.connection_id, session))
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
            ending = loop.call_at(ends_s, staff.process.fall)
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


class Staff:
    """The use cases of one process, each on ports that go wrong as the plan has it."""

    def __init__(self, world: World, process: Process) -> None:
        self.process = process
        self._world = world
        self.points = points = Points(process, world.laws.plan, world.chance, world.broke)
        self._log = _Log(world.evidence, process)
        self._journal = points.port("journal", world.states.watch(world.journal, process))
        self._runs = points.port("runs", world.runs)
        self._connections = points.port("connections", world.connections)
        self._gateway = points.port("gateway", world.network)
        self._queue = points.port("queue", world.queue)

    @property
    def attendance(self) -> Attendance:
        """What takes connections in."""
        return Attendance(connections=self._connections, clock=self.process, log=self._log)

    @property
    def dispatch(self) -> Dispatch:
        """What serves frames."""
        world, runs, journal = self._world, self._runs, self._journal
        shared: dict[str, Any] = {"clock": self.process, "log": self._log}
        present = Presence(connections=self._connections, gateway=self._gateway, clock=self.process)
        cancel = Cancel(
            runs=runs,
            journal=journal,
            settlement=self._settlement,
            clock=self.process,
            ids=world.ids,
            timing=world.laws.timing,
        )
        return Dispatch(
            accept=Accept(
                runs=runs,
                queue=self._queue,
                backlog=world.backlog,
                notifier=self._notifier,
                cancel=cancel,
                ids=world.ids,
                timing=world.laws.timing,
                limits=world.laws.limits,
                double_text=world.laws.double_text,
                **shared,
            ),
            resume=Resume(
                runs=runs,
                journal=journal,
                connections=self._connections,
                present=present,
                notifier=self._notifier,
                settlement=self._settlement,
            ),
            cancel=cancel,
            answer=Answer(journal=journal),
            ping=Ping(runs=runs, journal=journal, connections=self._connections, present=present),
            quota=FakeQuota(),
            **shared,
        )

    @property
    def look(self) -> Look:
        """What looks at one run."""
        world = self._world
        return Look(
            runs=self._runs,
            journal=self._journal,
            queue=self._queue,
            overdue=self.points.port("overdue", world.runs),
            settlement=self._settlement,
            clock=self.process,
            ids=world.ids,
            log=self._log,
            timing=world.laws.timing,
        )

    @property
    def sweep(self) -> Sweep:
        """What looks at all of them."""
        return Sweep(
            overdue=self.points.port("overdue", self._world.runs),
            look=self.look,
            connections=self._connections,
            gateway=self._gateway,
            clock=self.process,
            log=self._log,
        )

    async def run(self, received: Received, ends_s: float | None) -> float | None:
        """Do a job."""
        world = self._world
        RUN.set(received.job.run_id)
        WORK.set(self.points.call)
        supervisor = Supervisor(
            runs=self._runs,
            journal=self._journal,
            notifier=self._notifier,
            settlement=self._settlement,
            cancels=self._runs,
            engine=Engine(world.stage.registry, Budget()),
            tools=ToolExecutor(resources={}, clock=self.process, log=self._log),
            model=world.stage.model(self.points.call),
            clock=self.process,
            ids=world.ids,
            log=self._log,
            timing=world.laws.timing,
            monotonic=asyncio.get_running_loop().time,
        )
        job = Job(received.job.user, received.job.run_id, received.job.hops)
        return await supervisor.run(job, self.points.port("receipt", received), ends_s=ends_s)

    @property
    def _notifier(self) -> Notifier:
        return Notifier(
            journal=self._journal,
            connections=self._connections,
            gateway=self._gateway,
            clock=self.process,
            ids=self._world.ids,
            log=self._log,
            timing=self._world.laws.timing,
        )

    @property
    def _settlement(self) -> Settlement:
        return Settlement(
            runs=self._runs, queue=self._queue, notifier=self._notifier, clock=self.process, log=self._log
        )


def _of(text: str) -> Any:
    async def give() -> str:
        return text

    return give
