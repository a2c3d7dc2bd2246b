"""What it costs to import each function of the AWS home: the part of a cold start that is ours.

Each import is timed in an interpreter of its own whose bytecode is warm. The subjects alternate, so that
a slow moment of the machine meets all; the ratio is to `import boto3` and one client, in the same run.
"""

import subprocess
import sys
from typing import Any

ROUNDS = 7
YARDSTICK = "boto3 and one client"
_SUBJECTS = {
    YARDSTICK: "import boto3; boto3.client('dynamodb', region_name='us-east-1')",
    **{
        name: f"import {name}"
        for name in (
            "connect.authorizer",
            "connect.handler",
            "message.handler",
            "ticket.handler",
            "watchdog.handler",
            "auditor.handler",
            "agent_runner.handler",
        )
    },
}
_TIMED = "import time; began = time.perf_counter(); {}; print(time.perf_counter() - began)"


def import_costs() -> list[dict[str, Any]]:
    """Return a row for each subject: milliseconds, the least of several, and the ratio to the yardstick."""
    for code in _SUBJECTS.values():  # writes what bytecode is missing
        _seconds(code)
    least = dict.fromkeys(_SUBJECTS, float("inf"))
    for _ in range(ROUNDS):
        for name, code in _SUBJECTS.items():
            least[name] = min(least[name], _seconds(code))
    return [
        {"import": name, "ms": round(seconds * 1000, 1), "ratio": round(seconds / least[YARDSTICK], 2)}
        for name, seconds in least.items()
    ]


def _seconds(code: str) -> float:
    command = [sys.executable, "-c", _TIMED.format(code)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout)
