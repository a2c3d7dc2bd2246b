"""One agent turn as pure code: from the journal to the next steps, and from outcomes to entries.

Nothing here waits or sends. The supervisor performs the steps and appends the entries, so a run can
go on from any prefix of its journal, in any process.
"""

from dataclasses import dataclass

from pydantic import BaseModel, ValidationError

from agent_runner.agent import Agent, Tool
from agent_runner.model import ModelRequest, ModelResponse
from agent_runner.registry import MAX_DELEGATION_DEPTH, Registry
from agent_runner.tool_executor import MAX_CONTENT_BYTES, MAX_SUMMARY_BYTES, ToolReport
from playbyplay.domain.derivation import (
    AskModel,
    CallTool,
    CloseDelegation,
    Message,
    Step,
    UserMessage,
    next_steps,
)
from playbyplay.domain.ending import OUTCOME_UNKNOWN, Stamp, answered, closed, fence
from playbyplay.domain.journal import CheckpointEntry, Entry, History, ResultEntry, ToolCall
from playbyplay.domain.text import clean, clip, prefix
from playbyplay.domain.timing import milliseconds
from playbyplay.errors import RunError
from playbyplay.protocol.base import MAX_ANSWER_BYTES
from playbyplay.protocol.events import AgentStarted, AgentThinking, ToolExecuting, Usage

MAX_NAME_BYTES = 128
MAX_THOUGHT_BYTES = 4096
MAX_DESCRIPTION_BYTES = 512
UNCERTAIN = ToolReport(
    status="outcome_unknown",
    summary=OUTCOME_UNKNOWN,
    content="The outcome of this call is unknown: it may or may not have taken effect. Do not call it again blindly.",
    duration_ms=0,
)


class _Task(BaseModel):
    """The arguments of a delegation."""

    task: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What one run may use up.

    Attributes:
        model_calls: the model is asked at most so often, sub-agents included.
        calls_per_response: calls of one response beyond this are not made.
        tokens: input and output tokens in all.
    """

    model_calls: int = 24
    calls_per_response: int = 8
    tokens: int = 500_000


class Engine:
    """Decides what comes next in a run."""

    def __init__(self, registry: Registry, budget: Budget) -> None:
        self._registry = registry
        self._budget = budget

    def started(self, history: History, now_ms: int) -> list[Entry]:
        """Return the record of a new owner: a fence, and `agent_started` if nobody started the run before."""
        entries: list[Entry] = [fence(history)]
        if history.state.phase == "queued":
            entries.append(
                Stamp(history, now_ms).event(
                    AgentStarted,
                    agent_id=self._registry.root.agent_id,
                    message="Agent is starting to process your request.",
                    client_message_id=history.input.client_message_id,
                )
            )
        return entries

    def steps(self, history: History) -> tuple[Step, ...]:
        """Return the steps that can be taken now.

        Raises:
            RunError: `tool_loop_limit` or `budget_exceeded`, where the model would have to be asked beyond the budget.
        """
        steps = next_steps(history)
        questions = [step for step in steps if isinstance(step, AskModel)]
        if not questions:
            return steps
        left = self._budget.model_calls - len(history.checkpoints)
        if left <= 0:
            raise RunError("tool_loop_limit", "The agent took too many steps without an answer.")
        if history.usage.input_tokens + history.usage.output_tokens >= self._budget.tokens:
            raise RunError("budget_exceeded", "The run used up its model tokens.")
        return tuple(step for step in steps if step not in questions[left:])

    def request(self, history: History, step: AskModel, earlier: tuple[Message, ...]) -> ModelRequest:
        """Return what the model is asked.

        Args:
            history: the run.
            step: which scope asks.
            earlier: what was said in the turns before this one; only the run's own agent sees it.
        """
        agent = self._agent(step.delegation)
        if step.delegation is None:
            opening: tuple[Message, ...] = (*earlier, UserMessage(history.input.content))
        else:
            opening = (UserMessage(_task(step.delegation)),)
        return ModelRequest(
            agent=agent,
            tools=agent.tools,
            delegates=self._registry.delegates(agent, _depth(history, step.scope)),
            messages=(*opening, *step.said),
        )

    def outcome(self, history: History, step: Step, outcome: ModelResponse | ToolReport, now_ms: int) -> list[Entry]:
        """Return the record of what came of a step."""
        if isinstance(step, AskModel) and isinstance(outcome, ModelResponse):
            return self._responded(history, step, outcome, now_ms)
        if isinstance(step, CallTool | CloseDelegation) and isinstance(outcome, ToolReport):
            return self._reported(history, step, outcome, now_ms)
        raise TypeError(f"{type(outcome).__name__} is no outcome of {type(step).__name__}")

    def _responded(self, history: History, step: AskModel, response: ModelResponse, now_ms: int) -> list[Entry]:
        """Return the record of a model's response: checkpoint, thought, and the calls it opens or the end it makes."""
        if not response.calls and not response.text.strip():
            raise RunError("model_unavailable", "The model gave no answer.")
        said = clean(response.text)
        text = prefix(said, MAX_ANSWER_BYTES)
        agent = self._agent(step.delegation)
        unsafe = {tool.name for tool in agent.tools if tool.semantics == "unsafe"}
        delegates = {
            one.tool_name: one.agent_id for one in self._registry.delegates(agent, _depth(history, step.scope))
        }
        calls = tuple(
            ToolCall(
                call_id=f"c{len(history.opened) + number}",
                tool_name=clip(requested.tool_name, MAX_NAME_BYTES, empty="(unnamed)"),
                arguments=prefix(clean(requested.arguments), MAX_CONTENT_BYTES),
                delegate=delegates.get(requested.tool_name),
                unsafe=True if requested.tool_name in unsafe else None,
            )
            for number, requested in enumerate(response.calls[: self._budget.calls_per_response], start=1)
        )
        stamp = Stamp(history, now_ms)
        checkpoint = CheckpointEntry(
            scope=step.scope,
            text=text,
            calls=calls,
            finish_reason=response.finish_reason if text == said else "length",
            usage=response.usage,
        )
        entries: list[Entry] = [
            checkpoint,
            stamp.event(
                AgentThinking,
                agent_id=agent.agent_id,
                parent_call_id=step.scope,
                thought=_thought(response, calls, learned=bool(step.said)),
            ),
        ]
        entries += [
            stamp.event(
                ToolExecuting,
                agent_id=agent.agent_id,
                parent_call_id=step.scope,
                call_id=call.call_id,
                tool_name=call.tool_name,
                description=_description(call, self.tool(step.delegation, call)),
            )
            for call in calls
        ]
        if not calls and step.scope is None:
            entries += answered(history, stamp, checkpoint, _sum(history.usage, response.usage), now_ms)
        return entries

    def _reported(
        self, history: History, step: CallTool | CloseDelegation, report: ToolReport, now_ms: int
    ) -> list[Entry]:
        """Return the record of a call's end: its result for the model, and `tool_completed`."""
        opened = history.opened[step.call.call_id]
        return [
            ResultEntry(call_id=step.call.call_id, content=report.content),
            closed(Stamp(history, now_ms), opened, report.status, report.summary, report.duration_ms),
        ]

    def tool(self, delegation: ToolCall | None, call: ToolCall) -> Tool | None:
        """Return the tool a call names, if the agent that asks holds it."""
        return next((tool for tool in self._agent(delegation).tools if tool.name == call.tool_name), None)

    def must_not_repeat(self, step: CallTool) -> bool:
        """Whether a call may have taken effect under an earlier owner and must not be tried again."""
        tool = self.tool(step.delegation, step.call)
        return step.taken_over and tool is not None and tool.semantics == "unsafe"

    def _agent(self, delegation: ToolCall | None) -> Agent:
        if delegation is None or delegation.delegate is None:
            return self._registry.root
        return self._registry.agent(delegation.delegate)


def _sum(one: Usage, other: Usage) -> Usage:
    return Usage(
        input_tokens=one.input_tokens + other.input_tokens, output_tokens=one.output_tokens + other.output_tokens
    )


def activity(history: History) -> str:
    """Return what a run is waiting for, in words a person reads."""
    running = [call.tool_name for call in history.open_calls]
    return f"running {running[-1]}" if running else "waiting for the model"


def delegation_report(history: History, step: CloseDelegation, now_ms: int) -> ToolReport:
    """Return a sub-agent's answer as the result of the delegation."""
    began_ms = milliseconds(history.opened[step.call.call_id].timestamp)
    return ToolReport(
        status="ok",
        summary=clip(_opening(step.answer), MAX_SUMMARY_BYTES // 4, empty="(no answer)"),
        content=clip(step.answer, MAX_CONTENT_BYTES, empty="(no answer)"),
        duration_ms=max(0, now_ms - began_ms),
    )


def _opening(answer: str) -> str:
    """Return the first line of an answer that is no heading, for the person who watches."""
    lines = (line.strip() for line in answer.splitlines())
    return next((line for line in lines if line and not line.startswith("#")), answer)


def _depth(history: History, scope: str | None) -> int:
    depth = 0
    while scope is not None and depth < MAX_DELEGATION_DEPTH:
        depth += 1
        scope = history.opened[scope].parent_call_id
    return depth


def _task(delegation: ToolCall) -> str:
    """Return the task a delegation hands over: its one argument, or all the model wrote if it is not that."""
    try:
        return _Task.model_validate_json(delegation.arguments).task
    except ValidationError:
        return delegation.arguments or "(no task)"


def _thought(response: ModelResponse, calls: tuple[ToolCall, ...], *, learned: bool) -> str:
    if calls:
        names = ", ".join(call.tool_name for call in calls)
        return clip(response.text, MAX_THOUGHT_BYTES, empty=f"I will use {names}.")
    return "I have what I need and write the answer." if learned else "I can answer this directly."


def _description(call: ToolCall, tool: Tool | None) -> str:
    if call.delegate is not None:
        return f"Handing the task to {call.delegate}"
    text = tool.running if tool is not None else f"Calling {call.tool_name}"
    return clip(text, MAX_DESCRIPTION_BYTES, empty=f"Calling {call.tool_name}")
