"""The Python client and the command line against the real one-machine server, over a wire that breaks."""

import asyncio
import contextlib
import itertools
import json
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Self, TypeVar

import pytest
from aiohttp import web

from agent_runner.agent import Agent, ToolOutput, tool
from agent_runner.model import ModelRequest, ModelResponse, OnText
from agent_runner.registry import Registry
from local.home import Parts
from local.server import Server
from local.settings import LocalSettings
from playbyplay.adapters.system import SystemClock, SystemIds
from playbyplay.protocol.codec import decode_server_frame
from playbyplay.protocol.events import ErrorEvent, Event, FinalResponse
from playbyplay_client.cli import Grammar
from playbyplay_client.client import PlaybyplayClient
from playbyplay_client.dialer import Dialer
from playbyplay_client.errors import CannotConnect, ConnectionLost, Rejected, RunFailed, RunLost, Unanswered
from playbyplay_client.pace import Pace
from playbyplay_client.run import Run
from tests.fakes.log import FakeLog

T = TypeVar("T")
QUICK = Pace(tick_s=0.01, first_wait_s=0.02, last_wait_s=0.1, attempts=100)
CANONICAL = [
    "agent_started",
    "agent_thinking",
    "tool_executing",
    "tool_completed",
    "agent_thinking",
    "agent_completed",
    "final_response",
]
NOBODY = "0192a000-0000-7000-8000-000000000000"
COUNT, GUARD = "Count the sheep.", "Guard the gate."


async def within(awaitable: Awaitable[T]) -> T:
    """Wait as long as the slowest machine may take; a test that hangs fails."""
    return await asyncio.wait_for(awaitable, 30.0)


async def follow(run: Run, seq: int) -> None:
    async for event in run:
        if event.seq == seq:
            break


class Farm:
    """An agent with a tool that answers at once and one that waits at a gate; and the server it works at."""

    def __init__(self, data: Path) -> None:
        self.settings = LocalSettings(data=data, port=0, scripted_pace_s=0, test_users=True)
        self.gate = asyncio.Event()
        self.guarding = asyncio.Event()
        self.parts = Parts(registry=self._registry(), log=FakeLog())
        self.server = Server(self.settings, self.parts)

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.server.port}/ws"

    def client(self, url: str | None = None, pace: Pace = QUICK, **options: Any) -> PlaybyplayClient:
        return PlaybyplayClient(url or self.url, pace=pace, **options)

    def _registry(self) -> Registry:
        @tool(semantics="pure", running="Counting the sheep")
        async def count_sheep() -> ToolOutput:
            """Count the sheep."""
            return ToolOutput("Counted seven.", "There are seven sheep.")

        @tool(semantics="pure", running="Guarding the gate")
        async def guard_gate() -> str:
            """Guard the gate until somebody opens it."""
            self.guarding.set()
            await self.gate.wait()
            return "The gate is open."

        farmer = Agent("farmer", "Knows the farm.", "Answer.", tools=(count_sheep, guard_gate))
        return Registry(agents=(), root=farmer)


@pytest.fixture
async def farm(tmp_path: Path) -> AsyncIterator[Farm]:
    farm = Farm(tmp_path / "data")
    await farm.server.start()
    yield farm
    await farm.server.stop()


@contextlib.asynccontextmanager
async def serving(data: Path, parts: Parts, **changes: Any) -> AsyncIterator[Farm]:
    """Run a farm with some parts of its own."""
    farm = Farm(data)
    farm.settings = replace(farm.settings, **changes)
    registry, log = parts.registry or farm.parts.registry, farm.parts.log
    farm.server = Server(farm.settings, replace(parts, registry=registry, log=log))
    await farm.server.start()
    try:
        yield farm
    finally:
        await farm.server.stop()


class Wire:
    """A relay between client and server that can be cut, closed, and made deaf.

    Attributes:
        port: where it listens.
        closed: whether new connections are cut at once.
        deaf: whether what the server says is swallowed on the connections that stand now.
        connections: how many there were.
    """

    def __init__(self, server_port: int) -> None:
        self.port = 0
        self.closed = False
        self.connections = 0
        self._server_port = server_port
        self._writers: set[asyncio.StreamWriter] = set()
        self._deaf: set[asyncio.StreamWriter] = set()
        self._relays: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._listener = await asyncio.start_server(self._take, "127.0.0.1", 0)
        self.port = self._listener.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_exc: object) -> None:
        self._listener.close()
        self.cut()
        await asyncio.gather(*self._relays)

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/ws"

    def cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    def deafen(self) -> None:
        self._deaf = set(self._writers)

    def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._relays.append(asyncio.create_task(self._relay(reader, writer)))

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        if self.closed:
            writer.transport.abort()
            return
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._server_port)
        both = {writer, server_writer}
        self._writers |= both
        await asyncio.gather(self._pump(reader, server_writer), self._pump(server_reader, writer, may_be_deaf=True))
        for one in both:
            with contextlib.suppress(ConnectionError):
                await one.wait_closed()
        self._writers -= both

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, may_be_deaf: bool = False
    ) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                if not (may_be_deaf and writer in self._deaf):
                    writer.write(data)
        writer.close()


Script = Callable[[dict[str, Any]], list[dict[str, Any] | str]]


@contextlib.asynccontextmanager
async def scripted(script: Script, protocol: str = "playbyplay.v1") -> AsyncIterator[str]:
    """Serve a socket that answers each command as the script says; yield its URL."""

    async def serve(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(protocols=(protocol,))
        await socket.prepare(request)
        async for message in socket:
            for answer in script(json.loads(message.data)):
                await socket.send_str(answer if isinstance(answer, str) else json.dumps(answer))
        return socket

    app = web.Application()
    app.router.add_get("/ws", serve)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def assert_whole(events: list[Event]) -> None:
    """Check that these are all events of a run, once each and in order."""
    grammar = Grammar()
    for event in events:
        grammar.check(event)
    assert grammar.fault is None
    assert isinstance(events[-1], FinalResponse | ErrorEvent)


# A turn.


async def test_a_turn_is_told_from_its_start_to_its_answer(farm: Farm) -> None:
    """A message is answered by the seven events of the canonical turn, in order."""
    async with farm.client() as client:
        run = await within(client.send(COUNT))
        events = [event async for event in run]
        assert [event.type for event in events] == CANONICAL
        assert_whole(events)
        assert (run.turn, run.position, run.duplicate) == (1, 0, False)
        assert {event.thread_id for event in events} == {run.thread_id}
        assert await within(run.answer()) == "There are seven sheep."
        assert await within(run.result()) == events[-1]
        assert [event async for event in run] == events


async def test_a_message_goes_over_a_new_connection_once(farm: Farm) -> None:
    """Said before the client has got to the rest of what a new connection is told, it is not said again."""
    log = farm.parts.log
    assert isinstance(log, FakeLog)
    async with farm.client() as client:
        async with asyncio.timeout(30):  # in this task, before any other of the client's gets to run
            await (await client.send(COUNT)).result()
    assert [fields["duplicate"] for fields in log.of("message_accepted")] == [False]


async def test_the_answer_is_seen_as_it_is_written(tmp_path: Path) -> None:
    """Pieces come while the model still writes; they end with the run."""
    writes_on = asyncio.Event()

    class Slow:
        name = "slow"

        async def respond(self, request: ModelRequest, on_text: OnText) -> ModelResponse:
            await on_text(1, "Once upon")
            await writes_on.wait()
            return ModelResponse("Once upon a time.")

    async with serving(tmp_path, Parts(model=Slow())) as farm, farm.client() as client:
        run = await within(client.send("Tell me a story."))
        texts = []
        async for piece in run.deltas():
            texts.append(piece.text)
            assert run.events.items[-1].type == "agent_started"
            writes_on.set()
        assert texts == ["Once upon"]
        assert await within(run.answer()) == "Once upon a time."


async def test_a_message_waits_for_the_turn_before_it(farm: Farm) -> None:
    """The second message of a thread is at position 1 and starts when the first run has ended."""
    async with farm.client() as client:
        first = await within(client.send(GUARD))
        await within(farm.guarding.wait())
        second = await within(client.send(COUNT, thread_id=first.thread_id))
        assert (second.turn, second.position) == (2, 1)
        assert second.events.items == []
        farm.gate.set()
        ended = await within(first.result())
        assert_whole([event async for event in second])
        assert second.events.items[0].timestamp >= ended.timestamp


async def test_a_cancelled_run_ends_in_one_error(farm: Farm) -> None:
    """A cancel closes the open call and ends the run; a second one changes nothing."""
    async with farm.client() as client:
        run = await within(client.send(GUARD))
        await within(farm.guarding.wait())
        await within(asyncio.gather(run.cancel(), run.cancel()))
        end = await within(run.result())
        assert isinstance(end, ErrorEvent)
        assert end.code == "cancelled"
        assert_whole(run.events.items)
        with pytest.raises(RunFailed, match="cancelled"):
            await within(run.answer())
        await within(run.cancel())


async def test_silence_is_broken_by_heartbeats(farm: Farm) -> None:
    """A run at work keeps telling what it waits for."""
    async with farm.client() as client:
        run = await within(client.send(GUARD))
        while run.heartbeat is None:  # noqa: ASYNC110 - a heartbeat is no event to wait for
            await asyncio.sleep(0.02)
        assert run.heartbeat.activity == "running guard_gate"
        assert run.heartbeat.last_seq == 3


async def test_a_long_answer_is_read_to_its_end(tmp_path: Path) -> None:
    """An answer beyond one frame is put together from its parts, byte for byte."""
    text = "".join(f'{number}: "Ä€😀"\n' for number in range(9000))[:200_000]

    class LongWinded:
        name = "long-winded"

        async def respond(self, request: ModelRequest, on_text: OnText) -> ModelResponse:
            return ModelResponse(text)

    async with serving(tmp_path, Parts(model=LongWinded())) as farm, farm.client() as client:
        run = await within(client.send("Tell me all."))
        final = await within(run.result())
        assert isinstance(final, FinalResponse)
        assert final.truncated
        answers = await within(asyncio.gather(run.answer(), run.answer()))
        assert set(answers) == {text}


# Ids: what is sent again makes no second run.


async def test_the_same_id_finds_the_same_run(farm: Farm) -> None:
    """A repeat, on another connection too, is a duplicate and is told from the beginning."""
    message_id = "0192a000-0000-4000-8000-000000000001"
    async with farm.client() as client:
        run = await within(client.send(COUNT, client_message_id=message_id))
        events = [event async for event in run]
        assert (await within(client.send(COUNT, client_message_id=message_id))) is run
    async with farm.client() as another:
        again = await within(another.send(COUNT, client_message_id=message_id))
        assert (again.run_id, again.duplicate) == (run.run_id, True)
        assert [event.model_copy(update={"replay": None}) async for event in again] == events


async def test_a_lost_reply_makes_no_second_run(farm: Farm) -> None:
    """A message whose reply was lost with the connection is sent again under its id and accepted once."""
    seen: asyncio.Queue[Run] = asyncio.Queue()
    async with Wire(farm.server.port) as wire, farm.client(on_run=seen.put_nowait), farm.client(wire.url) as client:
        wire.deafen()
        sending = asyncio.create_task(client.send(COUNT))
        witnessed = await within(seen.get())
        await within(witnessed.result())
        assert not sending.done()
        wire.cut()
        run = await within(sending)
        assert (run.run_id, run.duplicate) == (witnessed.run_id, True)
        assert_whole([event async for event in run])
        assert seen.empty()


async def test_a_gateway_error_is_answered_by_sending_again(tmp_path: Path) -> None:
    """A crash inside the server costs the message nothing but time."""

    class Stumbling(SystemIds):
        stumbles = 2

        def uuid(self) -> str:
            if self.stumbles:
                self.stumbles -= 1
                raise RuntimeError("stumbled")
            return super().uuid()

    async with serving(tmp_path, Parts(ids=Stumbling())) as farm, farm.client() as client:
        run = await within(client.send(COUNT))
        assert not run.duplicate
        assert_whole([event async for event in run])


async def test_a_run_may_start_before_its_message_is_accepted() -> None:
    """An `agent_started` with the message's id stands for the reply, which may be late or lost."""
    ids = {"run_id": NOBODY, "thread_id": NOBODY, "turn": 1}

    def script(command: dict[str, Any]) -> list[dict[str, Any] | str]:
        if command["type"] != "agent_message":
            return []
        event = {**ids, "type": "agent_started", "v": 1, "seq": 1, "timestamp": "2025-01-01T00:00:00.000Z"}
        started = {"agent_id": "farmer", "message": "Off.", "client_message_id": command["client_message_id"]}
        return [{**event, **started}]

    async with scripted(script) as url, PlaybyplayClient(url, pace=QUICK) as client:
        run = await within(client.send(COUNT))
        assert (run.run_id, run.turn, [event.type for event in run.events.items]) == (NOBODY, 1, ["agent_started"])


# Refusals.


async def test_refusals_name_their_reason(farm: Farm) -> None:
    """What the server refuses, and what it would refuse, is an exception with the contract's code."""
    message_id = "0192a000-0000-4000-8000-000000000002"
    async with farm.client() as client:
        await within(client.send(COUNT, client_message_id=message_id))
        for code, asked in (
            ("conflict", partial(client.send, GUARD, client_message_id=message_id)),
            ("not_found", partial(client.send, COUNT, thread_id=NOBODY)),
            ("bad_value", partial(client.send, COUNT, thread_id="not a thread")),
            ("bad_value", partial(client.send, "   ")),
            ("bad_value", partial(client.send, "\x07")),
            ("bad_encoding", partial(client.send, "\ud800")),
            ("too_large", partial(client.send, "ä" * 10_000)),
            ("bad_value", partial(client.attach, "not a run")),
            ("bad_value", partial(client.attach, NOBODY, after_seq=-1)),
        ):
            with pytest.raises(Rejected) as refusal:
                await within(asked())
            assert refusal.value.code == code


async def test_two_messages_cannot_be_sent_under_one_id(farm: Farm) -> None:
    """While the first is unanswered, the second is refused here; the same text twice is one message."""
    message_id = "0192a000-0000-4000-8000-000000000003"
    async with farm.client() as client:
        first, other, same = await within(
            asyncio.gather(
                client.send(COUNT, client_message_id=message_id),
                client.send(GUARD, client_message_id=message_id),
                client.send(COUNT, client_message_id=message_id),
                return_exceptions=True,
            )
        )
        assert isinstance(other, Rejected)
        assert other.code == "conflict"
        assert isinstance(first, Run)
        assert first is same


async def test_a_retryable_refusal_is_borne_so_often(tmp_path: Path) -> None:
    """A refusal that may pass is borne `retries` times, then told."""
    async with (
        serving(tmp_path, Parts(), messages_per_minute=1) as farm,
        farm.client(pace=replace(QUICK, retries=0)) as client,
    ):
        await within(client.send(COUNT))
        with pytest.raises(Rejected, match="rate_limited"):
            await within(client.send(COUNT))


async def test_a_retryable_refusal_is_sent_again_when_it_says() -> None:
    """A refused message is sent again after `retry_after_ms`."""
    asked: list[float] = []

    def script(command: dict[str, Any]) -> list[dict[str, Any] | str]:
        if command["type"] != "agent_message":
            return []
        asked.append(asyncio.get_running_loop().time())
        refusal = {"type": "message_rejected", "code": "overloaded", "message": "Full.", "retryable": True}
        accepted = {"type": "message_accepted", "run_id": NOBODY, "thread_id": NOBODY, "turn": 1, "position": 0}
        if len(asked) < 3:
            return [{**refusal, "client_message_id": command["client_message_id"], "retry_after_ms": 80}]
        return [{**accepted, "client_message_id": command["client_message_id"], "duplicate": False}]

    async with scripted(script) as url, PlaybyplayClient(url, pace=QUICK) as client:
        await within(client.send(COUNT))
    assert all(later - earlier >= 0.08 for earlier, later in itertools.pairwise(asked))


async def test_a_message_without_any_answer_is_told_as_unanswered() -> None:
    """A server that never answers is asked so often, and what it sends that is no frame of ours is left out."""

    def script(_command: dict[str, Any]) -> list[dict[str, Any] | str]:
        return ["{", '{"type": "of the future"}', '{"type": "pong"}', "7", "[" * 9000]

    pace = replace(QUICK, answer_s=0.02, sends=3)
    async with scripted(script) as url, PlaybyplayClient(url, pace=pace) as client:
        with pytest.raises(Unanswered):
            await within(client.send(COUNT))


# A wire that breaks.


async def test_a_connection_cut_in_a_run_heals_without_gap_or_duplicate(farm: Farm) -> None:
    """What happened while nobody was connected is replayed, and the run is whole."""
    async with Wire(farm.server.port) as wire, farm.client() as witness, farm.client(wire.url) as client:
        run = await within(client.send(GUARD))
        await within(farm.guarding.wait())
        seen = await within(witness.attach(run.run_id))
        await within(follow(run, 3))
        wire.closed = True
        wire.cut()
        farm.gate.set()
        await within(seen.result())
        assert len(run.events.items) == 3
        wire.closed = False
        events = [event async for event in run]
        assert_whole(events)
        assert [event.replay for event in events] == [None] * 3 + [True] * 4


class Diary:
    """Implements `playbyplay_client.observer.Observer`: what happened, in order."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, Any]] = []
        self.again = asyncio.Event()

    def opened(self, connection: int) -> None:
        self.entries.append(("opened", connection))
        if connection > 1:
            self.again.set()

    def closed(self, connection: int) -> None:
        self.entries.append(("closed", connection))

    def sent(self, connection: int, text: str) -> None:
        self.entries.append((f"sent {connection}", json.loads(text)["type"]))

    def received(self, connection: int, text: str) -> None:
        self.entries.append((f"received {connection}", json.loads(text)["type"]))

    def delivered(self, frame: Any) -> None:
        self.entries.append(("delivered", frame.type))


async def test_an_observer_is_shown_connections_frames_and_what_is_handed_on(farm: Farm) -> None:
    """Each frame stands under the connection it passed on, and before what was made of it."""
    diary = Diary()
    async with Wire(farm.server.port) as wire, farm.client(wire.url, observer=diary) as client:
        run = await within(client.send(GUARD))
        await within(follow(run, 3))
        wire.cut()
        await within(diary.again.wait())
        farm.gate.set()
        await within(run.result())
    said = diary.entries
    assert said[0] == ("opened", 1)
    assert said.index(("closed", 1)) < said.index(("opened", 2)) < said.index(("sent 2", "resume"))
    assert ("sent 1", "agent_message") in said
    assert said.index(("received 1", "agent_started")) < said.index(("delivered", "agent_started"))
    assert said.index(("received 2", "final_response")) < said.index(("delivered", "final_response"))
    assert sum(what == ("delivered", "final_response") for what in said) == 1


async def test_the_clients_own_socket_may_be_shut_at_any_moment(farm: Farm) -> None:
    """However often the transport goes away under it, each event comes once."""
    async with farm.client() as client:
        for _ in range(10):
            run = await within(client.send(COUNT))
            assert client._socket is not None
            client._socket.get_extra_info("socket").shutdown(socket.SHUT_RDWR)
            assert_whole([event async for event in run])


async def test_a_half_open_connection_is_noticed(farm: Farm) -> None:
    """Where nothing comes back for two ping intervals, the client connects again."""
    pace = replace(QUICK, ping_factor=0.02)
    async with Wire(farm.server.port) as wire, farm.client(wire.url, pace) as client:
        run = await within(client.send(GUARD))
        await within(farm.guarding.wait())
        wire.deafen()
        farm.gate.set()
        assert_whole([event async for event in run])
        assert wire.connections == 2


async def test_a_server_that_comes_back_goes_on_with_the_run(farm: Farm) -> None:
    """A restart of the server is a longer pause for its clients."""
    async with farm.client() as client:
        run = await within(client.send(GUARD))
        await within(farm.guarding.wait())
        await farm.server.stop()
        farm.server = Server(replace(farm.settings, port=farm.server.port), farm.parts)
        farm.gate.set()
        await farm.server.start()
        assert_whole([event async for event in run])


async def test_a_server_that_stays_away_is_given_up(farm: Farm) -> None:
    """After so many attempts whoever waits is told, and what is sent after that too."""
    async with farm.client(pace=replace(QUICK, attempts=3)) as client:
        run = await within(client.send(GUARD))
        await within(farm.guarding.wait())
        await farm.server.stop()
        with pytest.raises(ConnectionLost, match="3 attempts"):
            await within(run.result())
        with pytest.raises(ConnectionLost):
            await within(client.send(COUNT))


class Tomorrow(SystemClock):
    """A clock that can be put forward."""

    later_ms = 0

    def now_ms(self) -> int:
        return super().now_ms() + self.later_ms


async def test_a_session_that_is_over_is_renewed(tmp_path: Path) -> None:
    """After twelve hours the server wants a new session: the client gets one, and nothing is refused or lost."""
    clock = Tomorrow()
    async with serving(tmp_path, Parts(clock=clock)) as farm, farm.client(user="alice") as client:
        run = await within(client.send(COUNT))
        await within(run.result())
        client.forget(run)
        clock.later_ms += 13 * 3600 * 1000
        again = await within(client.attach(run.run_id))
        assert_whole([event async for event in again])
        clock.later_ms += 13 * 3600 * 1000
        run = await within(client.send(COUNT))
        assert_whole([event async for event in run])
        clock.later_ms += 13 * 3600 * 1000
        await within(run.cancel())


async def test_a_run_whose_events_are_gone_is_told_as_lost() -> None:
    """A run that is refused as expired under a new session too is lost, and only that one."""
    resumed: list[str] = []

    def script(command: dict[str, Any]) -> list[dict[str, Any] | str]:
        if command["type"] != "resume":
            return []
        resumed.append(command["run_id"])
        refusal = {"type": "message_rejected", "code": "expired", "message": "Gone.", "retryable": False}
        return [{**refusal, "run_id": command["run_id"]}]

    async with scripted(script) as url, PlaybyplayClient(url, pace=QUICK) as client:
        run = await within(client.attach(NOBODY))
        with pytest.raises(RunLost, match="expired"):
            await within(run.result())
    assert resumed == [NOBODY, NOBODY]


# Several clients.


async def test_all_connections_of_a_user_see_the_run_and_nobody_else_does(farm: Farm) -> None:
    """Two clients of one user get the same events, the second with the message too; another user gets nothing."""
    seen: asyncio.Queue[Run] = asyncio.Queue()
    foreign: list[Run] = []
    async with (
        farm.client(user="alice") as first,
        farm.client(user="alice", on_run=seen.put_nowait),
        farm.client(user="mallory", on_run=foreign.append) as stranger,
    ):
        run = await within(first.send(COUNT))
        other = await within(seen.get())
        events = [event async for event in run]
        assert [event async for event in other] == events
        assert other.run_input is not None
        assert other.run_input.content == COUNT
        assert (other.thread_id, other.turn) == (run.thread_id, run.turn)
        with pytest.raises(RunLost, match="not_found"):
            await within((await stranger.attach(run.run_id)).result())
        with pytest.raises(Rejected, match="not_found"):
            await within(stranger.ask("cancel", run.run_id))
        assert [one.run_id for one in foreign] == [run.run_id]


async def test_a_client_that_comes_later_finds_the_open_run(farm: Farm) -> None:
    """The first pong names the user's open runs, and each is told from its beginning."""
    seen: asyncio.Queue[Run] = asyncio.Queue()
    async with farm.client() as first, farm.client(on_run=seen.put_nowait):
        run = await within(first.send(GUARD))
        await within(farm.guarding.wait())
        async with farm.client(on_run=seen.put_nowait):
            later = [await within(seen.get()), await within(seen.get())][1]
            farm.gate.set()
            events = [event.model_copy(update={"replay": None}) async for event in later]
            assert events == [event async for event in run]
            assert later.run_input is not None


async def test_a_run_is_followed_from_any_event_on(farm: Farm) -> None:
    """Attaching replays what is above the position; one above the head is lost, and may be tried again."""
    async with farm.client() as client:
        run = await within(client.send(COUNT))
        await within(run.result())
        assert await within(client.attach(run.run_id)) is run
        client.forget(run)
        again = await within(client.attach(run.run_id, after_seq=5))
        assert [event.seq async for event in again] == [6, 7]
        client.forget(again)
        with pytest.raises(RunLost, match="bad_value"):
            await within((await client.attach(run.run_id, after_seq=99)).result())
        assert_whole([event async for event in await client.attach(run.run_id)])


# Coming in and going out.


async def test_tickets_come_from_where_they_are_told_to(farm: Farm) -> None:
    """A ticket is asked for a user or an origin, given, or fetched; each admits its user."""
    origin = f"http://127.0.0.1:{farm.server.port}"
    bases = (origin, farm.url, f"http://127.0.0.1:{farm.server.port}/")
    for base in bases:
        async with PlaybyplayClient(base, user="alice", origin=origin, pace=QUICK) as client:
            run = await within(client.send(COUNT))

    async def fetch() -> str:
        assert isinstance(alice, Dialer)
        return await alice._new_ticket(alice_http) or ""

    async with farm.client(user="alice") as helper:
        alice, alice_http = helper._dialer, helper._http
        async with farm.client(ticket=await fetch()) as client:
            assert await within((await client.attach(run.run_id)).answer()) == "There are seven sheep."
        async with Wire(farm.server.port) as wire, farm.client(wire.url, ticket=fetch) as client:
            await within(client.attach(run.run_id))
            wire.cut()
            other = await within(client.send(COUNT))
            assert_whole([event async for event in other])


async def test_who_is_not_admitted_is_told_in_a_sentence(farm: Farm, tmp_path: Path) -> None:
    """A wrong ticket, a wrong origin and a user nobody may name are refused with the reason."""
    with pytest.raises(CannotConnect, match="HTTP 401"):
        await within(farm.client(ticket="wrong").__aenter__())
    with pytest.raises(CannotConnect, match="origin is not allowed"):
        await within(farm.client(origin="http://elsewhere.example").__aenter__())
    with pytest.raises(CannotConnect, match="1 to 64 letters"):
        await within(farm.client(user="a b").__aenter__())
    async with serving(tmp_path / "strict", Parts(), test_users=False) as strict:
        with pytest.raises(CannotConnect, match="Users cannot be named here"):
            await within(strict.client(user="alice").__aenter__())


async def test_what_is_no_server_is_told_in_a_sentence(farm: Farm) -> None:
    """Nobody there, no URL, another protocol, no socket at all: each has its own sentence."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(CannotConnect, match="Connection refused"):
        await within(PlaybyplayClient(f"ws://127.0.0.1:{port}").__aenter__())
    with pytest.raises(CannotConnect, match="HTTP 404"):
        await within(PlaybyplayClient(f"http://127.0.0.1:{farm.server.port}/elsewhere").__aenter__())
    async with scripted(lambda _command: [], protocol="chess.v1") as url:
        with pytest.raises(CannotConnect, match="does not speak"):
            await within(PlaybyplayClient(url).__aenter__())
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"ws://127.0.0.1:{silent.getsockname()[1]}/ws"
        with pytest.raises(CannotConnect, match="did not answer"):
            await within(PlaybyplayClient(url, pace=replace(QUICK, connect_s=0.1)).__aenter__())


async def test_a_closed_client_leaves_nobody_waiting(farm: Farm) -> None:
    """Closing ends the tasks, and whoever still reads or sends is told."""
    before = asyncio.all_tasks()
    async with farm.client() as client:
        run = await within(client.send(GUARD))
        reading = asyncio.create_task(run.result())
        await within(farm.guarding.wait())
    with pytest.raises(ConnectionLost, match="closed"):
        await within(reading)
    with pytest.raises(ConnectionLost, match="closed"):
        await within(client.send(COUNT))
    ours = {task for task in asyncio.all_tasks() - before if "Client" in repr(task)}
    assert ours == set()


# The command line, as a process of its own.


class Command:
    """`playbyplay ...`, running; it does not outlive its block."""

    def __init__(self, *arguments: str) -> None:
        self._arguments = arguments

    async def __aenter__(self) -> Self:
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "playbyplay_client.cli", *self._arguments), stdin=pipe, stdout=pipe, stderr=pipe
        )
        return self

    async def __aexit__(self, *_exc: object) -> None:
        if self._process.returncode is None:
            self._process.kill()
            await self._process.communicate()

    async def end(self, said: str = "") -> tuple[int, str, str]:
        """Return exit code, standard output and standard error."""
        out, err = await within(self._process.communicate(said.encode()))
        assert self._process.returncode is not None
        return self._process.returncode, out.decode(), err.decode()

    def interrupt(self) -> None:
        self._process.send_signal(signal.SIGINT)


async def command(*arguments: str, said: str = "") -> tuple[int, str, str]:
    async with Command(*arguments) as running:
        return await running.end(said)


async def test_the_command_tells_the_work_and_the_answer(farm: Farm) -> None:
    """Each event is a line with its time, the answer stands at the end, and the exit code is 0."""
    code, out, err = await command("chat", COUNT, "--url", farm.url)
    assert (code, err) == (0, "")
    *lines, blank, answer = out.splitlines()
    words = ["accepted", "started", "thinking", "calling", "ok", "thinking", "completed", "answered"]
    assert [line.split()[3] for line in lines] == words
    assert all(line.split()[1] == "s" and float(line.split()[0]) >= 0 for line in lines)
    assert "count_sheep: Counted seven." in lines[4]
    assert (blank, answer) == ("", "There are seven sheep.")
    assert "\x1b" not in out


async def test_the_command_goes_on_in_a_thread_and_reads_its_message(farm: Farm) -> None:
    """`-` takes the message from standard input, `--thread` makes it the next turn."""
    async with farm.client() as client:
        run = await within(client.send(COUNT))
        await within(run.result())
    code, out, _ = await command("chat", "-", "--url", farm.url, "--thread", run.thread_id or "", said=f"{COUNT}\n")
    assert code == 0
    assert f"turn 2 of thread {run.thread_id}" in out


async def test_json_lines_are_the_events_and_nothing_else(farm: Farm) -> None:
    """With `--json` each line is an event as the contract has it, and all of them are there."""
    code, out, err = await command("chat", COUNT, "--json", "--url", farm.url)
    assert (code, err) == (0, "")
    events = [decode_server_frame(line) for line in out.splitlines()]
    assert [event.type for event in events if event is not None] == CANONICAL
    assert_whole(events)  # type: ignore[arg-type]


async def test_without_a_server_the_command_says_so(farm: Farm) -> None:
    """No server, no URL, a refused message: exit code 2 and one sentence, no trace."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        nobody = f"ws://127.0.0.1:{free.getsockname()[1]}/ws"
    for arguments, part in (
        ((COUNT, "--url", nobody), "Is the server running?"),
        ((COUNT, "--url", "chess"), "Not the URL of a server"),
        ((COUNT, "--url", f"http://127.0.0.1:{farm.server.port}/elsewhere"), "HTTP 404"),
        ((COUNT, "--url", farm.url, "--thread", NOBODY), "There is no such thread."),
        ((" ", "--url", farm.url), "It is empty"),
    ):
        code, out, err = await command("chat", *arguments)
        assert (code, out) == (2, "")
        assert part in err
        assert err.count("\n") == 1


async def test_a_run_that_fails_is_exit_code_1(farm: Farm) -> None:
    """A run that ends in `error`, by whoever's hand, is no success."""
    seen: asyncio.Queue[Run] = asyncio.Queue()
    async with farm.client(on_run=seen.put_nowait), Command("chat", GUARD, "--url", farm.url) as running:
        run = await within(seen.get())
        await within(farm.guarding.wait())
        await within(run.cancel())
        code, out, err = await running.end()
    assert code == 1
    assert out.splitlines()[-1].endswith("cancelled: The run was cancelled.")
    assert err == "The run failed: The run was cancelled.\n"


async def test_a_run_that_takes_too_long_is_cancelled(farm: Farm) -> None:
    """After `--timeout` the run is cancelled, which is still told, and the exit code is 1."""
    code, out, err = await command("chat", GUARD, "--url", farm.url, "--timeout", "1.5")
    assert code == 1
    assert "cancelled: The run was cancelled." in out
    assert err == "Not done within 1.5 s; the run was cancelled.\n"


async def test_ctrl_c_before_a_run_is_honest() -> None:
    """Interrupted while the message is unanswered, the command claims no cancel."""
    came = asyncio.Event()

    def script(command: dict[str, Any]) -> list[dict[str, Any] | str]:
        if command["type"] == "agent_message":
            came.set()
        return []

    async with scripted(script) as url, Command("chat", COUNT, "--url", url) as running:
        await within(came.wait())
        running.interrupt()
        assert await running.end() == (130, "", "Stopped; no run is known to have begun.\n")


async def test_a_run_that_breaks_the_grammar_is_exit_code_1() -> None:
    """The command checks the account by itself and names what is wrong with it."""
    common = {"run_id": NOBODY, "thread_id": NOBODY, "turn": 1}
    event = {**common, "v": 1, "timestamp": "2025-01-01T00:00:00.000Z"}
    answer = {"content": "Yes.", "usage": {}, "finish_reason": "stop"}

    def script(command: dict[str, Any]) -> list[dict[str, Any] | str]:
        if command["type"] != "agent_message":
            return []
        ids = {"client_message_id": command["client_message_id"], "duplicate": False, "position": 0}
        return [
            {"type": "message_accepted", **common, **ids},
            {"type": "agent_started", **event, "seq": 1, "agent_id": "farmer", "message": "Off."},
            {"type": "final_response", **event, "seq": 2, **answer},
        ]

    async with scripted(script) as url:
        code, out, err = await command("chat", COUNT, "--url", url)
    assert (code, err) == (1, "The account of this run is not right: final_response where it may not stand.\n")
    assert "Yes." not in out


async def test_ctrl_c_cancels_the_run(farm: Farm) -> None:
    """An interrupt ends the run at the server too, and the exit code is 130."""
    seen: asyncio.Queue[Run] = asyncio.Queue()
    async with farm.client(on_run=seen.put_nowait), Command("chat", GUARD, "--url", farm.url) as running:
        run = await within(seen.get())
        await within(farm.guarding.wait())
        running.interrupt()
        code, out, err = await running.end()
        end = await within(run.result())
    assert (code, err) == (130, "Stopped; the run was cancelled.\n")
    assert isinstance(end, ErrorEvent)
    assert end.code == "cancelled"
    assert "cancelled: The run was cancelled." in out
