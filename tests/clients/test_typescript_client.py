"""The TypeScript client: its own checks through the Node of this project, and the built package at a real server."""

import json
from pathlib import Path
from typing import Any

import pytest

from agent_runner.agent import ToolOutput, tool
from agent_runner.registry import Registry
from infra import toolchain
from tests.clients.node import npm, run
from tests.e2e.home import plain_agent, running_home

CLIENT = Path(__file__).parents[2] / "clients" / "typescript"
CANONICAL = [
    [1, "agent_started"],
    [2, "agent_thinking"],
    [3, "tool_executing"],
    [4, "tool_completed"],
    [5, "agent_thinking"],
    [6, "agent_completed"],
    [7, "final_response"],
]
_TALK_S = 30.0


@pytest.fixture(scope="module", autouse=True)
def _installed() -> None:
    """What `package-lock.json` names is there; npm's registry is needed once."""
    toolchain.install(CLIENT)


def counting_registry() -> Registry:
    """Return an agent whose turn is the canonical one."""

    @tool(semantics="pure", running="Counting the sheep")
    async def count_sheep() -> ToolOutput:
        """Count the sheep."""
        return ToolOutput("Counted seven.", "There are seven sheep.")

    return Registry(agents=(), root=plain_agent(tools=(count_sheep,)))


async def test_its_types_are_what_the_schema_says() -> None:
    """A change of the wire that was not generated into the client fails here."""
    await npm(CLIENT, "run", "generate", "--", "--check")


async def test_its_types_hold() -> None:
    """The library, its tests and its scripts compile under the strictest settings."""
    await npm(CLIENT, "run", "types")


async def test_its_own_tests_hold() -> None:
    """Reassembly against the shared vectors, and the client over fake sockets in virtual time."""
    await npm(CLIENT, "test")


async def test_the_built_package_gets_every_event_once_over_a_connection_that_is_cut(tmp_path: Path) -> None:
    """Under Node a turn that is cut, a message that is left and a thread known only by its id come out whole."""
    await npm(CLIENT, "run", "build")
    async with running_home(tmp_path, registry=counting_registry(), scripted_pace_s=0.1) as home:
        said = await run(CLIENT, str(toolchain.node()), "test/real_server.mjs", home.origin, seconds=_TALK_S)
        kept = home.kept("ada")
    seen: dict[str, Any] = json.loads(said)
    cut, reload, replay = seen["cut"], seen["reload"], seen["replay"]
    assert cut["happened"] == CANONICAL
    assert [one[:2] for one in cut["read"]] == CANONICAL
    assert cut["connections"] == 2
    assert not any(is_replay for _seq, _type, is_replay in cut["read"][:3])
    assert "seven sheep" in cut["answer"]
    assert reload == {"isSame": True, "left": 0, "last": "final_response", "seqs": [1, 2, 3, 4, 5, 6, 7], "turn": 2}
    assert replay["through"] == {"turn": 2, "seq": 7}
    assert replay["seen"] == [[turn, seq] for turn in (1, 2) for seq in range(8)]
    assert [turn for _run_id, _thread_id, turn in kept] == [1, 2]
    assert kept[0][:2] == (cut["runId"], cut["threadId"])
