"""What can be asked of the fault switch: the faults in words, and the strict reading of an order."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias, cast

from playbyplay.errors import PlaybyplayError
from playbyplay.protocol.events import EVENT_TYPES

FaultName: TypeAlias = Literal["kill_runner", "drop_post", "duplicate_job", "freeze_model", "cut_socket"]
MAX_DROPS = 100
MAX_FROZEN_S = 3600.0
_MAX_USER = 64


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault in words.

    Attributes:
        does: what happens.
        see: what one should see then.
    """

    name: FaultName
    title: str
    does: str
    see: str


FAULTS: Final = (
    Fault(
        "kill_runner",
        "Kill the runner",
        "The runner of the next tool at work falls without a word.",
        "The run is silent for up to 5 s, then another takes it over. No step comes twice.",
    ),
    Fault(
        "drop_post",
        "Drop a post",
        "The next event is lost on its way.",
        "The client finds the hole, asks again, and shows the event in its place.",
    ),
    Fault(
        "duplicate_job",
        "Deliver a job twice",
        "The job of the next message reaches two runners.",
        "One does the work, the other finds it taken. Every step is shown once.",
    ),
    Fault(
        "freeze_model",
        "Freeze the model",
        "The model holds back every answer until it is thawed.",
        "The run is still said to be working, and can be stopped. Thawed, it goes on.",
    ),
    Fault(
        "cut_socket",
        "Cut the socket",
        "The connection is torn off, with no closing frame.",
        "The client connects again and has missed nothing.",
    ),
)


class BadOrder(PlaybyplayError):
    """This can be no order; one sentence says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be done.

    Attributes:
        name: a fault, or `thaw_model`, or `clear`: take back what is armed.
        when: `kill_runner`: the next `tool` at work, or `now`; `duplicate_job`: the `next` job, or `each`.
        count: `drop_post`: how many.
        event: `drop_post`: of which type only; None for any.
        seconds: `freeze_model`: for how long; None until it is thawed.
        user: `drop_post`, `cut_socket`: whose connections.
    """

    name: FaultName | Literal["thaw_model", "clear"]
    when: Literal["tool", "now", "next", "each"] | None = None
    count: int = 1
    event: str | None = None
    seconds: float | None = None
    user: str


_Check: TypeAlias = tuple[Callable[[Any], bool], str]


def _one_of(*words: str) -> _Check:
    return lambda value: isinstance(value, str) and value in words, f"one of {', '.join(words)}"


_COUNT: _Check = (lambda value: type(value) is int and 1 <= value <= MAX_DROPS, f"a whole number from 1 to {MAX_DROPS}")
_USER: _Check = (
    lambda value: isinstance(value, str) and 1 <= len(value) <= _MAX_USER,
    f"a name of 1 to {_MAX_USER} characters",
)
_SECONDS: _Check = (
    lambda value: type(value) in {int, float} and 0 < value <= MAX_FROZEN_S,
    f"a number above 0, {MAX_FROZEN_S:g} at the most",
)
_FIELDS: Final[Mapping[str, Mapping[str, _Check]]] = {
    "kill_runner": {"when": _one_of("tool", "now")},
    "drop_post": {"count": _COUNT, "event": _one_of(*EVENT_TYPES), "user": _USER},
    "duplicate_job": {"when": _one_of("next", "each")},
    "freeze_model": {"seconds": _SECONDS},
    "thaw_model": {},
    "cut_socket": {"user": _USER},
    "clear": {},
}
_USUAL_WHEN: Final[Mapping[str, str]] = {"kill_runner": "tool", "duplicate_job": "next"}


def read_order(body: bytes, user: str) -> Order:
    """Read an order.

    Args:
        body: JSON, `{"fault": ..., ...}`.
        user: whose connections are meant where none is named.

    Raises:
        BadOrder: nothing is done.
    """
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError):
        raise BadOrder("The body is not JSON.") from None
    if not isinstance(asked, dict) or "fault" not in asked:
        raise BadOrder('The body is an object that names a fault, as {"fault": "drop_post"}.')
    name = asked.pop("fault")
    if not isinstance(name, str) or name not in _FIELDS:
        raise BadOrder(f"There is no such fault. There are {', '.join(_FIELDS)}.")
    takes = _FIELDS[name]
    for field, value in asked.items():
        if field not in takes:
            known = f"field but {', '.join(takes)}" if takes else "further field"
            raise BadOrder(f"{name} takes no {known}.")
        fits, wanted = takes[field]
        if not fits(value):
            raise BadOrder(f"{field} of {name} is {wanted}.")
    usual = {"user": user, "when": _USUAL_WHEN.get(name)}
    return Order(name=cast("FaultName", name), **{**usual, **asked})
