"""Names of alarms, functions and queues: in CloudWatch, in messages and in runbooks. They are written only here."""

from typing import Final

# What users feel.
USERS_SEE_A_BLANK_SCREEN: Final = "UsersSeeABlankScreen"
MESSAGE_WITHOUT_AGENT_STARTED: Final = "MessageWithoutAgentStarted"
TOOL_WITHOUT_COMPLETION: Final = "ToolWithoutCompletion"
RUN_WITHOUT_TERMINAL: Final = "RunWithoutTerminal"
POSTED_NEVER_RECEIVED: Final = "PostedNeverReceived"
JOURNAL_BROKEN: Final = "JournalBroken"
METRIC_SILENCE: Final = "MetricSilence"
AUDITOR_SILENT: Final = "AuditorSilent"
SLOW_FIRST_EVENT: Final = "SlowFirstEvent"
RESEND_RATE: Final = "ResendRate"
ABANDONMENT_RATE: Final = "AbandonmentRate"

# What goes wrong behind it.
DOOR_ERRORS: Final = "DoorErrors"
MESSAGE_ERRORS: Final = "MessageErrors"
RUNNER_ERRORS: Final = "RunnerErrors"
WATCHDOG_ERRORS: Final = "WatchdogErrors"
WATCHDOG_SILENT: Final = "WatchdogSilent"
AUDITOR_ERRORS: Final = "AuditorErrors"
THROTTLES: Final = "Throttles"
JOBS_WAIT: Final = "JobsWait"
JOB_AGE: Final = "JobAge"
DEAD_LETTERS: Final = "DeadLetters"
POISONED_JOBS: Final = "PoisonedJobs"
RUNS_ASTRAY: Final = "RunsAstray"
RUNS_UNREADABLE: Final = "RunsUnreadable"
TAKEOVER_RATE: Final = "TakeoverRate"
ATTEMPTS_EXHAUSTED: Final = "AttemptsExhausted"
MODEL_ERRORS: Final = "ModelErrors"
MODEL_UNAVAILABLE: Final = "ModelUnavailable"

# Whose numbers AWS counts: functions by the folder of their code, the two queues, the socket.
AUTHORIZER: Final = "authorizer"
CONNECT: Final = "connect"
TICKET: Final = "ticket"
MESSAGE: Final = "message"
RUNNER: Final = "agent_runner"
WATCHDOG: Final = "watchdog"
AUDITOR: Final = "auditor"
FUNCTIONS: Final = (AUTHORIZER, CONNECT, TICKET, MESSAGE, RUNNER, WATCHDOG, AUDITOR)
JOBS: Final = "jobs"
DEAD: Final = "dead"
SOCKET: Final = "socket"
