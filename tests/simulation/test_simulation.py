"""The contract holds under every single fault of an ordinary run and under thousands of schedules of many."""

import pytest

from tests.simulation.calm import calm
from tests.simulation.campaign import Tally, play, single_faults
from tests.simulation.conftest import PAIRS, PROGRAMS, SEEDS, Campaigns
from tests.simulation.faulty_ports import MODES, Strike, modes_of
from tests.simulation.sabotage import SABOTAGES, Sabotage
from tests.simulation.schedule import by_seed
from tests.simulation.states import WANTED
from tests.simulation.trace import lines

_FOUND_WITHIN = 240  # of the 2,000 that are played
_BITES: dict[Sabotage, tuple[str, ...]] = {
    "the journal overwrites": ("journal.",),
    "an accept forgets the message before": ("submission.",),
    "nobody sweeps": ("bounds.", "journal."),
    "no resume arrives": ("delivery.", "bounds."),
    "frames reach strangers": ("delivery.",),
    "a tool forgets its keys": ("execution.",),
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_single_fault_of_an_ordinary_run_keeps_the_contract(campaigns: Campaigns, program: str) -> None:
    """Each call of each process, in each way it can go wrong: the one fault happens, and nothing is broken by it."""
    tally, strikes = campaigns.tally(program), single_faults(program)
    assert tally.bad == {}
    assert tally.schedules == len(strikes) > 300
    assert sum(tally.struck.values()) == len(strikes)


def test_pairs_of_faults_keep_the_contract(campaigns: Campaigns) -> None:
    """Also one that meets the recovery from another; the second of a pair may be of a call the first prevented."""
    tally = campaigns.tally("pairs")
    assert tally.bad == {}
    assert tally.schedules == PAIRS
    assert sum(tally.struck.values()) > 1.5 * PAIRS


@pytest.mark.parametrize("name", calm())
def test_a_calm_schedule_keeps_the_contract(name: str) -> None:
    """Where next to nothing is broken, all is held to the second, and a run fails only where it must."""
    played = play(calm()[name])
    assert played.report.violations == ()
    ends = {"cancelled": "cancelled", "interrupted": "cancelled", "too long": "failed"}
    wanted = {status for word, status in ends.items() if word in name}
    assert {run.status for run in played.evidence.runs} - {"completed"} == wanted


@pytest.fixture(scope="module")
def seeds(campaigns: Campaigns) -> Tally:
    """Wait for the seeds once."""
    return campaigns.tally("seeds")


def test_every_seed_keeps_the_contract(seeds: Tally) -> None:
    """Whatever is wrong with one, its line says how to have it again."""
    assert {f"python -m tests.simulation {name}": found[:2] for name, found in seeds.bad.items()} == {}
    assert seeds.schedules == SEEDS
    assert seeds.runs > 3 * SEEDS


def test_the_seeds_reach_every_state_of_interest(seeds: Tally) -> None:
    """A fault that leads nowhere proves nothing."""
    assert [state for state in WANTED if not seeds.states[state]] == []


def test_the_seeds_break_everything_in_every_way(seeds: Tally) -> None:
    """Each mode struck, and each port of each kind."""
    fired = {struck.rsplit(":", 1)[1] for struck in seeds.struck}
    assert fired == set(MODES)
    ports = {struck.split(".", 1)[0] for struck in seeds.struck}
    assert ports >= {
        "journal",
        "runs",
        "queue",
        "connections",
        "gateway",
        "receipt",
        "tool",
        "model",
        "overdue",
        "reply",
    }


@pytest.mark.parametrize("sabotage", _BITES)
def test_the_campaign_notices_a_broken_promise(sabotage: Sabotage) -> None:
    """An eighth of the seeds, in a world that breaks one, is enough to be told of it, by the right rule."""
    found: set[str] = set()
    for seed in range(_FOUND_WITHIN):
        found |= {violation.rule for violation in play(by_seed(seed, sabotage)).report.violations}
        if any(rule.startswith(prefix) for rule in found for prefix in _BITES[sabotage]):
            return
    pytest.fail(f"not noticed in {_FOUND_WITHIN} seeds; found {sorted(found)}")


def test_every_sabotage_is_tried() -> None:
    """None is there for show."""
    assert set(_BITES) == set(SABOTAGES)


def test_a_seed_is_the_same_every_time() -> None:
    """Down to the last frame, or a failure could not be had again."""
    seed = 11
    assert lines(play(by_seed(seed)).evidence) == lines(play(by_seed(seed)).evidence)


def test_a_strike_is_named_as_it_is_read() -> None:
    """One line has a failure again, and a mode that a call does not know is refused."""
    strike = Strike("runner.journal.append", 3, "late")
    assert Strike.of(str(strike)) == strike
    assert "drop" not in modes_of("runner.journal.append")
    with pytest.raises(ValueError, match="cannot go wrong as drop"):
        Strike.of("runner.journal.append#3:drop")
