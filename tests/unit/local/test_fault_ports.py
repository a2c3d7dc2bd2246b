"""The ports that obey the switch: untouched they do what the port below does, and told otherwise only that."""

import asyncio
import json
from typing import Any

import pytest

from agent_runner.agent import Agent, tool
from agent_runner.model import ModelRequest, ModelResponse, OnText
from local.fault_order import Order
from local.fault_ports import DoublingQueue, FreezableModel, LossyGateway, MortalTools
from local.fault_switch import MID_TOOL_S, FaultSwitch
from playbyplay.domain.connection import Session
from playbyplay.domain.derivation import UserMessage
from playbyplay.domain.journal import ToolCall
from playbyplay.ports import Job
from tests.fakes.clock import FakeClock
from tests.fakes.connection_store import FakeConnectionStore
from tests.fakes.gateway import FakeGateway
from tests.fakes.leaps import Leaps
from tests.fakes.log import FakeLog
from tests.fakes.model import FakeModel, says
from tests.fakes.run_queue import FakeRunQueue

RUN = "0192a000-0000-7000-8000-00000000000a"
EVENT = json.dumps({"type": "agent_started", "seq": 1})
HEARTBEAT = json.dumps({"type": "heartbeat"})
CALL = ToolCall(call_id="c1", tool_name="dice", arguments="{}")


class Sockets:
    def cut(self, connection_id: str) -> bool:
        return False


class Runners:
    def __init__(self, task: "asyncio.Future[Any]") -> None:
        self._task = task

    def kill(self, run_id: str | None = None) -> list[str]:
        self._task.cancel()
        return [RUN]


@pytest.fixture
def switch() -> FaultSwitch:
    return FaultSwitch(connections=FakeConnectionStore(), sockets=Sockets(), clock=FakeClock(), log=FakeLog())


async def test_an_event_is_lost_and_nobody_knows() -> None:
    """The post returns as if it had been sent; the next one, and what is no event, goes through."""
    connections, below = FakeConnectionStore(), FakeGateway()
    await connections.add("one", Session("ann", 10**15), now_ms=0)
    switch = FaultSwitch(connections=connections, sockets=Sockets(), clock=FakeClock(), log=FakeLog())
    gateway = LossyGateway(below, switch)
    await switch.obey(Order(name="drop_post", user="ann"))
    for text in (HEARTBEAT, EVENT, EVENT):
        await gateway.post("one", text)
    assert below.texts["one"] == [HEARTBEAT, EVENT]
    await gateway.close("one")
    assert below.closed == ["one"]


async def test_a_job_is_sent_twice(switch: FaultSwitch) -> None:
    """Once for each order, the same job."""
    below = FakeRunQueue()
    queue = DoublingQueue(below, switch)
    job = Job("ann", RUN, hops=3)
    await queue.send(job)
    await switch.obey(Order(name="duplicate_job", when="next", user="ann"))
    await queue.send(job)
    await queue.send(job)
    assert below.sent == [job] * 4


async def test_a_frozen_model_says_nothing(switch: FaultSwitch, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a piece of its answer nor the answer comes before the thaw; then both do."""
    leap, heard = Leaps(monkeypatch), []

    async def speaks(_request: ModelRequest, on_text: OnText) -> ModelResponse:
        await on_text(1, "Good ")
        return says("Good day")

    async def on_text(_attempt: int, text: str) -> None:
        heard.append(text)

    model = FreezableModel(FakeModel(speaks, says("Bye")), switch)
    assert model.name == "fake"
    request = ModelRequest(Agent("a", "Answers.", "Answer."), (), (), (UserMessage("Hello"),))
    await switch.obey(Order(name="freeze_model", user="ann"))
    answering = asyncio.ensure_future(model.respond(request, on_text))
    await leap(100)
    assert (heard, answering.done()) == ([], False)
    await switch.obey(Order(name="thaw_model", user="ann"))
    assert (await answering).text == "Good day"
    assert heard == ["Good "]
    await switch.obey(Order(name="freeze_model", seconds=1.0, user="ann"))
    answering = asyncio.ensure_future(model.respond(request, on_text))
    await leap(0.9)
    assert not answering.done()
    await leap(0.2)
    assert (await answering).text == "Bye"


async def test_a_tool_is_never_heard_of_whose_runner_falls(
    switch: FaultSwitch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tool is called, and however quick it is, its report is lost with the runner; the next call reports."""
    leap, rolls = Leaps(monkeypatch), []

    @tool(semantics="pure", running="Rolling the dice")
    async def dice() -> str:
        """Roll dice."""
        rolls.append(4)
        return "Four."

    tools = MortalTools(resources={}, clock=FakeClock(), log=FakeLog(), switch=switch)
    await switch.obey(Order(name="kill_runner", when="tool", user="ann"))
    working = asyncio.ensure_future(tools.execute("ann", RUN, CALL, dice))
    switch.command(Runners(working))
    await leap(MID_TOOL_S / 2)
    assert (rolls, working.done()) == ([4], False)
    await leap(MID_TOOL_S)
    assert working.cancelled()
    report = await tools.execute("ann", RUN, CALL, dice)
    assert (report.status, report.content, rolls) == ("ok", "Four.", [4, 4])
