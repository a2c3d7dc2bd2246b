"""The model whose key is a secret: taken up when it changes, never told, and not there without it."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from agent_runner.agent import Agent
from agent_runner.model import ModelRequest
from agent_runner.scripted_model import ScriptedModel
from agent_runner.secret_model import SecretModel, model_of
from playbyplay.adapters.aws import Answer, Aws, Params
from playbyplay.adapters.secrets import Secrets
from playbyplay.domain.derivation import UserMessage
from playbyplay.errors import RunError, StoreUnavailable
from playbyplay.settings import RunnerSettings
from tests.fakes import model_server as fake
from tests.fakes.clock import FakeClock
from tests.fakes.ids import FakeIds
from tests.fakes.log import FakeLog

KEY, NEXT_KEY = "sk-very-secret", "sk-the-next"
QUESTION = ModelRequest(Agent("helper", "Helps.", "You help."), (), (), (UserMessage("Hi."),))


class Vault(Aws):
    """A Secrets Manager of one secret; an error is raised instead of it."""

    def __init__(self, log: FakeLog) -> None:
        super().__init__(log)
        self.content: str | Exception = KEY
        self.read_of: list[str] = []

    async def read(self, service: str, operation: str, params: Params) -> Answer:
        self.read_of.append(params["SecretId"])
        if isinstance(self.content, Exception):
            raise self.content
        return {"SecretString": self.content}


class Desk:
    """A model at a server of its own, with a secret."""

    def __init__(self, server: fake.ModelServer) -> None:
        self.server = server
        self.clock, self.log, self.ids = FakeClock(), FakeLog(), FakeIds()
        self.vault = Vault(self.log)
        self.model = SecretModel(self.settings(), secrets=self.secrets, ids=self.ids, log=self.log)

    def settings(self, **changes: str) -> RunnerSettings:
        """Return the runner's settings."""
        names = dict.fromkeys(("runs_table", "journal_table", "connections_table", "queue_url", "callback_url"), "x")
        usual = {"model": "m-1", "model_secret": "the-key", "model_url": self.server.base_url}
        return RunnerSettings(**names | usual | changes)

    @property
    def secrets(self) -> Secrets:
        """Secrets of the vault, forgotten by whoever asks anew."""
        return Secrets(self.vault, self.clock)

    async def ask(self) -> str:
        """Return the answer to a question."""
        return (await self.model.respond(QUESTION, _unheard)).text

    @property
    def keys(self) -> list[str]:
        """The key of each request the server got."""
        return [headers["Authorization"].removeprefix("Bearer ") for headers in self.server.headers]


async def _unheard(_attempt: int, _text: str) -> None:
    return


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    async with fake.ModelServer() as server:
        desk = Desk(server)
        yield desk
        if desk.model._client is not None:
            await desk.model._client.model.close()
        desk.vault.close()


async def test_the_key_is_the_secret(desk: Desk) -> None:
    """Without the line break that a terminal left at its end; it is read once for many requests."""
    desk.vault.content = f"{KEY}\n"
    desk.server.plan(fake.says("Hello."), fake.says("Again."))
    assert [await desk.ask(), await desk.ask()] == ["Hello.", "Again."]
    assert desk.keys == [KEY, KEY]
    assert desk.vault.read_of == ["the-key"]
    assert desk.model.name == "m-1"


async def test_nothing_is_read_before_the_first_question(desk: Desk) -> None:
    """A container that only drops jobs needs no key."""
    assert desk.vault.read_of == []


async def test_a_changed_key_is_taken_up_after_five_minutes(desk: Desk) -> None:
    """With a client of its own; the one before is closed."""
    desk.server.plan(*[fake.says("Hello.")] * 3)
    await desk.ask()
    before = desk.model._client
    assert before is not None
    desk.vault.content = NEXT_KEY
    desk.clock.advance(299)
    await desk.ask()
    assert desk.model._client is before
    desk.clock.advance(2)
    await desk.ask()
    assert desk.keys == [KEY, KEY, NEXT_KEY]
    assert before.model._client is not None
    assert before.model._client.is_closed()


async def test_an_answer_that_is_under_way_is_not_cut_off_by_a_new_key(desk: Desk) -> None:
    """The client before is closed when it has answered."""
    heard, go_on = asyncio.Event(), asyncio.Event()

    async def listen(_attempt: int, _text: str) -> None:
        heard.set()
        await go_on.wait()

    desk.server.plan(fake.says("Slowly."), fake.says("Quickly."))
    asked = asyncio.create_task(desk.model.respond(QUESTION, listen))
    await heard.wait()
    before = desk.model._client
    assert before is not None
    assert before.model._client is not None
    desk.vault.content = NEXT_KEY
    desk.clock.advance(301)
    assert await desk.ask() == "Quickly."
    assert not before.model._client.is_closed()
    go_on.set()
    assert (await asked).text == "Slowly."
    assert before.model._client.is_closed()


@pytest.mark.parametrize("content", [StoreUnavailable("get_secret_value: AccessDeniedException"), "", " \n"], ids=repr)
async def test_a_secret_that_cannot_be_read_ends_the_run(desk: Desk, content: Any) -> None:
    """With a safe sentence; the next question asks for it again."""
    desk.vault.content = content
    with pytest.raises(RunError) as failure:
        await desk.ask()
    assert (failure.value.code, failure.value.retryable) == ("model_unavailable", True)
    assert "the-key" not in failure.value.message
    desk.vault.content = KEY
    desk.server.plan(fake.says("Hello."))
    assert await desk.ask() == "Hello."


async def test_a_secret_that_can_be_read_no_more_is_missed_after_five_minutes(desk: Desk) -> None:
    """Not before: what is remembered serves."""
    desk.server.plan(fake.says("Hello."), fake.says("Again."))
    await desk.ask()
    desk.vault.content = StoreUnavailable("get_secret_value: ResourceNotFoundException")
    desk.clock.advance(299)
    assert await desk.ask() == "Again."
    desk.clock.advance(2)
    with pytest.raises(RunError):
        await desk.ask()


async def test_the_key_shows_nowhere(desk: Desk) -> None:
    """Neither in the log nor in what is raised when the service refuses it."""
    desk.server.plan(fake.error(401, f"Incorrect API key provided: {KEY}"))
    with pytest.raises(RunError) as failure:
        await desk.ask()
    assert KEY not in f"{failure.value!r} {failure.value.message} {desk.log.events} {desk.model._settings}"


async def test_a_server_of_ones_own_needs_no_secret(desk: Desk) -> None:
    """It gets a word where a key would be, and no secret is read."""
    settings = desk.settings(model_secret="")
    desk.model = SecretModel(settings, secrets=desk.secrets, ids=desk.ids, log=desk.log)
    desk.server.plan(fake.says("Hello."))
    assert await desk.ask() == "Hello."
    assert desk.vault.read_of == []
    assert desk.keys == ["none"]


async def test_the_settings_say_who_answers(desk: Desk) -> None:
    """The service where there is a key or an address, else the scripted model."""

    def chosen(**changes: str) -> type:
        return type(model_of(desk.settings(**changes), secrets=desk.secrets, ids=desk.ids, log=desk.log))

    assert chosen() is SecretModel
    assert chosen(model_secret="") is SecretModel
    assert chosen(model_url="") is SecretModel
    assert chosen(model_secret="", model_url="") is ScriptedModel
