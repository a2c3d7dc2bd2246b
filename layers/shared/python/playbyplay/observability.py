"""The catalogue: every log event with its fields and meaning, every metric with its unit, dimension and meaning.

The use cases log events; metrics are counted from them, here and nowhere else. `docs/operations.md` is
made from this file. No event carries message text, tool arguments, answers, tickets or keys. No metric
has an id for a dimension: each combination of values is paid for as a metric of its own.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, TypeAlias

NAMESPACE: Final = "Playbyplay"
SERVICE: Final = "playbyplay"
"""The one value of the dimension that Powertools puts beside ours."""

Value: TypeAlias = str | float | bool | None
Fields: TypeAlias = Mapping[str, Value]
Dimensions: TypeAlias = tuple[tuple[str, str], ...]
Unit: TypeAlias = Literal["Count", "Milliseconds"]
Group: TypeAlias = Literal["delivery", "absence", "people", "cost", "trouble"]
OTHER: Final = "other"
"""What stands for a dimension's value that the catalogue does not list."""


@dataclass(frozen=True, slots=True)
class LogEvent:
    """Something that is logged.

    Attributes:
        fields: what its line may hold, separated by spaces.
        counted_only: whether it happens too often for a line: it is counted, and that is all.
    """

    name: str
    fields: str
    meaning: str
    counted_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A number that is counted from one log event.

    Attributes:
        value: the field that holds it; "" counts 1.
        dimension: what it is told apart by; "" for nothing.
        by: the field that holds the dimension's value.
        values: those it may have; any other is told as `other`.
        rename: field values that go under another name, or several under one.
        counts: which of the events it is counted from.
        gauge: whether it says how many there are, at each look: its largest value counts, not the sum.
    """

    name: str
    group: Group
    event: str
    meaning: str
    unit: Unit = "Count"
    value: str = ""
    dimension: str = ""
    by: str = ""
    values: tuple[str, ...] = ()
    rename: Mapping[str, str] | None = None
    counts: Callable[[Fields], bool] = lambda _fields: True
    gauge: bool = False


class Sample(NamedTuple):
    """One value of a metric."""

    metric: Metric
    value: float
    dimensions: Dimensions


def _is(field: str, *values: Value) -> Callable[[Fields], bool]:
    return lambda fields: fields.get(field) in values


def _has(field: str) -> Callable[[Fields], bool]:
    return lambda fields: bool(fields.get(field))


EVENTS: Final = (
    LogEvent("server_started", "port model waiting_jobs", "one machine: where it listens, which model answers"),
    LogEvent("server_stopped", "", "one machine: a clean end"),
    LogEvent("connection_opened", "connection_id", "somebody came in"),
    LogEvent("connection_closed", "connection_id code", "somebody left, or was closed"),
    LogEvent("frame_answered", "type", "a client's frame has its answer", counted_only=True),
    LogEvent("frame_rejected", "connection_id code", "a frame was refused"),
    LogEvent("frame_crashed", "connection_id error", "a bug of ours, by its type's name; the client resends"),
    LogEvent(
        "message_accepted",
        "run_id duplicate position elapsed_ms resent",
        "a message is a run; elapsed_ms from its frame to the commit; resent: while an earlier one of its thread was "
        "answered, `same` text or `new`",
    ),
    LogEvent("interrupt_failed", "run_id error", "this run, or what is ahead of it, was not cancelled"),
    LogEvent("cancel_requested", "run_id", "a user asked for a run's end"),
    LogEvent(
        "replayed",
        "frames reloaded",
        "a resume was answered; reloaded: from the beginning, of a run under way",
        counted_only=True,
    ),
    LogEvent("receipts_noted", "behind", "a ping's receipts; behind: how many events it lacks", counted_only=True),
    LogEvent("job_taken", "age_ms", "a runner has a job; age_ms since it was sent", counted_only=True),
    LogEvent("run_acquired", "run_id epoch attempts", "a runner owns a run"),
    LogEvent(
        "run_began",
        "run_id after_ms visible_ms",
        "agent_started is in the journal, after so long from the accept or from the end of the turn before it; "
        "visible_ms: until a connection had it, absent where none was there",
    ),
    LogEvent("events_appended", "events", "a record is in the journal", counted_only=True),
    LogEvent("events_posted", "posts", "its events went to the connections", counted_only=True),
    LogEvent(
        "model_answered", "tokens_in tokens_out", "the model's service answered; tokens it told of", counted_only=True
    ),
    LogEvent("model_retried", "attempt reason wait_ms", "the model's service failed; it is asked again"),
    LogEvent("tool_ended", "elapsed_ms", "a tool was called and has ended", counted_only=True),
    LogEvent("tool_failed", "run_id tool error", "a tool raised, by its type's name"),
    LogEvent("returned_after_error", "run_id", "the turn before this one failed, and its user is back"),
    LogEvent("run_let_go", "run_id silence_ms", "an owner is done with a run; its longest silence", counted_only=True),
    LogEvent("run_settled", "run_id status code events elapsed_ms", "a run has ended; code: of its error"),
    LogEvent("run_handed_on", "run_id hops", "its runner's time was up, the next one goes on"),
    LogEvent("run_retried", "run_id reason", "its job comes again"),
    LogEvent("run_crashed", "run_id error", "a bug of ours, by its type's name: it ends in error{internal}"),
    LogEvent("job_dropped", "run_id reason", "a job was of no use; malformed ones name no run"),
    LogEvent("append_in_doubt", "run_id reason", "an outcome is read back"),
    LogEvent("aws_failed", "operation code", "AWS refused a call or did not answer it"),
    LogEvent("post_failed", "run_id reason", "one connection missed a frame and heals through resume"),
    LogEvent(
        "watchdog_swept",
        "overdue astray sent ended settled unreadable failed closed",
        "a sweep: runs it looked at; astray: those not on their way: sent, ended, settled, unreadable, failed (a look "
        "cut short); closed: connections",
    ),
    LogEvent("run_unreadable", "run_id reason", "its journal is not whole, or of a later version; no step is guessed"),
    LogEvent("sweep_failed", "error", "a sweep of the watchdog, or a batch of dead letters, broke"),
    LogEvent("job_sent_again", "run_id silent_ms", "its job was lost, or its runner fell with it"),
    LogEvent("dead_letter", "run_id finding", "no runner could finish the job; malformed ones name no run"),
    LogEvent(
        "audit_swept",
        "audited open complete accepted_without_agent_started tool_executing_without_tool_completed "
        "runs_without_terminal posted_without_receipt journal_violations abandoned unread",
        "the auditor looked at runs from outside; complete: at all there were to look at; unread: those whose records "
        "the store did not give",
    ),
    LogEvent(
        "absence_found",
        "run_id absence waits_ms rules",
        "what ought to be there is not; told at each look; rules: those of journals that do not hold",
    ),
    LogEvent("audit_failed", "error", "the auditor could not see which runs there are, or read none of them"),
    LogEvent("metrics_lost", "error", "one machine: numbers could not be written; told at the first of several times"),
    LogEvent("fault_injected", "fault run_id", "somebody plays with the fault switch"),
)
EVENT_NAMES: Final = frozenset(event.name for event in EVENTS)
COUNTED_ONLY: Final = frozenset(event.name for event in EVENTS if event.counted_only)

_OUTCOMES = ("completed", "failed", "cancelled")
_FINDINGS = {
    **dict.fromkeys(("sent", "ended", "settled"), "helped"),
    **dict.fromkeys(("over", "held", "waits", "taken"), "needless"),
    **dict.fromkeys(("unknown", "malformed"), "poison"),
}

METRICS: Final = (
    # Delivery: is what was promised on its way, and how fast?
    Metric(
        name="MessageAccepted",
        group="delivery",
        event="message_accepted",
        meaning="messages that are runs now, repeats left out",
        counts=lambda fields: not fields.get("duplicate"),
    ),
    Metric(
        name="AgentStarted",
        group="delivery",
        event="run_began",
        meaning="runs whose agent_started is in the journal",
    ),
    Metric(
        name="TerminalReached",
        group="delivery",
        event="run_settled",
        meaning="runs that ended",
        dimension="outcome",
        by="status",
        values=_OUTCOMES,
    ),
    Metric(
        name="TimeToAccepted",
        group="delivery",
        event="message_accepted",
        meaning="from a message's frame to its commit",
        unit="Milliseconds",
        value="elapsed_ms",
        counts=lambda fields: not fields.get("duplicate"),
    ),
    Metric(
        name="TimeToAgentStarted",
        group="delivery",
        event="run_began",
        meaning="from accept, or the end of the turn before, to agent_started",
        unit="Milliseconds",
        value="after_ms",
    ),
    Metric(
        name="TimeToFirstVisible",
        group="delivery",
        event="run_began",
        meaning="the same, to the moment a connection had it",
        unit="Milliseconds",
        value="visible_ms",
    ),
    Metric(
        name="TimeToTerminal",
        group="delivery",
        event="run_settled",
        meaning="from accept to the terminal",
        unit="Milliseconds",
        value="elapsed_ms",
    ),
    Metric(
        name="SilenceMax",
        group="delivery",
        event="run_let_go",
        meaning="the longest time without a frame while a runner had the run, the gap it took over included",
        unit="Milliseconds",
        value="silence_ms",
    ),
    Metric(
        name="EventsAppended",
        group="delivery",
        event="events_appended",
        meaning="events written to journals",
        value="events",
    ),
    Metric(
        name="EventsPosted",
        group="delivery",
        event="events_posted",
        meaning="events that connections took live, one for each connection",
        value="posts",
    ),
    Metric(
        name="PostFailed",
        group="delivery",
        event="post_failed",
        meaning="connections that missed a frame",
        dimension="reason",
        by="reason",
        values=("gone", "slow", "timeout", "throttled", "unavailable", "subscribers"),
    ),
    Metric(
        name="ReceiptLag",
        group="delivery",
        event="receipts_noted",
        meaning="events that a pinging client lacks of what is in the journals",
        value="behind",
    ),
    Metric(
        name="Replays",
        group="delivery",
        event="replayed",
        meaning="resumes that brought frames",
        counts=_has("frames"),
    ),
    # An owner that gave the run back took its attempt back too: what is left was left by one that fell.
    Metric(
        name="Takeovers",
        group="delivery",
        event="run_acquired",
        meaning="runs that somebody went on with whose owner fell",
        counts=lambda fields: _number(fields.get("attempts")) > 1,
    ),
    Metric(
        name="AttemptsExhausted",
        group="delivery",
        event="run_settled",
        meaning="runs that felled every runner that took them",
        counts=_is("code", "attempts_exhausted"),
    ),
    Metric(
        name="JobAge",
        group="delivery",
        event="job_taken",
        meaning="from a job's send to a runner that has it",
        unit="Milliseconds",
        value="age_ms",
    ),
    Metric(
        name="FramesAnswered",
        group="delivery",
        event="frame_answered",
        meaning="client frames that have their answer",
    ),
    # Absence: what ought to be there and is not, as the auditor sees it from outside, at each look.
    Metric(
        name="AcceptedWithoutAgentStarted",
        group="absence",
        event="audit_swept",
        meaning="runs whose turn it is, and that nobody began in time",
        value="accepted_without_agent_started",
        gauge=True,
    ),
    Metric(
        name="ToolExecutingWithoutToolCompleted",
        group="absence",
        event="audit_swept",
        meaning="open runs with a call that is open for too long, or whose owner fell",
        value="tool_executing_without_tool_completed",
        gauge=True,
    ),
    Metric(
        name="RunsWithoutTerminal",
        group="absence",
        event="audit_swept",
        meaning="runs past their deadline, or silent for longer than recovery takes, or over without an end",
        value="runs_without_terminal",
        gauge=True,
    ),
    Metric(
        name="PostedWithoutReceipt",
        group="absence",
        event="audit_swept",
        meaning="runs of which a client that pings has not what it ought to have",
        value="posted_without_receipt",
        gauge=True,
    ),
    Metric(
        name="JournalViolations",
        group="absence",
        event="audit_swept",
        meaning="runs whose journal breaks the contract",
        value="journal_violations",
        gauge=True,
    ),
    Metric(
        name="OpenRuns",
        group="absence",
        event="audit_swept",
        meaning="open runs the auditor saw; as many as it looks at, at the most",
        value="open",
        gauge=True,
    ),
    Metric(
        name="RunsAudited",
        group="absence",
        event="audit_swept",
        meaning="runs the auditor looked at; no value: the auditor itself is missing",
        value="audited",
    ),
    # What users do: a silence is felt before it is measured.
    Metric(
        name="ResentWhileRunning",
        group="people",
        event="message_accepted",
        meaning="messages sent while an earlier one of their thread was answered",
        dimension="text",
        by="resent",
        values=("same", "new"),
        counts=_has("resent"),
    ),
    Metric(
        name="AbandonedWhileRunning",
        group="people",
        event="audit_swept",
        meaning="open runs whose user has had no connection for over 10 s",
        value="abandoned",
        gauge=True,
    ),
    Metric(
        name="ReloadedWhileRunning",
        group="people",
        event="replayed",
        meaning="resumes from the beginning of a run under way: pages loaded anew, and those that lost its first event",
        counts=_has("reloaded"),
    ),
    Metric(
        name="CancelledByUser", group="people", event="cancel_requested", meaning="times a user asked for a run's end"
    ),
    Metric(
        name="ReturnedAfterError",
        group="people",
        event="returned_after_error",
        meaning="messages after a turn that failed",
    ),
    # Cost.
    Metric(name="TokensIn", group="cost", event="model_answered", meaning="tokens the model read", value="tokens_in"),
    Metric(name="TokensOut", group="cost", event="model_answered", meaning="tokens it wrote", value="tokens_out"),
    Metric(name="ModelCalls", group="cost", event="model_answered", meaning="answers of the model"),
    Metric(
        name="ToolTime",
        group="cost",
        event="tool_ended",
        meaning="time inside tools",
        unit="Milliseconds",
        value="elapsed_ms",
    ),
    # Trouble: what went wrong and was survived, or not.
    Metric(name="FrameRejected", group="trouble", event="frame_rejected", meaning="refused frames"),
    Metric(name="FrameCrashed", group="trouble", event="frame_crashed", meaning="frames that met a bug of ours"),
    Metric(name="RunRetried", group="trouble", event="run_retried", meaning="jobs that come again"),
    Metric(name="RunCrashed", group="trouble", event="run_crashed", meaning="runs that met a bug of ours"),
    Metric(
        name="JobDropped",
        group="trouble",
        event="job_dropped",
        meaning="jobs of no use",
        dimension="reason",
        by="reason",
        values=("needless", "poison"),
        rename={
            **dict.fromkeys(("closed", "predecessor"), "needless"),
            **dict.fromkeys(("unknown", "malformed"), "poison"),
        },
    ),
    Metric(
        name="ModelErrors",
        group="trouble",
        event="model_retried",
        meaning="tries of the model's service that failed",
    ),
    Metric(
        name="ModelUnavailable",
        group="trouble",
        event="run_settled",
        meaning="runs that ended because the model did not answer",
        counts=_is("code", "model_unavailable"),
    ),
    Metric(name="AwsFailed", group="trouble", event="aws_failed", meaning="calls AWS refused or did not answer"),
    Metric(
        name="RunsAstray",
        group="trouble",
        event="watchdog_swept",
        meaning="open runs that were not on their way",
        value="astray",
        gauge=True,
    ),
    Metric(
        name="RunsUnreadable",
        group="trouble",
        event="watchdog_swept",
        meaning="open runs that no step can be derived for",
        value="unreadable",
        gauge=True,
    ),
    Metric(
        name="JobSentAgain",
        group="trouble",
        event="job_sent_again",
        meaning="jobs that were lost, or fell with their runner",
    ),
    Metric(
        name="DeadLetter",
        group="trouble",
        event="dead_letter",
        meaning="jobs that no runner could finish, by what a look at the run came to",
        dimension="finding",
        by="finding",
        values=("helped", "needless", "poison", "unreadable"),
        rename=_FINDINGS,
    ),
)

_BY_EVENT: Final[Mapping[str, tuple[Metric, ...]]] = {
    name: tuple(metric for metric in METRICS if metric.event == name) for name in EVENT_NAMES
}


def samples(event: str, fields: Fields) -> list[Sample]:
    """Return the values of the metrics that an event's fields hold. It stands on the path of every event.

    None is negative, whatever a clock that was set back says: CloudWatch tells no percentile where one is.
    """
    found: list[Sample] = []
    for metric in _BY_EVENT.get(event, ()):
        value: Value = fields.get(metric.value) if metric.value else 1
        if value is not None and metric.counts(fields):
            found.append(
                Sample(metric, max(0, _number(value)), _dimensions(metric, fields) if metric.dimension else ())
            )
    return found


def combinations(metric: Metric) -> tuple[Dimensions, ...]:
    """Return every set of dimensions a metric may come with: so many metrics are paid for."""
    if not metric.dimension:
        return ((),)
    return tuple(((metric.dimension, value),) for value in (*metric.values, OTHER))


def _dimensions(metric: Metric, fields: Fields) -> Dimensions:
    found = str(fields.get(metric.by))
    named = (metric.rename or {}).get(found, found)
    return ((metric.dimension, named if named in metric.values else OTHER),)


def _number(value: Value) -> float:
    return value if isinstance(value, (int, float)) else 0
