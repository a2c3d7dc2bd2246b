"""The job queue: how long a job is hidden, when it is given up, and that nobody reads it in clear."""

from playbyplay.domain.timing import CLOUD
from tests.infra.synthesis import Stack

RUNNER_S = 900


def test_a_job_stays_hidden_for_as_long_as_a_runner_may_live(own: Stack) -> None:
    """Lambda refuses an event source whose queue shows a job again while its function may still run."""
    assert (
        own.properties("Queue/Jobs")["VisibilityTimeout"] >= own.properties("Functions/Runner")["Timeout"] == RUNNER_S
    )


def test_a_dead_letter_stays_hidden_six_times_as_long_as_the_watchdog_may_take(own: Stack) -> None:
    """As Lambda's guide advises for an event source, and not so long that a letter waits for a quarter of an hour."""
    hidden = own.properties("Queue/DeadLetters")["VisibilityTimeout"]
    assert 6 * own.properties("Functions/Watchdog")["Timeout"] == hidden <= 6 * 60


def test_a_held_run_does_not_end_among_the_dead_letters(own: Stack) -> None:
    """A job may come back every few seconds for as long as another runner can hold its run, and a third more."""
    jobs = own.properties("Queue/Jobs")
    receives = jobs["RedrivePolicy"]["maxReceiveCount"]
    held = (RUNNER_S + CLOUD.lease_s) / CLOUD.retry_s
    assert held * 4 / 3 < receives
    assert receives * jobs["VisibilityTimeout"] < jobs["MessageRetentionPeriod"]


def test_dead_letters_are_kept_for_two_weeks(own: Stack) -> None:
    """What is given up goes to the one dead-letter queue and stays for SQS's longest time.

    That queue gives nothing up: a letter that cannot be looked at comes again until then.
    """
    assert own.properties("Queue/Jobs")["RedrivePolicy"]["deadLetterTargetArn"] == "<Queue/DeadLetters.Arn>"
    assert own.properties("Queue/DeadLetters")["MessageRetentionPeriod"] == 14 * 86_400
    assert "RedrivePolicy" not in own.properties("Queue/DeadLetters")


def test_the_queues_are_encrypted_and_want_tls(own: Stack) -> None:
    """Both queues are encrypted with SQS's own key, standard, and closed to plain HTTP."""
    queues, policies = own.of("AWS::SQS::Queue"), own.of("AWS::SQS::QueuePolicy")
    assert set(queues) == {"Queue/Jobs", "Queue/DeadLetters"}
    for path, queue in queues.items():
        assert queue["SqsManagedSseEnabled"] is True
        assert "FifoQueue" not in queue
        (statement,) = policies[f"{path}/Policy"]["PolicyDocument"]["Statement"]
        assert statement["Effect"] == "Deny"
        assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
