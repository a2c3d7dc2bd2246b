"""The whole home with a model service behind it: streamed answers, failures, and long answers."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import websockets

from agent_runner.agent import Agent, ToolOutput, tool
from agent_runner.registry import Registry
from local.home import Parts
from local.server import Server
from local.settings import LocalSettings
from tests.e2e.process import Frame, read_until
from tests.fakes.model_server import ModelServer, Reply, calls, error, refuses, says
from tests.mission_critical.test_websocket_agent_events_suite import violations


@tool(semantics="pure", running="Looking up the weather")
async def weather(town: str) -> ToolOutput:
    """Return the weather of a town."""
    return ToolOutput(f"Sunny in {town}", f"The weather in {town} is sunny.")


REGISTRY = Registry(
    agents=(), root=Agent(agent_id="tester", description="Tests.", instructions="You are a test.", tools=(weather,))
)


@asynccontextmanager
async def _chat(data: Path, service: ModelServer) -> AsyncIterator[websockets.ClientConnection]:
    server = Server(
        LocalSettings(data=data, port=0, api_key="key-4711", base_url=service.base_url), Parts(registry=REGISTRY)
    )
    await server.start()
    try:
        async with websockets.connect(f"ws://127.0.0.1:{server.port}/ws") as connection:
            yield connection
    finally:
        await server.stop()


async def _turn(connection: websockets.ClientConnection, content: str = "How is the weather?") -> list[Frame]:
    await connection.send(json.dumps({"type": "agent_message", "content": content}))
    return await read_until(connection, "final_response", "error", seconds=60)


def _events(frames: list[Frame]) -> list[Frame]:
    return [frame for frame in frames if "seq" in frame]


async def test_a_streamed_turn_with_a_tool(tmp_path: Path) -> None:
    """The model's text before a call is the thought, its answer streams as deltas and ends as final_response."""
    async with ModelServer() as service:
        service.plan(
            calls(("weather", '{"town": "Ulm"}'), text="I look the weather up."), says("It is sunny.", pieces=2)
        )
        async with _chat(tmp_path, service) as connection:
            frames = await _turn(connection)
    events = _events(frames)
    assert violations(events) == []
    thoughts = [event["thought"] for event in events if event["type"] == "agent_thinking"]
    assert thoughts[0] == "I look the weather up."
    completed = next(event for event in events if event["type"] == "tool_completed")
    assert completed["result_summary"] == "Sunny in Ulm"
    assert events[-1]["content"] == "It is sunny."
    asked = service.asked[1]["messages"]
    assert asked[-1]["role"] == "tool"
    assert asked[-1]["content"] == "The weather in Ulm is sunny."


async def test_deltas_come_in_order_and_add_up(tmp_path: Path) -> None:
    """The pieces of the last draft, by index, are the answer or its beginning."""
    pieces = [f"piece {number} " for number in range(40)]
    async with ModelServer() as service:
        service.plan(replace(says("".join(pieces), pieces=40), pause_s=0.01))
        async with _chat(tmp_path, service) as connection:
            frames = await _turn(connection)
    deltas = [frame for frame in frames if frame["type"] == "response_delta"]
    assert len(deltas) >= 2
    assert [delta["index"] for delta in deltas] == list(range(len(deltas)))
    assert "".join(pieces).startswith("".join(delta["text"] for delta in deltas))
    assert frames[-1]["content"] == "".join(pieces)


async def test_a_refusal_is_an_error(tmp_path: Path) -> None:
    """A model that refuses ends the run in `error{model_refused}`, not retryable."""
    async with ModelServer() as service:
        service.plan(refuses("I will not."))
        async with _chat(tmp_path, service) as connection:
            events = _events(await _turn(connection))
    assert violations(events) == []
    assert (events[-1]["code"], events[-1]["retryable"]) == ("model_refused", False)


async def test_a_service_that_refuses_us_is_an_error_that_tells_no_secret(tmp_path: Path) -> None:
    """401 ends the run at once in `error{model_unavailable}`; neither key nor body is in any frame or the log."""
    async with ModelServer() as service:
        service.plan(error(401, message="wrong key key-4711"))
        async with _chat(tmp_path, service) as connection:
            frames = await _turn(connection)
    assert violations(_events(frames)) == []
    assert frames[-1]["code"] == "model_unavailable"
    assert "key-4711" not in json.dumps(frames)
    assert "key-4711" not in (tmp_path / "playbyplay.log").read_text()


async def test_malformed_arguments_and_unknown_tools_are_told_to_the_model(tmp_path: Path) -> None:
    """A call with broken arguments is `failed`, one of an unknown tool `denied`; the run goes on."""
    async with ModelServer() as service:
        service.plan(calls(("weather", '{"town": '), ("rm_rf", "{}")), says("Sorry."))
        async with _chat(tmp_path, service) as connection:
            events = _events(await _turn(connection))
    assert violations(events) == []
    statuses = {event["tool_name"]: event["status"] for event in events if event["type"] == "tool_completed"}
    assert statuses == {"weather": "failed", "rm_rf": "denied"}
    assert events[-1]["content"] == "Sorry."


async def test_a_cut_answer_says_so(tmp_path: Path) -> None:
    """finish_reason=length is told with the answer."""
    async with ModelServer() as service:
        service.plan(says("Half an answ", finish="length"))
        async with _chat(tmp_path, service) as connection:
            events = _events(await _turn(connection))
    assert events[-1]["finish_reason"] == "length"


async def test_a_long_answer_is_read_to_its_end(tmp_path: Path) -> None:
    """An answer above one frame comes cut, with its full size, and `answer` reads the rest, byte for byte."""
    text = "".join(f'Zeile {number}: "ä€😀\\" \n' for number in range(4000)).strip()
    async with ModelServer() as service:
        service.plan(says(text))
        async with _chat(tmp_path, service) as connection:
            final = (await _turn(connection))[-1]
            assert final["truncated"] is True
            assert final["full_bytes"] == len(text.encode())
            read = final["content"]
            while len(read.encode()) < final["full_bytes"]:
                offset = len(read.encode())
                await connection.send(json.dumps({"type": "answer", "run_id": final["run_id"], "offset": offset}))
                part = (await read_until(connection, "answer_part"))[-1]
                assert (part["offset"], part["full_bytes"]) == (offset, final["full_bytes"])
                assert len(json.dumps(part, ensure_ascii=False).encode()) <= 24 * 1024
                read += part["text"]
    assert read == text


async def test_earlier_turns_are_remembered(tmp_path: Path) -> None:
    """The second turn of a thread shows the model what was said in the first; another thread does not."""
    async with ModelServer() as service:
        service.plan(says("Hello Ada."), says("You are Ada."), says("Who are you?"))
        async with _chat(tmp_path, service) as connection:
            first = await _turn(connection, "I am Ada.")
            thread_id = first[0]["thread_id"]
            message = {"type": "agent_message", "content": "Who am I?", "thread_id": thread_id}
            await connection.send(json.dumps(message))
            await read_until(connection, "final_response")
            await _turn(connection, "Who am I?")
    second, third = service.asked[1]["messages"], service.asked[2]["messages"]
    assert [message["content"] for message in second[1:]] == ["I am Ada.", "Hello Ada.", "Who am I?"]
    assert [message["content"] for message in third[1:]] == ["Who am I?"]


async def test_a_broken_stream_is_tried_again_without_a_trace(tmp_path: Path) -> None:
    """A 500 before the answer is retried; the run shows no sign of it but time."""
    async with ModelServer() as service:
        service.plan(Reply(500), says("Fine."))
        async with _chat(tmp_path, service) as connection:
            events = _events(await asyncio.wait_for(_turn(connection), 30))
    assert violations(events) == []
    assert events[-1]["content"] == "Fine."
    assert len(service.asked) == 2
