"""Who acts: a model that does what the message tells it, and tools that write down that they were called.

A message is JSON: `{"id": ..., "plan": [[{"tool": "unsafe_slow", "seconds": 0.7}, ...], ...]}`, one list of
calls a step. `{"task": {...}}` in place of a tool hands a message of the same form to another agent.
"""

import asyncio
import json
import random
import uuid
from typing import Any, Final, get_args

from agent_runner.agent import Agent, Semantics, Tool, ToolContext, tool
from agent_runner.model import ModelRequest, ModelResponse, OnText, RequestedCall
from agent_runner.registry import Registry
from playbyplay.domain.derivation import AgentMessage, UserMessage
from playbyplay.protocol.events import Usage
from tests.chaos.ledger import Ledger

_HELPER: Final = "helper"
_PIECE = 400
_STEPS = 3
_DELEGATED, _SLOW, _SLOWEST, _LONG, _TWO_CALLS = 0.12, 0.5, 0.1, 0.1, 0.3
_SLOWEST_S = 2.0  # so long that without heartbeats a client would hear nothing for more than a second


class PlannedModel:
    """Implements `ModelClient`: the same request, the same response.

    Args:
        ledger: where each question is noted.
        pace_s: how long it thinks.
    """

    name = "planned"

    def __init__(self, ledger: Ledger, pace_s: float = 0.1) -> None:
        self._ledger = ledger
        self._pace_s = pace_s

    async def respond(self, request: ModelRequest, on_text: OnText) -> ModelResponse:
        """Take the step of the plan whose turn it is; after the last one, answer."""
        asked = max(at for at, said in enumerate(request.messages) if isinstance(said, UserMessage))
        message = json.loads(request.messages[asked].content)
        step = sum(isinstance(said, AgentMessage) for said in request.messages[asked:])
        self._ledger.note("asked", id=message["id"], step=step)
        await asyncio.sleep(self._pace_s)
        usage = Usage(input_tokens=10, output_tokens=5)
        if step < len(message["plan"]):
            calls = tuple(_requested(call) for call in message["plan"][step])
            return ModelResponse(f"Step {step + 1} of the plan.", calls, usage=usage)
        text = f"Done: {message['id']}. " + "All is well. " * message.get("words", 1)
        for at in range(0, len(text), _PIECE):
            await on_text(1, text[at : at + _PIECE])
            await asyncio.sleep(self._pace_s / 10)
        return ModelResponse(text, usage=usage)


def registry(ledger: Ledger) -> Registry:
    """Return a supervisor and a helper, who hold a quick and a slow tool of each kind."""
    tools = tuple(_tool(ledger, semantics, pace) for semantics in get_args(Semantics) for pace in ("quick", "slow"))
    helper = Agent(_HELPER, "Helps.", "Help.", tools=tools)
    root = Agent("chief", "Answers.", "Answer.", tools=tools, delegates=(_HELPER,))
    return Registry([helper], root=root)


def message(chance: random.Random) -> str:
    """Draw a message."""
    drawn = _drawn(chance, steps=_STEPS)
    drawn["words"] = 1200 if chance.random() < _LONG else 1 + int(60 * chance.random())
    return json.dumps(drawn)


def id_of(content: str) -> str:
    """Return a message's own id, by which the model knows it."""
    return str(json.loads(content)["id"])


def _drawn(chance: random.Random, *, steps: int) -> dict[str, Any]:
    plan = [[_call(chance, steps)] for _ in range(chance.randint(1, steps))]
    for step in plan:
        if chance.random() < _TWO_CALLS:
            step.append(_call(chance, 1))
    return {"id": uuid.UUID(int=chance.getrandbits(128)).hex, "plan": plan}


def _call(chance: random.Random, steps: int) -> dict[str, Any]:
    if steps > 1 and chance.random() < _DELEGATED:
        return {"task": _drawn(chance, steps=1)}
    kind = chance.choice(get_args(Semantics))
    if chance.random() < _SLOW:
        seconds = _SLOWEST_S if chance.random() < _SLOWEST else round(chance.uniform(0.5, 1.0), 2)
        return {"tool": f"{kind}_slow", "seconds": seconds}
    return {"tool": f"{kind}_quick", "seconds": 0.0}


def _requested(call: dict[str, Any]) -> RequestedCall:
    if "task" in call:
        return RequestedCall(f"delegate_to_{_HELPER}", json.dumps({"task": json.dumps(call["task"])}))
    return RequestedCall(call["tool"], json.dumps({"seconds": call["seconds"]}))


def _tool(ledger: Ledger, semantics: Semantics, pace: str) -> Tool:
    name = f"{semantics}_{pace}"

    async def act(context: ToolContext, seconds: float) -> str:
        """Do something."""
        ledger.enter(name, semantics, context)
        await asyncio.sleep(seconds / 2)
        if semantics != "pure":
            ledger.change_the_world(semantics, context)
        await asyncio.sleep(seconds / 2)
        return f"{name} is done."

    act.__name__ = name
    return tool(semantics=semantics, running=f"Doing something {semantics}")(act)
