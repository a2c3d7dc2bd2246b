"""The dashboard as data: rows that a person reads from top to bottom, each widget a question.

Nothing of the CDK is here, as with the alarms. Every metric of the catalogue stands in one of the rows.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from infra.monitoring import names
from infra.monitoring.alarm import Ours, Series, Theirs
from playbyplay.observability import METRICS, combinations


@dataclass(frozen=True, slots=True)
class Graph:
    """A graph.

    Attributes:
        title: its question.
        series: its lines.
        unit: of the axis; "" for a number of things.
    """

    title: str
    series: tuple[Series, ...]
    unit: str = ""


@dataclass(frozen=True, slots=True)
class LogTable:
    """Lines of the log, newest first.

    Attributes:
        title: its question.
        functions: whose logs.
        query: which lines, in the language of CloudWatch Logs Insights.
    """

    title: str
    functions: tuple[str, ...]
    query: str


@dataclass(frozen=True, slots=True)
class Row:
    """A part of the dashboard, under a heading."""

    heading: str
    explained: str
    widgets: tuple[Graph | LogTable, ...]


_COMBINATIONS: Final[Mapping[str, tuple[str, ...]]] = {
    metric.name: tuple(value for ((_name, value),) in combinations(metric)) for metric in METRICS if metric.dimension
}


def _each(name: str) -> tuple[Series, ...]:
    """Return a metric by every value that tells it apart."""
    return tuple(Ours(name, value=value) for value in _COMBINATIONS[name])


def _time(*metrics: str) -> tuple[Series, ...]:
    return tuple(Ours(name, statistic) for name in metrics for statistic in ("p50", "p99"))


def _sums(*metrics: str) -> tuple[Series, ...]:
    return tuple(map(Ours, metrics))


def _gauges(*metrics: str) -> tuple[Series, ...]:
    return tuple(Ours(name, "Maximum") for name in metrics)


def _functions(name: str, *statistics: str, of: tuple[str, ...] = names.FUNCTIONS) -> tuple[Series, ...]:
    return tuple(Theirs(name, each, statistic) for each in of for statistic in statistics or ("Sum",))


def _socket(*metrics: str) -> tuple[Series, ...]:
    return tuple(Theirs(name, names.SOCKET) for name in metrics)


def _query(events: str, fields: str) -> str:
    chosen = ", ".join(f'"{event}"' for event in events.split())
    return f"fields @timestamp, {fields} | filter event in [{chosen}] | sort @timestamp desc | limit 50"


_MS: Final = "ms"

ROWS: Final = (
    Row(
        "Are users being served?",
        "What comes in must come out: messages become runs, runs begin, runs end. Three lines that part are a queue.",
        (
            Graph(
                "Do messages become runs, and do runs begin and end?",
                (*_sums("MessageAccepted", "AgentStarted"), *_each("TerminalReached")),
            ),
            Graph("Are frames answered?", _sums("FramesAnswered", "FrameRejected", "FrameCrashed")),
            Graph("Do events reach the screens?", _sums("EventsAppended", "EventsPosted", "Replays")),
            Graph("How many runs are open?", (*_gauges("OpenRuns"), *_sums("RunsAudited"))),
        ),
    ),
    Row(
        "Where does time go?",
        "From a message's frame to its end, in the order a user waits for it. Half of them are faster than p50, one "
        "in a hundred is slower than p99.",
        (
            Graph("How long until a message is a run?", _time("TimeToAccepted"), _MS),
            Graph("How long until its job reaches a runner?", _time("JobAge"), _MS),
            Graph("How long until the agent begins?", _time("TimeToAgentStarted"), _MS),
            Graph("How long until something is seen?", _time("TimeToFirstVisible"), _MS),
            Graph("How long does nothing move on a screen?", _time("SilenceMax"), _MS),
            Graph("How long until the end?", _time("TimeToTerminal"), _MS),
            Graph(
                "How long does the answer to a frame take?", _functions("Duration", "p50", "p99", of=("message",)), _MS
            ),
        ),
    ),
    Row(
        "What is missing?",
        "What ought to be there and is not, as the auditor sees it from outside. Everything above 0 is somebody who "
        "waits in vain.",
        (
            Graph(
                "What does the auditor miss?",
                _gauges(
                    "AcceptedWithoutAgentStarted",
                    "ToolExecutingWithoutToolCompleted",
                    "RunsWithoutTerminal",
                    "PostedWithoutReceipt",
                    "JournalViolations",
                ),
            ),
            Graph("Which posts did not reach their connection?", _each("PostFailed")),
            Graph("How many events do clients lack?", (Ours("ReceiptLag", "p99"), Ours("ReceiptLag", "Maximum"))),
            LogTable(
                "Whose runs are they?",
                ("auditor",),
                _query("absence_found audit_failed", "run_id, absence, waits_ms, error"),
            ),
        ),
    ),
    Row(
        "What do users do?",
        "A silence is felt before it is measured: people send again, reload, leave, cancel.",
        (
            Graph("Do they write again while they are answered?", _each("ResentWhileRunning")),
            Graph(
                "Do they leave or reload meanwhile?",
                (*_gauges("AbandonedWhileRunning"), *_sums("ReloadedWhileRunning")),
            ),
            Graph("Do they cancel?", _sums("CancelledByUser")),
            Graph("Do they come back after an error?", _sums("ReturnedAfterError")),
        ),
    ),
    Row(
        "What does it cost?",
        "The model's tokens, the time inside tools, the seconds of Lambda.",
        (
            Graph("How many tokens go in and out?", _sums("TokensIn", "TokensOut")),
            Graph("How often is the model asked?", _sums("ModelCalls")),
            Graph("How long do tools work?", _sums("ToolTime"), _MS),
            Graph("How long do functions run?", _functions("Duration"), _MS),
        ),
    ),
    Row(
        "What went wrong, and was it survived?",
        "Runs are taken over, jobs sent again, calls tried again. Much of it at once means that something is broken.",
        (
            Graph("Do runners fall?", _sums("Takeovers", "AttemptsExhausted", "RunCrashed", "RunRetried")),
            Graph("Does the model's service refuse?", _sums("ModelErrors", "ModelUnavailable")),
            Graph("Does AWS refuse our calls?", _sums("AwsFailed")),
            Graph("Are runs on their way?", (*_gauges("RunsAstray", "RunsUnreadable"), *_sums("JobSentAgain"))),
            Graph("Which jobs were of no use?", _each("JobDropped")),
            Graph("What was found of dead letters?", _each("DeadLetter")),
            LogTable(
                "Which runs were in trouble?",
                ("agent_runner", "message", "watchdog"),
                _query(
                    "run_crashed run_unreadable frame_crashed dead_letter job_sent_again sweep_failed interrupt_failed",
                    "event, run_id, error, reason, finding",
                ),
            ),
        ),
    ),
    Row(
        "Do the socket, the queues and the functions work?",
        "What AWS counts by itself.",
        (
            Graph("Who comes, and how much is said?", _socket("ConnectCount", "MessageCount")),
            Graph("Does the socket fail?", _socket("IntegrationError", "ClientError", "ExecutionError")),
            Graph("Do jobs wait?", (Theirs("ApproximateNumberOfMessagesVisible", names.JOBS, "Maximum"),)),
            Graph("How old is the oldest job?", (Theirs("ApproximateAgeOfOldestMessage", names.JOBS, "Maximum"),), "s"),
            Graph(
                "Are there dead letters?",
                (
                    Theirs("ApproximateNumberOfMessagesVisible", names.DEAD, "Maximum"),
                    Theirs("ApproximateNumberOfMessagesNotVisible", names.DEAD, "Maximum"),
                ),
            ),
            Graph("How often are functions called?", _functions("Invocations")),
            Graph("Do functions fail?", _functions("Errors")),
            Graph("Does Lambda refuse calls?", _functions("Throttles")),
        ),
    ),
)
