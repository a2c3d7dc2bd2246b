"""What happened in a schedule, line by line, for the person who looks for the reason."""

import json
from collections.abc import Iterator

from tests.simulation.evidence import Evidence

_SHORT = 8


def lines(evidence: Evidence) -> list[str]:
    """Return everything in the order of time."""
    return [f"{at_ms / 1000:9.3f}  {text}" for at_ms, text in sorted(_all(evidence), key=lambda line: line[0])]


def _all(evidence: Evidence) -> Iterator[tuple[float, str]]:
    for link in evidence.links:
        yield link.at_ms, f"{link.client:8} {link.change} {link.connection}"
    for frame in evidence.frames:
        arrow = "->" if frame.way == "sent" else "<-"
        yield frame.at_ms, f"{frame.client:8} {arrow} {_frame(frame.text)}"
    for put in evidence.puts:
        yield put.at_ms, f"journal  {_id(put.run_id)} pos {put.pos}"
    for fault in evidence.faults:
        yield fault.at_ms, f"FAULT    {fault.site} {fault.mode} {(fault.until_ms - fault.at_ms) / 1000:.1f} s"
    for called in evidence.called:
        yield called.at_ms, f"tool     {_id(called.run_id)} {called.call_id} {called.tool_name}"
    for asked in evidence.asked:
        yield asked.at_ms, f"model    {_id(asked.run_id)} {asked.scope or 'root'} step {asked.step}"
    for logged in evidence.log:
        fields = " ".join(f"{name}={_id(str(value))}" for name, value in logged.fields.items())
        yield logged.at_ms, f"log      {logged.name} {fields}"


def _frame(text: str) -> str:
    frame = json.loads(text)
    kept = {name: _id(str(value)) for name, value in frame.items() if name not in ("type", "v", "timestamp", "content")}
    return f"{frame.get('type', '(gateway error)')} " + " ".join(f"{name}={value}" for name, value in kept.items())


def _id(text: str) -> str:
    """Return the end of an id, which is what tells it from others."""
    return text[-_SHORT:] if text.count("-") == 4 else text
