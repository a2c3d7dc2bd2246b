"""Devices of users: the real client on a simulated wire, and what a person does with it."""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal, cast

import aiohttp

from playbyplay_client.client import PlaybyplayClient
from playbyplay_client.errors import CannotConnect, ClientError
from playbyplay_client.pace import Pace
from playbyplay_client.run import Run
from tests.fakes.ids import uuid
from tests.simulation.evidence import MARK, Client, Delivered
from tests.simulation.network import Wire
from tests.simulation.world import World

_PACE = Pace(tick_s=2.0, attempts=10**6, sends=10**6, retries=10**6)
_FIRST_MESSAGE = 500_000
Deed = Literal["send", "cancel", "cut", "black hole", "stuck", "forgotten", "unseen", "reload"]


@dataclass(frozen=True, slots=True)
class Act:
    """Something a person or the network does to a device.

    Attributes:
        at_s: when.
        text: the program of a message.
        thread: which of the user's threads it goes to, by the order of their first messages; None for a new one.
        message: number of its id.
        seconds: how long it lasts.
    """

    at_s: float
    device: int
    deed: Deed
    text: str = ""
    thread: int | None = None
    message: int = 0
    seconds: float = 0.0


class Device:
    """One device: a page that is open, reloaded, cut off.

    Args:
        world: where it is.
        number: tells its clients apart.
        user: whose it is.
        threads: the user's threads, by the order of their first messages; shared by all devices of the user.
    """

    def __init__(self, world: World, number: int, user: str, threads: list["asyncio.Future[str | None]"]) -> None:
        self.user = user
        self._world = world
        self._number = number
        self._threads = threads
        self._random = random.Random(f"{world.laws.seed} device {number}")
        self._loads = 0
        self._runs: dict[str, Run] = {}
        self._known: dict[str, int] = {}
        self._following: set[asyncio.Task[None]] = set()
        self._client: PlaybyplayClient | None = None
        self._open = asyncio.Event()
        self._stack = contextlib.AsyncExitStack()

    @property
    def name(self) -> str:
        """The client of the page as it is loaded now."""
        return f"d{self._number}.{self._loads}"

    async def load(self) -> None:
        """Open the page, as often as it takes."""
        self._loads += 1
        world, name = self._world, self.name
        world.evidence.clients = [*world.evidence.clients, Client(name, self.user)]
        while True:
            client = PlaybyplayClient(
                "http://127.0.0.1:1",
                pace=_PACE,
                chance=self._random.random,
                on_run=lambda run: self._follow(name, run),
                dialer=_Dialer(world, name, self.user),
            )
            try:
                await self._stack.enter_async_context(client)
            except CannotConnect:
                await asyncio.sleep(self._random.random() * 3)
            else:
                break
        self._client = client
        self._open.set()
        for run_id in list(self._runs):
            await client.attach(run_id)

    async def leave(self) -> None:
        """Close the page."""
        self._open.clear()
        await self._stack.aclose()
        self._stack = contextlib.AsyncExitStack()

    async def do(self, act: Act) -> None:
        """Do one thing; returns when its answer has come."""
        await self._open.wait()
        match act.deed:
            case "send":
                await self._send(act)
            case "cancel":
                await self._cancel()
            case "reload":
                self._stays_no_more()
                await self.leave()
                await self.load()
            case _:
                await self._suffer(act)

    async def close(self) -> None:
        """Be gone."""
        await self.leave()
        for task in self._following:
            task.cancel()
        await asyncio.gather(*self._following, return_exceptions=True)

    async def _send(self, act: Act) -> None:
        thread = None
        if act.thread is not None and act.thread < len(self._threads):
            thread = await asyncio.shield(self._threads[act.thread])
        mine: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        if thread is None:
            self._threads.append(mine)
        content = f"{act.text} {MARK}{self.user}-{act.message}"
        message = uuid(_FIRST_MESSAGE + act.message)
        run = await self._until_done(lambda client: client.send(content, thread, message))
        if not mine.done():
            mine.set_result(run.thread_id if run is not None else None)

    async def _cancel(self) -> None:
        waiting = [run for run in self._runs.values() if run.events.items == [] or not _is_over(run)]
        if waiting:
            run_id = self._random.choice(waiting).run_id
            await self._until_done(lambda client: client.ask("cancel", run_id))

    async def _until_done(self, ask: Callable[[PlaybyplayClient], Awaitable[Run]]) -> Run | None:
        """Ask again from the next page where this one was closed; a refusal is an answer."""
        while True:
            await self._open.wait()
            assert self._client is not None
            try:
                return await ask(self._client)
            except ClientError:
                if self._open.is_set():
                    return None

    async def _suffer(self, act: Act) -> None:
        """Let something happen to the connection that is open now."""
        world, until_s = self._world, self._world.network.now_s + act.seconds
        if act.deed == "unseen":
            world.unseen.add(self.name)
        elif act.deed != "cut":
            world.broke(f"network.{self.name}", act.deed, act.seconds)
        for wire in self._wires():
            match act.deed:
                case "cut" | "unseen":
                    await wire.close()
                case "black hole":
                    wire.black_until_s = until_s
                case "stuck":
                    wire.stuck_until_s = until_s
                case "forgotten":
                    world.connections.rows.pop(wire.connection_id, None)

    def _follow(self, name: str, run: Run) -> None:
        self._runs[run.run_id] = run
        self._following.add(asyncio.ensure_future(self._read(name, run)))

    async def _read(self, name: str, run: Run) -> None:
        evidence = self._world.evidence
        with contextlib.suppress(ClientError):
            async for event in run:
                now_ms = self._world.network.now_s * 1000
                evidence.delivered.append(Delivered(now_ms, name, run.run_id, event.seq, event.type))

    def _wires(self) -> list[Wire]:
        return [wire for wire in self._world.network.wires.values() if wire.client == self.name]

    def _stays_no_more(self) -> None:
        evidence = self._world.evidence
        evidence.clients = [
            Client(one.name, one.user, stays=False) if one.name == self.name else one for one in evidence.clients
        ]


class _Dialer:
    """Opens connections on the simulated network."""

    def __init__(self, world: World, name: str, user: str) -> None:
        self._world = world
        self._name = name
        self._user = user

    async def open(self, http: aiohttp.ClientSession, timeout_s: float) -> aiohttp.ClientWebSocketResponse:
        try:
            async with asyncio.timeout(timeout_s):
                wire = await self._world.network.open(self._name, self._user, self._world.admit)
        except TimeoutError:
            raise CannotConnect("The handshake took too long.") from None
        return cast("aiohttp.ClientWebSocketResponse", wire)


def _is_over(run: Run) -> bool:
    return run.events.items[-1].type in ("final_response", "error")
