"""The registry: agents and tools find themselves; names are unique; delegation ends."""

from collections.abc import Callable

import pytest

import agent_runner.agents
from agent_runner.agent import Agent, Tool, tool
from agent_runner.registry import MAX_DELEGATION_DEPTH, SUPERVISOR, Registry


def a_tool(name: str) -> Tool:
    def function() -> str:
        """Do it."""
        return name

    function.__name__ = name
    return tool(semantics="pure", running="Doing it")(function)


def an_agent(name: str, *tools: Tool, delegates: tuple[str, ...] = ()) -> Agent:
    return Agent(name, f"Knows {name}.", "Know it.", tools, delegates)


LOOK, FIND, SEND = a_tool("look"), a_tool("find"), a_tool("send")


def test_the_supervisor_delegates_to_every_agent_and_holds_the_free_tools() -> None:
    """In the order of their names, whatever the order they were found in."""
    registry = Registry([an_agent("zoe", LOOK), an_agent("amy")], [SEND, LOOK, FIND])
    assert registry.root.agent_id == SUPERVISOR
    assert registry.root.delegates == ("amy", "zoe")
    assert registry.root.tools == (FIND, SEND)
    assert [agent.agent_id for agent in registry.agents] == ["amy", "zoe"]
    assert [one.tool_name for one in registry.delegates(registry.root, 0)] == ["delegate_to_amy", "delegate_to_zoe"]
    assert registry.delegates(registry.root, 0)[1].description == "Knows zoe."


def test_an_agent_is_found_by_its_name() -> None:
    """The root too; one that is no more is a KeyError."""
    registry = Registry([an_agent("amy")])
    assert registry.agent("amy").agent_id == "amy"
    assert registry.agent(SUPERVISOR) is registry.root
    with pytest.raises(KeyError):
        registry.agent("bob")


def test_delegation_is_two_deep() -> None:
    """An agent that was delegated to may delegate once more; below that nobody does."""
    registry = Registry([an_agent("amy", delegates=("bob",)), an_agent("bob", delegates=("amy",))])
    amy = registry.agent("amy")
    assert [len(registry.delegates(amy, depth)) for depth in range(4)] == [1, 1, 0, 0]
    assert MAX_DELEGATION_DEPTH == 2


def test_a_root_of_ones_own_is_taken() -> None:
    """With its own tools and delegates, and nothing added."""
    root = an_agent("root", LOOK, delegates=("amy",))
    registry = Registry([an_agent("amy")], [SEND], root=root)
    assert registry.root is root
    assert [agent.agent_id for agent in registry.agents] == ["amy"]


WRONG: dict[str, Callable[[], Registry]] = {
    "two agents of a name": lambda: Registry([an_agent("amy"), an_agent("amy")]),
    "an agent named like the root": lambda: Registry([an_agent(SUPERVISOR)]),
    "two tools of a name in one agent": lambda: Registry([an_agent("amy", LOOK, a_tool("look"))]),
    "two free tools of a name": lambda: Registry([], [LOOK, a_tool("look")]),
    "a free tool named like an agent's": lambda: Registry([an_agent("amy", LOOK)], [a_tool("look")]),
    "a tool named like a delegation": lambda: Registry([an_agent("amy")], [a_tool("delegate_to_amy")]),
    "a delegate that does not exist": lambda: Registry([an_agent("amy", delegates=("bob",))]),
    "a root's delegate that does not exist": lambda: Registry([], root=an_agent("root", delegates=("bob",))),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG.keys())
def test_a_name_stands_for_one_thing(wrong: Callable[[], Registry]) -> None:
    """A mistake in a deployment is told at its start."""
    with pytest.raises(ValueError, match=r"share a name|do not exist"):
        wrong()


def test_two_agents_may_hold_one_tool() -> None:
    """The same function is the same tool."""
    registry = Registry([an_agent("amy", LOOK), an_agent("zoe", LOOK)], [LOOK])
    assert registry.root.tools == ()


def test_everything_in_the_packages_is_found() -> None:
    """A file is all it takes: both analysts are delegates, and no tool of theirs is the supervisor's."""
    registry = Registry.discover()
    assert {"code_analyst", "database_analyst"} <= {agent.agent_id for agent in registry.agents}
    assert registry.root.delegates == tuple(agent.agent_id for agent in registry.agents)
    held = {one.name for agent in registry.agents for one in agent.tools}
    assert {"code_analyzer", "database_analyzer"} <= held
    assert not held & {one.name for one in registry.root.tools}
    assert agent_runner.agents.__doc__
