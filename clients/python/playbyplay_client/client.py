"""The asyncio client: sends messages, follows runs, and heals whatever happens to the connection.

async with PlaybyplayClient("http://127.0.0.1:8787") as client:
    run = await client.send("Analyze my database performance")
    async for event in run: ...
"""

import asyncio
import contextlib
import json
import logging
import random
import uuid
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self

import aiohttp

from playbyplay.errors import ProtocolViolation
from playbyplay.protocol import codec, commands, replies
from playbyplay.protocol.events import AgentStarted, Event
from playbyplay_client.dialer import Dialer, Opens, SignIn
from playbyplay_client.errors import CannotConnect, ClientError, ConnectionLost, Rejected, RunLost
from playbyplay_client.observer import Nobody, Observer
from playbyplay_client.pace import Pace
from playbyplay_client.reassembly import PING_OPEN_S, Action, AskResume, Deliver, Lost, Reassembly
from playbyplay_client.requests import Requests
from playbyplay_client.run import Run

LOG = logging.getLogger("playbyplay_client")
_WRITE_S = 2.0


class PlaybyplayClient:
    """One user's connection to a server, renewed whenever it breaks.

    Args:
        url: `http://host:port`, or the socket's own `ws://host:port/ws`.
        user: whom to ask a ticket for, where the server lets users be named.
        origin: the Origin to claim, as a page would; with it or with a user, `POST /ticket` gives the tickets.
        ticket: a ticket, good for one connection, or what fetches a new one for each.
        sign_in: where tickets come from, if not from `POST /ticket` beside the socket.
        pace: durations.
        chance: returns a random number of [0, 1), for the jitter.
        on_run: called with each run when it is first heard of, whoever sent its message.
        observer: is shown every frame and every connection.
        dialer: what opens connections, instead of the usual.

    Raises:
        CannotConnect: the URL is none of these.
    """

    def __init__(
        self,
        url: str,
        *,
        user: str | None = None,
        origin: str | None = None,
        ticket: str | Callable[[], Awaitable[str]] | None = None,
        sign_in: SignIn | None = None,
        pace: Pace | None = None,
        chance: Callable[[], float] = random.random,
        on_run: Callable[[Run], None] | None = None,
        observer: Observer | None = None,
        dialer: Opens | None = None,
    ) -> None:
        self._dialer = dialer or Dialer(url, user, origin, ticket, sign_in)
        self._pace, self._chance, self._on_run = pace or Pace(), chance, on_run
        self._observer, self._connections = observer or Nobody(), 0
        self._reassembly = Reassembly()
        self._requests = Requests(self._pace)
        self._runs: dict[str, Run] = {}
        self._http: aiohttp.ClientSession
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._doubted: set[str] = set()
        self._gone: ClientError | None = None
        self._failures = 0
        self._pinged_s = 0.0
        self._silent_since_s: float | None = None

    async def __aenter__(self) -> Self:
        """Connect, in one attempt.

        Raises:
            CannotConnect: one sentence says why.
        """
        self._http = aiohttp.ClientSession()
        try:
            socket = await self._dialer.open(self._http, self._pace.connect_s)
        except BaseException:
            await self._http.close()
            raise
        self._socket = socket  # from now on it is closed with the client, even if no task gets to run
        self._tasks = [asyncio.create_task(self._read(socket)), asyncio.create_task(self._tend())]
        for task in self._tasks:
            task.add_done_callback(self._ended)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connection; whoever still waits for a run or an answer gets ConnectionLost."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._fail(ConnectionLost("The client was closed."))
        if self._socket is not None:
            await self._socket.close()
        await self._http.close()

    async def send(self, content: str, thread_id: str | None = None, client_message_id: str | None = None) -> Run:
        """Send a message and return its run once it is accepted; a repeat with the same id makes no second run.

        Raises:
            Rejected: it was refused, for good or too often.
            Unanswered, ConnectionLost: it may have been accepted; the same id sends it again safely.
        """
        thread = {"thread_id": thread_id} if thread_id is not None else {}
        run: Run = await self.ask("agent_message", client_message_id or str(uuid.uuid4()), content=content, **thread)
        return run

    async def attach(self, run_id: str, after_seq: int = 0) -> Run:
        """Follow a run that exists, from the event after `after_seq` on: first its replay, then live.

        Raises:
            Rejected: this can be no run's id or seq.
        """
        _render("resume", run_id=run_id, after_seq=after_seq)
        actions = self._reassembly.follow(run_id, after_seq, _now_s())
        if actions:
            self._runs.pop(run_id, None)  # it was lost; this is a new try
        run = self._run(run_id)
        await self._act(actions)
        return run

    def forget(self, run: Run) -> None:
        """Let go of a run that is over, which is otherwise remembered as long as the client lives."""
        self._runs.pop(run.run_id, None)
        self._doubted.discard(run.run_id)
        self._reassembly.forget(run.run_id)

    async def ask(self, kind: str, named: str, **fields: str | int) -> Any:  # noqa: ANN401 - as the kind
        """Send a command until it is answered.

        Args:
            kind: `agent_message`, answered by its Run; `cancel` or `answer`, answered by the server's frame.
            named: the client_message_id or run_id.
            fields: the command's own.

        Raises:
            Rejected, Unanswered, ConnectionLost: there is no such answer.
        """
        name = "client_message_id" if kind == "agent_message" else "run_id"
        text = _render(kind, **{name: named}, **fields)
        if self._gone is not None:
            raise self._gone
        request = self._requests.add(kind, named, fields.get("offset"), text)
        try:
            await self._send_due()
            return await request.answer
        finally:
            self._requests.waiting.remove(request)

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        """Read every connection to its end, one after the other."""
        while True:
            await self._begin(socket)
            async for message in socket:
                if message.type is aiohttp.WSMsgType.TEXT:
                    self._failures, self._silent_since_s = 0, None
                    self._observer.received(self._connections, message.data)
                    await self._take(message.data)
            self._socket = None
            self._observer.closed(self._connections)
            await socket.close()
            socket = await self._open_again()

    async def _begin(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        """Say on a new connection what the one before may not have brought over."""
        self._socket, self._silent_since_s = socket, None
        self._connections += 1
        self._observer.opened(self._connections)
        await self._act(self._reassembly.reconnected(_now_s()))
        if self._connections > 1:  # what is said by now was said on the first
            self._requests.send_again()
        await self._send_due()
        await self._ping()

    async def _open_again(self) -> aiohttp.ClientWebSocketResponse:
        reason = "It closed every connection at once."
        while self._failures < self._pace.attempts:
            await asyncio.sleep(self._chance() * self._pace.wait_s(self._failures))
            self._failures += 1
            try:
                return await self._dialer.open(self._http, self._pace.connect_s)
            except CannotConnect as failure:
                reason = str(failure)
        raise ConnectionLost(f"The connection was lost, and {self._failures} attempts to renew it failed. {reason}")

    async def _tend(self) -> None:
        """Send what is due, ping, and notice silence."""
        while True:
            await asyncio.sleep(self._pace.tick_s)
            socket, now_s = self._socket, _now_s()
            if socket is None:
                continue
            await self._act(self._reassembly.tick(now_s))
            await self._send_due()
            interval_s = PING_OPEN_S if self._requests.waiting else self._reassembly.ping_interval_s
            interval_s *= self._pace.ping_factor
            if self._silent_since_s is not None and now_s - self._silent_since_s >= 2 * interval_s:
                await socket.close()  # half open: the reader wakes and connects again
            elif now_s - self._pinged_s >= interval_s:
                await self._ping()

    async def _ping(self) -> None:
        self._pinged_s = _now_s()
        self._silent_since_s = self._silent_since_s or self._pinged_s
        await self._write(commands.Ping(cursors=self._reassembly.cursors() or None).to_json())

    async def _send_due(self) -> None:
        if self._socket is not None:
            for text in self._requests.due(_now_s()):
                await self._write(text)

    async def _write(self, text: str) -> None:
        """Write a frame, if there is a connection; what is lost is asked again."""
        if self._socket is not None:
            self._observer.sent(self._connections, text)
            with contextlib.suppress(aiohttp.ClientError, OSError):  # a time-out is an OSError
                async with asyncio.timeout(_WRITE_S):
                    await self._socket.send_str(text)

    async def _take(self, text: str) -> None:
        now_s = _now_s()
        try:
            frame = codec.decode_server_frame(text)
        except (ValueError, RecursionError):
            LOG.warning("left out a frame that is not as the contract says")
            return
        if frame is None:
            if _is_gateway_error(text):
                self._requests.postpone(now_s)
        elif isinstance(frame, replies.MessageRejected) and self._may_be_the_session(frame):
            if self._socket is not None:
                await self._socket.close()  # the next connection has a new session
        else:
            self._note(frame, now_s)
            await self._act(self._reassembly.receive(frame, now_s))

    def _note(self, frame: Event | replies.Reply, now_s: float) -> None:
        """Give answers to those who wait for them."""
        match frame:
            case replies.MessageAccepted():
                run = self._run(frame.run_id)
                run.take(frame)
                self._requests.answered("agent_message", frame.client_message_id, run)
            case replies.CancelAccepted():
                self._requests.answered("cancel", frame.run_id, frame)
            case replies.AnswerPart():
                self._requests.answered("answer", frame.run_id, frame, frame.offset)
            case replies.Heartbeat():
                self._run(frame.run_id).heartbeat = frame
            case replies.MessageRejected():
                self._requests.refused(frame, now_s)

    def _may_be_the_session(self, refusal: replies.MessageRejected) -> bool:
        """Whether `expired` may mean the session: it does not where a new session got the same refusal."""
        named = refusal.client_message_id or refusal.run_id
        if refusal.code != "expired" or named in self._doubted:
            return False
        if named is not None:
            self._doubted.add(named)
        return True

    async def _act(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case Deliver(frame):
                    run = self._run(frame.run_id)
                    self._observer.delivered(frame)
                    run.take(frame)
                    if isinstance(frame, AgentStarted) and run.position is None:  # it overtook message_accepted
                        self._requests.answered("agent_message", frame.client_message_id, run)
                case AskResume(run_id, after_seq):
                    await self._write(_render("resume", run_id=run_id, after_seq=after_seq))
                case Lost(run_id, code):
                    self._run(run_id).end(RunLost(code, f"The events of run {run_id} cannot be had any more: {code}."))

    def _run(self, run_id: str) -> Run:
        run = self._runs.get(run_id)
        if run is None:
            run = self._runs[run_id] = Run(self, run_id)
            if self._on_run is not None:
                self._on_run(run)
        return run

    def _ended(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, ClientError):
            LOG.error("the client failed", exc_info=error)
            error = ConnectionLost(f"The client failed: {type(error).__name__}.")
        if error is not None:
            self._fail(error)

    def _fail(self, error: ClientError) -> None:
        self._gone = self._gone or error
        self._requests.fail(error)
        for run in self._runs.values():
            run.end(error)


def _now_s() -> float:
    return asyncio.get_running_loop().time()


def _render(kind: str, **fields: str | int) -> str:
    """Return a command as text, held against the server's own rules before it has to refuse it."""
    try:
        return codec.decode(json.dumps({"type": kind, **fields}, ensure_ascii=False)).to_json()
    except ProtocolViolation as violation:
        raise Rejected(violation.code, violation.message) from None


def _is_gateway_error(text: str) -> bool:
    value = json.loads(text)
    return isinstance(value, dict) and "type" not in value and "message" in value
