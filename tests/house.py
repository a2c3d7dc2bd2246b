"""The whole product on fakes: every use case as a home composes it, with every port in the test's hands."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from agent_runner.agent import Agent, Tool
from agent_runner.engine import Budget, Engine
from agent_runner.registry import Registry
from agent_runner.supervisor import Supervisor
from agent_runner.tool_executor import ToolExecutor
from message.accept import Accept
from message.answer import Answer
from message.caller import Caller
from message.cancel import Cancel
from message.dispatch import Dispatch
from message.ping import Ping
from message.present import Presence
from message.resume import Resume
from playbyplay.domain.connection import Session
from playbyplay.domain.journal import History
from playbyplay.domain.thread import Run
from playbyplay.domain.timing import Timing
from playbyplay.notifier import Notifier
from playbyplay.ports import Job, Limits
from playbyplay.protocol.commands import AgentMessage
from playbyplay.protocol.replies import MessageAccepted
from playbyplay.settings import DoubleText
from playbyplay.settlement import Settlement
from tests.fakes.backlog import FakeBacklog
from tests.fakes.clock import FakeClock
from tests.fakes.connection_store import FakeConnectionStore
from tests.fakes.faults import Faults
from tests.fakes.gateway import FakeGateway
from tests.fakes.ids import FakeIds
from tests.fakes.journal import FakeJournal
from tests.fakes.log import FakeLog
from tests.fakes.model import FakeModel
from tests.fakes.quota import FakeQuota
from tests.fakes.run_queue import FakeReceipt, FakeRunQueue
from tests.fakes.run_store import FakeRunStore
from tests.histories import USER

QUICK = Timing(
    lease_s=30,
    renew_s=0.02,
    heartbeat_s=0.04,
    visibility_s=45,
    retry_s=0.01,
    held_s=0.02,
    store_s=0.1,
    delta_s=0.005,
)
"""Real waits are milliseconds; the lease and the deadlines go by the clock of the test."""


@dataclass(slots=True)
class House:
    """One set of ports, and what is composed on it.

    Attributes:
        seen: the connection on which the user watches; it is open from the start.
        monotonic: what a runner goes by for its waits and its time limit.
        limits: how much one user may ask for.
        double_text: what becomes of a message while an earlier one of its thread is answered.
    """

    timing: Timing = QUICK
    faults: Faults = field(default_factory=Faults)
    clock: FakeClock = field(default_factory=FakeClock)
    ids: FakeIds = field(default_factory=FakeIds)
    log: FakeLog = field(default_factory=FakeLog)
    seen: str = "watching="
    monotonic: Callable[[], float] = time.monotonic
    limits: Limits = field(default_factory=Limits)
    double_text: DoubleText = "queue"
    journal: FakeJournal = field(init=False)
    runs: FakeRunStore = field(init=False)
    queue: FakeRunQueue = field(init=False)
    connections: FakeConnectionStore = field(init=False)
    gateway: FakeGateway = field(init=False)
    quota: FakeQuota = field(init=False)
    backlog: FakeBacklog = field(init=False)

    def __post_init__(self) -> None:
        self.journal = FakeJournal(self.faults)
        self.runs = FakeRunStore(self.journal, self.faults, clock=self.clock, timing=self.timing)
        self.queue = FakeRunQueue(self.faults)
        self.connections = FakeConnectionStore(self.faults, clock=self.clock)
        self.gateway = FakeGateway(self.faults)
        self.quota = FakeQuota(self.faults)
        self.backlog = FakeBacklog(self.faults)

    @property
    def notifier(self) -> Notifier:
        """A notifier on these ports."""
        return Notifier(
            journal=self.journal,
            connections=self.connections,
            gateway=self.gateway,
            clock=self.clock,
            ids=self.ids,
            log=self.log,
            timing=self.timing,
        )

    @property
    def settlement(self) -> Settlement:
        """A settlement on these ports."""
        return Settlement(runs=self.runs, queue=self.queue, notifier=self.notifier, clock=self.clock, log=self.log)

    @property
    def accept(self) -> Accept:
        """`agent_message` on these ports."""
        return Accept(
            runs=self.runs,
            journal=self.journal,
            queue=self.queue,
            backlog=self.backlog,
            notifier=self.notifier,
            settlement=self.settlement,
            cancel=self.cancel,
            clock=self.clock,
            ids=self.ids,
            log=self.log,
            timing=self.timing,
            limits=self.limits,
            double_text=self.double_text,
        )

    @property
    def present(self) -> Presence:
        """Who speaks is there, on these ports."""
        return Presence(connections=self.connections, gateway=self.gateway, clock=self.clock)

    @property
    def resume(self) -> Resume:
        """`resume` on these ports."""
        return Resume(
            runs=self.runs,
            journal=self.journal,
            connections=self.connections,
            present=self.present,
            notifier=self.notifier,
            settlement=self.settlement,
            log=self.log,
        )

    @property
    def cancel(self) -> Cancel:
        """`cancel` on these ports."""
        return Cancel(
            runs=self.runs,
            journal=self.journal,
            settlement=self.settlement,
            clock=self.clock,
            ids=self.ids,
            log=self.log,
            timing=self.timing,
        )

    @property
    def answer(self) -> Answer:
        """`answer` on these ports."""
        return Answer(journal=self.journal)

    @property
    def ping(self) -> Ping:
        """`ping` on these ports."""
        return Ping(
            runs=self.runs,
            journal=self.journal,
            connections=self.connections,
            present=self.present,
            clock=self.clock,
            log=self.log,
        )

    @property
    def dispatch(self) -> Dispatch:
        """All verbs on these ports."""
        return Dispatch(
            accept=self.accept,
            resume=self.resume,
            cancel=self.cancel,
            answer=self.answer,
            ping=self.ping,
            quota=self.quota,
            clock=self.clock,
            log=self.log,
        )

    def supervisor(
        self,
        model: FakeModel,
        *tools: Tool,
        agents: tuple[Agent, ...] = (),
        budget: Budget | None = None,
        resources: Mapping[str, str] | None = None,
    ) -> Supervisor:
        """Return a new runner, as another process would have it."""
        return Supervisor(
            runs=self.runs,
            journal=self.journal,
            notifier=self.notifier,
            settlement=self.settlement,
            cancels=self.runs,
            engine=Engine(Registry(agents, tools), budget or Budget()),
            tools=ToolExecutor(resources=resources or {}, clock=self.clock, log=self.log),
            model=model,
            clock=self.clock,
            ids=self.ids,
            log=self.log,
            timing=self.timing,
            monotonic=self.monotonic,
        )

    def caller(self, connection_id: str | None = None, user: str = USER) -> Caller:
        """Return who sends a frame on a connection."""
        return Caller(connection_id or self.seen, Session(user, self.clock.now_ms() + 43_200_000))

    async def watch(self, connection_id: str | None = None, user: str = USER, *, age_s: float = 60) -> str:
        """Open a connection that gets the live frames of a user's runs."""
        name = connection_id or self.seen
        await self.connections.add(
            name, self.caller(name, user).session, now_ms=self.clock.now_ms() - round(age_s * 1000)
        )
        return name

    async def say(self, content: str = "Why is it slow?", *, thread_id: str | None = None, user: str = USER) -> Run:
        """Accept a message and return its run."""
        accepted = await self.send(content, thread_id=thread_id, user=user)
        return self.run(accepted.run_id, user)

    async def send(
        self, content: str, *, thread_id: str | None = None, user: str = USER, message: str | None = None
    ) -> MessageAccepted:
        """Send a message and return the reply."""
        command = AgentMessage(content=content, thread_id=thread_id, client_message_id=message)
        return await self.accept(self.caller("sending=", user), command)

    def run(self, run_id: str, user: str = USER) -> Run:
        """Return a run as the store keeps it."""
        return self.runs.runs[user, run_id]

    def history(self, run: Run) -> History:
        """Return the journal of a run as it is committed; it follows the grammar or this raises."""
        return History.of(run.user, run.run_id, self.journal.records(run.user, run.run_id))

    def events(self, run: Run) -> list[str]:
        """Return the types of a run's committed events."""
        return [event.type for event in self.history(run).events]

    def change(self, run: Run, **changes: str | int | bool | None) -> Run:
        """Change a run behind everybody's back."""
        changed = replace(self.run(run.run_id, run.user), **changes)  # type: ignore[arg-type]  # Run's own names
        self.runs.runs[run.user, run.run_id] = changed
        return changed

    def lease_ends(self) -> None:
        """Let so much time pass that no lease holds any more."""
        self.clock.advance(self.timing.lease_s + 1)


async def perform(supervisor: Supervisor, run: Run, receipt: FakeReceipt | None = None) -> float | None:
    """Let a runner do the job of a run; it has five seconds, which it never needs."""
    return await asyncio.wait_for(supervisor.run(Job(run.user, run.run_id), receipt or FakeReceipt()), 5)
