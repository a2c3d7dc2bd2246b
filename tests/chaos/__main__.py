"""`make chaos`: run a campaign, print what was measured, and fail if anything was not as the contract says.

CHAOS_S is how long things break, CHAOS_SEED draws what breaks, CHAOS_KEEP names a file for the evidence.
"""

import asyncio
import os
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.chaos.campaign import Outcome, Plan, campaign
from tests.chaos.faults import Kind
from tests.chaos.gather import as_json
from tests.chaos.measure import Spread, Timeline, recoveries, whole_again
from tests.chaos.server import CampaignError

_SHOWN = 40
HITS: Final[tuple[Kind, ...]] = ("server killed", "runner killed", "job lost")
SILENCES: Final[tuple[Kind, ...]] = ("black hole", "long black hole", "half open")


def main() -> int:
    """Run it; return the exit code."""
    try:
        plan = Plan(seconds=float(os.environ.get("CHAOS_S", "120")), seed=int(os.environ.get("CHAOS_SEED", "1")))
    except ValueError:
        print("CHAOS_S takes a number of seconds, CHAOS_SEED a whole number.", file=sys.stderr)
        return 2
    print(f"Breaking things for {plan.seconds:g} s, seed {plan.seed} ...", flush=True)
    try:
        outcome = asyncio.run(campaign(plan))
    except CampaignError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print("\n".join(table(outcome)))
    if kept := os.environ.get("CHAOS_KEEP"):
        Path(kept).write_text(as_json(outcome.evidence), encoding="utf-8")
        print(f"The evidence is in {kept}.")
    return 0 if outcome.is_good else 1


def table(outcome: Outcome) -> Iterator[str]:
    """Yield what was measured, line by line."""
    evidence, report = outcome.evidence, outcome.report
    events = sum(len(record.events) for records in evidence.journals.values() for record in records)
    clients = f"{len(evidence.clients)} connections of {len({client.user for client in evidence.clients})} users"
    yield _row("people", clients)
    yield _row("runs", f"{report.runs}, {events} events, {_counts(Counter(run.status for run in evidence.runs))}")
    yield _row("frames", f"{report.frames}, {len(evidence.links)} connections opened or closed")
    yield _row("what users did", _counts(outcome.done))
    yield _row("faults", _counts(Counter(window.kind for window in outcome.windows)))
    yield _row("starts of the server", str(outcome.starts))
    yield from _measures(outcome)
    yield _row("quiet after", f"{outcome.quiet_s:.1f} s")
    yield _row("violations", str(len(report.violations) + len(outcome.failures)))
    yield from (f"  {one.rule}: {one.subject}: {one.sentence}" for one in report.violations[:_SHOWN])
    yield from (f"  {failure}" for failure in outcome.failures[:_SHOWN])


def _measures(outcome: Outcome) -> Iterator[str]:
    evidence, timeline = outcome.evidence, Timeline(outcome.evidence)
    starts = (window.until_ms - window.at_ms for window in outcome.windows if window.kind == "server killed")
    yield _row("server killed: listens again", _spread(Spread.of(starts)))
    for kind in HITS:
        taken, event = recoveries(timeline, outcome.windows, kind)
        yield _row(f"{kind}: next owner", _spread(taken))
        yield _row(f"{kind}: next event", _spread(event))
    for kind in SILENCES:
        found = [
            whole_again(evidence, timeline, window.device, window)
            for window in outcome.windows
            if window.kind == kind and window.device is not None
        ]
        late = [one for one in found if one is not None]
        yield _row(f"{kind}: whole after its end", _spread(Spread.of(line for line, _connected in late)))
        yield _row(f"{kind}: whole once connected", _spread(Spread.of(connected for _line, connected in late)))


def _row(name: str, value: str) -> str:
    return f"{name:38} {value}"


def _counts(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items())) or "none"


def _spread(spread: Spread) -> str:
    return f"p50 {spread.p50:.2f} s, max {spread.max:.2f} s, of {spread.n}" if spread.n else "none"


if __name__ == "__main__":
    sys.exit(main())
