"""A model service of our own: a real HTTP server that speaks streaming chat completions, by script.

    async with ModelServer() as server:
        server.plan(says("Hello."), Reply(429, headers={"Retry-After": "1"}), stalls("Hel"))

Each request takes the next behaviour of the plan; what was asked is kept in `server.asked`.
Wire format: OpenAI API reference, "Chat Completions" (streaming).
"""

import asyncio
import json
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal, Self, TypeAlias

from aiohttp import web

Chunk: TypeAlias = dict[str, Any] | str
"""A chunk as an object, or a text to send as it is after `data: `, well-formed or not."""


@dataclass(frozen=True, slots=True)
class Stream:
    """Answers 200 and streams chunks.

    Attributes:
        ends: `done` says [DONE]; `closed` ends the body without; `cut` breaks the connection;
            `stall` falls silent until the client goes away.
        pause_s: before each chunk.
    """

    chunks: tuple[Chunk, ...]
    ends: Literal["done", "closed", "cut", "stall"] = "done"
    pause_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Reply:
    """Answers at once, with a body of JSON (or a text as it is) and no stream."""

    status: int
    body: Any = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class HangUp:
    """Breaks the connection instead of answering."""


@dataclass(frozen=True, slots=True)
class Silence:
    """Takes the request and answers nothing until the client goes away."""


Behaviour: TypeAlias = Stream | Reply | HangUp | Silence
Planned: TypeAlias = Behaviour | Callable[[dict[str, Any]], Behaviour]
"""A behaviour, or what chooses one by the request's body."""


def chunk(delta: Mapping[str, Any] | None = None, *, finish: str | None = None) -> Chunk:
    """Make a chunk of one choice."""
    return _envelope([{"index": 0, "delta": dict(delta or {}), "finish_reason": finish}])


def usage_chunk(input_tokens: int, output_tokens: int) -> Chunk:
    """Make the chunk without choices that reports the tokens of the whole answer."""
    total = input_tokens + output_tokens
    counts = {"prompt_tokens": input_tokens, "completion_tokens": output_tokens, "total_tokens": total}
    return _envelope([]) | {"usage": counts}


def text_chunks(text: str, pieces: int = 1) -> tuple[Chunk, ...]:
    """Make chunks of a text, the first one with the role and null content."""
    return (chunk({"role": "assistant", "content": None}), *(chunk({"content": piece}) for piece in _cut(text, pieces)))


def call_piece(index: int | None, call_id: str | None, name: str | None, arguments: str | None) -> Chunk:
    """Make a chunk with a piece of a tool call; what is None is left out, as careless servers do."""
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    piece = {key: value for key, value in (("index", index), ("id", call_id)) if value is not None}
    return chunk({"tool_calls": [piece | {"function": function}]})


def call_chunks(index: int, name: str, arguments: str, pieces: int = 1) -> tuple[Chunk, ...]:
    """Make chunks of one tool call: its id and name first, its arguments in pieces after."""
    tail = (call_piece(index, None, None, piece) for piece in _cut(arguments, pieces))
    return (call_piece(index, f"call_{index}", name, ""), *tail)


def says(text: str, *, pieces: int = 1, finish: str = "stop", usage: tuple[int, int] | None = None) -> Stream:
    """Answer with a text."""
    return Stream((*text_chunks(text, pieces), chunk(finish=finish), *((usage_chunk(*usage),) if usage else ())))


def calls(*wanted: tuple[str, str], text: str = "", pieces: int = 1) -> Stream:
    """Answer with tool calls, each a name and the text of its arguments; a text may go before them."""
    parts = [part for index, call in enumerate(wanted) for part in call_chunks(index, *call, pieces)]
    return Stream((*(text_chunks(text) if text else ()), *parts, chunk(finish="tool_calls")))


def refuses(text: str, *, after: str = "") -> Stream:
    """Answer with a refusal, after some text if told."""
    return Stream((*(text_chunks(after) if after else ()), chunk({"refusal": text}), chunk(finish="stop")))


def stalls(text: str) -> Stream:
    """Begin a text and fall silent."""
    return Stream(text_chunks(text), ends="stall")


def breaks(text: str) -> Stream:
    """Begin a text and break the connection."""
    return Stream(text_chunks(text), ends="cut")


def error(
    status: int, message: str = "no", *, code: str | None = None, headers: Mapping[str, str] | None = None
) -> Reply:
    """Answer with an error object."""
    return Reply(status, {"error": {"message": message, "type": "error", "code": code}}, headers or {})


@contextmanager
def refused_url() -> Iterator[str]:
    """Yield a base URL whose connections are refused: its port is taken, and nobody listens there."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}/v1"


class ModelServer:
    """The server; `async with` starts and stops it.

    Args:
        otherwise: what it does when the plan is used up; a 400 unless told, so that no client tries again.

    Attributes:
        asked: the body of each request, in order of arrival.
        headers: the headers of each request.
        left: set once a client went away before its answer was complete.
    """

    def __init__(self, otherwise: Planned | None = None) -> None:
        self.asked: list[dict[str, Any]] = []
        self.headers: list[Mapping[str, str]] = []
        self.left = asyncio.Event()
        self._plan: list[Planned] = []
        self._otherwise = otherwise or error(400, "nothing is planned")
        self._runner: web.AppRunner | None = None
        self._port = 0

    @property
    def base_url(self) -> str:
        """What a client is given as its base URL."""
        return f"http://127.0.0.1:{self._port}/v1"

    def plan(self, *behaviours: Planned) -> None:
        """Add what the next requests meet, in order."""
        self._plan.extend(behaviours)

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=16 * 1024 * 1024)
        app.router.add_post("/v1/chat/completions", self._serve)
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.asked.append(body)
        self.headers.append(request.headers)
        planned = self._plan.pop(0) if self._plan else self._otherwise
        try:
            return await _perform(planned(body) if callable(planned) else planned, request)
        except (asyncio.CancelledError, ConnectionError):
            self.left.set()
            raise


async def _perform(behaviour: Behaviour, request: web.Request) -> web.StreamResponse:
    if isinstance(behaviour, Reply):
        text = behaviour.body if isinstance(behaviour.body, str) else json.dumps(behaviour.body)
        headers = {"Content-Type": "application/json", **behaviour.headers}
        return web.Response(status=behaviour.status, text=text, headers=headers)
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    ends: str = "cut" if isinstance(behaviour, HangUp) else "stall"
    if isinstance(behaviour, Stream):
        ends = behaviour.ends
        await response.prepare(request)
        for sent in behaviour.chunks:
            await asyncio.sleep(behaviour.pause_s)
            await response.write(f"data: {sent if isinstance(sent, str) else json.dumps(sent)}\n\n".encode())
    if ends == "stall":
        await asyncio.Event().wait()  # until the client goes away, which cancels us
    if ends == "done":
        await response.write(b"data: [DONE]\n\n")
    if ends == "cut" and request.transport is not None:
        request.transport.abort()
    return response


def _envelope(choices: list[Any]) -> dict[str, Any]:
    return {"id": "x", "object": "chat.completion.chunk", "created": 0, "model": "m", "choices": choices}


def _cut(text: str, pieces: int) -> list[str]:
    size = -(-len(text) // pieces) or 1
    return [text[at : at + size] for at in range(0, len(text), size)]
