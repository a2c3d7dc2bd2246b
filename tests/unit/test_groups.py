"""How the tests are dealt out."""

from pathlib import Path

import pytest

from tests.groups import FOLDERS, gives_way, group_of, rank_of

TESTS = Path(__file__).resolve().parents[1]


def test_every_folder_of_tests_is_in_a_group() -> None:
    """A new one would begin last, and beside anything."""
    assert {file.relative_to(TESTS).parts[0] for file in TESTS.rglob("test_*.py")} == set(FOLDERS)


def test_what_goes_by_the_clock_stays_together() -> None:
    """No two of these may run at the same time, and they give way to nobody."""
    nodeids = [f"tests/{folder}/test_x.py::test_y" for folder in ("e2e", "chaos", "mission_critical", "clients")]
    assert {group_of(nodeid) for nodeid in nodeids} == {"timed"}
    assert not any(map(gives_way, nodeids))


@pytest.mark.parametrize("folder", ["cloud", "infra", "contract", "simulation"])
def test_what_is_costly_to_set_up_is_set_up_once(folder: str) -> None:
    """All that share a deployment, a synthesis, a cloud or a campaign are in one group, whatever their parameters."""
    nodeids = [f"tests/{folder}/{rest}" for rest in ("test_x.py::test_y", "test_z.py::TestZ::test_y[a/b::c]")]
    assert len({group_of(nodeid) for nodeid in nodeids}) == 1


def test_the_longest_chains_begin_first() -> None:
    """A group is asked for as a whole before the next, and the campaign has begun before the units."""
    nodeids = sorted((f"tests/{folder}/test_x.py::test_y" for folder in sorted(FOLDERS)), key=rank_of)
    groups = [group_of(nodeid) for nodeid in nodeids]
    assert list(dict.fromkeys(groups))[:3] == ["timed", "cloud", "campaign"]
    assert groups == sorted(groups, key=groups.index)
    assert nodeids.index("tests/simulation/test_x.py::test_y") < nodeids.index("tests/unit/test_x.py::test_y")


def test_who_gives_way_goes_by_the_clock_no_more() -> None:
    """A process that has begun to give way gets none of the others afterwards: they all begin before."""
    patient = [gives_way(f"tests/{folder}/test_x.py::test_y") for folder in FOLDERS]
    assert patient == sorted(patient)


def test_a_folder_nobody_knows_is_a_group_that_begins_last() -> None:
    """It disturbs no other's order."""
    assert group_of("tests/new/test_x.py::test_y") == "new"
    assert rank_of("tests/new/test_x.py::test_y") == len(FOLDERS)
