"""The catalogue of log events and of the metrics counted from them, and the log that writes one JSON object a line.

server_started       where it listens, which model answers
server_stopped       a clean end
connection_opened    user hash left out; connection_id
connection_closed    connection_id, code
frame_rejected       connection_id, code
frame_crashed        connection_id, error (the type's name): a bug of ours, the client resends
message_accepted     run_id, duplicate, position
interrupt_failed     run_id, error (the type's name): this run, or what is ahead of it, was not cancelled
run_acquired         run_id, epoch, attempts
run_settled          run_id, status, events, elapsed_ms
run_handed_on        run_id, hops: its runner's time was up, the next one goes on
run_retried          run_id, reason: the job comes again
run_crashed          run_id, error (the type's name): ends in error{internal}
job_dropped          run_id, reason: the job was of no use
tool_failed          run_id, tool, error (the type's name)
model_retried        attempt, reason, wait_ms
aws_failed           operation, code: AWS refused a call or did not answer it
append_in_doubt      run_id, reason: an outcome is read back
post_failed          run_id, reason: one connection missed a frame and heals through resume
watchdog_swept       overdue: runs it looked at; astray: those not on their way: sent, ended, settled, unreadable,
                     failed (a look cut short); closed: connections
run_unreadable       run_id, reason: its journal is not whole, or of a later version; no step is guessed
sweep_failed         error (the type's name): a sweep could not see what is overdue
job_sent_again       run_id, silent_ms: its job was lost, or its runner fell with it
dead_letter          run_id, finding: no runner could finish the job; malformed ones name no run
fault_injected       fault, run_id: somebody plays with the fault switch

No event carries message text, tool arguments, answers, tickets or keys.

MessageAccepted      accepts, repeats left out
TerminalReached      runs that ended, by outcome
TimeToTerminal       from accept to terminal, milliseconds
PostFailed           frames a connection missed, by reason
FrameRejected        refused frames, by code
FrameCrashed         frames that met a bug of ours
RunRetried           jobs that come again, by reason
RunCrashed           runs that met a bug of ours
JobDropped           jobs of no use, by reason
Takeovers            runs that somebody went on with whose owner fell
AwsFailed            calls AWS refused or did not answer, by code
RunsAstray           open runs that were not on their way, at each sweep
RunsUnreadable       open runs that no step can be derived for, at each sweep
JobSentAgain         jobs that were lost, or fell with their runner
DeadLetter           jobs that no runner could finish, by what was found

No metric has an id for a dimension: each combination of values is paid for as a metric of its own.
"""

import contextlib
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, TextIO, get_args

from playbyplay.ports import Clock

EventName = Literal[
    "server_started",
    "server_stopped",
    "connection_opened",
    "connection_closed",
    "frame_rejected",
    "frame_crashed",
    "message_accepted",
    "interrupt_failed",
    "run_acquired",
    "run_settled",
    "run_handed_on",
    "run_retried",
    "run_crashed",
    "job_dropped",
    "tool_failed",
    "model_retried",
    "append_in_doubt",
    "aws_failed",
    "post_failed",
    "watchdog_swept",
    "run_unreadable",
    "sweep_failed",
    "job_sent_again",
    "dead_letter",
    "fault_injected",
]
EVENT_NAMES: frozenset[str] = frozenset(get_args(EventName))

Fields = Mapping[str, str | float | bool | None]
Dimensions = tuple[tuple[str, str], ...]

NAMESPACE: Final = "Playbyplay"


@dataclass(frozen=True, slots=True)
class Metric:
    """A number that is counted from one log event.

    Attributes:
        value: the field that holds it; None counts 1.
        dimension: what it is told apart by, beside the service; its values are few.
        by: the field that holds the dimension's value.
        counts: which of the events it is counted from.
    """

    name: str
    event: EventName
    unit: Literal["Count", "Milliseconds"] = "Count"
    value: str | None = None
    dimension: str | None = None
    by: str = ""
    counts: Callable[[Fields], bool] = lambda _fields: True


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of a metric."""

    metric: Metric
    value: float
    dimensions: Dimensions


METRICS: Final = (
    Metric("MessageAccepted", "message_accepted", counts=lambda fields: not fields.get("duplicate")),
    Metric("TerminalReached", "run_settled", dimension="outcome", by="status"),
    Metric("TimeToTerminal", "run_settled", unit="Milliseconds", value="elapsed_ms"),
    Metric("PostFailed", "post_failed", dimension="reason", by="reason"),
    Metric("FrameRejected", "frame_rejected", dimension="code", by="code"),
    Metric("FrameCrashed", "frame_crashed"),
    Metric("RunRetried", "run_retried", dimension="reason", by="reason"),
    Metric("RunCrashed", "run_crashed"),
    Metric("JobDropped", "job_dropped", dimension="reason", by="reason"),
    # An owner that gave the run back took its attempt back too: what is left was left by one that fell.
    Metric("Takeovers", "run_acquired", counts=lambda fields: _number(fields.get("attempts")) > 1),
    Metric("AwsFailed", "aws_failed", dimension="code", by="code"),
    Metric("RunsAstray", "watchdog_swept", value="astray"),
    Metric("RunsUnreadable", "watchdog_swept", value="unreadable"),
    Metric("JobSentAgain", "job_sent_again"),
    Metric("DeadLetter", "dead_letter", dimension="finding", by="finding"),
)


def samples(event: str, fields: Fields) -> list[Sample]:
    """Return the values of the metrics that an event's fields hold."""
    return [
        Sample(metric, _number(fields[metric.value]) if metric.value else 1, _dimensions(metric, fields))
        for metric in METRICS
        if metric.event == event and metric.counts(fields) and (metric.value is None or metric.value in fields)
    ]


def _dimensions(metric: Metric, fields: Fields) -> Dimensions:
    return ((metric.dimension, str(fields.get(metric.by) or "none")),) if metric.dimension else ()


def _number(value: str | float | None) -> float:
    return value if isinstance(value, (int, float)) else 0


class JsonLog:
    """Writes each event as one line of JSON.

    Args:
        clock: for the time of each line.
        stream: where to; standard error unless told.
    """

    def __init__(self, clock: Clock, stream: TextIO | None = None) -> None:
        self._clock = clock
        self._stream = stream or sys.stderr

    def event(self, name: str, **fields: str | float | bool | None) -> None:
        """Write one event of the catalogue.

        Raises:
            ValueError: the name is not in the catalogue.
        """
        if name not in EVENT_NAMES:
            raise ValueError(f"{name} is not in the catalogue of log events")
        line = {
            "time": self._clock.now_ms(),
            "event": name,
            **{key: val for key, val in fields.items() if val is not None},
        }
        with contextlib.suppress(OSError, ValueError):  # a full disk must not cost a run
            self._stream.write(json.dumps(line) + "\n")
