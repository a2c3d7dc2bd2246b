"""What an agent and a tool are: the two things a developer adds, one file each.

A tool is a plain typed function with a docstring under `@tool(...)`; the schema the model sees is
made from its signature. An agent is a value: who it is, what it is told, which tools it holds.
"""

import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, get_type_hints

from pydantic import BaseModel, ConfigDict, TypeAdapter, create_model

Semantics = Literal["pure", "idempotent", "unsafe"]


@dataclass(frozen=True, slots=True)
class ToolContext:
    """What a tool may know of the call it serves; a parameter of this type is filled in, never sent by the model.

    Attributes:
        user: whose run this is. A tool that reads a user's data reads this user's, whatever the model says.
        run_id: the run.
        call_id: the call, unique in its run.
        idempotency_key: `run_id:call_id`, the same on every try of this call.
        resources: what the home gives to tools, by name (`database`: the path of the database to analyse).
    """

    user: str
    run_id: str
    call_id: str
    idempotency_key: str
    resources: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ToolOutput:
    """What a tool found.

    Attributes:
        summary: one sentence for the person who watches ("Found 3 slow queries").
        content: the whole result for the model, as Markdown.
    """

    summary: str
    content: str


class ToolFailure(Exception):
    """Raised by a tool to fail with a sentence that is safe to show to the model and the user."""


ToolResult: TypeAlias = ToolOutput | BaseModel | str | int | float | bool | dict[str, Any] | list[Any] | None
ToolFunction: TypeAlias = Callable[..., ToolResult] | Callable[..., Awaitable[ToolResult]]


@dataclass(frozen=True, slots=True)
class Tool:
    """A function the model may call, and what a retry of it may do.

    Attributes:
        name: the function's name.
        description: its docstring, for the model.
        running: a short phrase for the person who watches ("Analyzing database performance").
        semantics: `pure` may run again; `idempotent` gets a key and takes effect once; `unsafe` starts at most once.
        timeout_s: the longest one call may take.
        schema: JSON Schema of the arguments.
    """

    name: str
    description: str
    running: str
    semantics: Semantics
    timeout_s: float
    function: ToolFunction
    arguments: TypeAdapter[BaseModel]
    context_parameter: str | None
    is_async: bool
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Agent:
    """Who answers.

    Attributes:
        agent_id: its name in events.
        description: what it is good at; the supervisor chooses by it.
        instructions: the system prompt.
        tools: the tools it may call; any other is denied by code.
        delegates: the agents it may hand a task to, by `agent_id`.
    """

    agent_id: str
    description: str
    instructions: str
    tools: tuple[Tool, ...] = ()
    delegates: tuple[str, ...] = ()


def tool(*, semantics: Semantics, running: str, timeout_s: float = 30.0) -> Callable[[ToolFunction], Tool]:
    """Make a tool of a plain typed function.

    Args:
        semantics: what a retry may do.
        running: what a person reads while it runs.
        timeout_s: the longest one call may take, seconds.

    Raises:
        TypeError: the function has no docstring, or a parameter without a type.
    """

    def decorate(function: ToolFunction) -> Tool:
        return _tool_of(function, semantics, running, timeout_s)

    return decorate


def _tool_of(function: ToolFunction, semantics: Semantics, running: str, timeout_s: float) -> Tool:
    name = function.__name__
    if not function.__doc__:
        message = f"tool {name} needs a docstring: the model chooses by it"
        raise TypeError(message)
    hints = get_type_hints(function, include_extras=True)
    fields: dict[str, Any] = {}
    context_parameter = None
    for parameter in inspect.signature(function).parameters.values():
        if parameter.name not in hints:
            message = f"tool {name}: parameter {parameter.name} needs a type: the schema is made from it"
            raise TypeError(message)
        if hints[parameter.name] is ToolContext:
            context_parameter = parameter.name
            continue
        default = ... if parameter.default is inspect.Parameter.empty else parameter.default
        fields[parameter.name] = (hints[parameter.name], default)
    model = create_model(name, __config__=ConfigDict(extra="forbid"), **fields)
    arguments: TypeAdapter[BaseModel] = TypeAdapter(model)
    return Tool(
        name=name,
        description=inspect.cleandoc(function.__doc__),
        running=running,
        semantics=semantics,
        timeout_s=timeout_s,
        function=function,
        arguments=arguments,
        context_parameter=context_parameter,
        is_async=inspect.iscoroutinefunction(function),
        schema=arguments.json_schema(),
    )
