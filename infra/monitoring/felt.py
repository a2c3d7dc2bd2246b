"""Alarms on what users feel: what ought to be there and is not, how long it takes, and what people do about it."""

from typing import Final

from infra.monitoring import names
from infra.monitoring.alarm import AlarmRow, Ours, Theirs, filled, share

_EACH_LOOK = (
    "The auditor writes a value at each look, 0 where nothing is missing. No value is no news, and AuditorSilent "
    "rings for that."
)
_ONLY_AT_WORK = "Nobody writes a value while nobody chats, and that is healthy."

FELT: Final = (
    AlarmRow(
        name=names.MESSAGE_WITHOUT_AGENT_STARTED,
        question="Does anybody wait for more than 10 s for the agent to begin?",
        happened="Messages were accepted, their turn has come, and no runner began them for over 10 s.",
        felt="their message stands there and nothing answers: a blank screen.",
        first="look at JobsWait, RunnerErrors and Throttles; absence_found in the auditor's log names the runs.",
        series={"absent": Ours("AcceptedWithoutAgentStarted", "Maximum")},
        breaches=2,
        periods=3,
        patience="One look may catch a start that is only late: a cold runner, a lost job the watchdog sends again. "
        "Two of three mean that somebody waits for a minute, or somebody in every minute.",
        missing_because=_EACH_LOOK,
    ),
    AlarmRow(
        name=names.TOOL_WITHOUT_COMPLETION,
        question="Does a tool run that nobody will end?",
        happened="A call was announced by tool_executing, and its tool_completed is overdue or its owner fell.",
        felt="a tool that works and works, and no answer.",
        first="take a run from absence_found in the auditor's log and see whether its owner still lives: "
        "RunnerErrors, and run_acquired of that run.",
        series={"absent": Ours("ToolExecutingWithoutToolCompleted", "Maximum")},
        breaches=2,
        periods=3,
        patience="A runner that falls in a tool is replaced in little more than a minute, so one look may see it. Two "
        "of three mean that the recovery does not come.",
        missing_because=_EACH_LOOK,
    ),
    AlarmRow(
        name=names.RUN_WITHOUT_TERMINAL,
        question="Is there a run that ought to have ended or gone on, and did neither?",
        happened="Runs are past their deadline, or silent for longer than every recovery takes, or over without an "
        "end.",
        felt="an answer that began and never ends.",
        first="see whether the watchdog lives (WatchdogErrors) and whether RunsUnreadable rings; then the run that "
        "absence_found in the auditor's log names.",
        series={"absent": Ours("RunsWithoutTerminal", "Maximum")},
        breaches=1,
        periods=1,
        patience="What is counted has outlasted every recovery already: one look is enough.",
        missing_because=_EACH_LOOK,
    ),
    AlarmRow(
        name=names.POSTED_NEVER_RECEIVED,
        question="Do events that were sent fail to arrive?",
        happened="Clients that ping lack events that were in the journal long ago.",
        felt="an answer that stands still, although the agent goes on.",
        first="look at PostFailed by its reason and at ReceiptLag on the dashboard, then at the socket's errors.",
        series={"absent": Ours("PostedWithoutReceipt", "Maximum")},
        breaches=2,
        periods=3,
        patience="A client that missed frames asks for them at its next ping and has them seconds later, so one look "
        "may see it. Two of three mean that asking does not help.",
        missing_because=_EACH_LOOK,
    ),
    AlarmRow(
        name=names.JOURNAL_BROKEN,
        question="Does a journal break the contract?",
        happened="The auditor read a run's journal and found what must never be: a gap, two ends, a call without its "
        "beginning, or a record that cannot be read.",
        felt="perhaps nothing yet; perhaps an answer that is wrong or twice there, or that does not go on.",
        first="stop deploying and see the rules of absence_found in the auditor's log: journal.readable is of another "
        "version, or damaged; for any other note the run and keep its items.",
        series={"broken": Ours("JournalViolations", "Maximum")},
        breaches=1,
        periods=1,
        patience="It does not heal by itself, and one is one too many.",
        missing_because=_EACH_LOOK,
    ),
    AlarmRow(
        name=names.AUDITOR_SILENT,
        question="Does the auditor look?",
        happened="For minutes no sweep of the auditor has ended: it is not called, or fails, or its log is not read.",
        felt="nothing of this itself; but whatever is missing for them is seen by nobody.",
        first="look at AuditorErrors, at Throttles, at the rule that calls it each minute, and at audit_failed in its "
        "log.",
        series={"sweeps": Ours("RunsAudited", "SampleCount")},
        below=1,
        breaches=2,
        periods=3,
        patience="The clock may call it a few seconds late, so a minute may have none and the next one two; a deploy "
        "may cost one sweep.",
        missing="breaching",
        missing_because="It writes a value each minute, whether there are runs or not: no value is what rings.",
    ),
    AlarmRow(
        name=names.METRIC_SILENCE,
        question="Do people talk to us while we count nothing?",
        happened="API Gateway passes frames on, by its own count, and hardly any has an answer; or many runs are open "
        "and no event was written for minutes.",
        felt="a page that is connected, and dead.",
        first="look at the message function's and the runner's errors and logs; if they work, the metrics are not "
        "read from the logs: see EMFValidationErrors.",
        series={
            # Not MessageCount, which counts what we send as well; this is suppressed for what we send.
            # https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-logging.html
            "frames": Theirs("IntegrationLatency", names.SOCKET, "SampleCount"),
            "answered": Ours("FramesAnswered"),
            "refused": Ours("FrameRejected"),
            "open": Ours("OpenRuns", "Maximum"),
            "started": Ours("AgentStarted"),
            "appended": Ours("EventsAppended"),
        },
        # Arithmetic takes a missing value for 0, so a metric that never was written is as silent as one that stopped.
        # A single run may be quiet for minutes, inside one long tool, and so are the messages that wait for it: one
        # user has sixteen open runs at the most, unless the context value open_runs says otherwise.
        math="IF("
        f"(FILL(frames, 0) > 20 AND FILL(frames, 0) - ({filled('answered', 'refused')}) > 0.9 * FILL(frames, 0))"
        f" OR (FILL(open, 0) > 16 AND FILL(open, 0) + {filled('started', 'appended')} == FILL(open, 0))"
        ", 1, 0)",
        breaches=4,
        periods=5,
        patience="Metrics may be read from the logs a minute late, and several tools at once may be slow. "
        "Functions that fail ring sooner, by MessageErrors and MessageWithoutAgentStarted.",
        missing_because="Nobody connected and nothing open is a quiet night.",
    ),
    AlarmRow(
        name=names.SLOW_FIRST_EVENT,
        question="Do nearly all users see a first sign of work within 5 s?",
        happened="For one message in a hundred it takes over 5 s until the first event is on a screen.",
        felt="a wait long enough to doubt that anything happens.",
        first="see on the dashboard where the time goes: accept, the job's age, or the runner's start.",
        series={"first": Ours("TimeToFirstVisible", "p99")},
        above=5000,
        breaches=3,
        periods=5,
        patience="With few messages the 99th percentile is the slowest one, and a cold start is no incident: it must "
        "be slow in three of five minutes.",
        missing_because=_ONLY_AT_WORK,
    ),
    AlarmRow(
        name=names.RESEND_RATE,
        question="Do users write again while they are answered?",
        happened="Over 20 % of the messages were sent while an earlier one of their thread was still answered.",
        felt="unheard: they send the same again, or ask whether anybody is there.",
        first="look at what is missing and at SlowFirstEvent; if neither rings, try a turn yourself on the page.",
        series={
            "same": Ours("ResentWhileRunning", value="same"),
            "new": Ours("ResentWhileRunning", value="new"),
            "accepted": Ours("MessageAccepted"),
        },
        math=share(filled("same", "new"), "FILL(accepted, 0)", floor=20),
        above=20,
        breaches=2,
        periods=3,
        period_s=300,
        patience="Five minutes gather enough messages for a rate; one period may be a single impatient room.",
        missing_because=_ONLY_AT_WORK,
    ),
    AlarmRow(
        name=names.ABANDONMENT_RATE,
        question="Do users leave while they are answered?",
        happened="Over 40 % of the open runs have had nobody connected for over 10 s.",
        felt="they gave up, or cannot come back.",
        first="look at ConnectCount and DoorErrors: if nobody gets in, it is the doors; else at what is missing.",
        series={"gone": Ours("AbandonedWhileRunning", "Maximum"), "open": Ours("OpenRuns", "Maximum")},
        math=share("FILL(gone, 0)", "FILL(open, 0)", floor=10),
        above=40,
        breaches=3,
        periods=5,
        patience="When all connections break at once they are back within a minute: that is no abandonment.",
        missing_because=_EACH_LOOK,
    ),
)
