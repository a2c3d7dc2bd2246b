"""What can be set, read once from the environment; every limit is a setting."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from playbyplay.errors import PlaybyplayError
from playbyplay.settings import DoubleText


class BadSetting(PlaybyplayError):
    """A variable of the environment holds what it must not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalSettings:
    """The one-machine home.

    Attributes:
        data: where everything is kept.
        port: on 127.0.0.1; 0 takes a free one.
        test_users: whether `POST /ticket` may name a user (loopback only, for tests and benches).
        faults: whether there is a fault switch, in the page and at `/faults`.
        database: the SQLite database that database_analyzer analyses; the demo shop unless told.
        model: the model's name at the service.
        api_key: of the model service; without it the scripted model answers.
        base_url: of a compatible model service.
        scripted_pace_s: how long the scripted model thinks, so that a person can watch.
        idle_s, age_s: when API Gateway closes a connection (1001), so this home does too.
        messages_per_minute: per connection.
        resumes_per_minute: per connection.
        others_per_minute: pings, cancels and answers, each, per connection.
        connects_per_minute: per address.
        concurrent_runs: how many runs are worked on at a time.
        open_runs: how many runs of one user may be open at a time, those that wait their turn included.
        user_messages_per_minute: of one user, on all connections together. More than this machine can take:
            it is one person's own, and what a connection may send is limited already.
        double_text: what happens to a message while an earlier one of its thread is answered.
    """

    data: Path = Path(".playbyplay")
    port: int = 8787
    test_users: bool = False
    faults: bool = False
    database: Path | None = None
    model: str = "gpt-5-mini"
    api_key: str | None = None
    base_url: str | None = None
    scripted_pace_s: float = 0.4
    idle_s: float = 600.0
    age_s: float = 7200.0
    messages_per_minute: int = 100
    resumes_per_minute: int = 300
    others_per_minute: int = 600
    connects_per_minute: int = 500
    concurrent_runs: int = 256
    open_runs: int = 256
    user_messages_per_minute: int = 10**6
    double_text: DoubleText = "queue"

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> "LocalSettings":
        """Read the settings.

        Raises:
            BadSetting: one sentence that names the variable and what it takes.
        """
        default = cls()
        database = env.get("PLAYBYPLAY_DATABASE")
        return cls(
            data=Path(env.get("PLAYBYPLAY_DATA") or default.data),
            port=_whole(env, "PLAYBYPLAY_PORT", default.port, 0, 65535),
            test_users=env.get("PLAYBYPLAY_TEST_USERS", "") == "1",
            faults=env.get("PLAYBYPLAY_FAULTS", "") == "1",
            database=Path(database) if database else None,
            model=env.get("PLAYBYPLAY_MODEL") or default.model,
            api_key=env.get("OPENAI_API_KEY") or None,
            base_url=env.get("OPENAI_BASE_URL") or None,
            scripted_pace_s=_whole(env, "PLAYBYPLAY_SCRIPTED_PACE_MS", 400, 0, 60_000) / 1000,
            idle_s=float(_whole(env, "PLAYBYPLAY_IDLE_S", 600, 1, 86_400)),
            age_s=float(_whole(env, "PLAYBYPLAY_AGE_S", 7200, 1, 86_400)),
            messages_per_minute=_whole(env, "PLAYBYPLAY_MESSAGES_PER_MINUTE", default.messages_per_minute, 1, 10**9),
            resumes_per_minute=_whole(env, "PLAYBYPLAY_RESUMES_PER_MINUTE", default.resumes_per_minute, 1, 10**9),
            others_per_minute=_whole(env, "PLAYBYPLAY_OTHERS_PER_MINUTE", default.others_per_minute, 1, 10**9),
            connects_per_minute=_whole(env, "PLAYBYPLAY_CONNECTS_PER_MINUTE", default.connects_per_minute, 1, 10**9),
            concurrent_runs=_whole(env, "PLAYBYPLAY_CONCURRENT_RUNS", default.concurrent_runs, 1, 10_000),
            open_runs=_whole(env, "PLAYBYPLAY_OPEN_RUNS", default.open_runs, 1, 10_000),
            user_messages_per_minute=_whole(
                env, "PLAYBYPLAY_USER_MESSAGES_PER_MINUTE", default.user_messages_per_minute, 1, 10**9
            ),
            double_text=_double_text(env, "PLAYBYPLAY_DOUBLE_TEXT", default.double_text),
        )


def _whole(env: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    text = env.get(name, "")
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
        raise BadSetting(f"{name} takes a whole number from {low} to {high}.")
    return int(text)


def _double_text(env: Mapping[str, str], name: str, default: DoubleText) -> DoubleText:
    words: tuple[DoubleText, ...] = get_args(DoubleText)
    text = env.get(name) or default
    for word in words:
        if word == text:
            return word
    raise BadSetting(f"{name} takes one of {', '.join(words)}.")
