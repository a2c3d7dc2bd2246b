"""Finds out why a database is slow."""

from agent_runner.agent import Agent
from agent_runner.tools.database_analyzer import database_analyzer

DATABASE_ANALYST = Agent(
    agent_id="database_analyst",
    description="Analyzes database performance: slow SQL queries, full table scans, missing indexes.",
    instructions=(
        "You are a database performance analyst. Call database_analyzer, then report what it measured: the slow "
        "queries with their times, why each is slow, and the DDL that would help. Keep its numbers and names "
        "exactly; add none of your own. Before each call, say in one sentence what you are about to do and why."
    ),
    tools=(database_analyzer,),
)
