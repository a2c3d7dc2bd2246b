"""The asyncio client: sends messages, follows runs, and heals whatever happens to the connection.

async with PlaybyplayClient("http://127.0.0.1:8787") as client:
    run = await client.send("Analyze my database performance")
    async for event in run: ...
"""

import asyncio
import contextlib
import json
import logging
import os
import random
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Generic, Self, TypeVar
from urllib.parse import urlsplit

import aiohttp

from playbyplay.errors import PlaybyplayError, ProtocolViolation
from playbyplay.protocol import codec, commands, replies
from playbyplay.protocol.base import SUBPROTOCOL
from playbyplay.protocol.events import TERMINAL_TYPES, AgentStarted, ErrorEvent, Event, FinalResponse
from playbyplay_client.reassembly import PING_OPEN_S, Action, AskResume, Deliver, Lost, Reassembly

LOG = logging.getLogger("playbyplay_client")
_MAX_FRAME_BYTES = 256 * 1024  # ten times the contract's: a server in error is answered, not cut off
_WRITE_S = 2.0
_T = TypeVar("_T")


class ClientError(PlaybyplayError):
    """The root of what the client raises."""


class CannotConnect(ClientError):
    """There is no server to be had under this URL; one sentence says why."""


class ConnectionLost(ClientError):
    """The client was closed, or every attempt to connect again failed. Runs go on at the server."""


class Unanswered(ClientError):
    """A frame got no answer, however often it was sent; sending it again with the same id is safe."""


class CodedError(ClientError):
    """An error with a code of the contract and a safe sentence."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class Rejected(CodedError):
    """The server refused a frame, which changed nothing."""


class RunLost(CodedError):
    """The rest of a run's events cannot be had any more."""


class RunFailed(CodedError):
    """The run ended in `error`: there is no answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Durations in seconds, and how often something is tried.

    Attributes:
        tick_s: how often the timer looks for what is due.
        connect_s: the longest a handshake may take.
        answer_s: a frame without an answer is sent again after this.
        first_wait_s, last_wait_s: the back-off between connections, doubling, with full jitter.
        attempts: connections that may fail in a row.
        sends: how often one frame is sent at most, and ...
        retries: how many retryable refusals of it are borne.
        ping_factor: stretches the ping intervals; below 1 in tests.
    """

    tick_s: float = 0.1
    connect_s: float = 10.0
    answer_s: float = 5.0
    first_wait_s: float = 0.5
    last_wait_s: float = 20.0
    attempts: int = 12
    sends: int = 12
    retries: int = 5
    ping_factor: float = 1.0

    def wait_s(self, attempt: int) -> float:
        """Return the longest wait before an attempt, counted from 0."""
        return min(self.last_wait_s, self.first_wait_s * 2.0 ** min(attempt, 16))


class Feed(Generic[_T]):
    """A list that only grows; any number of readers follow it from its beginning to its end."""

    def __init__(self) -> None:
        self.items: list[_T] = []
        self._closed = False
        self._error: Exception | None = None
        self._changed = asyncio.Event()

    def append(self, item: _T) -> None:
        """Add an item."""
        self.items.append(item)
        self._wake()

    def close(self, error: Exception | None = None) -> None:
        """End it, once; with an error, readers get that after the last item."""
        if not self._closed:
            self._closed, self._error = True, error
            self._wake()

    async def __aiter__(self) -> AsyncIterator[_T]:
        at = 0
        while at < len(self.items) or not self._closed:
            if at < len(self.items):
                at += 1
                yield self.items[at - 1]
            else:
                await self._changed.wait()
        if self._error is not None:
            raise self._error

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


class Run:
    """One run: `async for event in run` yields its events once each, in order, and ends after the terminal.

    Attributes:
        thread_id, turn: where it belongs; None until a frame told.
        position: turns ahead of it when its message was accepted; None where no reply told that.
        duplicate: whether the message had been accepted before.
        run_input: the user's message, where the server told it.
        heartbeat: the last one.
    """

    def __init__(self, client: "PlaybyplayClient", run_id: str) -> None:
        self._client = client
        self.run_id = run_id
        self.thread_id: str | None = None
        self.turn: int | None = None
        self.position: int | None = None
        self.duplicate = False
        self.run_input: replies.RunInput | None = None
        self.heartbeat: replies.Heartbeat | None = None
        self.events: Feed[Event] = Feed()
        self.pieces: Feed[replies.ResponseDelta] = Feed()

    def __aiter__(self) -> AsyncIterator[Event]:
        """Yield the events; raises RunLost or ConnectionLost where the rest cannot be had."""
        return self.events.__aiter__()

    def deltas(self) -> AsyncIterator[replies.ResponseDelta]:
        """Yield the answer as it is written. Hints: a higher `draft` starts over, `final_response` is the truth."""
        return self.pieces.__aiter__()

    async def result(self) -> FinalResponse | ErrorEvent:
        """Wait for the terminal and return it; raises RunLost or ConnectionLost where it cannot be had."""
        last: Event | None = None
        async for event in self:
            last = event
        assert isinstance(last, FinalResponse | ErrorEvent)  # noqa: S101 - only a terminal or an error ends the feed
        return last

    async def answer(self) -> str:
        """Return the whole answer, however long.

        Raises:
            RunFailed: there is none.
            RunLost, ConnectionLost, Rejected, Unanswered: it cannot be had.
        """
        final = await self.result()
        if isinstance(final, ErrorEvent):
            raise RunFailed(final.code, final.message)
        text = final.content.encode()
        while len(text) < (final.full_bytes or 0):
            part: replies.AnswerPart = await self._client.ask("answer", self.run_id, offset=len(text))
            if not part.text:
                raise RunLost("not_found", "The server does not hold the rest of the answer.")
            text += part.text.encode()
        return text.decode()

    async def cancel(self) -> None:
        """Ask that the run end, and return once that wish is durable; the terminal comes as an event.

        Raises:
            Rejected, Unanswered, ConnectionLost: the wish did not get through.
        """
        await self._client.ask("cancel", self.run_id)

    def take(self, frame: Event | replies.RunInput | replies.ResponseDelta | replies.MessageAccepted) -> None:
        """Take in the next frame, as the client's reassembly orders them."""
        self.thread_id = frame.thread_id
        if isinstance(frame, replies.ResponseDelta):
            self.pieces.append(frame)
            return
        self.turn = frame.turn
        if isinstance(frame, replies.RunInput):
            self.run_input = frame
        elif isinstance(frame, replies.MessageAccepted):
            self.position, self.duplicate = frame.position, frame.duplicate
        else:
            self.events.append(frame)
            if frame.type in TERMINAL_TYPES:
                self.end(None)

    def end(self, error: Exception | None) -> None:
        """End what readers follow."""
        self.events.close(error)
        self.pieces.close(error)


@dataclass(slots=True)
class _Request:
    """A command that waits for its answer; `named` is the id that both carry."""

    kind: str
    named: str
    offset: str | int | None
    text: str
    answer: asyncio.Future[Any]
    due_s: float = 0.0
    sends: int = 0
    refusals: int = 0


class _Requests:
    """The commands that wait for an answer, and when each is to be sent (again)."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self.waiting: list[_Request] = []

    def add(self, kind: str, named: str, offset: str | int | None, text: str) -> _Request:
        """Take in a command; two messages under one id cannot be told apart, so the second is refused."""
        if any(one.kind == kind == "agent_message" and one.named == named and one.text != text for one in self.waiting):
            raise Rejected("conflict", "Another message is being sent under this id.")
        request = _Request(kind, named, offset, text, asyncio.get_running_loop().create_future())
        self.waiting.append(request)
        return request

    def due(self, now_s: float) -> list[str]:
        """Return what is to be sent now; a command that was sent too often gets no further."""
        texts = []
        for request in self.waiting:
            if request.answer.done() or now_s < request.due_s:
                continue
            if request.sends < self._pace.sends:
                request.sends += 1
                request.due_s = now_s + self._pace.answer_s
                texts.append(request.text)
            else:
                request.answer.set_exception(Unanswered(f"The server did not answer {request.kind} {request.named}."))
        return texts

    def send_again(self) -> None:
        """Make everything due: the connection is new."""
        for request in self.waiting:
            request.due_s = 0.0

    def postpone(self, now_s: float) -> None:
        """Bear an error of the gateway, which does not say whose it is: everything is sent again, soon."""
        for request in self.waiting:
            request.due_s = now_s + self._pace.wait_s(request.sends - 1)

    def answered(self, kind: str, named: str | None, answer: object, offset: int | None = None) -> None:
        """Give an answer to who waits for it."""
        for request in self.waiting:
            if (request.kind, request.named, request.offset) == (kind, named, offset) and not request.answer.done():
                request.answer.set_result(answer)

    def refused(self, refusal: replies.MessageRejected, now_s: float) -> None:
        """Bear a refusal, if it may be borne; one that names nothing may be of any command."""
        for request in self.waiting:
            if request.answer.done() or (refusal.client_message_id or refusal.run_id) not in {None, request.named}:
                continue
            request.refusals += 1
            if refusal.retryable and request.refusals <= self._pace.retries:
                wait_s = self._pace.wait_s(request.refusals - 1)
                request.due_s = now_s + max(wait_s, (refusal.retry_after_ms or 0) / 1000)
            else:
                request.answer.set_exception(Rejected(refusal.code, refusal.message))

    def fail(self, error: Exception) -> None:
        """Give up."""
        for request in self.waiting:
            if not request.answer.done():
                request.answer.set_exception(error)


class _Dialer:
    """Opens connections to one server, each with its own ticket where one is needed."""

    def __init__(
        self, url: str, user: str | None, origin: str | None, ticket: str | Callable[[], Awaitable[str]] | None
    ) -> None:
        self._url, self._ticket_url = addresses(url)
        self._user, self._origin, self._ticket = user, origin, ticket

    async def open(self, http: aiohttp.ClientSession, timeout_s: float) -> aiohttp.ClientWebSocketResponse:
        """Return a new connection.

        Raises:
            CannotConnect: one sentence says why.
        """
        try:
            async with asyncio.timeout(timeout_s):
                ticket = await self._new_ticket(http)
                socket = await http.ws_connect(
                    self._url,
                    protocols=(SUBPROTOCOL,) if ticket is None else (SUBPROTOCOL, f"ticket.{ticket}"),
                    origin=self._origin,
                    timeout=aiohttp.ClientWSTimeout(ws_close=1.0),
                    max_msg_size=_MAX_FRAME_BYTES,
                )
        except aiohttp.WSServerHandshakeError as refusal:
            raise CannotConnect(f"{self._url} refused the connection (HTTP {refusal.status}).") from None
        except TimeoutError:
            raise CannotConnect(f"{self._url} did not answer within {timeout_s:g} s.") from None
        except OSError as failure:
            number = failure.errno or 0
            reason = os.strerror(number) if number > 0 else failure.strerror or str(failure)
            raise CannotConnect(f"Cannot reach {self._url}: {reason}. Is the server running?") from None
        except (aiohttp.ClientError, ValueError) as failure:
            reason = str(failure) or type(failure).__name__
            raise CannotConnect(f"What answers at {self._url} is not a Playbyplay server: {reason}.") from None
        if socket.protocol != SUBPROTOCOL:
            await socket.close()
            raise CannotConnect(f"What answers at {self._url} does not speak {SUBPROTOCOL}.")
        return socket

    async def _new_ticket(self, http: aiohttp.ClientSession) -> str | None:
        if self._ticket is not None:
            return self._ticket if isinstance(self._ticket, str) else await self._ticket()
        if self._user is None and self._origin is None:
            return None
        body = {"user": self._user} if self._user is not None else None
        headers = {"Origin": self._origin} if self._origin is not None else None
        async with http.post(self._ticket_url, json=body, headers=headers) as response:
            answer = json.loads(await response.text())
        if not isinstance(answer, dict) or not isinstance(answer.get("ticket"), str):
            said = answer.get("message") if isinstance(answer, dict) else None
            raise CannotConnect(f"{self._ticket_url} gave no ticket (HTTP {response.status}): {said}")
        return str(answer["ticket"])


class PlaybyplayClient:
    """One user's connection to a server, renewed whenever it breaks.

    Args:
        url: `http://host:port`, or the socket's own `ws://host:port/ws`.
        user: whom to ask a ticket for, where the server lets users be named.
        origin: the Origin to claim, as a page would; with it or with a user, `POST /ticket` gives the tickets.
        ticket: a ticket, good for one connection, or what fetches a new one for each.
        pace: durations.
        chance: returns a random number of [0, 1), for the jitter.
        on_run: called with each run when it is first heard of, whoever sent its message.

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
        pace: Pace | None = None,
        chance: Callable[[], float] = random.random,
        on_run: Callable[[Run], None] | None = None,
    ) -> None:
        self._dialer = _Dialer(url, user, origin, ticket)
        self._pace, self._chance, self._on_run = pace or Pace(), chance, on_run
        self._reassembly = Reassembly()
        self._requests = _Requests(self._pace)
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
        actions = self._reassembly.follow(run_id, after_seq, time.monotonic())
        if actions:
            self._runs.pop(run_id, None)  # it was lost; this is a new try
        run = self._run(run_id)
        await self._act(actions)
        return run

    def forget(self, run: Run) -> None:
        """Let go of a run that is over, which is otherwise remembered as long as the client lives."""
        self._runs.pop(run.run_id, None)
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
                    await self._take(message.data)
            self._socket = None
            await socket.close()
            socket = await self._open_again()

    async def _begin(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        """Say on a new connection what the one before may not have brought over."""
        self._socket, self._silent_since_s = socket, None
        await self._act(self._reassembly.reconnected(time.monotonic()))
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
            socket, now_s = self._socket, time.monotonic()
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
        self._pinged_s = time.monotonic()
        self._silent_since_s = self._silent_since_s or self._pinged_s
        await self._write(commands.Ping(cursors=self._reassembly.cursors() or None).to_json())

    async def _send_due(self) -> None:
        if self._socket is not None:
            for text in self._requests.due(time.monotonic()):
                await self._write(text)

    async def _write(self, text: str) -> None:
        """Write a frame, if there is a connection; what is lost is asked again."""
        if self._socket is not None:
            with contextlib.suppress(aiohttp.ClientError, OSError):  # a time-out is an OSError
                async with asyncio.timeout(_WRITE_S):
                    await self._socket.send_str(text)

    async def _take(self, text: str) -> None:
        now_s = time.monotonic()
        try:
            frame = codec.decode_server_frame(text)
        except (ValueError, RecursionError):
            LOG.warning("left out a frame that is not as the contract says")
            return
        match frame:
            case None:
                if _is_gateway_error(text):
                    self._requests.postpone(now_s)
                return
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
            case replies.MessageRejected(code="expired") if self._may_be_the_session(frame):
                if self._socket is not None:
                    await self._socket.close()  # the next connection has a new session
                return
            case replies.MessageRejected():
                self._requests.refused(frame, now_s)
        await self._act(self._reassembly.receive(frame, now_s))

    def _may_be_the_session(self, refusal: replies.MessageRejected) -> bool:
        """Tell a session that is over from a run whose events are: the same refusal under a new session is the run's."""
        named = refusal.client_message_id or refusal.run_id
        if named in self._doubted:
            return False
        if named is not None:
            self._doubted.add(named)
        return True

    async def _act(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case Deliver(frame):
                    run = self._run(frame.run_id)
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


def addresses(url: str) -> tuple[str, str]:
    """Return the URLs of the socket and of the ticket endpoint beside it.

    Raises:
        CannotConnect: this is not the URL of a server.
    """
    try:
        parts = urlsplit(url)
        known = parts.scheme in {"http", "https", "ws", "wss"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        known = False
    if not known:
        raise CannotConnect(f"Not the URL of a server: {url!r}. It looks like ws://127.0.0.1:8787/ws.")
    secure = "s" if parts.scheme in {"https", "wss"} else ""
    path = parts.path.rstrip("/")
    if parts.scheme.startswith("http") and not path.endswith("/ws"):
        path += "/ws"
    socket = parts._replace(scheme=f"ws{secure}", path=path or "/ws", fragment="")
    ticket = socket._replace(scheme=f"http{secure}", path=socket.path.rpartition("/")[0] + "/ticket", query="")
    return socket.geturl(), ticket.geturl()


def _render(kind: str, **fields: str | int) -> str:
    """Return a command as text, held against the server's own rules before it has to refuse it."""
    try:
        return codec.decode(json.dumps({"type": kind, **fields}, ensure_ascii=False)).to_json()
    except ProtocolViolation as violation:
        raise Rejected(violation.code, violation.message) from None


def _is_gateway_error(text: str) -> bool:
    value = json.loads(text)
    return isinstance(value, dict) and "type" not in value and "message" in value
