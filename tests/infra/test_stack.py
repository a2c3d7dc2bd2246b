"""What the parts are to each other: who is called by the queues and by the clock; the outputs name all."""

import pytest

from tests.infra.synthesis import Stack

# Of everything the stack is made of, what a local cloud cannot make.
NOT_LOCAL = {"AWS::ApiGatewayV2::RouteResponse", "Custom::CDKBucketDeployment"}


def test_jobs_reach_the_runner_one_by_one(own: Stack, foreign: Stack) -> None:
    """One job a call, failures told by job, and no more at a time than the context allows."""
    assert own.properties("Jobs") == {
        "BatchSize": 1,
        "EventSourceArn": "<Queue/Jobs.Arn>",
        "FunctionName": "<Functions/Runner>",
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
        "ScalingConfig": {"MaximumConcurrency": 30},
    }
    assert foreign.properties("Jobs")["ScalingConfig"] == {"MaximumConcurrency": 20}


def test_dead_letters_reach_the_watchdog_a_few_at_a_time(own: Stack) -> None:
    """A handful a call, failures told by letter, and no more calls at a time than Lambda's least."""
    assert own.properties("DeadLetters") == {
        "BatchSize": 5,
        "EventSourceArn": "<Queue/DeadLetters.Arn>",
        "FunctionName": "<Functions/Watchdog>",
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
        "ScalingConfig": {"MaximumConcurrency": 2},
    }


def test_a_function_is_called_only_once_its_rights_are_there(own: Stack) -> None:
    """Each function waits for its policy, so the event source finds a runner that may read the queue."""
    for name in ("Authorizer", "Connect", "Ticket", "Message", "Runner", "Watchdog", "Auditor"):
        needs = [own.by_id[one] for one in own.resources[f"Functions/{name}"]["DependsOn"]]
        assert f"Functions/{name}Policy" in needs


@pytest.mark.parametrize(("name", "function"), [("EachMinute", "Watchdog"), ("EachAudit", "Auditor")])
def test_watchdog_and_auditor_wake_each_minute(own: Stack, name: str, function: str) -> None:
    """A rule of its own calls each every minute; a call that fails is not repeated, for the next one comes."""
    rule = own.properties(name)
    (target,) = rule["Targets"]
    assert rule["ScheduleExpression"] == "rate(1 minute)"
    assert target["Arn"] == f"<Functions/{function}.Arn>"
    assert target["RetryPolicy"]["MaximumRetryAttempts"] == 0


def test_the_outputs_name_what_a_person_or_a_script_needs(own: Stack) -> None:
    """Every address and name is told."""
    assert own.outputs == {
        "SocketUrl": "wss://<Socket/Api>.execute-api.<AWS::Region>.<AWS::URLSuffix>/v1",
        "PageUrl": "https://<Web/Distribution.DomainName>/",
        "TicketUrl": "https://<Web/Distribution.DomainName>/ticket",
        "TicketApiId": "<Tickets/Api>",
        "QueueUrl": "<Queue/Jobs>",
        "DeadLetterQueueUrl": "<Queue/DeadLetters>",
        "RunsTable": "<Storage/Runs>",
        "JournalTable": "<Storage/Journal>",
        "ConnectionsTable": "<Storage/Connections>",
        "UserPoolId": "<Identity/Users>",
        "UserPoolClientId": "<Identity/Page>",
    }


def test_a_local_cloud_gets_the_same_but_for_what_it_cannot_make(own: Stack, host: Stack) -> None:
    """`platform=host` leaves out these kinds of resources, and what fills the bucket; nothing else is missing.

    But for who is told by mail, whom the one context names and the other does not.
    """
    left_out = {path: own.resources[path]["Type"] for path in set(own.resources) - set(host.resources)}
    assert set(host.resources) <= set(own.resources)
    rest = {path for path, kind in left_out.items() if kind not in NOT_LOCAL}
    assert all(
        path.startswith(("Custom::CDKBucketDeployment", "Web/Publish", "Monitoring/Told/Email")) for path in rest
    )
