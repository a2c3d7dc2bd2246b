"""The ports that obey the fault switch; each does what the port below it does, until it is told otherwise."""

import asyncio
import json

from agent_runner.agent import Tool
from agent_runner.model import ModelClient, ModelRequest, ModelResponse, OnText
from agent_runner.tool_executor import ToolExecutor, ToolReport
from local.fault_switch import FaultSwitch
from playbyplay.domain.journal import ToolCall
from playbyplay.ports import Clock, Gateway, Job, Log, RunQueue
from playbyplay.protocol.events import EVENT_TYPES


class LossyGateway:
    """Implements `ports.Gateway`: says of some events that they were sent, and does not send them."""

    def __init__(self, below: Gateway, switch: FaultSwitch) -> None:
        self._below = below
        self._switch = switch

    async def post(self, connection_id: str, text: str) -> None:
        """Send one text frame, or lose it."""
        kind = json.loads(text).get("type")
        if kind not in EVENT_TYPES or not await self._switch.drops(connection_id, kind):
            await self._below.post(connection_id, text)

    async def close(self, connection_id: str) -> None:
        """Close a connection."""
        await self._below.close(connection_id)


class DoublingQueue:
    """Implements `ports.RunQueue`: delivers some jobs twice."""

    def __init__(self, below: RunQueue, switch: FaultSwitch) -> None:
        self._below = below
        self._switch = switch

    async def send(self, job: Job) -> None:
        """Ask for a runner, or for two."""
        await self._below.send(job)
        if self._switch.doubles(job.run_id):
            await self._below.send(job)


class FreezableModel:
    """Implements `agent_runner.model.ModelClient`: holds back what the model says while it is frozen."""

    def __init__(self, below: ModelClient, switch: FaultSwitch) -> None:
        self._below = below
        self._switch = switch

    @property
    def name(self) -> str:
        """What the page and the log call it."""
        return self._below.name

    async def respond(self, request: ModelRequest, on_text: OnText) -> ModelResponse:
        """Answer one request, once the model is not frozen."""

        async def on_text_thawed(attempt: int, text: str) -> None:
            await self._switch.thawed()
            await on_text(attempt, text)

        response = await self._below.respond(request, on_text_thawed)
        await self._switch.thawed()
        return response


class MortalTools(ToolExecutor):
    """Calls tools, in the middle of which the runner may fall."""

    def __init__(self, *, resources: dict[str, str], clock: Clock, log: Log, switch: FaultSwitch) -> None:
        super().__init__(resources=resources, clock=clock, log=log)
        self._switch = switch

    async def execute(self, user: str, run_id: str, call: ToolCall, tool: Tool | None) -> ToolReport:
        """Call a tool and report how it ended, unless the runner falls meanwhile."""
        falls = self._switch.tool_begins(run_id, call.tool_name)
        try:
            report = await super().execute(user, run_id, call, tool)
            if falls:  # the tool was quicker than its runner's end, and nobody may hear of it
                await asyncio.Event().wait()
            return report
        finally:
            self._switch.tool_ends(run_id)
