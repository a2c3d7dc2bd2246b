"""`python -m tests.replay.record`: play the runs and keep their journals, with what is made of every prefix.

python -m tests.replay.record                # all that are not there yet, into the folder of this version
python -m tests.replay.record canonical      # this one
python -m tests.replay.record --again        # over those that are there: only before a version is out
"""

import argparse
import asyncio
import sys
from dataclasses import replace
from pathlib import Path

from agent_runner.memory import recall
from playbyplay.domain.journal import History
from playbyplay.domain.thread import Run
from tests.house import House
from tests.replay.account import Reader, said
from tests.replay.plays import PLAYS
from tests.replay.recording import JOURNALS, VERSION, Recording, Stored, Turn
from tests.replay.stage import Stage
from tests.simulation.virtual_time import VirtualLoop


def main(arguments: list[str] | None = None) -> int:
    """Record what is asked for; return 1, and write nothing, if a recording of that name is there already."""
    parser = argparse.ArgumentParser(prog="python -m tests.replay.record")
    parser.add_argument("names", nargs="*", help=f"which runs, all by default: {' '.join(PLAYS)}")
    parser.add_argument("--again", action="store_true", help="write over recordings that are there")
    parser.add_argument("--into", type=Path, default=JOURNALS / VERSION, help="the folder")
    asked = parser.parse_args(arguments)
    if unknown := set(asked.names) - PLAYS.keys():
        parser.error(f"no such run: {' '.join(sorted(unknown))}")
    paths = {name: asked.into / f"{name}.json" for name in asked.names or PLAYS}
    there = [path for path in paths.values() if path.exists()]
    if there and not asked.again:
        sys.stderr.write("\n  ".join(["recordings are history; these are there already:", *map(str, there)]) + "\n")
        return 1
    asked.into.mkdir(parents=True, exist_ok=True)
    for name, path in paths.items():
        path.write_text(recorded(name).to_json(), encoding="utf-8")
        sys.stdout.write(f"{path}\n")
    return 0


def recorded(name: str) -> Recording:
    """Play a run and return what is to be kept of it; what two branches do at once falls out the same each time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(_record(name))


async def _record(name: str) -> Recording:
    stage = Stage()
    played = await PLAYS[name](stage)
    house, run = stage.house, stage.house.run(played.run_id)
    assert not run.is_open, f"{name} did not end"
    earlier = (await recall(house.runs, house.journal, run)).said
    before = await house.runs.turns(run.user, run.thread_id, from_turn=1, to_turn=run.turn - 1) if run.turn > 1 else []
    turn = _turn(house, run)
    reader = Reader(stage.engine, house.timing, turn.run, earlier, house.clock.now_ms())
    recording = Recording(
        version=VERSION,
        name=name,
        tells=PLAYS[name].__doc__ or "",
        earlier=tuple(_turn(house, one) for one in before),
        turn=turn,
        read_ms=house.clock.now_ms(),
        recalled=said(earlier),
        prefixes=[
            reader.account(History.of(run.user, run.run_id, house.journal.records(run.user, run.run_id)[:count]))
            for count in range(1, len(turn.records) + 1)
        ],
    )
    _check_asked(stage, recording)
    return recording


def _turn(house: House, run: Run) -> Turn:
    """Return a run as it was accepted: what became of it since is in its journal."""
    accepted = replace(run, status="queued", owner=None, lease_until_ms=0, attempts=0, cancel=False)
    return Turn(accepted, tuple(Stored.of(one) for one in house.journal.records(run.user, run.run_id)))


def _check_asked(stage: Stage, recording: Recording) -> None:
    """Assert that what the model was told while it was played is what is recorded that it would be."""
    recorded = [asked["messages"] for prefix in recording.prefixes for asked in prefix["asked"]]
    models = stage.models[len(recording.earlier) :]
    for request in (request for model in models for request in model.requests):
        assert said(request.messages) in recorded, f"{recording.name}: the model was told something else"


if __name__ == "__main__":
    sys.exit(main())
