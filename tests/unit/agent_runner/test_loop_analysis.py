"""Loops that multiply, as the syntax tree shows them."""

from textwrap import dedent

import pytest

from agent_runner.tools.loop_analysis import measure


def smells(code: str) -> list[tuple[int, str]]:
    return [(smell.line, smell.name) for smell in measure(dedent(code).strip()).smells]


def test_three_loops_inside_each_other_are_reported_at_the_innermost() -> None:
    """One chain of loops is one finding, at its deepest line."""
    code = """
        for a in x:
            for b in y:
                while c:
                    for d in z:
                        pass
        """
    assert smells(code) == [(4, "nested-loops")]
    assert "4 loops" in measure(dedent(code).strip()).smells[0].message


def test_two_loops_inside_each_other_are_common() -> None:
    """Two loops over a grid are not reported."""
    assert smells("for a in x:\n    for b in a:\n        print(b)\n") == []


def test_loops_of_a_comprehension_count() -> None:
    """A comprehension of three clauses is three loops."""
    assert smells("r = [c for a in x for b in a for c in b]") == [(1, "nested-loops")]
    assert measure("r = [[b for b in a] for a in x]").deepest_loop == 2


def test_the_iterable_of_a_loop_runs_once() -> None:
    """A comprehension that a loop iterates over is beside the loop, not inside."""
    assert measure("for a in [b for b in x]:\n    pass\nelse:\n    for c in x: pass\n").deepest_loop == 1


def test_a_function_starts_its_own_count() -> None:
    """A function defined in a loop is not run by it."""
    code = "for a in x:\n    for b in x:\n        def f():\n            for c in x: pass\n"
    assert measure(code).deepest_loop == 2
    assert measure(code).functions == 1


@pytest.mark.parametrize(
    "code",
    [
        "seen = []\nfor a in x:\n    if a in seen: pass\n",
        "seen: list[int] = load()\nfor a in x:\n    if a not in seen: pass\n",
        "def f(seen: list, x):\n    return [a for a in x if a in seen]\n",
        "seen = [1, 2]\nseen += more\nwhile x in seen:\n    x += 1\n",
        "for a in x:\n    for b in x:\n        if a in sorted(b): pass\n",
    ],
)
def test_a_membership_test_on_a_list_in_a_loop_is_reported(code: str) -> None:
    """What evidently is a list is walked at every test."""
    assert [name for _, name in smells(code)] == ["list-membership"]


@pytest.mark.parametrize(
    "code",
    [
        "seen = set()\nfor a in x:\n    if a in seen: pass\n",
        "seen = []\nseen = set(seen)\nfor a in x:\n    if a in seen: pass\n",
        "def f(seen, x):\n    return [a for a in x if a in seen]\n",
        "for a in x:\n    if a in ['y', 'n']: pass\n",
        "seen = []\nif a in seen: pass\n",
    ],
)
def test_a_membership_test_that_may_be_cheap_is_not_reported(code: str) -> None:
    """Without evidence of a list, or without a loop, nothing is claimed."""
    assert smells(code) == []
