"""The model behind OpenAI's chat completions, or behind any server that speaks them.

The only module that imports `openai`. The SDK sends and parses; retries, time-outs and limits are
ours. Nothing the service says in an error leaves this module, neither to the log nor to the user.
Wire format: OpenAI API reference, "Chat Completions" (create a completion, streaming).
"""

import asyncio
import json
import re
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any

import openai

from agent_runner.model import ModelRequest, ModelResponse, OnText, RequestedCall
from playbyplay.domain.derivation import AgentMessage, Message, UserMessage
from playbyplay.errors import RunError, TerminalCode
from playbyplay.ports import Ids, Log
from playbyplay.protocol.base import MAX_ANSWER_BYTES, MAX_INTEGER
from playbyplay.protocol.events import Usage

_TAIL_S = 2.0  # the usage follows the finish at once; a server that keeps the line open is not waited for
_TASK = {"type": "object", "properties": {"task": {"type": "string"}}, "required": ["task"]}
_SIGNS = re.compile(  # how services say, in a code, a type or a sentence, that it is no use to ask again
    r"(?i)(?P<context>context[ _-]?(?:length|window|size)|(?:prompt|input) is too long|input token count)"
    r"|(?P<refusal>content_filter|content_policy_violation)|(?P<rejected>insufficient_quota)"
)
_UNAVAILABLE: tuple[TerminalCode, str] = ("model_unavailable", "The model is not available now. Please try again.")
_FINAL: Mapping[str, tuple[TerminalCode, str]] = {  # reasons that another attempt would meet again
    "context": ("context_too_long", "The conversation has become too long for the model."),
    "refusal": ("model_refused", "The model declined to answer this."),
    "rejected": ("model_unavailable", "The model service refused our request."),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAISettings:
    """Which model to ask, and with how much patience; the total time-out is that of one attempt.

    Attributes:
        api_key: never empty; a server that wants none takes any word.
        base_url: up to and with `/v1`; None leaves it to the SDK (`OPENAI_BASE_URL`, else OpenAI).
        idle_timeout_s: the longest wait for a chunk, the first one included.
        backoff_base_s: the longest wait after attempt 1; doubles with each further one, up to `backoff_cap_s`.
        retry_budget_s: the most that all waits of one request may add up to.
    """

    api_key: str = field(repr=False)
    model: str
    base_url: str | None = None
    idle_timeout_s: float = 20.0
    total_timeout_s: float = 120.0
    max_attempts: int = 4
    backoff_base_s: float = 0.5
    backoff_cap_s: float = 8.0
    retry_budget_s: float = 30.0


class _Failure(Exception):
    """An attempt failed: why, in a word that is safe to log, and how long the service asks us to wait."""

    def __init__(self, reason: str, wait_s: float = 0.0) -> None:
        super().__init__(reason)
        self.reason, self.wait_s = reason, wait_s


class OpenAIModel:
    """A ModelClient. Before another attempt it waits a random time below a doubling bound (full jitter).

    If the service asks for a longer wait, it waits as long. `model_retried` names the attempt that failed.
    """

    def __init__(self, settings: OpenAISettings, *, ids: Ids, log: Log) -> None:
        self.name, self._settings, self._ids, self._log = settings.model, settings, ids, log
        self._client: openai.AsyncOpenAI | None = None

    async def close(self) -> None:
        """Close the connections; there is no request after this."""
        if self._client is not None:
            await self._client.close()

    async def respond(self, request: ModelRequest, on_text: OnText) -> ModelResponse:
        """Answer one request; an answer above 256 KiB is cut there and finished by `length`.

        Raises:
            RunError: `model_unavailable`, `model_refused` or `context_too_long`.
        """
        body, settings, attempt, waited_s = request_body(self.name, request), self._settings, 1, 0.0
        while True:
            try:
                return await self._attempt(body, attempt, on_text)
            except _Failure as failure:
                bound_s = min(settings.backoff_cap_s, settings.backoff_base_s * 2 ** (attempt - 1))
                wait_s = max(failure.wait_s, self._ids.fraction() * bound_s)
                spent = attempt >= settings.max_attempts or waited_s + wait_s > settings.retry_budget_s
                if spent or failure.reason in _FINAL:
                    raise RunError(*_FINAL.get(failure.reason, _UNAVAILABLE)) from failure
                self._log.event("model_retried", attempt=attempt, reason=failure.reason, wait_ms=round(wait_s * 1000))
            await asyncio.sleep(wait_s)
            attempt, waited_s = attempt + 1, waited_s + wait_s

    async def _attempt(self, body: dict[str, Any], attempt: int, on_text: OnText) -> ModelResponse:
        answer, clock, total_s = _Answer(), asyncio.get_running_loop().time, self._settings.total_timeout_s
        if self._client is None:
            key, url = self._settings.api_key, self._settings.base_url
            self._client = openai.AsyncOpenAI(api_key=key, base_url=url, max_retries=0, timeout=total_s)
        create = self._client.chat.completions.create  # imports modules the first time: no part of the wait
        deadline = clock() + total_s
        async with await self._in_time(create(stream=True, **body), deadline) as stream:
            try:
                while not answer.full and (chunk := await self._in_time(anext(stream, None), deadline)) is not None:
                    if piece := answer.take(chunk):
                        await on_text(attempt, piece)
                    deadline = deadline if answer.finish is None else min(deadline, clock() + _TAIL_S)
            except _Failure as failure:
                if answer.finish is None or failure.reason in _FINAL:
                    raise  # otherwise nothing is missing but the usage
        return answer.response()

    async def _in_time(self, wanted: Awaitable[Any], deadline: float) -> Any:  # noqa: ANN401 - stream or chunk
        idle = asyncio.get_running_loop().time() + self._settings.idle_timeout_s
        try:
            async with asyncio.timeout_at(min(idle, deadline)):
                return await wanted
        except TimeoutError:
            failure = _Failure("stalled" if idle < deadline else "timed_out")
        except (openai.APIError, OSError, ValueError) as error:
            failure = _failure_of(error)
        raise failure  # out here, so that no exception carries what the service said


@dataclass(slots=True)
class _Answer:
    """An answer as it streams in; tolerant of all that compatible servers leave out."""

    said: list[str] = field(default_factory=list)
    calls: list[RequestedCall] = field(default_factory=list)
    keys: list[tuple[int | None, str | None]] = field(default_factory=list)  # index and id of each call
    finish: str | None = None
    usage: Usage = field(default_factory=Usage)
    room: int = MAX_ANSWER_BYTES
    full: bool = False

    def take(self, chunk: object) -> str:
        """Take a chunk in; return the text it adds. A refusal fails, whatever was said before it."""
        if (usage := getattr(chunk, "usage", None)) is not None:
            counts = (getattr(usage, "prompt_tokens", 0), getattr(usage, "completion_tokens", 0))
            sane = [count if type(count) is int and 0 <= count <= MAX_INTEGER else 0 for count in counts]
            self.usage = Usage(input_tokens=sane[0], output_tokens=sane[1])
        choice = next(iter(getattr(chunk, "choices", None) or ()), None)
        delta, finish = getattr(choice, "delta", None), getattr(choice, "finish_reason", None)
        if finish == "content_filter" or getattr(delta, "refusal", None):
            raise _Failure("refusal")
        self.finish = finish or self.finish
        piece = self._fit(getattr(delta, "content", None))
        self.said.append(piece)
        for part in getattr(delta, "tool_calls", None) or ():
            self._add(part)
        return piece

    def response(self) -> ModelResponse:
        """Return the whole answer, or fail: it broke off, or says nothing (cut at its first word: a full context)."""
        cut, text = self.full or self.finish == "length", "".join(self.said)
        if not cut and self.finish in (None, "error"):
            raise _Failure("cut_off")
        if not all(call.tool_name for call in self.calls):
            raise _Failure("nameless_call")
        if not text.strip() and not self.calls:
            raise _Failure("context" if cut else "empty")
        return ModelResponse(text, tuple(self.calls), "length" if cut else "stop", self.usage)

    def _add(self, part: object) -> None:
        index, call_id, function = (getattr(part, key, None) for key in ("index", "id", "function"))
        name, arguments = (self._fit(getattr(function, key, None)) for key in ("name", "arguments"))
        # A piece goes on with the last call of its index, or with the last of all. Only a name begins another:
        # some servers number every call 0, so a new id tells them apart; others make up an id for each piece.
        at = max((at for at, key in enumerate(self.keys) if index is None or key[0] == index), default=None)
        if at is not None and not (name and (call_id != self.keys[at][1] if call_id else index is None)):
            known, so_far = self.calls[at].tool_name, self.calls[at].arguments
            self.calls[at] = RequestedCall(known if name == known else known + name, so_far + arguments)
        elif name or arguments:
            self.keys.append((index, call_id))
            self.calls.append(RequestedCall(name, arguments))

    def _fit(self, piece: object) -> str:
        text = piece if isinstance(piece, str) else ""
        raw = text.encode(errors="surrogatepass")
        if len(raw) > self.room:
            self.full, text = True, raw[: self.room].decode(errors="ignore")
        self.room = max(0, self.room - len(raw))
        return text


def request_body(model: str, request: ModelRequest) -> dict[str, Any]:
    """Return the body of a request, `stream` aside. A delegate is a function of one string; no tools, no `tools`."""
    offered = [(tool.name, tool.description, dict(tool.schema)) for tool in request.tools]
    offered += [(delegate.tool_name, delegate.description, _TASK) for delegate in request.delegates]
    functions = [{"name": name, "description": text, "parameters": schema} for name, text, schema in offered]
    return {
        "model": model,
        "messages": [{"role": "system", "content": request.agent.instructions}, *map(_message, request.messages)],
        "stream_options": {"include_usage": True},
        **({"tools": [{"type": "function", "function": function} for function in functions]} if functions else {}),
    }


def _message(message: Message) -> dict[str, Any]:
    if isinstance(message, UserMessage):
        return {"role": "user", "content": message.content}
    if not isinstance(message, AgentMessage):
        return {"role": "tool", "tool_call_id": message.call_id, "content": message.content}
    calls = [(call.call_id, {"name": call.tool_name, "arguments": _sent(call.arguments)}) for call in message.calls]
    tool_calls = [{"id": call_id, "type": "function", "function": function} for call_id, function in calls]
    return {"role": "assistant", "content": message.content or None} | ({"tool_calls": tool_calls} if calls else {})


def _sent(arguments: str) -> str:
    # Some servers refuse a conversation with a malformed call in it; the model reads of that in its result.
    try:
        return arguments if isinstance(json.loads(arguments), dict) else "{}"
    except (ValueError, RecursionError):
        return "{}"


def _failure_of(error: Exception) -> _Failure:
    if not isinstance(error, openai.APIError) or isinstance(error, openai.APIConnectionError):
        return _Failure("garbled" if isinstance(error, ValueError) else "connection")
    said = error.body if isinstance(error.body, str) else error.message
    if (sign := _SIGNS.search(f"{error.code} {error.type} {said}")) and sign.lastgroup:
        return _Failure(sign.lastgroup)
    if not isinstance(error, openai.APIStatusError):
        return _Failure("stream_error")
    passing = error.status_code in (408, 409, 429, *range(500, 600))
    return _Failure(f"http_{error.status_code}" if passing else "rejected", _asked_wait_s(error.response.headers))


def _asked_wait_s(headers: Mapping[str, str]) -> float:
    # `retry-after-ms` is OpenAI's; `Retry-After` is seconds or a date (RFC 9110, 10.2.3). A date is
    # read against the answer's own `Date`, so that the clocks need not agree.
    for name, unit in (("retry-after-ms", 1000), ("retry-after", 1)):
        if re.fullmatch(r"\d{1,15}(\.\d*)?", value := headers.get(name, "")):
            return float(value) / unit
    try:
        until, now = parsedate_to_datetime(headers["retry-after"]), parsedate_to_datetime(headers["date"])
        return (until - now).total_seconds()
    except (KeyError, ValueError, TypeError):
        return 0.0
