"""Settings from the environment."""

from pathlib import Path

import pytest

from local.settings import BadSetting, LocalSettings


def test_an_empty_environment_gives_the_defaults() -> None:
    """Nothing set: port 8787, data beside the project, no test users, no key."""
    settings = LocalSettings.from_env({})
    assert settings == LocalSettings()
    assert (settings.port, settings.data, settings.test_users, settings.api_key) == (
        8787,
        Path(".playbyplay"),
        False,
        None,
    )


def test_every_variable_is_read() -> None:
    """Each variable sets its field."""
    settings = LocalSettings.from_env(
        {
            "PLAYBYPLAY_DATA": "/tmp/x",  # noqa: S108 - never opened
            "PLAYBYPLAY_PORT": "0",
            "PLAYBYPLAY_TEST_USERS": "1",
            "PLAYBYPLAY_FAULTS": "1",
            "PLAYBYPLAY_DATABASE": "shop.db",
            "PLAYBYPLAY_MODEL": "m",
            "OPENAI_API_KEY": "k",
            "OPENAI_BASE_URL": "http://127.0.0.1:1",
            "PLAYBYPLAY_SCRIPTED_PACE_MS": "250",
            "PLAYBYPLAY_IDLE_S": "7",
            "PLAYBYPLAY_AGE_S": "8",
            "PLAYBYPLAY_MESSAGES_PER_MINUTE": "9",
            "PLAYBYPLAY_RESUMES_PER_MINUTE": "10",
            "PLAYBYPLAY_OTHERS_PER_MINUTE": "13",
            "PLAYBYPLAY_CONNECTS_PER_MINUTE": "11",
            "PLAYBYPLAY_CONCURRENT_RUNS": "12",
            "PLAYBYPLAY_OPEN_RUNS": "14",
            "PLAYBYPLAY_USER_MESSAGES_PER_MINUTE": "15",
            "PLAYBYPLAY_DOUBLE_TEXT": "interrupt",
        }
    )
    assert settings == LocalSettings(
        data=Path("/tmp/x"),  # noqa: S108 - never opened
        port=0,
        test_users=True,
        faults=True,
        database=Path("shop.db"),
        model="m",
        api_key="k",
        base_url="http://127.0.0.1:1",
        scripted_pace_s=0.25,
        idle_s=7.0,
        age_s=8.0,
        messages_per_minute=9,
        resumes_per_minute=10,
        others_per_minute=13,
        connects_per_minute=11,
        concurrent_runs=12,
        open_runs=14,
        user_messages_per_minute=15,
        double_text="interrupt",
    )


@pytest.mark.parametrize("value", ["", "0", "true", "yes", "2"])
def test_test_users_takes_nothing_but_1(value: str) -> None:
    """Only `1` switches test users on."""
    assert not LocalSettings.from_env({"PLAYBYPLAY_TEST_USERS": value}).test_users


@pytest.mark.parametrize("value", ["", "0", "true", "yes", "2"])
def test_the_fault_switch_takes_nothing_but_1(value: str) -> None:
    """Only `1` brings the fault switch."""
    assert not LocalSettings.from_env({"PLAYBYPLAY_FAULTS": value}).faults


@pytest.mark.parametrize("value", ["-1", "65536", "x", "1.5", "٣", " 1"])
def test_a_bad_number_is_named(value: str) -> None:
    """A value out of range raises one sentence with the variable's name and range."""
    with pytest.raises(BadSetting, match="PLAYBYPLAY_PORT takes a whole number from 0 to 65535"):
        LocalSettings.from_env({"PLAYBYPLAY_PORT": value})


@pytest.mark.parametrize("value", ["queue", "reject", "interrupt"])
def test_a_second_message_is_met_in_one_of_three_ways(value: str) -> None:
    """Each word is taken as it is."""
    assert LocalSettings.from_env({"PLAYBYPLAY_DOUBLE_TEXT": value}).double_text == value


@pytest.mark.parametrize("value", ["Queue", "drop", "1", " reject"])
def test_a_bad_word_is_named(value: str) -> None:
    """Any other word raises one sentence with the variable's name and the words it takes."""
    with pytest.raises(BadSetting, match="PLAYBYPLAY_DOUBLE_TEXT takes one of queue, reject, interrupt"):
        LocalSettings.from_env({"PLAYBYPLAY_DOUBLE_TEXT": value})
