"""The model client against a real HTTP server: what it sends, what it makes of answers, how it retries."""

import asyncio
import traceback
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from agent_runner.agent import Agent, tool
from agent_runner.model import Delegate, ModelRequest, ModelResponse, RequestedCall
from agent_runner.openai_model import OpenAIModel, OpenAISettings, _asked_wait_s
from playbyplay.adapters.system import SystemIds
from playbyplay.domain.derivation import AgentMessage, ToolMessage, UserMessage
from playbyplay.domain.journal import ToolCall
from playbyplay.errors import RunError
from playbyplay.protocol.base import MAX_ANSWER_BYTES
from playbyplay.protocol.events import Usage
from tests.fakes import model_server as fake

KEY, SECRET, CONTEXT = "sk-very-secret", "the quick brown fox", "This model's maximum context length is 10 tokens."
QUESTION = ModelRequest(Agent("helper", "Helps.", "You help."), (), (), (UserMessage(SECRET),))
HELLO, HEL = fake.says("Hello."), fake.text_chunks("Hel")


@dataclass
class Desk(SystemIds):
    """A model at a server of its own, with all it lets out: its log lines and its streamed text."""

    server: fake.ModelServer
    jitter: float = 0.0
    ear: Callable[[], object] = list
    models: list[OpenAIModel] = field(default_factory=list)
    logged: list[dict[str, Any]] = field(default_factory=list)
    said: list[tuple[int, str]] = field(default_factory=list)

    def fraction(self) -> float:
        return self.jitter

    def event(self, name: str, **fields: str | float | bool | None) -> None:
        self.logged.append({"event": name, **fields})

    async def hear(self, attempt: int, piece: str) -> None:
        self.said.append((attempt, piece))
        self.ear()

    async def ask(self, *planned: fake.Planned, request: ModelRequest = QUESTION, **patience: Any) -> ModelResponse:
        self.server.plan(*planned)
        settings = {"api_key": KEY, "model": "m-1", "base_url": self.server.base_url} | patience
        model = OpenAIModel(OpenAISettings(**settings), ids=self, log=self)
        self.models.append(model)
        return await model.respond(request, self.hear)

    async def fail(self, *planned: fake.Planned, **patience: Any) -> RunError:
        with pytest.raises(RunError) as raised:
            await self.ask(*planned, **patience)
        return raised.value


@pytest.fixture
async def desk(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Desk]:
    monkeypatch.setenv("NO_PROXY", "*")
    async with fake.ModelServer() as server:
        yield (desk := Desk(server))
        for model in desk.models:
            await model.close()


@tool(semantics="pure", running="Adding")
def add(left: int) -> int:
    """Add one."""
    return left + 1


async def test_the_request_is_the_documented_one(desk: Desk) -> None:
    """Instructions, messages, tools and delegates become a streaming chat completion; no tools, no parameter."""
    good, bad = (ToolCall(call_id=it, tool_name="add", arguments=it) for it in ('{"left":1}', "{"))
    said = (AgentMessage("", (good, bad)), ToolMessage("{", "add", "2"), AgentMessage("two"), UserMessage("ok"))
    await desk.ask(HELLO, request=ModelRequest(QUESTION.agent, (add,), (Delegate("ask_dba", "dba", "Knows."),), said))
    body = desk.server.asked[0]
    assert desk.server.headers[0]["Authorization"] == f"Bearer {KEY}"
    assert (body["model"], body["stream"], body["stream_options"]) == ("m-1", True, {"include_usage": True})
    sent = [(good.call_id, '{"left":1}'), (bad.call_id, "{}")]  # a malformed call would spoil the whole request
    calls = [{"id": at, "type": "function", "function": {"name": "add", "arguments": text}} for at, text in sent]
    assert body["messages"] == [
        {"role": "system", "content": "You help."},
        {"role": "assistant", "content": None, "tool_calls": calls},
        {"role": "tool", "tool_call_id": "{", "content": "2"},
        {"role": "assistant", "content": "two"},
        {"role": "user", "content": "ok"},
    ]
    task = {"type": "object", "properties": {"task": {"type": "string"}}, "required": ["task"]}
    assert body["tools"] == [
        {"type": "function", "function": {"name": name, "description": description, "parameters": schema}}
        for name, description, schema in (("add", "Add one.", add.schema), ("ask_dba", "Knows.", task))
    ]
    await desk.ask(HELLO)
    assert "tools" not in desk.server.asked[1]


async def test_an_answer_is_put_together(desk: Desk) -> None:
    """Text is passed on as it comes, tokens are counted, calls are whole and just as the model wrote them."""
    answer = await desk.ask(fake.says("Hello you.", pieces=5, usage=(12, 3)))
    assert answer == ModelResponse("Hello you.", usage=Usage(input_tokens=12, output_tokens=3))
    assert desk.said == [(1, piece) for piece in ("He", "ll", "o ", "yo", "u.")]
    wanted = (("add", '{"left": 1}'), ("no_such_tool", "{}"), ("add", '{"left": '))
    answer = await desk.ask(fake.calls(*wanted, text="Let me see.", pieces=4))
    assert answer == ModelResponse("Let me see.", tuple(RequestedCall(*call) for call in wanted))


async def test_odd_chunks_are_tolerated(desk: Desk) -> None:
    """Chunks without choices, delta, content, token counts or anything at all do no harm."""
    odd: tuple[fake.Chunk, ...] = ({}, {"choices": None}, {"choices": [{}]}, {"choices": [{"delta": None}]}, "[1]")
    usage = {"choices": [], "usage": {"prompt_tokens": None, "completion_tokens": 4}}
    empty_call = fake.chunk({"tool_calls": [{"index": 0, "function": None}]})
    chunks = (*odd, *fake.text_chunks("Hi."), empty_call, fake.chunk(finish="stop"), *odd, usage)
    assert await desk.ask(fake.Stream(chunks)) == ModelResponse("Hi.", usage=Usage(output_tokens=4))


@pytest.mark.parametrize(
    "parts",
    [
        ["0 x a {", "1 y b [", "0 - - }", "1 - - ]"],  # interleaved
        ["0 x a {}", "0 y b []"],  # one index for all
        ["0 x a {", "0 x2 - }", "1 y b [", "1 y2 - ]"],  # an id for each piece
        ["0 x a {", "- - - }", "- y b [", "- - - ]"],  # no index, or not in each piece
        ["- - a {", "- - - }", "- - b []"],  # neither index nor id
        ["0 x a {", "0 x a }", "1 y - [", "1 y b ]"],  # the name in each piece, or late
    ],
)
async def test_calls_of_compatible_servers(desk: Desk, parts: list[str]) -> None:
    """However a server numbers the pieces (index, id, name, arguments), two calls come out as two."""
    written: Any = [[{"-": None, "0": 0, "1": 1}.get(word, word) for word in part.split(" ")] for part in parts]
    chunks = (*(fake.call_piece(*words) for words in written), fake.chunk(finish="tool_calls"))
    answer = await desk.ask(fake.Stream(chunks))
    assert answer.calls == (RequestedCall("a", "{}"), RequestedCall("b", "[]"))


async def test_a_cut_answer(desk: Desk) -> None:
    """Half an answer is one; without a word it met a full context. Reading stops at 256 KiB, between characters."""
    assert await desk.ask(fake.says("Half", finish="length")) == ModelResponse("Half", finish_reason="length")
    assert (await desk.fail(fake.says("", finish="length"))).code == "context_too_long"
    text = "x" + "ä" * MAX_ANSWER_BYTES
    answer = await desk.ask(fake.stalls(text))
    assert answer == ModelResponse(text[: MAX_ANSWER_BYTES // 2], finish_reason="length")
    assert desk.said[1:] == [(1, answer.text)]
    await asyncio.wait_for(desk.server.left.wait(), 5)
    answer = await desk.ask(fake.calls(("add", text)))
    assert (answer.finish_reason, len(answer.calls[0].arguments.encode())) == ("length", MAX_ANSWER_BYTES - 3)


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        *((fake.error(status), f"http_{status}") for status in (408, 409, 429, 500, 502, 503, 504)),
        *((broken, "connection") for broken in (fake.HangUp(), fake.breaks("Hel"))),
        (fake.Stream(HEL, ends="closed"), "cut_off"),
        (fake.Stream((*HEL, fake.chunk(finish="error"))), "cut_off"),
        (fake.Stream((*HEL, '{"id": ')), "garbled"),
        (fake.Stream((*HEL, {"error": {"message": "oh", "code": 502}})), "stream_error"),
        (fake.Reply(200, {"choices": []}), "cut_off"),
        (fake.says(""), "empty"),
        (fake.calls(("", "{}")), "nameless_call"),
        *((broken, "stalled") for broken in (fake.stalls("Hel"), fake.Silence())),
        (fake.Stream(HEL * 200, pause_s=0.01), "timed_out"),
    ],
)
async def test_a_passing_failure_is_tried_again(desk: Desk, broken: fake.Behaviour, reason: str) -> None:
    """The next attempt starts over under its own number, and the log says why."""
    patience: Any = {"stalled": {"idle_timeout_s": 0.25}, "timed_out": {"total_timeout_s": 0.25}}.get(reason, {})
    assert (await desk.ask(broken, HELLO, **patience)).text == "Hello."
    assert desk.said[-1] == (2, "Hello.")
    assert set(desk.said[:-1]) <= {(1, "Hel")}
    assert desk.logged == [{"event": "model_retried", "attempt": 1, "reason": reason, "wait_ms": 0}]


@pytest.mark.parametrize(
    ("broken", "code"),
    [
        (fake.error(400, code="context_length_exceeded"), "context_too_long"),
        (fake.error(400, CONTEXT), "context_too_long"),
        (fake.Reply(400, {"error": CONTEXT}), "context_too_long"),
        (fake.Stream(({"error": {"message": CONTEXT}},)), "context_too_long"),
        *((fake.error(status), "model_unavailable") for status in (400, 401, 403, 404, 422)),
        (fake.error(429, code="insufficient_quota"), "model_unavailable"),
        (fake.error(400, code="content_filter"), "model_refused"),
        (fake.refuses("No.", after="Well, "), "model_refused"),
        (fake.says("Well, ", finish="content_filter"), "model_refused"),
    ],
)
async def test_a_lasting_failure_is_not_tried_again(desk: Desk, broken: fake.Behaviour, code: str) -> None:
    """What another attempt would meet again ends the run at once; a refusal wins over the text before it."""
    assert (await desk.fail(broken)).code == code
    assert (len(desk.server.asked), desk.logged) == (1, [])


@pytest.mark.parametrize("ends", ["cut", "stall", "closed"])
async def test_a_finished_answer_needs_no_clean_end(desk: Desk, ends: Any) -> None:
    """After the finish nothing is missing but the usage, so nothing is asked again."""
    finished = fake.Stream(HELLO.chunks, ends=ends)
    assert (await desk.ask(finished, idle_timeout_s=0.25), desk.logged) == (ModelResponse("Hello."), [])


async def test_attempts_run_out(desk: Desk) -> None:
    """After the last attempt, or when the waits would outgrow their budget, the run fails."""
    desk.jitter, patience = 0.5, {"backoff_base_s": 0.02, "backoff_cap_s": 0.05}
    with fake.refused_url() as url:
        assert (await desk.fail(base_url=url, **patience)).code == "model_unavailable"
    waits = [(line["attempt"], line["reason"], line["wait_ms"]) for line in desk.logged]
    assert waits == [(1, "connection", 10), (2, "connection", 20), (3, "connection", 25)]
    assert (await desk.fail(*[fake.error(500)] * 9, **patience, retry_budget_s=0.025)).code == "model_unavailable"
    assert len(desk.server.asked) == 2


async def test_the_service_names_the_wait(desk: Desk) -> None:
    """In (milli)seconds, or as a date beside its own; beyond the budget the run fails at once."""
    waits = ({"Retry-After": "0.04"}, {"retry-after-ms": "30", "Retry-After": "9"}, {"Retry-After": "soon"})
    await desk.ask(*(fake.error(429, headers=headers) for headers in waits), HELLO)
    assert [line["wait_ms"] for line in desk.logged] == [40, 30, 0]
    at, later = "Tue, 01 Jul 2025 10:00:00 GMT", "Tue, 01 Jul 2025 10:00:31 GMT"
    assert [_asked_wait_s({"retry-after": said, "date": at}) for said in ("7", later, "-1", "nan")] == [7, 31, 0, 0]
    for headers in ({"Retry-After": "31"}, {"Retry-After": later, "Date": at}):
        assert (await desk.fail(fake.error(429, headers=headers), retry_budget_s=30)).code == "model_unavailable"
    assert (len(desk.server.asked), len(desk.logged)) == (6, 3)


async def test_nothing_leaks(desk: Desk) -> None:
    """Neither the log nor the error, its causes included, repeats key, message or the service's words."""
    failed = await desk.fail(fake.error(500, SECRET), fake.Stream((SECRET,)), fake.error(401, SECRET + KEY))
    told = "".join(traceback.format_exception(failed)) + repr((desk.logged, OpenAISettings(api_key=KEY, model="m")))
    assert not [word for word in (KEY, SECRET, "Authorization", "Bearer") if word in told]
    assert getattr(failed.__cause__, "__context__", failed) is None


async def test_cancelling_closes_the_stream(desk: Desk) -> None:
    """A cancelled request ends at once, and the service sees the connection close."""
    asking = asyncio.create_task(desk.ask(fake.stalls("Hel")))
    desk.ear = asking.cancel
    with pytest.raises(asyncio.CancelledError):
        await asking
    await asyncio.wait_for(desk.server.left.wait(), 5)


async def test_an_error_of_the_listener_is_not_the_models(desk: Desk) -> None:
    """What `on_text` raises passes through, even where it looks like a failure of the service."""
    desk.ear = lambda: int("gone")
    with pytest.raises(ValueError, match="gone"):
        await desk.ask(HELLO)
    assert (len(desk.server.asked), desk.logged) == (1, [])
