"""What each function reads from its environment: one frozen class per function, read here and written by the stack.

The stack makes a function's environment from an instance of its class, so a missing variable fails
the synth and not a cold start.
"""

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Self, TypeAlias, get_args

from playbyplay.errors import PlaybyplayError
from playbyplay.ports import Limits

PREFIX = "PLAYBYPLAY_"

DoubleText: TypeAlias = Literal["queue", "reject", "interrupt"]
"""What becomes of a message while an earlier one of its thread is answered: it waits; it is refused; the earlier one
is cancelled."""

_LIMITS = Limits()


class BadSetting(PlaybyplayError):
    """A variable of the environment is missing or holds what it must not; the message names it, never its value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """Fields that are variables: `runs_table` is PLAYBYPLAY_RUNS_TABLE; a field without default must be there."""

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Self:
        """Read the settings.

        Raises:
            BadSetting: a variable is missing, or is not of its field's kind: a flag, a whole number, one of some words.
        """
        values: dict[str, str | bool | int] = {}
        for field in dataclasses.fields(cls):
            name = PREFIX + field.name.upper()
            text = env.get(name, "")
            if field.type is bool:
                values[field.name] = _flag(name, text)
            elif text:
                values[field.name] = _value(name, field.type, text)
            elif field.default is dataclasses.MISSING:
                raise BadSetting(f"{name} is missing from the environment.")
        return cls(**values)

    def to_env(self) -> dict[str, str]:
        """Return the variables that `from_env` reads back to an equal value.

        Raises:
            BadSetting: a field that must be there is empty.
        """
        env = {}
        for field in dataclasses.fields(self):
            name, value = PREFIX + field.name.upper(), getattr(self, field.name)
            text = ("1" if value else "0") if field.type is bool else str(value)
            if text:
                env[name] = text
            elif field.default is dataclasses.MISSING:
                raise BadSetting(f"{name} must not be empty.")
        return env


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizerSettings(Environment):
    """The `$connect` authorizer.

    Attributes:
        runs_table: where tickets are.
        origins: the exact origins a browser may come from, separated by spaces.
        ticket_in_query: whether a ticket may stand in the URL, for gateways and clients without subprotocols.
    """

    runs_table: str
    origins: str
    ticket_in_query: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectSettings(Environment):
    """`$connect` and `$disconnect`."""

    connections_table: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketSettings(Environment):
    """POST /ticket."""

    runs_table: str
    origins: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageSettings(Environment):
    """Every client frame.

    Attributes:
        queue_url: where jobs go.
        callback_url: the stage's @connections endpoint, https.
        double_text: what becomes of a message while an earlier one of its thread is answered.
        open_runs: how many one user may have at a time.
        messages_per_minute: how many of one user are accepted.
    """

    runs_table: str
    journal_table: str
    connections_table: str
    queue_url: str
    callback_url: str
    double_text: DoubleText = "queue"
    open_runs: int = _LIMITS.open_runs
    messages_per_minute: int = _LIMITS.messages_per_minute


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerSettings(Environment):
    """The agent runner.

    Attributes:
        model: the model's name at the service.
        model_secret: the secret that holds the service's key; without it the scripted model answers.
        model_url: of a compatible model service; the usual one unless told.
    """

    runs_table: str
    journal_table: str
    connections_table: str
    queue_url: str
    callback_url: str
    model: str = "gpt-5-mini"
    model_secret: str = ""
    model_url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchdogSettings(Environment):
    """The watchdog."""

    runs_table: str
    journal_table: str
    connections_table: str
    queue_url: str
    callback_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditorSettings(Environment):
    """The auditor."""

    runs_table: str
    journal_table: str
    connections_table: str


def _value(name: str, kind: object, text: str) -> str | int:
    if kind is int:
        if not re.fullmatch(r"[1-9][0-9]{0,8}", text, re.ASCII):
            raise BadSetting(f"{name} takes a whole number from 1 to 999999999.")
        return int(text)
    words = get_args(kind)
    if words and text not in words:
        raise BadSetting(f"{name} takes {', '.join(words[:-1])} or {words[-1]}.")
    return text


def _flag(name: str, text: str) -> bool:
    if text not in ("", "0", "1"):
        raise BadSetting(f"{name} takes 0 or 1.")
    return text == "1"
