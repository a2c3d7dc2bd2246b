"""A function's settings: read from what the stack wrote, field by field, or refused by name."""

from typing import Any

import pytest

from playbyplay.ports import Limits
from playbyplay.settings import AuthorizerSettings, BadSetting, MessageSettings

NAMES = ("runs_table", "journal_table", "connections_table", "queue_url", "callback_url")
PLACES: dict[str, Any] = {name: f"the-{name}" for name in NAMES}
ENV = {f"PLAYBYPLAY_{name.upper()}": value for name, value in PLACES.items()}


@pytest.mark.parametrize(
    "chosen",
    [{}, {"double_text": "reject", "open_runs": 1}, {"double_text": "interrupt", "messages_per_minute": 999_999_999}],
    ids=str,
)
def test_what_is_written_is_read_back(chosen: dict[str, Any]) -> None:
    """Words and numbers too."""
    settings = MessageSettings(**PLACES, **chosen)
    assert MessageSettings.from_env(settings.to_env()) == settings


def test_what_is_not_there_is_the_default() -> None:
    """A second message waits, and the limits are those of the store."""
    settings = MessageSettings.from_env(ENV)
    assert settings.double_text == "queue"
    assert settings.messages_per_minute == 100
    assert Limits(open_runs=settings.open_runs, messages_per_minute=settings.messages_per_minute) == Limits()


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "many", "٣", "1e3", " 7", "1000000000"])
@pytest.mark.parametrize("name", ["OPEN_RUNS", "MESSAGES_PER_MINUTE"])
def test_a_number_that_cannot_be_meant_is_refused(name: str, value: str) -> None:
    """The sentence names the variable and what it takes, and not what it holds."""
    with pytest.raises(BadSetting) as refused:
        MessageSettings.from_env({**ENV, f"PLAYBYPLAY_{name}": value})
    assert str(refused.value) == f"PLAYBYPLAY_{name} takes a whole number from 1 to 999999999."


def test_a_word_that_is_none_of_them_is_refused() -> None:
    """The sentence names the words there are."""
    with pytest.raises(BadSetting) as refused:
        MessageSettings.from_env({**ENV, "PLAYBYPLAY_DOUBLE_TEXT": "drop"})
    assert str(refused.value) == "PLAYBYPLAY_DOUBLE_TEXT takes queue, reject or interrupt."


def test_a_flag_is_0_or_1() -> None:
    """Nothing else, lest `false` be taken for yes."""
    env = {"PLAYBYPLAY_RUNS_TABLE": "runs", "PLAYBYPLAY_ORIGINS": "https://a.example"}
    assert not AuthorizerSettings.from_env(env).ticket_in_query
    assert AuthorizerSettings.from_env({**env, "PLAYBYPLAY_TICKET_IN_QUERY": "1"}).ticket_in_query
    with pytest.raises(BadSetting, match="PLAYBYPLAY_TICKET_IN_QUERY takes 0 or 1"):
        AuthorizerSettings.from_env({**env, "PLAYBYPLAY_TICKET_IN_QUERY": "false"})


@pytest.mark.parametrize("name", NAMES)
def test_what_must_be_there_is_named(name: str) -> None:
    """When it is read, and when it is written."""
    variable = f"PLAYBYPLAY_{name.upper()}"
    with pytest.raises(BadSetting, match=variable):
        MessageSettings.from_env({each: value for each, value in ENV.items() if each != variable})
    with pytest.raises(BadSetting, match=variable):
        MessageSettings(**{**PLACES, name: ""}).to_env()
