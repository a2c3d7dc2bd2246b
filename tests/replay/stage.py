"""Where a recording is played: a house with a small cast of tools, one of each kind, and one more agent."""

import asyncio
import contextlib
from dataclasses import dataclass, field

from agent_runner.agent import Agent, Tool, ToolContext, ToolFailure, tool
from agent_runner.engine import Budget, Engine
from agent_runner.registry import Registry
from agent_runner.supervisor import Supervisor
from playbyplay.domain.thread import Run
from playbyplay.protocol.commands import Cancel
from tests.fakes.faults import Crash, before
from tests.fakes.model import Behaviour, FakeModel
from tests.house import House, perform


@dataclass
class Stage:
    """A house and its cast.

    Attributes:
        called: the tools that were called, in order.
        models: every model a runner had.
    """

    house: House = field(default_factory=House)
    called: list[str] = field(default_factory=list)
    models: list[FakeModel] = field(default_factory=list)

    @property
    def tools(self) -> tuple[Tool, ...]:
        """The tools of the run's own agent."""
        return (self._look(), self._late(), self._breaks(), self._slow(), self._store(), self._pay())

    @property
    def agents(self) -> tuple[Agent, ...]:
        """Who can be delegated to."""
        return (Agent("inner", "Knows more.", "Know more.", (self._find(),)),)

    @property
    def engine(self) -> Engine:
        """The engine a runner of this cast has."""
        return Engine(Registry(self.agents, self.tools), Budget())

    def supervisor(self, *plan: Behaviour, repeats: bool = False) -> Supervisor:
        """Return a new runner whose model answers by plan."""
        self.models.append(FakeModel(*plan, repeats=repeats))
        return self.house.supervisor(self.models[-1], *self.tools, agents=self.agents)

    async def plays(self, run: Run, *plan: Behaviour) -> None:
        """Let a runner bring a run to its end."""
        assert await perform(self.supervisor(*plan), run) is None

    async def falls(self, run: Run, *plan: Behaviour, at: int) -> None:
        """Let a runner work on a run until the append of this number, counted in this house, where it falls."""
        self.house.faults.strike_at(at, before(Crash()), "journal.append")
        with contextlib.suppress(Crash):
            await perform(self.supervisor(*plan), run)
        assert self.house.faults.dead
        self.house.faults.dead = False
        self.house.lease_ends()

    async def cancels(self, run: Run) -> None:
        """Let the user cancel a run."""
        await self.house.cancel(self.house.caller(), Cancel(run_id=run.run_id))

    async def _took(self, name: str, seconds: float = 0.25) -> None:
        self.called.append(name)
        self.house.clock.advance(seconds)
        await asyncio.sleep(0)

    def _look(self) -> Tool:
        @tool(semantics="pure", running="Looking at it")
        async def look() -> str:
            """Look at it."""
            await self._took("look")
            return "The table is scanned in full."

        return look

    def _late(self) -> Tool:
        @tool(semantics="pure", running="Looking closely")
        async def late(context: ToolContext) -> str:
            """Look at it until another call of the run has ended."""
            await self._took("late")
            while not self._any_result(context):  # noqa: ASYNC110 - the journal signals nothing
                await asyncio.sleep(0)
            return "There is no index."

        return late

    def _any_result(self, context: ToolContext) -> bool:
        records = self.house.journal.records(context.user, context.run_id)
        return any(entry.kind == "result" for record in records for entry in record.entries)

    def _breaks(self) -> Tool:
        @tool(semantics="pure", running="Trying")
        async def breaks() -> str:
            """Fail."""
            await self._took("breaks")
            raise ToolFailure("The database is closed.")

        return breaks

    def _slow(self) -> Tool:
        @tool(semantics="pure", running="Waiting", timeout_s=0.01)
        async def slow() -> str:
            """Take too long."""
            await self._took("slow", 10)
            await asyncio.Event().wait()
            return "never"

        return slow

    def _store(self) -> Tool:
        @tool(semantics="idempotent", running="Storing it")
        async def store(context: ToolContext, note: str) -> str:
            """Store a note, once for each key."""
            await self._took("store")
            return f"Stored {note} under {context.idempotency_key}."

        return store

    def _pay(self) -> Tool:
        @tool(semantics="unsafe", running="Paying")
        async def pay(amount: int) -> str:
            """Pay."""
            await self._took("pay")
            return f"Paid {amount}."

        return pay

    def _find(self) -> Tool:
        @tool(semantics="pure", running="Finding it")
        async def find() -> str:
            """Find it."""
            await self._took("find")
            return "The index is missing."

        return find
