"""What this version makes of a prefix of a journal, as plain JSON in words of its own.

The words are those of the recordings, so they outlive the names of classes and fields.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from agent_runner.engine import Engine
from playbyplay.domain.derivation import (
    AgentMessage,
    AskModel,
    CallTool,
    CloseDelegation,
    Finish,
    Message,
    Step,
    ToolMessage,
    UserMessage,
    next_steps,
)
from playbyplay.domain.ending import answer_of, completed, failed
from playbyplay.domain.journal import Entry, EventEntry, FenceEntry, History, ToolCall
from playbyplay.domain.thread import Run
from playbyplay.domain.timing import Timing
from playbyplay.domain.verdict import cancelled, too_late, verdict


class Reader:
    """Gives account of the prefixes of one run's journal.

    Args:
        engine: the engine, with the agents and tools of the recording.
        timing: the limits a run is judged by.
        run: as it was accepted.
        earlier: what was said in its thread before.
        read_ms: when.
    """

    def __init__(self, engine: Engine, timing: Timing, run: Run, earlier: tuple[Message, ...], read_ms: int) -> None:
        self._engine = engine
        self._timing = timing
        self._run = run
        self._earlier = earlier
        self._read_ms = read_ms

    def account(self, history: History) -> dict[str, Any]:
        """Return all that is made of a prefix."""
        return {
            "records": len(history.records),
            "state": self.state(history),
            "steps": self.steps(history),
            "once_taken": self.once_taken(history),
            "asked": self.asked(history),
            "verdicts": self.verdicts(history),
            "ends": self.ends(history),
        }

    def state(self, history: History) -> dict[str, Any]:
        """Return where the run stands, and what a new owner would write first."""
        state = history.state
        return {
            "phase": state.phase,
            "status": state.status,
            "last_seq": state.last_seq,
            "open_calls": list(state.open_calls),
            "epoch": history.epoch,
            "progressed": history.progressed,
            "taken": [] if state.phase == "ended" else _kinds(self._engine.started(history, self._read_ms)),
        }

    def steps(self, history: History) -> list[dict[str, Any]]:
        """Return what can be done next, in order."""
        return [self._step(step) for step in next_steps(history)]

    def once_taken(self, history: History) -> list[str]:
        """Return what a new owner would do next, once its own first record stands."""
        if history.state.phase == "ended":
            return []
        taken = History.of(history.user, history.run_id, history.records)
        taken.extend(taken.record("taken", self._engine.started(taken, self._read_ms)))
        return [self._in_short(step) for step in next_steps(taken)]

    def asked(self, history: History) -> list[dict[str, Any]]:
        """Return what each model that is to be asked would be told."""
        questions = [step for step in next_steps(history) if isinstance(step, AskModel)]
        requests = [self._engine.request(history, step, self._earlier) for step in questions]
        return [{"agent": request.agent.agent_id, "messages": said(request.messages)} for request in requests]

    def verdicts(self, history: History) -> dict[str, str]:
        """Return why the run would be ended by whoever takes it, in each case in which it would."""
        if history.state.phase == "ended":
            return {}
        often, much_later_ms = self._timing.max_attempts, int((self._timing.run_s + self._timing.queue_s) * 1000)
        cases = {
            "as it is": (replace(self._run, attempts=1), self._read_ms),
            "cancelled": (replace(self._run, attempts=1, cancel=True), self._read_ms),
            "tried too often": (replace(self._run, attempts=often + 1), self._read_ms),
            "tried far too often": (replace(self._run, attempts=2 * often + 1), self._read_ms),
            "much later": (replace(self._run, attempts=1), self._run.deadline_ms + much_later_ms),
        }
        ends = {
            case: verdict(run, history, now_ms=now_ms, timing=self._timing) for case, (run, now_ms) in cases.items()
        }
        return {case: end.code for case, end in ends.items() if end is not None}

    def ends(self, history: History) -> dict[str, list[str]]:
        """Return the frames that would end the run now: its answer, or an error told by its owner or by the next."""
        if history.state.phase == "ended":
            return {}
        if answer_of(history) is not None:
            return {"completed": _frames(completed(history, self._read_ms))}
        return {
            "cancelled by its owner": _frames(failed(history, cancelled(), self._read_ms)),
            "taken over and too late": _frames(failed(history, too_late(), self._read_ms, taken_over=True)),
        }

    def _in_short(self, step: Step) -> str:
        if isinstance(step, AskModel):
            return f"ask the model of {step.scope or 'the run'}"
        if isinstance(step, CallTool):
            made = "do not make" if self._engine.must_not_repeat(step) else "make"
            return f"{made} {step.call.call_id}{', which was left open' if step.taken_over else ''}"
        return f"close {step.call.call_id}" if isinstance(step, CloseDelegation) else "finish"

    def _step(self, step: Step) -> dict[str, Any]:
        if isinstance(step, AskModel):
            return {"step": "ask the model", **_place(step.scope, step.delegation), "said": said(step.said)}
        if isinstance(step, CallTool):
            return {
                "step": "call a tool",
                **_place(step.scope, step.delegation),
                "call": _call(step.call),
                "taken_over": step.taken_over,
                "made": not self._engine.must_not_repeat(step),
            }
        if isinstance(step, CloseDelegation):
            return {"step": "close a delegation", **_place(step.scope, step.call), "answer": step.answer}
        assert isinstance(step, Finish)
        return {"step": "finish", "answer": step.answer.text, "finish_reason": step.answer.finish_reason}


def said(messages: Iterable[Message]) -> list[dict[str, Any]]:
    """Return messages as who says what."""
    return [_message(message) for message in messages]


def _message(message: Message) -> dict[str, Any]:
    if isinstance(message, UserMessage):
        return {"role": "user", "text": message.content}
    if isinstance(message, AgentMessage):
        return {"role": "agent", "text": message.content, "calls": [_call(call) for call in message.calls]}
    assert isinstance(message, ToolMessage)
    return {"role": "tool", "call_id": message.call_id, "tool": message.tool_name, "text": message.content}


def _place(scope: str | None, delegation: ToolCall | None) -> dict[str, Any]:
    return {"scope": scope, "delegation": None if delegation is None else _call(delegation)}


def _call(call: ToolCall) -> dict[str, Any]:
    return {
        "call_id": call.call_id,
        "tool": call.tool_name,
        "arguments": call.arguments,
        "delegate": call.delegate,
        "unsafe": call.unsafe is True,
    }


def _frames(entries: Iterable[Entry]) -> list[str]:
    return [entry.event.to_json() for entry in entries if isinstance(entry, EventEntry)]


def _kinds(entries: Iterable[Entry]) -> list[str]:
    kinds = []
    for entry in entries:
        if isinstance(entry, FenceEntry):
            kinds.append(f"fence {entry.epoch}")
        else:
            kinds.append(entry.event.type if isinstance(entry, EventEntry) else entry.kind)
    return kinds
