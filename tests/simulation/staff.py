"""The use cases of one process of the simulated world, composed as a home composes them."""

import asyncio
from typing import TYPE_CHECKING, Any

from agent_runner.engine import Budget, Engine
from agent_runner.supervisor import Supervisor
from agent_runner.tool_executor import ToolExecutor
from connect.admission import Attendance
from message.accept import Accept
from message.answer import Answer
from message.cancel import Cancel
from message.dispatch import Dispatch
from message.ping import Ping
from message.present import Presence
from message.resume import Resume
from playbyplay.notifier import Notifier
from playbyplay.ports import Job
from playbyplay.settlement import Settlement
from tests.fakes.quota import FakeQuota
from tests.simulation.cast import RUN, WORK
from tests.simulation.evidence import Evidence, Logged
from tests.simulation.faulty_ports import Points
from tests.simulation.process import Process
from tests.simulation.simulated_queue import Received
from watchdog.look import Look
from watchdog.sweep import Sweep

if TYPE_CHECKING:
    from tests.simulation.world import World


class _Log:
    """Implements `ports.Log` for one process."""

    def __init__(self, evidence: Evidence, process: Process) -> None:
        self._evidence = evidence
        self._process = process

    def event(self, name: str, **fields: str | float | bool | None) -> None:
        if self._process.alive:
            self._evidence.log.append(Logged(asyncio.get_running_loop().time() * 1000, name, fields))


class Staff:
    """The use cases of one process, each on ports that go wrong as the plan has it."""

    def __init__(self, world: "World", process: Process) -> None:
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
            ids=world.ids,
            timing=world.laws.timing,
            **shared,
        )
        return Dispatch(
            accept=Accept(
                runs=runs,
                journal=journal,
                queue=self._queue,
                backlog=world.backlog,
                notifier=self._notifier,
                settlement=self._settlement,
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
                log=self._log,
            ),
            cancel=cancel,
            answer=Answer(journal=journal),
            ping=Ping(runs=runs, journal=journal, connections=self._connections, present=present, **shared),
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
