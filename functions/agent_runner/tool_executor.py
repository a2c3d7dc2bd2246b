"""Calls one tool: the right to call it, its arguments, its time limit, its result made fit.

Whatever a tool does, a report comes back; a tool can fail, it cannot fail the run.
"""

import asyncio
import contextvars
import functools
import json
import threading
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, cast

from pydantic import BaseModel, ValidationError

from agent_runner.agent import Tool, ToolContext, ToolFailure, ToolOutput, ToolResult
from playbyplay.domain.journal import ToolCall
from playbyplay.domain.text import clip
from playbyplay.ports import Clock, Log
from playbyplay.protocol.events import ToolStatus

MAX_CONTENT_BYTES = 16 * 1024  # what the model sees of a result
MAX_SUMMARY_BYTES = 1024  # what a person sees of it


@dataclass(frozen=True, slots=True)
class ToolReport:
    """How a call ended: for the person (`summary`) and for the model (`content`)."""

    status: ToolStatus
    summary: str
    content: str
    duration_ms: int


class ToolExecutor:
    """Calls tools.

    Args:
        resources: what tools may reach, by name.
    """

    def __init__(self, *, resources: Mapping[str, str], clock: Clock, log: Log) -> None:
        self._resources = resources
        self._clock = clock
        self._log = log

    async def execute(self, user: str, run_id: str, call: ToolCall, tool: Tool | None) -> ToolReport:
        """Call a tool and report how it ended.

        Args:
            user: whose run it is.
            run_id: the run.
            call: what the model asked for.
            tool: the tool of that name, None if the agent holds none: the call is denied.
        """
        began_ms = self._clock.now_ms()
        status, output = await self._call(user, run_id, call, tool)
        return ToolReport(
            status=status,
            summary=clip(output.summary, MAX_SUMMARY_BYTES, empty="(no result)"),
            content=clip(output.content, MAX_CONTENT_BYTES, empty="(no result)"),
            duration_ms=max(0, self._clock.now_ms() - began_ms),
        )

    async def _call(self, user: str, run_id: str, call: ToolCall, tool: Tool | None) -> tuple[ToolStatus, ToolOutput]:
        if tool is None:
            return "denied", _sentence("This agent has no tool of that name.")
        try:
            arguments = _arguments(tool, call.arguments)
        except ValidationError as error:
            return "failed", _bad_arguments(error)
        except Exception as error:  # noqa: BLE001 - a validator of the tool's own
            self._log.event("tool_failed", run_id=run_id, tool=tool.name, error=type(error).__name__)
            return "failed", _sentence("The tool got arguments it does not take.")
        if tool.context_parameter is not None:
            arguments[tool.context_parameter] = ToolContext(
                user=user,
                run_id=run_id,
                call_id=call.call_id,
                idempotency_key=f"{run_id}:{call.call_id}",
                resources=self._resources,
            )
        return await self._within_limit(run_id, tool, _invoke(tool, arguments))

    async def _within_limit(
        self, run_id: str, tool: Tool, call: Coroutine[None, None, ToolResult]
    ) -> tuple[ToolStatus, ToolOutput]:
        """Wait for a call as long as it may take, and no longer, even where it ignores being cancelled."""
        task = asyncio.create_task(call)
        try:
            done, _ = await asyncio.wait({task}, timeout=tool.timeout_s)
        except asyncio.CancelledError:
            _abandon(task)
            raise
        if not done:
            _abandon(task)
            return "timeout", _sentence(f"The tool took longer than {tool.timeout_s:g} s.")
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if error is None:
            try:
                return "ok", _output_of(task.result())
            except Exception as unfit:  # noqa: BLE001 - a result that cannot be rendered
                error = unfit
        if isinstance(error, ToolFailure):
            return "failed", _sentence(str(error))
        self._log.event("tool_failed", run_id=run_id, tool=tool.name, error=type(error).__name__)
        return "failed", _sentence("The tool failed.")


def _arguments(tool: Tool, text: str) -> dict[str, Any]:
    model = tool.arguments.validate_json(text or "{}")
    return {name: getattr(model, name) for name in type(model).model_fields}


def _bad_arguments(error: ValidationError) -> ToolOutput:
    """Tell the model what to mend, without repeating what it sent."""
    details = error.errors(include_url=False, include_input=False, include_context=False)
    problems = "; ".join(
        f"{'.'.join(map(str, detail['loc'])) or 'arguments'}: {detail['msg']}" for detail in details[:5]
    )
    return ToolOutput("The tool got arguments it does not take.", f"Not called, the arguments are wrong. {problems}")


def _abandon(task: asyncio.Task[ToolResult]) -> None:
    """Tell a call to end, and hear it out without waiting."""
    task.cancel()
    task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())


async def _invoke(tool: Tool, arguments: dict[str, Any]) -> ToolResult:
    if tool.is_async:
        try:
            return await cast("Callable[..., Awaitable[ToolResult]]", tool.function)(**arguments)
        except SystemExit as error:  # it would end the server
            raise RuntimeError("SystemExit") from error
    call = functools.partial(contextvars.copy_context().run, functools.partial(tool.function, **arguments))
    return await _in_daemon_thread(cast("Callable[[], ToolResult]", call))


async def _in_daemon_thread(call: Callable[[], ToolResult]) -> ToolResult:
    """Await a blocking call. A daemon thread, so a tool that hangs keeps no process from ending."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[ToolResult] = loop.create_future()

    def resolve(result: ToolResult, error: BaseException | None) -> None:
        if future.done():
            return  # timed out or cancelled: nobody waits any more
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)

    def work() -> None:
        result: ToolResult = None
        failure: BaseException | None = None
        try:
            result = call()
        except (StopIteration, SystemExit) as error:  # a future does not carry the one, a server not the other
            failure = RuntimeError(type(error).__name__)
        except BaseException as error:  # noqa: BLE001 - carried to the one who waits
            failure = error
        if not loop.is_closed():
            loop.call_soon_threadsafe(resolve, result, failure)

    threading.Thread(target=work, name="tool", daemon=True).start()
    return await future


def _output_of(result: ToolResult) -> ToolOutput:
    if isinstance(result, ToolOutput):
        return ToolOutput(_text(result.summary), _text(result.content))
    if isinstance(result, str):
        text = result
    elif isinstance(result, BaseModel):
        text = result.model_dump_json()
    else:
        text = json.dumps(result, default=str, ensure_ascii=False)
    return ToolOutput(clip(text, MAX_SUMMARY_BYTES // 4, empty="(no result)"), text)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("a ToolOutput holds two texts")
    return value


def _sentence(text: str) -> ToolOutput:
    return ToolOutput(text, text)
