"""One seed, one schedule: who says what when, what goes wrong, and under which laws."""

import random
from dataclasses import dataclass, replace
from typing import Final

from playbyplay.domain.timing import CLOUD
from playbyplay.ports import Limits
from tests.simulation.devices import Act
from tests.simulation.faulty_ports import Plan, Strike
from tests.simulation.sabotage import Sabotage
from tests.simulation.world import Laws

TROUBLE_S: Final = 60.0  # nothing new is broken after that
PROGRAMS: Final = (
    "",
    "pure",
    "idempotent",
    "unsafe",
    "pure+unsafe",
    "unsafe;idempotent",
    "idempotent+idempotent",
    "delegate",
    "delegate;unsafe",
    "slow",
    "missing;pure",
    "deadly",
)
TRAPS: Final = ";".join(["trap"] * 9)  # each owner but the last falls, and each gets on
_QUICK: Final = replace(CLOUD, lease_s=6, renew_s=2, visibility_s=9, after_lease_s=3, first_check_s=10, sweep_s=7)
BRIEF: Final = replace(CLOUD, run_s=20)
IMPATIENT: Final = replace(CLOUD, queue_s=15)


@dataclass(frozen=True, slots=True)
class Blow:
    """Something that happens to a process or a port for a while.

    Attributes:
        what: `runner falls`, `runner stands still`, or `stray jobs`: one for each run there is, in its turn or not.
    """

    at_s: float
    what: str
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """What happens in one world.

    Attributes:
        name: how to have it again: arguments of `python -m tests.simulation`.
        users: whose each device is.
    """

    name: str
    laws: Laws
    users: tuple[int, ...]
    acts: tuple[Act, ...]
    blows: tuple[Blow, ...] = ()


def one_fault(*strikes: Strike, program: str = "idempotent") -> Schedule:
    """Return the ordinary run of one tool, watched on two devices, in which these calls go wrong."""
    name = " ".join(f"--strike {strike}" for strike in strikes) + f" --program {program}"
    return Schedule(
        name=name,
        laws=Laws(seed=0, plan=Plan(strikes)),
        users=(0, 0),
        acts=(Act(1.0, 0, "send", program, None, 1),),
    )


def by_seed(seed: int, sabotage: Sabotage | None = None) -> Schedule:
    """Return the schedule of a seed."""
    chance = random.Random(f"{seed} schedule")
    users = tuple(user for user in range(chance.choice((1, 1, 2, 2, 3, 5))) for _ in range(chance.choice((1, 1, 2))))
    plan = Plan(chance=chance.choice((0.0, 0.01, 0.03, 0.08)), until_s=TROUBLE_S, seed=seed)
    odd = random.Random(f"{seed} odd")  # of its own, so that the older schedules stay as they are
    timing = chance.choice((CLOUD, CLOUD, CLOUD, _QUICK, _QUICK, BRIEF))
    laws = Laws(
        seed=seed,
        plan=plan,
        timing=IMPATIENT if odd.random() < 0.06 else timing,
        double_text=chance.choice(("queue", "queue", "reject", "interrupt")),
        limits=chance.choice((Limits(), Limits(), Limits(open_runs=2, messages_per_minute=4))),
        invocation_s=chance.choice((None, None, 100.0, 45.0)),
        skew_s=chance.choice((0.0, 0.0, 5.0, 600.0)),
        sabotage=sabotage,
    )
    plan.outages += [
        (
            chance.choice(("journal", "runs", "queue", "connections", "gateway")),
            begins_s,
            begins_s + 20 * chance.random(),
        )
        for begins_s in _times(chance, (0, 0, 0, 1))
    ]
    acts, blows = _acts(chance, users), _blows(chance)
    return Schedule(
        name=f"--seed {seed}",
        laws=laws,
        users=users,
        acts=acts + _odd_acts(odd, users),
        blows=blows + _odd_blows(odd),
    )


def _acts(chance: random.Random, users: tuple[int, ...]) -> tuple[Act, ...]:
    acts: list[Act] = []
    for device, _user in enumerate(users):
        for at_s in _times(chance, (1, 1, 2, 3)):
            thread = chance.choice((None, 0, 0, 1))
            acts.append(Act(at_s, device, "send", chance.choice(PROGRAMS), thread, len(acts) + 1))
            if chance.random() < 0.1:
                other = chance.choice([one for one, user in enumerate(users) if user == _user])
                acts.append(replace(acts[-1], at_s=at_s + chance.random() * 2, device=other))
        acts += [Act(at_s, device, "cancel") for at_s in _times(chance, (0, 0, 0, 1))]
        acts += [Act(at_s, device, "cut") for at_s in _times(chance, (0, 0, 1, 2))]
        acts += [Act(at_s, device, "reload") for at_s in _times(chance, (0, 0, 0, 1))]
        acts += [Act(at_s, device, "black hole", seconds=30 * chance.random()) for at_s in _times(chance, (0, 0, 0, 1))]
    return tuple(sorted(acts, key=lambda act: (act.at_s, act.device)))


def _odd_acts(chance: random.Random, users: tuple[int, ...]) -> tuple[Act, ...]:
    """Return what happens seldom: a row that is lost, a client that reads nothing, an id that is used again."""
    acts: list[Act] = []
    for device, _user in enumerate(users):
        acts += [Act(at_s, device, "forgotten") for at_s in _times(chance, (0, 0, 0, 0, 1))]
        stuck = _times(chance, (0, 0, 0, 0, 0, 1))
        acts += [Act(at_s, device, "stuck", seconds=20 * chance.random()) for at_s in stuck]
        if chance.random() < 0.02:
            acts += [Act(at_s, device, "send", "", None, 900 + device) for at_s in _times(chance, (1,))]
            acts.append(replace(acts[-1], at_s=acts[-1].at_s + 3, text="pure"))
    return tuple(acts)


def _odd_blows(chance: random.Random) -> tuple[Blow, ...]:
    return tuple(Blow(at_s, "stray jobs") for at_s in _times(chance, (0, 0, 0, 1)))


def _blows(chance: random.Random) -> tuple[Blow, ...]:
    falls = [Blow(at_s, "runner falls") for at_s in _times(chance, (0, 0, 1, 2))]
    stops = [Blow(at_s, "runner stands still", 80 * chance.random()) for at_s in _times(chance, (0, 0, 0, 1))]
    return tuple(sorted(falls + stops, key=lambda blow: blow.at_s))


def _times(chance: random.Random, how_many: tuple[int, ...]) -> list[float]:
    return [chance.random() * (TROUBLE_S - 10) for _ in range(chance.choice(how_many))]
