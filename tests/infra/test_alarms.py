"""The alarms as CloudWatch will have them: what they watch, when they ring by their table, what they say."""

from typing import Any

import pytest

from infra.context import Context
from infra.functions import RUNNER_S
from infra.monitoring import names
from infra.monitoring.alarm import AlarmRow, Ours
from infra.monitoring.alarms import ALARMS, BLANK_SCREEN, metrics_watched
from playbyplay.observability import METRICS, NAMESPACE, SERVICE, combinations
from tests.infra.alarm_judge import judge, period_minutes, watched
from tests.infra.synthesis import Stack

ALARM, COMPOSITE = "AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm"
BY_NAME = {row.name: row for row in ALARMS}
OF_OURS = {metric.name: metric for metric in METRICS}
AT_ONCE = ("RunWithoutTerminal", "JournalBroken", "RunsUnreadable", "AttemptsExhausted")

# In how many of how many periods; of a minute, but for the rates of what people and runners do.
PATIENCE = {
    "MessageWithoutAgentStarted": (2, 3),
    "ToolWithoutCompletion": (2, 3),
    "RunWithoutTerminal": (1, 1),
    "PostedNeverReceived": (2, 3),
    "JournalBroken": (1, 1),
    "MetricSilence": (4, 5),
    "AuditorSilent": (2, 3),
    "SlowFirstEvent": (3, 5),
    "ResendRate": (2, 3),
    "AbandonmentRate": (3, 5),
    "DoorErrors": (2, 3),
    "MessageErrors": (2, 3),
    "RunnerErrors": (5, 20),
    "WatchdogErrors": (2, 3),
    "WatchdogSilent": (2, 3),
    "AuditorErrors": (2, 3),
    "Throttles": (2, 3),
    "JobsWait": (2, 3),
    "JobAge": (3, 5),
    "DeadLetters": (14, 15),
    "PoisonedJobs": (1, 3),
    "RunsAstray": (3, 4),
    "RunsUnreadable": (1, 1),
    "TakeoverRate": (2, 3),
    "AttemptsExhausted": (1, 1),
    "ModelErrors": (3, 5),
    "ModelUnavailable": (2, 5),
}
OF_FIVE_MINUTES = {"ResendRate", "TakeoverRate"}


def test_the_composite_rings_for_each_of_its_members(own: Stack) -> None:
    """Its rule is that any of the members of the table rings; each has a reason to be among them."""
    (composite,) = own.of(COMPOSITE).values()
    terms = [f'ALARM("<Monitoring/{name}.Arn>")' for name in BLANK_SCREEN.members]
    assert composite["AlarmRule"] == f"({' OR '.join(terms)})"
    assert set(BLANK_SCREEN.members) <= set(BY_NAME)
    absence = {name for name, row in BY_NAME.items() if any(_is_absence(series) for series in row.series.values())}
    # The rate of who leaves and JournalBroken look at what the auditor counts too, but are no blank screen.
    assert absence - set(BLANK_SCREEN.members) == {names.JOURNAL_BROKEN, names.ABANDONMENT_RATE}
    assert all(len(why) > 10 for why in BLANK_SCREEN.members.values())


def _is_absence(series: object) -> bool:
    return isinstance(series, Ours) and OF_OURS[series.name].event == "audit_swept"


def test_there_is_an_alarm_for_each_row_and_it_is_as_the_row_says(alarms: dict[str, dict[str, Any]]) -> None:
    """Threshold, side, M of N, period and missing data are the table's."""
    assert set(alarms) == set(BY_NAME)
    assert len(ALARMS) == len(BY_NAME)
    for name, alarm in alarms.items():
        row = BY_NAME[name]
        side = "GreaterThanThreshold" if row.below is None else "LessThanThreshold"
        assert (alarm["Threshold"], alarm["ComparisonOperator"]) == (row.threshold, side)
        assert (alarm["DatapointsToAlarm"], alarm["EvaluationPeriods"]) == (row.breaches, row.periods)
        assert (period_minutes(alarm) * 60, alarm["TreatMissingData"]) == (row.period_s, row.missing)
        assert alarm["AlarmName"] == f"Playbyplay-{name}"
    patience = {name: (alarm["DatapointsToAlarm"], alarm["EvaluationPeriods"]) for name, alarm in alarms.items()}
    assert patience == PATIENCE
    assert {name for name, alarm in alarms.items() if period_minutes(alarm) != 1} == OF_FIVE_MINUTES


@pytest.mark.parametrize("row", ALARMS, ids=lambda row: row.name)
def test_each_row_gives_its_reasons(row: AlarmRow) -> None:
    """Why so many of so many, and why missing data counts as it does; one of one only for what does not heal."""
    assert len(row.patience) > 15
    assert len(row.missing_because) > 40
    assert row.question.endswith("?")
    assert (row.breaches, row.periods) != (1, 1) or row.name in AT_ONCE
    assert row.breaches <= row.periods
    assert row.periods in range(1, 6) or row.name in {names.DEAD_LETTERS, names.RUNNER_ERRORS}


def test_only_who_is_silent_by_silence_rings_without_data(alarms: dict[str, dict[str, Any]]) -> None:
    """Missing data is breaching for the two sweeps alone, which come each minute whether anybody chats or not."""
    breaching = {name for name, alarm in alarms.items() if alarm["TreatMissingData"] == "breaching"}
    assert breaching == {names.AUDITOR_SILENT, names.WATCHDOG_SILENT}


def test_each_alarm_says_what_happened_what_is_felt_and_what_to_do(own: Stack, foreign: Stack) -> None:
    """And where its runbook is: with the address that the context gives, or by its name."""
    for stack, base in ((own, "https://git.example.org/playbyplay/blob/main/"), (foreign, "")):
        told = {**stack.of(ALARM), **stack.of(COMPOSITE)}
        assert len(told) == len(ALARMS) + 1
        for path, alarm in told.items():
            text = alarm["AlarmDescription"]
            happened, rest = text.split(" Users: ")
            felt, rest = rest.split(" First: ")
            first, link = rest.split(" Runbook: ")
            assert min(len(happened), len(first)) > 30
            assert felt
            assert link == f"{base}docs/operations.md#{path.removeprefix('Monitoring/').lower()}"
            assert len(text) <= 1024  # the API's limit


def test_every_alarm_tells_the_topic_when_it_rings_and_when_it_is_over(own: Stack) -> None:
    """The composite and every other."""
    for alarm in (own.of(ALARM) | own.of(COMPOSITE)).values():
        assert alarm["AlarmActions"] == alarm["OKActions"] == ["<Monitoring/Told/Topic>"]


def test_no_alarm_watches_what_nobody_writes(alarms: dict[str, dict[str, Any]]) -> None:
    """Each of our metrics is in the catalogue, with exactly the dimensions and a value that it is written with."""
    written = {
        " ".join([NAMESPACE, metric.name, *(f"{name}={value}" for name, value in dimensions)])
        for metric in METRICS
        for dimensions in combinations(metric)
    }
    ours = {
        metric
        for alarm in alarms.values()
        for metric, _statistic in watched(alarm).values()
        if metric.startswith(f"{NAMESPACE} ")
    }
    assert ours <= written
    assert len(ours) > 25
    for alarm in alarms.values():
        for metric in _metrics(alarm):
            if metric["Namespace"] == NAMESPACE:
                assert {"Name": "service", "Value": SERVICE} in metric["Dimensions"]


def test_gauges_are_read_by_their_largest_value(alarms: dict[str, dict[str, Any]]) -> None:
    """How many there are is no sum over looks, and what is counted is no maximum."""
    for alarm in alarms.values():
        for metric, statistic in watched(alarm).values():
            namespace, name, *_ = metric.split()
            if namespace == NAMESPACE and statistic != "SampleCount":
                gauge, measured = OF_OURS[name].gauge, OF_OURS[name].unit == "Milliseconds"
                assert (
                    statistic == "Maximum" if gauge else statistic.startswith("p") if measured else statistic == "Sum"
                )


def test_the_alarms_on_absence_need_no_math(alarms: dict[str, dict[str, Any]]) -> None:
    """So they do not fall with a metric that stands beside them, and a local cloud can have them too."""
    for name in names.MESSAGE_WITHOUT_AGENT_STARTED, names.TOOL_WITHOUT_COMPLETION, names.RUN_WITHOUT_TERMINAL:
        assert alarms[name]["Statistic"] == "Maximum"
    for name in names.POSTED_NEVER_RECEIVED, names.JOURNAL_BROKEN, names.AUDITOR_SILENT, names.WATCHDOG_SILENT:
        assert "Metrics" not in alarms[name]


def test_the_alarms_watch_the_right_functions_and_queues(own: Stack, alarms: dict[str, dict[str, Any]]) -> None:
    """The queue's alarms watch the right queue, the functions' the right function, and throttles are everybody's."""

    def of(name: str) -> set[str]:
        return {metric for metric, _statistic in watched(alarms[name]).values()}

    for name, function in (
        (names.RUNNER_ERRORS, "Runner"),
        (names.MESSAGE_ERRORS, "Message"),
        (names.WATCHDOG_ERRORS, "Watchdog"),
        (names.AUDITOR_ERRORS, "Auditor"),
    ):
        assert of(name) == {f"AWS/Lambda Errors FunctionName=<Functions/{function}>"}
    functions = {path for path in own.of("AWS::Lambda::Function") if path.startswith("Functions/")}
    assert of(names.THROTTLES) == {f"AWS/Lambda Throttles FunctionName=<{path}>" for path in functions}
    waiting = "AWS/SQS ApproximateNumberOfMessagesVisible QueueName=<Queue/Jobs.QueueName>"
    assert watched(alarms[names.JOBS_WAIT]) == {"": (waiting, "Minimum")}
    letters = [
        f"AWS/SQS ApproximateNumberOfMessages{kind} QueueName=<Queue/DeadLetters.QueueName>"
        for kind in ("Visible", "NotVisible")
    ]
    # In somebody's hands for most of the time, so both kinds are counted, each minute's most of either.
    assert list(watched(alarms[names.DEAD_LETTERS]).values()) == [(letter, "Maximum") for letter in letters]
    poison = {f"{NAMESPACE} JobDropped reason=poison", f"{NAMESPACE} DeadLetter finding=poison"}
    assert of(names.POISONED_JOBS) == poison


def test_runs_that_are_on_their_way_ring_no_alarm(alarms: dict[str, dict[str, Any]]) -> None:
    """A turn that waits, or a run whose owner is at work, is looked at and healthy: no alarm counts looks."""
    counted = {metric.name: metric.value for metric in METRICS if metric.event == "watchdog_swept"}
    seen = {metric.split()[1] for alarm in alarms.values() for metric, _statistic in watched(alarm).values()}
    assert {value for name, value in counted.items() if name in seen} == {"astray", "unreadable"}


def test_a_crash_is_seen_however_long_its_call_lasted(alarms: dict[str, dict[str, Any]]) -> None:
    """Lambda notes an error at the minute when the call began: the longest call is within what is looked at."""
    runner = alarms[names.RUNNER_ERRORS]
    (errors,) = watched(runner).values()
    late = RUNNER_S // 60 + 2  # the newest minute is not over, and may not be there yet
    day = {errors[0]: [[1.0]] * late + [[0.0]] * late}
    states = judge(runner, day)
    assert states[late - 1] == "ALARM"
    # What crashed at the end of such a call is noted so late that only older minutes can hold it.
    assert runner["EvaluationPeriods"] - runner["DatapointsToAlarm"] >= RUNNER_S // 60
    assert states[-1] == "OK"


def test_what_one_user_may_wait_for_is_no_silence(alarms: dict[str, dict[str, Any]]) -> None:
    """All that one user may have open stands behind one long tool: people are served, and nobody is woken."""
    silence = alarms[names.METRIC_SILENCE]
    quiet: list[list[float]] = [[] for _ in range(10)]
    day = {metric: quiet for metric, _statistic in watched(silence).values()}
    for runs, state in ((Context().open_runs, "OK"), (Context().open_runs + 1, "ALARM")):
        open_runs: list[list[float]] = [[float(runs)]] * 10
        assert judge(silence, {**day, f"{NAMESPACE} OpenRuns": open_runs})[-1] == state


def test_math_fills_what_is_missing(alarms: dict[str, dict[str, Any]]) -> None:
    """Every series in an expression stands in a FILL with 0; CloudWatch takes ten metrics at the most."""
    with_math = {name: alarm for name, alarm in alarms.items() if "Metrics" in alarm}
    assert with_math
    for name, alarm in with_math.items():
        expression, *metrics = alarm["Metrics"]
        assert 1 < len(metrics) <= 10
        for metric in metrics:
            inside, anywhere = f"FILL({metric['Id']}, 0)", metric["Id"]
            text = expression["Expression"].replace(inside, "")
            assert inside in expression["Expression"], (name, anywhere)
            assert anywhere not in text.replace(",", " ").replace("(", " ").replace(")", " ").split(), (name, anywhere)


def test_what_is_paid_for_is_what_the_template_reads(alarms: dict[str, dict[str, Any]]) -> None:
    """The bill counts each metric once for each alarm that reads it."""
    assert metrics_watched() == sum(len(watched(alarm)) for alarm in alarms.values())


def _metrics(alarm: dict[str, Any]) -> list[dict[str, Any]]:
    if "Metrics" not in alarm:
        return [alarm]
    return [one["MetricStat"]["Metric"] for one in alarm["Metrics"] if "MetricStat" in one]
