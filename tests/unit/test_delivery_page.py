"""The page of promises names tests that exist, and leaves out no promise."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "delivery.md").read_text(encoding="utf-8")
NAMED = re.findall(r"`(tests/[a-z0-9_/]+\.py)::(test_[a-z0-9_]+)`", PAGE)


def test_every_test_that_is_named_exists() -> None:
    """A proof that was renamed away proves nothing."""
    missing = [f"{path}::{name}" for path, name in NAMED if name not in _tests_of(ROOT / path)]
    assert missing == []


def test_every_promise_has_a_proof() -> None:
    """C1 to C19, each in a row that names a test."""
    rows = [line for line in PAGE.splitlines() if re.match(r"\| C\d+ \|", line)]
    assert all(re.search(r"`tests/[^`]+::test_", row) for row in rows)
    assert {row.split(" | ")[0].removeprefix("| ") for row in rows} == {f"C{number}" for number in range(1, 20)}


def _tests_of(path: Path) -> set[str]:
    if not path.exists():
        return set()
    functions = ast.FunctionDef | ast.AsyncFunctionDef
    return {node.name for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, functions)}
