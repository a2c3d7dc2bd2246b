"""The canonical turn of the contract: one pure tool, the scripted model without delay, seven events."""

from agent_runner.agent import Agent, ToolOutput, tool
from agent_runner.registry import Registry

PROMPT = "Measure the canonical turn, please"
TYPES = (
    "agent_started",
    "agent_thinking",
    "tool_executing",
    "tool_completed",
    "agent_thinking",
    "agent_completed",
    "final_response",
)


@tool(semantics="pure", running="Measuring the canonical turn")
async def canonical_measurement() -> ToolOutput:
    """Measure the canonical turn."""
    return ToolOutput("Measured 1 turn", "The canonical turn was measured: 1 tool call, 7 events.")


REGISTRY = Registry(
    agents=(),
    root=Agent(
        agent_id="bench_agent",
        description="Holds the canonical turn.",
        instructions="Call canonical_measurement, then say what it returned.",
        tools=(canonical_measurement,),
    ),
)
