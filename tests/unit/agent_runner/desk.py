"""A runner's desk: a model that answers the same to every owner, tools that count, and what must always hold."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from agent_runner.agent import Agent, Semantics, Tool, ToolContext, tool
from agent_runner.engine import Budget
from agent_runner.model import ModelRequest, ModelResponse, OnText, RequestedCall
from agent_runner.supervisor import Supervisor
from playbyplay.domain.derivation import AgentMessage, UserMessage
from playbyplay.domain.ending import Stamp
from playbyplay.domain.journal import CheckpointEntry, EventEntry, ResultEntry
from playbyplay.domain.thread import Run
from playbyplay.protocol.events import EVENT_TYPES, TERMINAL_TYPES, AgentThinking
from tests.fakes.faults import Crash, before
from tests.fakes.model import Behaviour, FakeModel, calls, says
from tests.house import House, perform

ANSWER = says("The table is scanned in full.")
CANONICAL_PLAN = {"supervisor": (calls("look", text="I will look at it."), ANSWER)}
INNER = Agent("inner", "Knows more.", "Know more.")
DELEGATED_PLAN = {
    "supervisor": (
        ModelResponse(
            "Two things at once.",
            (RequestedCall("look", "{}"), RequestedCall("delegate_to_inner", '{"task":"Find out."}')),
        ),
        ANSWER,
    ),
    "inner": (calls("find", text="Let me find it."), says("The index is missing.")),
}


@dataclass
class Desk:
    """A house, a plan for the model, and a record of what was asked and called.

    Args:
        plan: the responses of each agent, in the order of its questions; each text is used once.
        semantics: of the tools `look` and `find`.
    """

    plan: Mapping[str, Sequence[ModelResponse]] = field(default_factory=lambda: CANONICAL_PLAN)
    semantics: Semantics = "pure"
    house: House = field(default_factory=House)
    called: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.model = FakeModel(self._respond, repeats=True)
        self.tools = {name: self._tool(name) for name in ("look", "find")}

    def supervisor(self) -> Supervisor:
        """Return a new runner."""
        inner = Agent(INNER.agent_id, INNER.description, INNER.instructions, (self.tools["find"],))
        agents = (inner,) if "inner" in self.plan else ()
        return self.house.supervisor(self.model, self.tools["look"], agents=agents)

    async def accepted(self) -> Run:
        """Accept a message that somebody watches."""
        await self.house.watch()
        return await self.house.say()

    async def _respond(self, request: ModelRequest, _on_text: OnText) -> ModelResponse:
        since = max(at for at, message in enumerate(request.messages) if isinstance(message, UserMessage))
        said = sum(isinstance(message, AgentMessage) for message in request.messages[since:])
        response = self.plan[request.agent.agent_id][said]
        if any(entry.text == response.text for entry in self._entries(CheckpointEntry)):
            self.wrong.append(f"{response.text!r} was asked for again")
        await asyncio.sleep(0)
        return response

    def _tool(self, name: str) -> Tool:
        async def function(context: ToolContext) -> str:
            """Look at it."""
            if context.call_id not in [getattr(entry.event, "call_id", "") for entry in self._entries(EventEntry)]:
                self.wrong.append(f"{context.call_id} was called before it was recorded")
            if context.call_id in [entry.call_id for entry in self._entries(ResultEntry)]:
                self.wrong.append(f"{context.call_id} was called again after its end")
            self.called[context.call_id] += 1
            await asyncio.sleep(0)
            return f"{name} found it"

        function.__name__ = name
        return tool(semantics=self.semantics, running="Looking at it")(function)

    def _entries(self, kind: type[Any]) -> list[Any]:
        (slots,) = self.house.journal.slots.values()
        return [entry for record in slots.values() for entry in record.entries if isinstance(entry, kind)]

    def check(self, run: Run, *, status: str = "completed") -> list[str]:
        """Assert what holds for every run that has ended; return its events' types.

        The journal follows the grammar, has one terminal and repeats nothing; the store agrees with
        it; every event that was posted is one that was stored; nothing was asked or called twice.
        """
        history = self.house.history(run)
        events = history.events
        assert history.state.phase == "ended"
        assert history.state.status == self.house.run(run.run_id).status == status
        assert sum(event.type in TERMINAL_TYPES for event in events) == 1
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        assert sum(event.type == "agent_started" for event in events) <= 1
        texts = [point.text for point in history.checkpoints]
        assert len(texts) == len(set(texts))
        assert self.wrong == []
        stored = {event.seq: event.model_dump(mode="json", exclude_none=True) for event in events}
        for frame in self.house.gateway.frames(self.house.seen, *EVENT_TYPES):
            assert frame == stored[frame["seq"]]
        return [event.type for event in events]


async def answered(of: Desk, appends: int) -> Run:
    """Return a run that an owner of an earlier version left behind: its answer is recorded and told, its end is not.

    Args:
        of: where.
        appends: how many records its plan takes today, of which the last is the answer with the end.
    """
    run, house = await of.accepted(), of.house
    house.faults.strike_at(appends, before(Crash()), "journal.append")
    with pytest.raises(Crash):
        await perform(of.supervisor(), run)
    house.faults.dead = False
    history = house.history(run)
    thought = Stamp(history, house.clock.now_ms()).event(AgentThinking, agent_id="supervisor", thought="I know it.")
    await house.notifier.append(history, [CheckpointEntry(text=ANSWER.text, usage=ANSWER.usage), thought])
    house.lease_ends()
    return run


pure = tool(semantics="pure", running="Looking around")


@pure
def look() -> str:
    """Look around."""
    return "Found it."


def named(name: str, function: Callable[[], Awaitable[str]]) -> Tool:
    async def called() -> str:
        """Do it."""
        return await function()

    called.__name__ = name
    return pure(called)


async def forever() -> str:
    await asyncio.Event().wait()
    return "never"


async def stalls(_request: ModelRequest, _on_text: OnText) -> ModelResponse:
    """A model that never answers."""
    return says(await forever())


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something is so; it is soon."""
    for _ in range(1_000):
        if condition():
            return
        await asyncio.sleep(0.001)
    pytest.fail("it did not come to that")


async def done(
    house: House, run: Run, *plan: Behaviour, tools: tuple[Tool, ...] = (look,), budget: Budget | None = None
) -> FakeModel:
    """Let a runner bring a run to its end with a model that answers by plan."""
    model = FakeModel(*plan)
    assert await perform(house.supervisor(model, *tools, budget=budget), run) is None
    return model


def ended(house: House, run: Run) -> tuple[str, str]:
    """Return the status of a run and the code of its error."""
    last = house.history(run).events[-1]
    status = house.run(run.run_id).status
    assert status == house.history(run).state.status
    return status, getattr(last, "code", "")
