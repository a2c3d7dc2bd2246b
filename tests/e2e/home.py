"""The one-machine server in this process, on a free port, and people who talk with it over real sockets."""

import asyncio
import contextlib
import itertools
import json
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, TypeAlias

from agent_runner.agent import Agent
from agent_runner.engine import Budget
from agent_runner.model import ModelClient
from agent_runner.registry import Registry
from agent_runner.scripted_model import ScriptedModel
from local.home import Parts
from local.run_queue import LocalRunQueue
from local.server import Server
from local.settings import LocalSettings
from playbyplay.adapters.system import SystemIds
from playbyplay.domain.timing import ONE_MACHINE, Timing
from playbyplay.ports import Clock, Ids
from playbyplay.protocol.events import EVENT_TYPES, TERMINAL_TYPES
from tests.e2e.raw_socket import HOST, RawSocket, exchange, request, upgrade, upgrade_request
from tests.fakes.log import FakeLog

Frame: TypeAlias = dict[str, Any]
UNHURRIED = 10**6  # a limit nobody reaches
_IDS = SystemIds()


def fresh_id() -> str:
    """Return a UUID nobody has seen."""
    return _IDS.uuid()


def plain_agent(**fields: Any) -> Agent:
    """Return an agent for tests; with no tools it introduces itself and is done."""
    described = {"agent_id": "tester", "description": "Answers tests.", "instructions": "Answer."}
    return Agent(**{**described, **fields})


class RunningHome:
    """A server at work.

    Attributes:
        port: on 127.0.0.1.
        origin: of its own page.
        log: what it logged.
    """

    def __init__(self, port: int, data: Path, log: FakeLog) -> None:
        self.port = port
        self.origin = f"http://{HOST}:{port}"
        self.log = log
        self._data = data
        self._users = itertools.count(1)
        self._sockets: list[RawSocket] = []

    async def ticket(self, user: str, *, origin: str | None = None) -> str:
        """Return a ticket for a user and an origin."""
        headers = [("Host", f"{HOST}:{self.port}")] + ([("Origin", origin)] if origin is not None else [])
        answer = await exchange(self.port, request("POST", "/ticket", headers, json.dumps({"user": user}).encode()))
        assert answer.status == 200, answer
        return str(answer.json()["ticket"])

    async def join(self, user: str | None = None) -> "Member":
        """Connect as a user, a new one unless told."""
        user = user or f"user-{next(self._users)}"
        ticket = await self.ticket(user)
        return Member(user, await self.open(protocols=f"playbyplay.v1, ticket.{ticket}"))

    async def open(self, **handshake: Any) -> RawSocket:
        """Open a socket with any handshake; it is closed with the home at the latest."""
        _answer, socket = await upgrade(self.port, upgrade_request(self.port, **handshake))
        self._sockets.append(socket)
        return socket

    async def leave(self) -> None:
        """End every socket there is."""
        await asyncio.gather(*(socket.end() for socket in self._sockets))
        self._sockets.clear()

    def kept(self, user: str) -> list[tuple[str, str, int]]:
        """Return what the database holds of a user's runs: run, thread, turn."""
        with contextlib.closing(sqlite3.connect(self._data / "playbyplay.sqlite3")) as database:
            return database.execute(
                "SELECT run_id, thread_id, turn FROM runs WHERE user = ? ORDER BY run_id", (user,)
            ).fetchall()

    def crashes(self) -> list[Any]:
        """Return what the log says of bugs of ours."""
        return [event for event in self.log.events if event[0] in ("frame_crashed", "run_crashed")]


class Member:
    """One user on one socket."""

    def __init__(self, user: str, socket: RawSocket) -> None:
        self.user = user
        self.socket = socket

    async def ask(self, **fields: Any) -> Frame:
        """Send a frame and return the next one that comes."""
        self.socket.ask(**fields)
        return await self.socket.reply()

    async def until(self, *kinds: str) -> list[Frame]:
        """Return the frames up to the first of one of these types, it included."""
        frames = [await self.socket.reply()]
        while frames[-1]["type"] not in kinds:
            frames.append(await self.socket.reply())
        return frames

    def begin(self, content: str = "hello", **fields: Any) -> str:
        """Send a message and return its id, without waiting for anything."""
        client_message_id = fresh_id()
        self.socket.ask(type="agent_message", content=content, client_message_id=client_message_id, **fields)
        return client_message_id

    async def finish(self, client_message_id: str) -> list[Frame]:
        """Return every frame of a begun turn, `message_accepted` first, its terminal last; others must not come."""
        accepted = await self.socket.reply()
        assert accepted["type"] == "message_accepted", accepted
        assert accepted["client_message_id"] == client_message_id
        frames = [accepted, *await self.until(*TERMINAL_TYPES)]
        assert {frame["run_id"] for frame in frames} == {accepted["run_id"]}
        seqs = [frame["seq"] for frame in frames if frame["type"] in EVENT_TYPES]
        assert seqs == list(range(1, len(seqs) + 1))
        return frames

    async def turn(self, content: str = "hello", **fields: Any) -> list[Frame]:
        """Send a message and return every frame of its turn."""
        return await self.finish(self.begin(content, **fields))

    async def hears_nothing(self) -> Frame:
        """Ping, and let nothing but the pong be there; return its heads."""
        pong = await self.ask(type="ping")
        assert pong["type"] == "pong", pong
        heads: Frame = pong["heads"]
        return heads


class Scene:
    """Somebody who misbehaves, and somebody of another user who must not notice."""

    def __init__(self, home: RunningHome, subject: Member, control: Member) -> None:
        self.home = home
        self.subject = subject
        self._control = control
        self._controls_turn = control.begin("hello beside")

    async def goes_on(self, *, closed: bool = False) -> None:
        """Let the subject be served as if nothing had been: on the same socket, on a new one if it was closed.

        The other user, whose turn began before, has got all of its frames and no other.
        """
        assert self.subject.socket.is_open != closed
        member = await self.home.join(self.subject.user) if closed else self.subject
        before = len(self.home.kept(member.user))
        frames = await member.turn("hello again")
        assert frames[-1]["type"] == "final_response"
        assert len(self.home.kept(member.user)) == before + 1
        frames = await self._control.finish(self._controls_turn)
        assert frames[-1]["type"] == "final_response"
        assert set(await self._control.hears_nothing()) <= {frames[-1]["run_id"]}
        assert not self.home.crashes()


@contextlib.asynccontextmanager
async def running_home(
    data: Path,
    *,
    registry: Registry | None = None,
    model: ModelClient | None = None,
    clock: Clock | None = None,
    ids: Ids | None = None,
    budget: Budget | None = None,
    timing: Timing = ONE_MACHINE,
    queue: LocalRunQueue | None = None,
    **settings: Any,
) -> AsyncIterator[RunningHome]:
    """Start a server on a free port; end it, and every socket, in any case.

    Args:
        data: where it keeps everything.
        registry: the agents; one without tools unless told.
        model: who answers; the scripted model unless told.
        clock: the server's clock.
        ids: the server's ids.
        budget: what one run may use up.
        timing: what takes how long.
        queue: where jobs wait.
        settings: any of `LocalSettings`; users can be named and may connect at any pace unless told.
    """
    log = FakeLog()
    given = {"port": 0, "test_users": True, "scripted_pace_s": 0.0, "connects_per_minute": UNHURRIED, **settings}
    parts = Parts(
        registry=registry or Registry(agents=(), root=plain_agent()),
        model=model or ScriptedModel(),
        clock=clock,
        ids=ids,
        budget=budget,
        timing=timing,
        queue=queue,
        log=log,
    )
    server = Server(LocalSettings(data=data, **given), parts)
    await server.start()
    home = RunningHome(server.port, data, log)
    try:
        yield home
    finally:
        await home.leave()
        await server.stop()


@contextlib.asynccontextmanager
async def scene(home: RunningHome) -> AsyncIterator[Scene]:
    """Let two new users join; end their sockets afterwards."""
    try:
        yield Scene(home, await home.join(), await home.join())
    finally:
        await home.leave()
