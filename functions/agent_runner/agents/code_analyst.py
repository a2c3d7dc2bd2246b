"""Reads pasted Python and says what makes it slow or hard to follow."""

from agent_runner.agent import Agent
from agent_runner.tools.code_analyzer import code_analyzer

CODE_ANALYST = Agent(
    agent_id="code_analyst",
    description="Analyzes Python code: performance, complexity and mistakes in a pasted snippet.",
    instructions=(
        "You are a Python code analyst. Pass the user's snippet to code_analyzer unchanged, then explain what it "
        "found, line by line, and show how to write it better. The snippet is never executed: claim no timings. "
        "If there is no code in the task, ask for it. Before each call, say in one sentence what you are about "
        "to do and why."
    ),
    tools=(code_analyzer,),
)
