"""The fault switch on a real server: whatever it breaks, a real client gets each run whole, in order, once."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import pytest

from agent_runner.agent import tool
from agent_runner.registry import Registry
from agent_runner.scripted_model import ScriptedModel
from playbyplay.protocol.events import EVENT_TYPES, ErrorEvent, Event, FinalResponse
from playbyplay_client.cli import NO_SERVER, OK, Grammar, main
from playbyplay_client.client import PlaybyplayClient
from playbyplay_client.pace import Pace
from playbyplay_client.run import Run
from tests.e2e.home import RunningHome, plain_agent, running_home
from tests.e2e.process import ROOT, server_process
from tests.e2e.raw_socket import HOST, exchange, request, upgrade_request

T = TypeVar("T")
QUICK = Pace(tick_s=0.01, first_wait_s=0.02, last_wait_s=0.1, attempts=100, ping_factor=0.05)
METER = "Read the meter."
STEPS = ["agent_started", "agent_thinking", "tool_executing", "tool_completed", "agent_thinking"]
WHOLE = [*STEPS, "agent_completed", "final_response"]
ANY_HOST = [("Host", "localhost")]


class Meter:
    """An agent whose one tool waits at a gate, open unless it is shut."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.gate.set()
        self.reading = asyncio.Event()
        self.readings = 0

    def registry(self) -> Registry:
        @tool(semantics="pure", running="Reading the meter")
        async def meter_reader() -> str:
            """Read the meter."""
            self.readings += 1
            self.reading.set()
            await self.gate.wait()
            return "The meter shows 42."

        return Registry((), root=plain_agent(tools=(meter_reader,)))


@pytest.fixture
def meter() -> Meter:
    return Meter()


@pytest.fixture
async def home(tmp_path: Path, meter: Meter) -> AsyncIterator[RunningHome]:
    async with running_home(tmp_path, registry=meter.registry(), faults=True) as running:
        yield running


@contextlib.asynccontextmanager
async def a_client(home: RunningHome) -> AsyncIterator[PlaybyplayClient]:
    async with PlaybyplayClient(home.origin, pace=QUICK) as client:
        yield client


async def order(home: RunningHome, fault: str, **fields: Any) -> dict[str, Any]:
    """Move the switch; return how it stands."""
    body = json.dumps({"fault": fault, **fields}).encode()
    answer = await exchange(home.port, request("POST", "/faults", ANY_HOST, body))
    assert answer.status == 200, answer
    standing: dict[str, Any] = answer.json()
    return standing


async def within(awaitable: Awaitable[T], seconds: float = 15.0) -> T:
    return await asyncio.wait_for(awaitable, seconds)


async def events_of(run: Run) -> list[Event]:
    return [event async for event in run]


async def whole(run: Run) -> list[Event]:
    """Read a run to its end, and hold it against the contract."""
    events = await within(events_of(run))
    grammar = Grammar()
    for event in events:
        grammar.check(event)
    assert grammar.complete, grammar.fault
    assert [event.type for event in events] == WHOLE
    assert [event.seq for event in events] == list(range(1, 8))
    return events


def injected(home: RunningHome) -> list[Any]:
    return [fields["fault"] for fields in home.log.of("fault_injected")]


async def test_a_runner_killed_in_its_tool_is_followed_by_another(home: RunningHome, meter: Meter) -> None:
    """The tool falls with its runner and is called again within 5 s; the client sees one run, each event once."""
    await order(home, "kill_runner")
    async with a_client(home) as client:
        began_s = time.monotonic()
        run = await client.send(METER)
        events = await whole(run)
        assert time.monotonic() - began_s < 5.5
        assert await run.answer() == "The meter shows 42."
    assert meter.readings == 2
    assert injected(home) == ["kill_runner"]
    assert [event.type for event in events].count("tool_executing") == 1
    assert len(home.log.of("run_acquired")) == 2


@pytest.mark.parametrize("event", [kind for kind in EVENT_TYPES if kind != "error"])
async def test_a_lost_post_is_healed(home: RunningHome, event: str) -> None:
    """Whichever event is lost on its way, the client has it in the end, in its place."""
    await order(home, "drop_post", event=event)
    async with a_client(home) as client:
        await whole(await client.send(METER))
    assert injected(home) == ["drop_post"]


async def test_an_error_that_is_lost_is_healed(home: RunningHome, meter: Meter) -> None:
    """The end of a cancelled run is no exception."""
    meter.gate.clear()
    await order(home, "drop_post", event="error")
    async with a_client(home) as client:
        run = await client.send(METER)
        await within(meter.reading.wait())
        await run.cancel()
        end = await within(run.result())
        assert isinstance(end, ErrorEvent)
        assert end.code == "cancelled"
    assert injected(home) == ["drop_post"]


async def test_every_post_of_a_run_is_lost(home: RunningHome) -> None:
    """A client that gets no live event at all still gets the run."""
    await order(home, "drop_post", count=7)
    async with a_client(home) as client:
        await whole(await client.send(METER))
    assert injected(home) == ["drop_post"] * 7


async def test_posts_to_others_are_not_lost(home: RunningHome) -> None:
    """What is armed for one user waits for that user's posts."""
    await order(home, "drop_post", user="somebody-else")
    async with a_client(home) as client:
        await whole(await client.send(METER))
    assert injected(home) == []


async def test_a_job_delivered_twice_is_done_once(home: RunningHome, meter: Meter) -> None:
    """Two runners get the job at the same time: one calls the tool, and nothing is there twice."""
    await order(home, "duplicate_job", when="each")
    async with a_client(home) as client:
        for _ in range(3):
            await whole(await client.send(METER))
    assert meter.readings == 3
    assert len(injected(home)) >= 3
    assert len(home.log.of("run_acquired")) == 3


async def test_a_frozen_model_is_waited_for(home: RunningHome) -> None:
    """While the model is frozen heartbeats go on; once thawed the run goes on to its answer."""
    await order(home, "freeze_model")
    member = await home.join("local")
    async with a_client(home) as client:
        run = await client.send(METER)
        for _ in range(2):
            await within(member.until("heartbeat"))
        assert [event.type for event in run.events.items] == ["agent_started"]
        standing = await order(home, "thaw_model")
        assert standing["armed"] == {}
        assert isinstance((await whole(run))[-1], FinalResponse)
    assert injected(home) == ["freeze_model"]


async def test_a_model_thaws_by_itself(home: RunningHome) -> None:
    """A freeze of a time ends with it."""
    await order(home, "freeze_model", seconds=0.3)
    async with a_client(home) as client:
        began_s = time.monotonic()
        await whole(await client.send(METER))
        assert time.monotonic() - began_s > 0.2


async def test_a_run_is_cancelled_while_the_model_is_frozen(home: RunningHome) -> None:
    """A model that says nothing does not keep a run from being stopped, at once."""
    await order(home, "freeze_model")
    async with a_client(home) as client:
        run = await client.send(METER)
        async for _event in run:
            break
        await within(run.cancel())
        end = await within(run.result(), 2.0)
        assert isinstance(end, ErrorEvent)
        assert end.code == "cancelled"


async def test_a_cut_socket_is_replaced(home: RunningHome, meter: Meter) -> None:
    """The client connects again by itself, in the middle of a run, and has all of it."""
    meter.gate.clear()
    async with a_client(home) as client:
        run = await client.send(METER)
        await within(meter.reading.wait())
        standing = await order(home, "cut_socket")
        assert standing["says"] == "1 connection was cut."
        meter.gate.set()
        await whole(run)
    closed = home.log.of("connection_closed")
    assert closed[0]["code"] == 1006
    assert len(home.log.of("connection_opened")) == 2


async def test_a_cut_is_a_reset(home: RunningHome) -> None:
    """The other end is told nothing but RST."""
    reader, writer = await asyncio.open_connection(HOST, home.port)
    writer.write(upgrade_request(home.port))
    assert b"101 Switching Protocols" in await within(reader.readuntil(b"\r\n\r\n"))
    await order(home, "cut_socket")
    with pytest.raises(ConnectionResetError):
        await within(reader.read())
    writer.close()


async def test_all_of_it_at_once(tmp_path: Path, meter: Meter) -> None:
    """With every fault armed a run of a model that takes its time is whole all the same."""
    slow = ScriptedModel(pace_s=0.3)
    async with running_home(tmp_path, registry=meter.registry(), model=slow, faults=True) as home:
        for fault, fields in (
            ("kill_runner", {}),
            ("drop_post", {"count": 3}),
            ("duplicate_job", {"when": "each"}),
            ("freeze_model", {"seconds": 0.5}),
        ):
            await order(home, fault, **fields)
        async with a_client(home) as client:
            run = await client.send(METER)
            await within(meter.reading.wait())
            await order(home, "cut_socket")
            await whole(run)
        assert set(injected(home)) == {"kill_runner", "drop_post", "duplicate_job", "freeze_model", "cut_socket"}


# The switch from a terminal.


async def test_the_switch_of_a_process_is_moved_by_a_command(tmp_path: Path) -> None:
    """PLAYBYPLAY_FAULTS=1 brings the switch, and `playbyplay faults` moves it."""
    env = {"PLAYBYPLAY_DATABASE": str(tmp_path / "none"), "PLAYBYPLAY_SCRIPTED_PACE_MS": "0"}
    async with server_process(tmp_path, PLAYBYPLAY_FAULTS="1", **env) as server:
        assert "The fault switch is there" in server.said
        assert await asyncio.to_thread(main, ["faults", "drop-post", "--count", "2", "--url", server.url]) == OK
        async with PlaybyplayClient(server.url, pace=QUICK) as client:
            end = await within((await client.send("Hello")).result())
            assert isinstance(end, FinalResponse)


async def test_make_passes_the_wish_on() -> None:
    """`make run FAULTS=1` sets the variable; `make run` does not."""
    for words, given in (([], False), (["FAULTS=1"], True), (["FAULTS=0"], False)):
        made = await asyncio.create_subprocess_exec(
            "make", "-n", "run", *words, cwd=ROOT, stdout=asyncio.subprocess.PIPE
        )
        out, _ = await made.communicate()
        assert ("PLAYBYPLAY_FAULTS=1 .venv/bin/python -m local" in out.decode()) == given
        assert ".venv/bin/python -m local" in out.decode()


# The switch over HTTP.


async def refused(home: RunningHome, body: bytes, *, origin: str | None = None) -> tuple[int, str]:
    headers = [*ANY_HOST, *([("Origin", origin)] if origin is not None else [])]
    answer = await exchange(home.port, request("POST", "/faults", headers, body))
    return answer.status, answer.json()["message"]


async def test_a_foreign_page_moves_nothing(home: RunningHome) -> None:
    """Orders and questions of another origin get 403; those of the page itself are obeyed."""
    for origin in ("http://evil.example", "null", f"{home.origin}/"):
        assert await refused(home, b'{"fault":"freeze_model"}', origin=origin) == (403, "This origin is not allowed.")
        headers = [*ANY_HOST, ("Origin", origin)]
        assert (await exchange(home.port, request("GET", "/faults", headers))).status == 403
    async with aiohttp.ClientSession(headers={"Origin": home.origin}) as page:
        assert (await (await page.get(f"{home.origin}/faults")).json())["armed"] == {}
        async with page.post(f"{home.origin}/faults", json={"fault": "freeze_model"}) as answer:
            assert answer.status == 200
            assert (await answer.json())["armed"] == {"freeze_model": "The model is frozen."}


async def test_a_bad_order_does_nothing(home: RunningHome) -> None:
    """What is no order gets 400 and a sentence; what has nothing to hit gets 409; neither leaves a trace."""
    status, sentence = await refused(home, b'{"fault":"earthquake"}')
    assert (status, sentence.startswith("There is no such fault. There are kill_runner, ")) == (400, True)
    status, sentence = await refused(home, b'{"fault":"drop_post","often":1}')
    assert (status, sentence) == (400, "drop_post takes no field but count, event, user.")
    assert await refused(home, b'{"fault":"cut_socket"}') == (409, "There is no open connection to cut.")
    assert await refused(home, b'{"fault":"kill_runner","when":"now"}') == (409, "No run is at work.")
    standing = (await exchange(home.port, request("GET", "/faults", ANY_HOST))).json()
    assert (standing["armed"], standing["fired"]) == ({}, [])
    assert len(standing["faults"]) == 5


async def test_without_the_setting_there_is_no_switch(tmp_path: Path) -> None:
    """Off is off: no route, nothing in the page's settings; the command has a sentence for that."""
    async with running_home(tmp_path) as home:
        assert await asyncio.to_thread(main, ["faults", "clear", "--url", home.origin]) == NO_SERVER
        for method in ("GET", "POST"):
            assert (await exchange(home.port, request(method, "/faults", ANY_HOST))).status == 404
        assert "faults" not in (await exchange(home.port, request("GET", "/config.json", ANY_HOST))).json()


async def test_with_the_setting_the_page_is_told(home: RunningHome) -> None:
    """`/config.json` says that there is a switch."""
    assert (await exchange(home.port, request("GET", "/config.json", ANY_HOST))).json()["faults"] is True
