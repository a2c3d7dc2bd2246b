"""How long the judge takes for a million frames: `python -m tests.simulation.bench_checker [frames]`.

The evidence is many copies of the small valid campaign, each with users, runs and times of its own, so
that every rule has work. It must judge a million in a minute of one processor's time.
"""

import gc
import re
import resource
import sys
import time
from dataclasses import replace
from typing import Any

from playbyplay.domain.journal import ENTRIES, Record
from playbyplay.domain.thread import digest
from tests.simulation.checker import check
from tests.simulation.evidence import Client, Evidence
from tests.simulation.sample import BOUNDS, CONTENTS
from tests.simulation.valid import valid

_MOST_S = 60.0
_KIB_PER_GIB = 1024**2
_ID = re.compile(r"0197[0-9a-f]{4}-[0-9a-f]{4}-7000")
_MARK = re.compile(r"mark-of-(ann|bob)-")
_LISTS = ("links", "frames", "delivered", "puts", "called", "effects", "asked", "faults")


def many(frames: int) -> Evidence:
    """Return valid evidence of at least so many frames."""
    one = valid()
    whole = Evidence(bounds=BOUNDS)
    clients: list[Client] = []
    runs: list[Any] = []
    journals: dict[tuple[str, str], list[Record]] = {}
    number = 0
    while len(whole.frames) < frames:
        number += 1
        copy = _Copy(number, at_ms=number * 50.0)
        clients += [Client(f"{client.name} {number}", f"{client.user} {number}") for client in one.clients]
        runs += [copy.of(run) for run in one.runs]
        for (user, run_id), records in one.journals.items():
            journals[f"{user} {number}", copy.text(run_id)] = [copy.record(record) for record in records]
        for name in _LISTS:
            getattr(whole, name).extend([copy.of(thing) for thing in getattr(one, name)])
    whole.clients, whole.runs, whole.journals = clients, runs, journals
    for name in _LISTS:
        getattr(whole, name).sort(key=_at_ms)
    whole.ended_ms = one.ended_ms + number * 50.0
    return whole


class _Copy:
    """Makes a thing that happened happen to other users in other runs, later."""

    def __init__(self, number: int, *, at_ms: float) -> None:
        self._number = number
        self._at_ms = at_ms
        self._id = f"0198{number >> 16:04x}-{number & 0xFFFF:04x}-7000"

    def text(self, text: str) -> str:
        """Return a text with its ids and marks made this copy's own."""
        return _MARK.sub(rf"mark-of-\1-{self._number}-", _ID.sub(self._id, text))

    def record(self, record: Record) -> Record:
        """Return a record of this copy's own run."""
        entries = ENTRIES.validate_json(self.text(record.entries_json()))
        return replace(record, entries=entries, token=self.text(record.token))

    def of(self, thing: Any) -> Any:
        """Return a thing of this copy's own."""
        changes: dict[str, Any] = {}
        for name in ("run_id", "thread_id", "client_message_id", "key", "token", "text"):
            if isinstance(value := getattr(thing, name, None), str):
                changes[name] = self.text(value)
        for name in ("user", "client", "connection"):
            if hasattr(thing, name):
                changes[name] = f"{getattr(thing, name)} {self._number}"
        for name in ("at_ms", "until_ms"):
            if hasattr(thing, name):
                changes[name] = getattr(thing, name) + self._at_ms
        if hasattr(thing, "content_digest"):
            changes["content_digest"] = self._digest(thing.run_id)
        return replace(thing, **changes)

    def _digest(self, run_id: str) -> str:
        return digest(self.text(CONTENTS[run_id]))


def main(arguments: list[str]) -> int:
    """Build, judge, and print the seconds; return 1 where it took too long or found anything."""
    frames = int(arguments[0]) if arguments else 1_000_000
    evidence = many(frames)
    gc.collect()
    began_s = time.process_time()
    report = check(evidence)
    took_s = time.process_time() - began_s
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _KIB_PER_GIB
    found = "".join(f"  {violation}\n" for violation in report.violations[:10])
    sys.stdout.write(
        f"{report.verdict}: {report.frames} frames, {report.runs} runs in {took_s:.1f} s of processor time, "
        f"{peak:.1f} GiB at the most\n"
        f"{found}"
    )
    return int(report.verdict != "valid" or took_s > _MOST_S * max(1.0, frames / 1_000_000))


def _at_ms(thing: Any) -> float:
    at_ms: float = thing.at_ms
    return at_ms


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
