"""The model as a port: what is asked, what is answered, and how it may fail.

A client retries by itself within its own budget; what it raises in the end is the run's terminal.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from agent_runner.agent import Agent, Tool
from playbyplay.domain.derivation import Message
from playbyplay.protocol.events import FinishReason, Usage


@dataclass(frozen=True, slots=True)
class Delegate:
    """An agent the asked one may hand a task to; to the model it is a tool with one argument, `task`."""

    tool_name: str
    agent_id: str
    description: str


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """One question to the model.

    Attributes:
        agent: who asks; its instructions are the system prompt.
        tools: what it may call.
        delegates: whom it may hand a task to.
        messages: the conversation, oldest first; the last is a user's or a tool's.
    """

    agent: Agent
    tools: tuple[Tool, ...]
    delegates: tuple[Delegate, ...]
    messages: tuple[Message, ...]


@dataclass(frozen=True, slots=True)
class RequestedCall:
    """A call as the model wrote it: the name may be of no tool, the arguments may be no JSON."""

    tool_name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class ModelResponse:
    """One answer of the model: text, calls, or both; never neither."""

    text: str
    calls: tuple[RequestedCall, ...] = ()
    finish_reason: FinishReason = "stop"
    usage: Usage = field(default_factory=Usage)


OnText: TypeAlias = Callable[[int, str], Awaitable[None]]
"""Receives streamed text: the attempt (from 1; a higher one starts over) and the piece."""


class ModelClient(Protocol):
    """A model."""

    @property
    def name(self) -> str:
        """What the page and the log call it."""
        ...

    async def respond(self, request: ModelRequest, on_text: OnText) -> ModelResponse:
        """Answer one request.

        Raises:
            RunError: `model_unavailable`, `model_refused` or `context_too_long`, after the client's own retries.
        """
        ...
