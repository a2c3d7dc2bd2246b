"""`make bench`: the one-machine home beside a bare loop, what a turn costs on AWS, and what the auditor does.

`python -m bench turns`, `python -m bench aws` or `python -m bench audit` runs one of the three.

Machines are noisy, so what counts are ratios within one run. Each subject serves in a process of its
own, the clients drive it from another, one after the other and never two at a time.
"""

import contextlib
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from bench import audit, aws
from bench.plot import svg
from local.server import HOST

RESULTS = Path(__file__).parent / "results"
CLIENTS = (1, 50, 200)
SECONDS = float(os.environ.get("BENCH_S", "10"))
ROUNDS = 3  # each subject in turn, so that a slow minute of the machine meets both
IDLE = 1500
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Target:
    """What the numbers should be: a sentence, what was found, and whether it is met."""

    wanted: str
    found: str
    met: bool


@contextlib.contextmanager
def serving(subject: str) -> Iterator[tuple[str, psutil.Process]]:
    """Serve a subject; give its URL and its process."""
    with subprocess.Popen([sys.executable, "-m", "bench.serve", subject], stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None  # noqa: S101 - it is a pipe
            port = server.stdout.readline().strip()
            path = "/ws" if subject == "playbyplay" else "/"
            yield f"ws://{HOST}:{port}{path}", psutil.Process(server.pid)
        finally:
            server.terminate()


def measure(subject: str, clients: int) -> Row:
    """Drive turns against a subject and return its row."""
    with serving(subject) as (url, server):
        before = server.cpu_times()
        answer = json.loads(_drive("turns", url, clients, SECONDS))
        after = server.cpu_times()
        rss = server.memory_info().rss
    cpu_s = after.user + after.system - before.user - before.system
    return {
        "scenario": "turns",
        "subject": subject,
        "clients": clients,
        "n": answer["n"],
        "accepted_ms": answer["accepted_ms"] if subject == "playbyplay" else None,
        "first_ms": answer["first_ms"],
        "done_ms": answer["done_ms"],
        "turns_per_s": round(answer["turns_per_s"], 1),
        "server_cpu_us_per_turn": round(cpu_s / answer["all"] * 1e6),
        "rss_mb": round(rss / 2**20, 1),
    }


def measure_idle(subject: str) -> Row:
    """Open idle connections and return the memory above the empty server, per connection."""
    with serving(subject) as (url, server):
        _drive("turns", url, 1, 1.0)  # what is loaded on first use is no connection's
        empty = server.memory_info().rss
        command = [sys.executable, "-m", "bench.drive", "idle", url, str(IDLE), "0"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as clients:
            assert clients.stdout is not None  # noqa: S101 - it is a pipe
            opened = json.loads(clients.stdout.readline())["open"]
            full = server.memory_info().rss
            clients.communicate("")
    return {
        "scenario": "idle",
        "subject": subject,
        "clients": opened,
        "rss_mb": round(full / 2**20, 1),
        "kib_per_connection": round((full - empty) / 1024 / opened, 1),
    }


def best(rows: list[Row]) -> Row:
    """Return the round with the most turns per second: the one the machine disturbed least."""
    return max(rows, key=lambda row: float(row["turns_per_s"]))


def targets(rows: list[Row]) -> list[Target]:
    """Hold the rows against what they should be."""
    turns = {(row["subject"], row["clients"]): row for row in rows if row["scenario"] == "turns"}
    ours, bare = turns["playbyplay", 50], turns["bare", 50]
    share = ours["turns_per_s"] / bare["turns_per_s"]
    first = turns["playbyplay", 1]["first_ms"]["p50"] / turns["bare", 1]["first_ms"]["p50"]
    accepted = turns["playbyplay", 200]["accepted_ms"]["p95"]
    idle = next(row for row in rows if row["scenario"] == "idle" and row["subject"] == "playbyplay")
    return [
        Target("50 clients: at least 1/3 of the bare loop's turns/s", f"{share:.2f}", share >= 1 / 3),
        Target("1 client: first event within 4x the bare loop's", f"{first:.1f}x", first <= 4),  # noqa: PLR2004
        Target("200 clients: nothing missing, p95 of accepted under 300 ms", f"{accepted:.0f} ms", accepted < 300),  # noqa: PLR2004
        Target(
            "1,500 idle connections: under 40 KiB each",
            f"{idle['kib_per_connection']:.1f} KiB",
            idle["kib_per_connection"] < 40,  # noqa: PLR2004
        ),
    ]


def turns() -> None:
    """Measure the one-machine home; print and keep it."""
    rows: list[Row] = []
    for clients in CLIENTS:
        rounds: dict[str, list[Row]] = {"bare": [], "playbyplay": []}
        for number in range(ROUNDS):
            for subject, measured in rounds.items():
                print(f"round {number + 1} of {ROUNDS}: {clients} clients, {subject} ...", end="\r", file=sys.stderr)
                measured.append(measure(subject, clients))
        rows += [best(measured) for measured in rounds.values()]
    rows += [measure_idle(subject) for subject in ("bare", "playbyplay")]
    found = targets(rows)
    print(" " * 60, end="\r", file=sys.stderr)
    print(_table(rows))
    for target in found:
        print(f"{'met   ' if target.met else 'MISSED'}  {target.wanted}: {target.found}")
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "latest.json").write_text(json.dumps(rows, indent=1) + "\n")
    (RESULTS / "latest.svg").write_text(svg(rows, _caption()))
    print(f"kept in {RESULTS.relative_to(Path.cwd())}/latest.json and latest.svg  ({_caption()})")


def main(chosen: list[str]) -> int:
    """Run what was chosen, or all; return the exit code, 0 also where a target is missed."""
    parts: dict[str, Callable[[], None]] = {
        "turns": turns,
        "aws": lambda: aws.main(RESULTS),
        "audit": lambda: audit.main(RESULTS),
    }
    if not parts.keys() >= set(chosen):
        print(f"python -m bench [{'|'.join(parts)}]", file=sys.stderr)
        return 2
    for name in chosen or parts:
        parts[name]()
    return 0


def _drive(what: str, url: str, clients: int, seconds: float) -> str:
    command = [sys.executable, "-m", "bench.drive", what, url, str(clients), str(seconds)]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=seconds + 60).stdout


def _table(rows: list[Row]) -> str:
    head = ("scenario", "subject", "clients", "n", "accepted p50/p95", "first p50/p95", "done p50/p95/max ms")
    lines = [(*head, "turns/s", "cpu us/turn", "RSS MB")]
    for row in rows:
        if row["scenario"] == "idle":
            each = f"{row['kib_per_connection']} KiB each"
            lines.append(("idle", row["subject"], str(row["clients"]), "", "", "", each, "", "", str(row["rss_mb"])))
            continue
        accepted, first, done = row["accepted_ms"], row["first_ms"], row["done_ms"]
        lines.append(
            (
                "turns",
                row["subject"],
                str(row["clients"]),
                str(row["n"]),
                f"{accepted['p50']:.2f} / {accepted['p95']:.2f}" if accepted else "-",
                f"{first['p50']:.2f} / {first['p95']:.2f}",
                f"{done['p50']:.2f} / {done['p95']:.2f} / {done['max']:.1f}",
                str(row["turns_per_s"]),
                str(row["server_cpu_us_per_turn"]),
                str(row["rss_mb"]),
            )
        )
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)


def _caption() -> str:
    cores = os.cpu_count()
    return f"{datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}, {cores} cores, {platform.machine()}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
