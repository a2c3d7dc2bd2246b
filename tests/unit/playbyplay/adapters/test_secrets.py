"""Secrets: read once in five minutes, and never repeated by an error."""

import pytest

from playbyplay.adapters.aws import Answer, Aws, Params
from playbyplay.adapters.secrets import Secrets
from playbyplay.errors import StoreUnavailable
from playbyplay.settings import BadSetting
from tests.fakes.clock import FakeClock
from tests.fakes.log import FakeLog
from tests.unit.playbyplay.adapters.recording_aws import refusal


class Vault(Aws):
    """Answers from a dict; an absent secret is refused."""

    def __init__(self, log: FakeLog) -> None:
        super().__init__(log)
        self.told = log
        self.secrets: dict[str, Answer] = {"key": {"SecretString": "sk-1"}}
        self.calls: list[tuple[str, str, Params]] = []

    async def call(self, service: str, operation: str, params: Params) -> Answer:
        self.calls.append((service, operation, params))
        if params["SecretId"] not in self.secrets:
            raise refusal("ResourceNotFoundException")
        return self.secrets[params["SecretId"]]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def vault() -> Vault:
    return Vault(FakeLog())


@pytest.fixture
def secrets(vault: Vault, clock: FakeClock) -> Secrets:
    return Secrets(vault, clock)


async def test_a_secret_is_its_text(secrets: Secrets, vault: Vault) -> None:
    """By its id, from Secrets Manager."""
    assert await secrets.text("key") == "sk-1"
    assert vault.calls == [("secretsmanager", "get_secret_value", {"SecretId": "key"})]


async def test_a_secret_is_remembered_for_five_minutes(secrets: Secrets, vault: Vault, clock: FakeClock) -> None:
    """Then a replaced one is noticed; each secret is remembered for itself."""
    vault.secrets["other"] = {"SecretString": "sk-9"}
    await secrets.text("key")
    vault.secrets["key"] = {"SecretString": "sk-2"}
    clock.advance(299.999)
    assert await secrets.text("key") == "sk-1"
    assert await secrets.text("other") == "sk-9"
    assert len(vault.calls) == 2
    clock.advance(0.001)
    assert await secrets.text("key") == "sk-2"


@pytest.mark.parametrize("answer", [{}, {"SecretString": ""}, {"SecretString": " \n"}, {"SecretBinary": b"sk-bytes"}])
async def test_a_secret_without_text_is_a_bad_setting(secrets: Secrets, vault: Vault, answer: Answer) -> None:
    """The sentence names the secret and no value, and the next look is a new one."""
    vault.secrets["key"] = answer
    with pytest.raises(BadSetting, match="key") as caught:
        await secrets.text("key")
    assert "sk-" not in str(caught.value)
    vault.secrets["key"] = {"SecretString": "sk-3"}
    assert await secrets.text("key") == "sk-3"


async def test_a_secret_that_cannot_be_read_says_so(secrets: Secrets) -> None:
    """Absent, refused and throttled alike."""
    with pytest.raises(StoreUnavailable):
        await secrets.text("absent")


async def test_a_secret_that_cannot_be_read_again_is_the_one_remembered(
    secrets: Secrets, vault: Vault, clock: FakeClock
) -> None:
    """Told of once each time, and asked for again the next time, until it is answered."""
    await secrets.text("key")
    kept = vault.secrets.pop("key")
    clock.advance(301)
    for failures in (1, 2):
        assert await secrets.text("key") == "sk-1"
        assert (len(vault.calls), len(vault.told.of("aws_failed"))) == (1 + failures, failures)
    vault.secrets["key"] = {**kept, "SecretString": "sk-2"}
    assert await secrets.text("key") == "sk-2"


async def test_a_secret_that_lost_its_text_is_a_bad_setting(secrets: Secrets, vault: Vault, clock: FakeClock) -> None:
    """That is an answer: the remembered one is not used against it."""
    await secrets.text("key")
    vault.secrets["key"] = {}
    clock.advance(301)
    with pytest.raises(BadSetting):
        await secrets.text("key")


async def test_a_secret_shows_nowhere(secrets: Secrets) -> None:
    """Not in what Python shows of the object."""
    await secrets.text("key")
    assert "sk-1" not in repr(secrets)
