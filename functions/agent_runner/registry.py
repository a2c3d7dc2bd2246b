"""Finds every agent and tool by itself: a file in `agents/` or `tools/` is all it takes.

The supervisor agent is made here: it may delegate to every agent found, and holds the tools no
agent claims.
"""

import importlib
import pkgutil
from collections.abc import Iterable
from types import ModuleType
from typing import TypeVar

from agent_runner import agents as agents_package
from agent_runner import tools as tools_package
from agent_runner.agent import Agent, Tool
from agent_runner.model import Delegate

SUPERVISOR = "supervisor"
MAX_DELEGATION_DEPTH = 2
_DELEGATION = "delegate_to_"
_INSTRUCTIONS = """You are the supervisor of a team of agents. You talk with the user.
Hand a task to the agent whose description fits it, with everything that agent needs to know: it
sees only the task you write, not the conversation. When it has answered, give the user its result:
keep its numbers, names and code as they are. Answer by yourself what no agent is made for.
Before each call, say in one sentence what you are about to do and why."""
_T = TypeVar("_T", Agent, Tool)


class Registry:
    """The agents of a deployment.

    Args:
        agents: who can be delegated to.
        tools: every tool there is; the supervisor gets those that no agent holds.
        root: who answers the user; the supervisor unless told.

    Raises:
        ValueError: two agents or two tools share a name, or a delegate does not exist.
    """

    def __init__(self, agents: Iterable[Agent], tools: Iterable[Tool] = (), *, root: Agent | None = None) -> None:
        found = sorted(agents, key=lambda agent: agent.agent_id)
        claimed = {tool.name: tool for agent in found for tool in agent.tools}
        offered = sorted(tools, key=lambda tool: tool.name)
        if any(claimed.get(tool.name, tool) is not tool for tool in offered):
            raise ValueError("two tools share a name")
        free = tuple(tool for tool in offered if tool.name not in claimed)
        self.root = root or Agent(
            agent_id=SUPERVISOR,
            description="Talks with the user and hands tasks to the agents.",
            instructions=_INSTRUCTIONS,
            tools=free,
            delegates=tuple(agent.agent_id for agent in found),
        )
        self._agents = {agent.agent_id: agent for agent in (*found, self.root)}
        self._check(found)

    @classmethod
    def discover(cls) -> "Registry":
        """Return the registry of everything in `agent_runner.agents` and `agent_runner.tools`."""
        return cls(_values(agents_package, Agent), _values(tools_package, Tool))

    @property
    def agents(self) -> tuple[Agent, ...]:
        """Every agent but the root, by name."""
        return tuple(agent for name, agent in sorted(self._agents.items()) if name != self.root.agent_id)

    def agent(self, agent_id: str) -> Agent:
        """Return an agent by its name.

        Raises:
            KeyError: there is none (a run begun by a version that had it).
        """
        return self._agents[agent_id]

    def delegates(self, agent: Agent, depth: int) -> tuple[Delegate, ...]:
        """Return whom an agent may hand a task to, `depth` delegations below the root."""
        if depth >= MAX_DELEGATION_DEPTH:
            return ()
        others = (self._agents[agent_id] for agent_id in agent.delegates)
        return tuple(Delegate(_DELEGATION + other.agent_id, other.agent_id, other.description) for other in others)

    def _check(self, found: list[Agent]) -> None:
        if len(self._agents) != len(found) + 1:
            raise ValueError("two agents share a name")
        for agent in self._agents.values():
            names = [tool.name for tool in agent.tools] + [_DELEGATION + name for name in agent.delegates]
            if len(set(names)) != len(names):
                raise ValueError(f"two tools of agent {agent.agent_id} share a name")
            if missing := set(agent.delegates) - set(self._agents):
                raise ValueError(f"agent {agent.agent_id} delegates to {sorted(missing)}, which do not exist")


def _values(package: ModuleType, kind: type[_T]) -> list[_T]:
    """Return every module-level value of a kind, once each."""
    found: dict[int, _T] = {}
    for module_info in pkgutil.iter_modules(package.__path__):
        module = importlib.import_module(f"{package.__name__}.{module_info.name}")
        found |= {id(value): value for value in vars(module).values() if isinstance(value, kind)}
    return list(found.values())
