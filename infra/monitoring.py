"""What is watched: a dashboard, and alarms that each say what to do. First version.

Metrics of our own are read from log lines, as `observability.py` lists them; the rest AWS counts by itself.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from aws_cdk import Duration
from aws_cdk.aws_apigatewayv2 import WebSocketApi, WebSocketStage
from aws_cdk.aws_cloudwatch import (
    Alarm,
    ComparisonOperator,
    Dashboard,
    GraphWidget,
    IMetric,
    MathExpression,
    Metric,
    TreatMissingData,
)
from aws_cdk.aws_lambda import Function
from aws_cdk.aws_sqs import Queue
from constructs import Construct

from playbyplay.observability import NAMESPACE

# Alarm names stand in CloudWatch, in messages and in runbooks: only here are they written.
DEAD_LETTERS: Final = "DeadLetters"
JOBS_WAIT: Final = "JobsWait"
RUNNER_ERRORS: Final = "RunnerErrors"
MESSAGE_ERRORS: Final = "MessageErrors"
THROTTLES: Final = "Throttles"
RUNS_ASTRAY: Final = "RunsAstray"
RUNS_UNREADABLE: Final = "RunsUnreadable"
POISONED_JOBS: Final = "PoisonedJobs"
WATCHDOG_ERRORS: Final = "WatchdogErrors"

# What is found of a dead letter, as `watchdog/look.py` tells it, and of one that is no job.
FINDINGS: Final = ("sent", "ended", "settled", "over", "held", "waits", "taken", "unreadable", "unknown", "malformed")

_MINUTE = Duration.minutes(1)


class Monitoring(Construct):
    """One dashboard and its alarms."""

    def __init__(
        self,
        scope: Construct,
        name: str,
        *,
        functions: Mapping[str, Function],
        jobs: Queue,
        dead: Queue,
        api: WebSocketApi,
        stage: WebSocketStage,
    ) -> None:
        super().__init__(scope, name)
        runner, message, watchdog = functions["agent_runner"], functions["message"], functions["watchdog"]
        # Those in somebody's hands too: a letter that fails again and again is nowhere else for most of the time. Not
        # the age of the oldest: SQS leaves out there what was received three times.
        dead_letters = {
            "visible": dead.metric_approximate_number_of_messages_visible(period=_MINUTE, statistic="Maximum"),
            "hidden": dead.metric_approximate_number_of_messages_not_visible(period=_MINUTE, statistic="Maximum"),
        }
        oldest = jobs.metric_approximate_age_of_oldest_message(period=_MINUTE, statistic="Maximum")
        astray = _ours("RunsAstray", "Maximum", service="watchdog")
        unreadable = _ours("RunsUnreadable", "Maximum", service="watchdog")
        throttles = {each: function.metric_throttles(period=_MINUTE) for each, function in functions.items()}

        self._alarm(
            DEAD_LETTERS,
            _sum(dead_letters),
            0,
            15,
            "Dead letters stay: the watchdog fails to look at them, see its errors and its log. Each comes again until "
            "it is looked at, for ten days at the least; the run that its body names waits meanwhile.",
        )
        # Not the age of the oldest: a job that is worked on counts there, and a long run is healthy.
        self._alarm(
            JOBS_WAIT,
            jobs.metric_approximate_number_of_messages_visible(period=_MINUTE, statistic="Minimum"),
            0,
            3,
            "Jobs wait although none has to. Either every runner is busy (raise the context value concurrency) or jobs "
            "fail and come back: see RunnerErrors.",
        )
        self._alarm(
            RUNNER_ERRORS,
            runner.metric_errors(period=_MINUTE),
            0,
            3,
            "The runner crashes or runs out of time. Each run is taken over, so users wait but lose nothing.",
        )
        self._alarm(
            MESSAGE_ERRORS,
            message.metric_errors(period=_MINUTE),
            0,
            3,
            "Frames go unanswered: the message function fails. Clients send their messages again until it is mended.",
        )
        self._alarm(
            THROTTLES,
            _sum(throttles),
            0,
            3,
            "Lambda refuses calls: the account's concurrency is used up, or the runner's reserve is too small.",
        )
        self._alarm(
            RUNS_ASTRAY,
            astray,
            0,
            4,
            "Sweep after sweep finds runs that are not on their way. It sends their jobs again, so either the runners "
            "fall (see RunnerErrors), or are too few (raise the context value concurrency), or the queue loses jobs.",
        )
        self._alarm(
            RUNS_UNREADABLE,
            unreadable,
            0,
            1,
            "The journal of an open run is not whole, or holds what the deployed version does not know: nothing is "
            "guessed, and the run waits. run_unreadable in the watchdog's log names it and tells why; if an older "
            "version was deployed over a newer one, deploy the newer one again.",
        )
        self._alarm(
            POISONED_JOBS,
            _sum(
                {
                    "malformed": _ours("JobDropped", reason="malformed"),
                    "unknown": _ours("JobDropped", reason="unknown"),
                    "letter": _ours("DeadLetter", service="watchdog", finding="malformed"),
                }
            ),
            0,
            1,
            "The queue held what is no job, or one of a run that does not exist; it was dropped. Somebody else may "
            "send to the queue.",
        )
        self._alarm(
            WATCHDOG_ERRORS,
            watchdog.metric_errors(period=_MINUTE),
            0,
            3,
            "The watchdog fails or runs out of time. Until it is mended nobody notices a job that is lost, and its run "
            "waits.",
        )
        Dashboard(
            self,
            "Dashboard",
            default_interval=Duration.hours(3),
            widgets=[
                [
                    _graph("Socket", [_socket(api, stage, each) for each in ("ConnectCount", "MessageCount")]),
                    _graph("Socket errors", [_socket(api, stage, each) for each in _SOCKET_ERRORS]),
                    _graph("Jobs waiting", [jobs.metric_approximate_number_of_messages_visible()]),
                    _graph("Oldest job, seconds", [oldest]),
                ],
                [
                    _graph("Calls", [each.metric_invocations(period=_MINUTE) for each in functions.values()]),
                    _graph("Errors", [each.metric_errors(period=_MINUTE) for each in functions.values()]),
                    _graph("Throttles", list(throttles.values())),
                    _graph(
                        "Time of a frame, ms",
                        [message.metric_duration(period=_MINUTE, statistic=each) for each in ("p50", "p99")],
                    ),
                ],
                [
                    _graph("From accept to terminal, ms", [_ours("TimeToTerminal", each) for each in ("p50", "p99")]),
                    _graph("Trouble of runs", [_ours(each) for each in ("Takeovers", "RunCrashed")]),
                    _graph("Messages", [_ours("MessageAccepted", service="message")]),
                    _graph("Runs astray", [astray, unreadable]),
                ],
                [
                    _graph("Jobs sent again", [_ours("JobSentAgain", service="watchdog")]),
                    _graph("Dead letters", list(dead_letters.values())),
                    _graph(
                        "Dead letters, what was found",
                        [_ours("DeadLetter", service="watchdog", finding=each) for each in FINDINGS],
                    ),
                ],
            ],
        )

    def _alarm(self, name: str, metric: IMetric, above: int, minutes: int, description: str) -> None:
        Alarm(
            self,
            name,
            metric=metric,
            threshold=above,
            comparison_operator=ComparisonOperator.GREATER_THAN_THRESHOLD,
            evaluation_periods=minutes,
            datapoints_to_alarm=max(1, minutes - 1),
            treat_missing_data=TreatMissingData.NOT_BREACHING,
            alarm_description=description,
        )


_SOCKET_ERRORS = ("IntegrationError", "ClientError", "ExecutionError")


def _socket(api: WebSocketApi, stage: WebSocketStage, name: str) -> Metric:
    where = {"ApiId": api.api_id, "Stage": stage.stage_name}
    return Metric(namespace="AWS/ApiGateway", metric_name=name, dimensions_map=where, statistic="Sum", period=_MINUTE)


def _ours(name: str, statistic: str = "Sum", *, service: str = "agent_runner", **dimension: str) -> Metric:
    dimensions = {"service": service} | dimension
    return Metric(namespace=NAMESPACE, metric_name=name, dimensions_map=dimensions, statistic=statistic, period=_MINUTE)


def _sum(metrics: Mapping[str, Metric]) -> MathExpression:
    """Add metrics up; one that has no value in a minute counts as 0, or the sum would have none either."""
    filled = " + ".join(f"FILL({name}, 0)" for name in metrics)
    return MathExpression(expression=filled, using_metrics=metrics, label="Sum", period=_MINUTE)


def _graph(title: str, metrics: Sequence[IMetric]) -> GraphWidget:
    return GraphWidget(title=title, left=metrics, width=6)
