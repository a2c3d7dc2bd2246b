"""`python -m bench aws`: what the home on AWS costs, in imports, calls and dollars; no account is needed.

What only an account can tell (latency, real cold starts) is not here.
"""

import asyncio
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agent_runner.scripted_model import ScriptedModel
from bench.cloud_turn import PING_S, Thinking, Turn, turn
from bench.imports import ROUNDS, YARDSTICK, import_costs
from bench.prices import NOT_COUNTED, PRICES, Assumptions, dollars

THINK_S, PIECES, PIECE_S = 5.0, 500, 0.02  # two responses; 500 tokens at 50 a second
_PACES = {
    "at once": "the scripted model, which answers at once",
    "thinking": f"a model that thinks {THINK_S:.0f} s before each response and streams {PIECES} tokens in "
    f"{PIECES * PIECE_S:.0f} s; the client pings each {PING_S:.0f} s",
}


def main(results: Path) -> None:
    """Measure, count, print and keep.

    Args:
        results: the folder to keep them in.
    """
    imports = import_costs()
    turns = {
        "at once": asyncio.run(turn(ScriptedModel())),
        "thinking": asyncio.run(turn(Thinking(THINK_S, PIECES, PIECE_S))),
    }
    given = Assumptions()
    costs = {pace: dollars(one, given) for pace, one in turns.items()}
    called = sorted({call for one in turns.values() for call in one.calls.made})
    counts = {pace: _counts(one, called) for pace, one in turns.items()}
    print(f"\nImports, fresh interpreter, warm bytecode, least of {ROUNDS}; ratio to {YARDSTICK}")
    print(_table(("", "ms", "ratio"), [(row["import"], str(row["ms"]), f"{row['ratio']:.2f}") for row in imports]))
    print("\nOne canonical turn, the first of its thread, one connection: counted on AWS in memory")
    for pace, words in _PACES.items():
        print(f"  {pace}: {words}")
    print(_columns(counts))
    print("\nDollars per million turns, us-east-1, no free tier")
    print(_columns({pace: {**cost, "all": round(sum(cost.values()), 2)} for pace, cost in costs.items()}))
    print("\nPrices")
    for name, price in PRICES.items():
        print(f"  {name}: ${price.dollars:.10f}".rstrip("0") + f"  ({price.source})")
    print("Assumed:", ", ".join(f"{name} {value}" for name, value in dataclasses.asdict(given).items()))
    print("Not counted:", NOT_COUNTED)
    results.mkdir(exist_ok=True)
    kept = {"imports": imports, "counts": counts, "dollars_per_million": costs, "assumed": dataclasses.asdict(given)}
    (results / "aws.json").write_text(json.dumps(kept, indent=1) + "\n")
    print(f"kept in {results.name}/aws.json")


def _counts(one: Turn, called: Sequence[str]) -> dict[str, Any]:
    return {
        **{call: one.calls.made[call] for call in called},
        "AWS calls": one.calls.made.total(),
        "API Gateway messages": one.messages,
        "calls of the message function": one.message_calls,
        "DynamoDB write units": one.calls.write_units,
        "DynamoDB read units": one.calls.read_units,
        "bytes of log": one.log_bytes,
        "runner, s": round(one.runner_s, 1),
    }


def _columns(by_pace: dict[str, dict[str, Any]]) -> str:
    """Return a table with a column for each pace."""
    names = next(iter(by_pace.values()))
    rows = [(name, *(f"{one[name]:,}" for one in by_pace.values())) for name in names]
    return _table(("", *by_pace), rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell.rjust(width) if column else cell.ljust(width) for column, (cell, width) in enumerate(pairs))
        for pairs in (list(zip(line, widths, strict=True)) for line in lines)
    )
