"""`python -m tests.simulation`: play schedules and say what was wrong with them.

python -m tests.simulation --seeds 20000            # that many, from 0
python -m tests.simulation --seed 4711 --trace      # one of them again, with all that happened
python -m tests.simulation --strike runner.journal.append#3:late
python -m tests.simulation --calm "handed on"       # a schedule in which next to nothing is broken
python -m tests.simulation --singles --pairs 10000  # every single fault of an ordinary run, and pairs of them
"""

import argparse
import functools
import sys
import time

from tests.simulation.calm import calm
from tests.simulation.campaign import Tally, campaign, pairs, play, single_faults
from tests.simulation.faulty_ports import Strike
from tests.simulation.schedule import Schedule, by_seed, one_fault
from tests.simulation.states import WANTED
from tests.simulation.trace import lines

_SHOWN = 20


def main(arguments: list[str] | None = None) -> int:
    """Play what is asked for; return 1 if anything was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation")
    parser.add_argument("--seeds", type=int, default=0, help="how many seeds to play")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--singles", action="store_true", help="play every single fault of an ordinary run")
    parser.add_argument("--pairs", type=int, default=0, help="how many pairs of faults of an ordinary run to play")
    parser.add_argument("--seed", type=int, help="play one seed")
    parser.add_argument("--calm", choices=list(calm()), help="play one calm schedule")
    parser.add_argument("--strike", action="append", type=Strike.of, help="play the ordinary run with these faults")
    parser.add_argument("--program", default="idempotent", help="what the ordinary run does")
    parser.add_argument("--trace", action="store_true", help="print what happened")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    asked = parser.parse_args(arguments)
    if asked.seed is not None:
        return _one(by_seed(asked.seed), trace=asked.trace)
    if asked.calm is not None:
        return _one(calm()[asked.calm], trace=asked.trace)
    if asked.strike:
        return _one(one_fault(*asked.strike, program=asked.program), trace=asked.trace)
    schedules = [functools.partial(by_seed, seed) for seed in range(asked.first, asked.first + asked.seeds)]
    if asked.singles:
        strikes = single_faults(asked.program)
        schedules += [functools.partial(one_fault, strike, program=asked.program) for strike in strikes]
    chosen = pairs(asked.pairs, asked.program, asked.first) if asked.pairs else []
    schedules += [functools.partial(one_fault, *pair, program=asked.program) for pair in chosen]
    if not schedules:
        parser.print_usage()
        return 2
    began_s = time.monotonic()
    tally = campaign(schedules, jobs=asked.jobs)
    return _tell(tally, time.monotonic() - began_s)


def _one(schedule: Schedule, *, trace: bool) -> int:
    played = play(schedule)
    if trace:
        print("\n".join(lines(played.evidence)))
    print(f"{schedule.name}: {played.report.verdict}, {len(played.evidence.runs)} runs")
    for violation in played.report.violations[:_SHOWN]:
        print(f"  {violation}")
    return int(played.report.verdict != "valid")


def _tell(tally: Tally, took_s: float) -> int:
    faults = sum(tally.struck.values())
    print(f"{tally.schedules} schedules, {tally.runs} runs, {tally.frames} frames, {faults} faults in {took_s:.1f} s")
    modes: dict[str, int] = {}
    for struck, count in tally.struck.items():
        modes[struck.rsplit(":", 1)[1]] = modes.get(struck.rsplit(":", 1)[1], 0) + count
    print("faults that fired: " + ", ".join(f"{mode} {count}" for mode, count in sorted(modes.items())))
    print("states reached:")
    for state, count in sorted(tally.states.items()):
        print(f"  {count:8} {state}")
    missing = [state for state in WANTED if not tally.states[state]]
    if missing:
        print("never reached: " + ", ".join(missing))
    print(f"{len(tally.bad)} schedules with violations")
    for name, violations in list(tally.bad.items())[:_SHOWN]:
        print(f"  again: python -m tests.simulation {name}")
        for violation in violations[:3]:
            print(f"    {violation}")
    return int(bool(tally.bad))


if __name__ == "__main__":
    sys.exit(main())
