"""Who acts in the simulated world: a model that does what the message says, and tools that write a ledger.

A message is a program: `pure;unsafe+idempotent;delegate;slow` asks for those calls, step by step, and then answers.
"""

import asyncio
import json
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any, Final

from agent_runner.agent import Agent, Semantics, Tool, ToolContext, ToolOutput, tool
from agent_runner.model import ModelRequest, ModelResponse, OnText, RequestedCall
from agent_runner.registry import Registry
from playbyplay.domain.derivation import AgentMessage, UserMessage
from playbyplay.protocol.events import Usage
from tests.fakes.faults import Crash
from tests.simulation.evidence import Evidence, ModelAsked, ToolCalled, ToolEffect
from tests.simulation.process import PROCESS

RUN: ContextVar[str] = ContextVar("RUN")
HELPER: Final = "helper"
DEADLY: Final = "deadly"
TRAP: Final = "trap"
_SLOW_S = 40.0
_PIECE = 16

Work = Callable[[str, Callable[[], Awaitable[Any]]], Awaitable[Any]]
"""Passes a step of work through the fault points of the process it is done in."""

WORK: ContextVar[Work] = ContextVar("WORK")


class Stage:
    """The model, the agents and the tools of one world.

    Args:
        evidence: where the ledger is written.
        chance: for how long things take.
        broke: told when a tool kills its runner.

    Attributes:
        forgets: whether the idempotent tool does not know what it has done.
    """

    def __init__(self, evidence: Evidence, chance: random.Random, broke: Callable[[str, str, float], None]) -> None:
        self._evidence = evidence
        self._chance = chance
        self._broke = broke
        self.forgets = False
        self._sprung: set[str] = set()  # the traps, by key
        self._entries: Counter[str] = Counter()  # how often each key came
        self._done: dict[str, str] = {}  # what the idempotent tool has done, by key: it is outside and does not fall
        helper = Agent(HELPER, "Helps.", "Help.", tools=(self._tool("pure", "helping", 1.0, "pure"),))
        tools = [
            self._tool("pure", "looking", 1.0, "pure_look"),
            self._tool("idempotent", "booking", 2.0, "idempotent"),
            self._tool("unsafe", "sending", 2.0, "unsafe"),
            self._tool("pure", "looking for long", _SLOW_S, "slow"),
            self._tool("pure", "killing its runner", 0.1, DEADLY),
            self._tool("pure", "killing its first runner", 0.1, TRAP),
        ]
        self.registry = Registry([helper], tools)

    def model(self, work: Work) -> "Model":
        """Return the model as one process reaches it."""
        return Model(self._evidence, self._chance, work)

    def _tool(self, semantics: Semantics, running: str, takes_s: float, name: str) -> Tool:
        async def act(context: ToolContext) -> ToolOutput:
            """Do something."""
            return await self._act(context, semantics, name, takes_s)

        act.__name__ = name
        return tool(semantics=semantics, running=running, timeout_s=120.0)(act)

    async def _act(self, context: ToolContext, semantics: Semantics, name: str, takes_s: float) -> ToolOutput:
        work = WORK.get()

        async def effect() -> None:
            if self.forgets or semantics != "idempotent" or context.idempotency_key not in self._done:
                self._done[context.idempotency_key] = name
                self._evidence.effects.append(
                    ToolEffect(_now_ms(), context.run_id, context.call_id, context.idempotency_key)
                )

        async def enter() -> None:
            self._evidence.called.append(
                ToolCalled(_now_ms(), context.run_id, context.call_id, name, semantics, context.idempotency_key)
            )
            # Made again it takes less: one that outlasted its runner each time would be handed on without an end.
            self._entries[context.idempotency_key] += 1
            await asyncio.sleep(takes_s * (0.5 + self._chance.random() / self._entries[context.idempotency_key]))
            if name == DEADLY or (name == TRAP and context.idempotency_key not in self._sprung):
                self._sprung.add(context.idempotency_key)
                self._broke(f"runner.{name}", "crash", 0.0)
                process = PROCESS.get()
                assert process is not None
                process.fall()
                raise Crash
            await effect()

        await work("tool.call", enter)
        return ToolOutput(f"{name} is done.", f"{name} for {context.call_id}")


class Model:
    """Implements `ModelClient`."""

    name = "simulated"

    def __init__(self, evidence: Evidence, chance: random.Random, work: Work) -> None:
        self._evidence = evidence
        self._chance = chance
        self._work = work

    async def respond(self, request: ModelRequest, on_text: OnText) -> ModelResponse:
        """Take the next step of the program."""
        last_user = max(at for at, said in enumerate(request.messages) if isinstance(said, UserMessage))
        program = request.messages[last_user]
        assert isinstance(program, UserMessage)
        step = sum(isinstance(said, AgentMessage) for said in request.messages[last_user:])
        scope = "c1" if request.agent.agent_id == HELPER else None  # a program delegates in its first call

        async def think() -> ModelResponse:
            self._evidence.asked.append(ModelAsked(_now_ms(), RUN.get(), scope, step))
            await asyncio.sleep(0.2 + 2.0 * self._chance.random())
            return _response(program.content, step, "pure" if scope else "pure_look")

        response: ModelResponse = await self._work("model.call", think)
        if not response.calls:
            for start in range(0, len(response.text), _PIECE):
                await on_text(1, response.text[start : start + _PIECE])
                await asyncio.sleep(0.2)
        return response


def _response(program: str, step: int, pure: str) -> ModelResponse:
    steps = [words for words in program.split(" ", 1)[0].split(";") if words]
    usage = Usage(input_tokens=10, output_tokens=5)
    if step >= len(steps):
        return ModelResponse(f"Done: {program}", usage=usage)
    calls = tuple(_call(word, pure) for word in steps[step].split("+"))
    return ModelResponse(f"Step {step + 1}: {steps[step]}.", calls, usage=usage)


def _call(word: str, pure: str) -> RequestedCall:
    if word == "delegate":
        return RequestedCall(f"delegate_to_{HELPER}", json.dumps({"task": "pure"}))
    return RequestedCall(pure if word == "pure" else word, "{}")


def _now_ms() -> float:
    return asyncio.get_running_loop().time() * 1000
