"""What the README says is true: its tool and its agent work as they stand there, and its files exist."""

import importlib
import re
import sys
from pathlib import Path

import pytest

from agent_runner import agents, tools
from agent_runner.model import ModelRequest
from agent_runner.registry import Registry
from agent_runner.scripted_model import decide
from playbyplay.domain.derivation import UserMessage

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
MAX_LINES = 150


def _snippet(file: str) -> str:
    found = re.search(rf"```python\n# {re.escape(file)}\n(.*?)```", README, re.DOTALL)
    assert found, file
    return found[1]


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """Put the README's two files where it says, in a copy of the packages' search path, and discover."""
    for package, name in ((tools, "tools"), (agents, "agents")):
        (tmp_path / name).mkdir()
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path / name)])
    (tmp_path / "tools" / "dice.py").write_text(_snippet("functions/agent_runner/tools/dice.py"))
    (tmp_path / "agents" / "gambler.py").write_text(_snippet("functions/agent_runner/agents/gambler.py"))
    importlib.invalidate_caches()
    try:
        return Registry.discover()
    finally:
        for module in ("agent_runner.tools.dice", "agent_runner.agents.gambler"):
            sys.modules.pop(module, None)


def test_one_file_adds_an_agent(registry: Registry) -> None:
    """The supervisor delegates to the README's agent, which calls the README's tool."""
    supervisor = registry.root
    request = ModelRequest(
        supervisor, supervisor.tools, registry.delegates(supervisor, 0), (UserMessage("Roll the dice, please"),)
    )
    assert [call.tool_name for call in decide(request).calls] == ["delegate_to_gambler"]
    gambler = registry.agent("gambler")
    request = ModelRequest(gambler, gambler.tools, (), (UserMessage("Roll the dice, please"),))
    assert [call.tool_name for call in decide(request).calls] == ["roll_dice"]


def test_one_file_adds_a_tool(registry: Registry) -> None:
    """The README's tool has the schema of its signature; without an agent that claims it, the supervisor holds it."""
    dice = registry.agent("gambler").tools[0]
    assert dice.schema["properties"]["sides"] == {
        "default": 6,
        "maximum": 100,
        "minimum": 2,
        "title": "Sides",
        "type": "integer",
    }
    unclaimed = Registry(agents=(), tools=(dice,))
    assert unclaimed.root.tools == (dice,)


def test_every_link_and_picture_exists() -> None:
    """No link of the README leads nowhere."""
    targets = re.findall(r"\]\(((?!https?:)[^)#]+)\)", README)
    assert targets
    assert [target for target in targets if not (ROOT / target).exists()] == []


def test_every_make_target_it_names_exists() -> None:
    """`make run` and the others are in the Makefile."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"make ([a-z-]+)", README))
    assert named - targets == set()


def test_it_stays_short() -> None:
    """A README is read in one go."""
    assert len(README.splitlines()) < MAX_LINES
