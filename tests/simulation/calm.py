"""Schedules in which next to nothing is broken: what is left out there, nothing else excuses or makes up for.

Each is there for promises that chance seldom brings into calm weather.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from tests.simulation.devices import Act
from tests.simulation.faulty_ports import Plan, Strike
from tests.simulation.schedule import BRIEF, IMPATIENT, TRAPS, Blow, Schedule
from tests.simulation.world import Laws

_BUSY: Final = "pure;idempotent;pure;idempotent;pure"


def _send(at_s: float, text: str, thread: int | None, message: int, device: int = 0) -> Act:
    return Act(at_s, device, "send", text, thread, message)


def calm() -> Mapping[str, Schedule]:
    """Return them by name."""
    often = tuple(Act(1.0 + 0.37 * number, 1, "cut") for number in range(60))
    lost = tuple(Act(3.0 + 4.1 * number, 1, "forgotten") for number in range(5))
    turns = tuple(_send(1.0 + number, "pure", None if number == 0 else 0, 1 + number) for number in range(3))
    acts: dict[str, tuple[Act, ...]] = {
        "owners fall and get on": (_send(1.0, TRAPS, None, 1),),
        "handed on": (_send(45.0, "slow;slow;slow", None, 1), _send(200.0, "slow;unsafe", None, 2)),
        "an owned run is cancelled": (_send(20.0, "slow;slow", None, 1), Act(30.0, 0, "cancel")),
        "a run in its queue is cancelled": (*turns, _send(5.0, "slow", 0, 9), Act(5.5, 1, "cancel")),
        "turns follow each other": turns,
        "an id is used again": (_send(1.0, "", None, 1), _send(9.0, "pure", None, 1)),
        "a device comes and goes": (_send(2.0, _BUSY, None, 1), _send(3.0, _BUSY, None, 2), *often),
        "rows are lost": (_send(2.0, _BUSY, None, 1), _send(3.0, _BUSY, None, 2), *lost),
        "a device reads nothing": (Act(1.0, 1, "stuck", seconds=60.0), _send(2.0, _BUSY, None, 1)),
        "a device is not seen": (
            _send(2.0, _BUSY, None, 1),
            _send(3.0, _BUSY, None, 2),
            *(Act(4.0 + 3.0 * number, 1, "unseen") for number in range(9)),
        ),
        "commits are slow": (_send(2.0, _BUSY, None, 1), _send(3.0, _BUSY, None, 2), *often),
        "posts fail once": (_send(2.0, _BUSY, None, 1), _send(3.0, _BUSY, None, 2)),
        "a device leaves unheard": (_send(1.0, "slow;slow;slow", None, 1), Act(37.0, 1, "cut")),
        "an answer is begun again": (_send(1.0, " tale" * 120, None, 1),),
        "owners fall in a row": (_send(1.0, "slow", None, 1),),
        "all work long": (_send(1.0, ";".join(["slow"] * 5), None, 1), _send(1.0, "slow", None, 2, device=1)),
        "stray jobs": turns,
        "a message waits too long": (_send(1.0, "slow", None, 1), _send(2.0, "pure", 0, 2)),
        "a run takes too long": (_send(1.0, "slow;slow", None, 1),),
        "a turn is interrupted": (_send(1.0, "slow;slow", None, 1), _send(9.0, "pure", 0, 2, device=1)),
        "a second message is refused": (_send(1.0, "slow", None, 1), _send(9.0, "pure", 0, 2, device=1)),
    }
    blows = {
        "stray jobs": tuple(Blow(2.0 + number, "stray jobs") for number in range(12)),
        "owners fall in a row": tuple(Blow(6.0 + 49.0 * number, "runner falls") for number in range(3)),
        "an answer is begun again": (Blow(6.0, "runner falls"),),
    }
    laws: dict[str, dict[str, Any]] = {
        "handed on": {"invocation_s": 45.0},
        "a device is not seen": {"journal_s": 1.0},
        "commits are slow": {"journal_s": 1.0},
        "posts fail once": {"flaky": True},
        "a device leaves unheard": {"plan": Plan((Strike("connect.connections.remove", 1, "fail_before"),))},
        "a message waits too long": {"timing": IMPATIENT},
        "a run takes too long": {"timing": BRIEF},
        "a turn is interrupted": {"double_text": "interrupt"},
        "a second message is refused": {"double_text": "reject"},
    }
    return {
        name: Schedule(
            name=f'--calm "{name}"',
            laws=replace(Laws(seed=1, plan=Plan()), **laws.get(name, {})),
            users=(0, 0),
            acts=happens,
            blows=blows.get(name, ()),
        )
        for name, happens in acts.items()
    }
