"""The model of the home on AWS: the service whose key is a secret, or the scripted model where there is none.

The key is asked for with each request, so a new one is taken up without a deployment. `openai` is
imported with the first: it takes as long as all the rest together.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent_runner.model import ModelClient, ModelRequest, ModelResponse, OnText
from agent_runner.scripted_model import ScriptedModel
from playbyplay.adapters.secrets import Secrets
from playbyplay.errors import OutcomeUnknown, RunError, StoreUnavailable
from playbyplay.ports import Ids, Log
from playbyplay.settings import BadSetting, RunnerSettings

if TYPE_CHECKING:
    from agent_runner.openai_model import OpenAIModel

_NO_KEY = "none"  # a server of one's own that wants none takes any word


@dataclass(slots=True)
class _Client:
    """A client and how many requests it is answering."""

    key: str
    model: "OpenAIModel"
    busy: int = 0


class SecretModel:
    """Implements `model.ModelClient`."""

    def __init__(self, settings: RunnerSettings, *, secrets: Secrets, ids: Ids, log: Log) -> None:
        self._settings = settings
        self._secrets = secrets
        self._ids = ids
        self._log = log
        self._client: _Client | None = None

    @property
    def name(self) -> str:
        """The model's name at the service."""
        return self._settings.model

    async def respond(self, request: ModelRequest, on_text: OnText) -> ModelResponse:
        """Answer one request with the key of the day.

        Raises:
            RunError: `model_unavailable` where the secret cannot be read, and what the client raises.
        """
        client = await self._with(await self._key())
        client.busy += 1
        try:
            return await client.model.respond(request, on_text)
        finally:
            client.busy -= 1
            await self._close_if_replaced(client)

    async def _key(self) -> str:
        if not self._settings.model_secret:
            return _NO_KEY
        try:
            return (await self._secrets.text(self._settings.model_secret)).strip()
        except (BadSetting, StoreUnavailable, OutcomeUnknown) as trouble:
            raise RunError("model_unavailable", "The model is not available now. Please try again.") from trouble

    async def _with(self, key: str) -> _Client:
        """Return the client of a key; the one of another key is closed when it has answered."""
        replaced = self._client
        if replaced is not None and replaced.key == key:
            return replaced
        from agent_runner.openai_model import OpenAIModel, OpenAISettings  # noqa: PLC0415 - see above

        settings = OpenAISettings(api_key=key, base_url=self._settings.model_url or None, model=self.name)
        self._client = _Client(key, OpenAIModel(settings, ids=self._ids, log=self._log))
        client = self._client
        if replaced is not None:
            await self._close_if_replaced(replaced)
        return client

    async def _close_if_replaced(self, client: _Client) -> None:
        if client is not self._client and client.busy == 0:
            await client.model.close()


def model_of(settings: RunnerSettings, *, secrets: Secrets, ids: Ids, log: Log) -> ModelClient:
    """Return who answers in a deployment."""
    if settings.model_secret or settings.model_url:
        return SecretModel(settings, secrets=secrets, ids=ids, log=log)
    return ScriptedModel()
