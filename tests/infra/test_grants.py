"""Who may do what, written out: any action more or less fails."""

import pytest

from tests.infra.conftest import Deployments
from tests.infra.synthesis import Stack

RUNS, JOURNAL, CONNECTIONS = "<Storage/Runs.Arn>", "<Storage/Journal.Arn>", "<Storage/Connections.Arn>"
QUEUE, DEAD = "<Queue/Jobs.Arn>", "<Queue/DeadLetters.Arn>"
STAGE = "arn:<AWS::Partition>:execute-api:<AWS::Region>:<AWS::AccountId>:<Socket/Api>/v1"
SECRET = "arn:<AWS::Partition>:secretsmanager:<AWS::Region>:<AWS::AccountId>:secret:model-key-??????"  # noqa: S105 - its name
TICKETS, NOTE = f"{RUNS}[TICKET#*]", f"{RUNS}[BACKLOG]"  # the table, and the only partitions of it
TELLS = {"GetItem", "UpdateItem", "DeleteItem", "Query"}
TAKES = {"ReceiveMessage", "DeleteMessage", "GetQueueAttributes"}
READS = {f"dynamodb:{one}" for one in ("GetItem", "BatchGetItem", "Query")}

EXPECTED: dict[str, dict[str, set[str]]] = {
    "Authorizer": {TICKETS: {"dynamodb:UpdateItem"}},
    "Connect": {CONNECTIONS: {f"dynamodb:{one}" for one in TELLS | {"PutItem"}}},
    "Ticket": {TICKETS: {"dynamodb:PutItem"}},
    "Message": {
        RUNS: {f"dynamodb:{one}" for one in ("GetItem", "BatchGetItem", "PutItem", "UpdateItem", "Query")},
        f"{RUNS}/index/open_by_age": {"dynamodb:Query"},
        JOURNAL: {"dynamodb:PutItem", "dynamodb:Query"},
        CONNECTIONS: {f"dynamodb:{one}" for one in TELLS | {"PutItem"}},
        QUEUE: {"sqs:SendMessage"},
        f"{STAGE}/POST/@connections/*": {"execute-api:ManageConnections"},
        f"{STAGE}/DELETE/@connections/*": {"execute-api:ManageConnections"},
    },
    "Runner": {
        RUNS: {f"dynamodb:{one}" for one in ("GetItem", "BatchGetItem", "UpdateItem", "Query")},
        JOURNAL: {"dynamodb:PutItem", "dynamodb:Query"},
        CONNECTIONS: {f"dynamodb:{one}" for one in TELLS},
        QUEUE: {f"sqs:{one}" for one in TAKES | {"ChangeMessageVisibility", "SendMessage"}},
        f"{STAGE}/POST/@connections/*": {"execute-api:ManageConnections"},
    },
    "Watchdog": {
        RUNS: {"dynamodb:GetItem", "dynamodb:UpdateItem"},
        f"{RUNS}/index/open_by_next_check": {"dynamodb:Query"},
        NOTE: {"dynamodb:PutItem"},
        JOURNAL: {"dynamodb:PutItem", "dynamodb:Query"},
        CONNECTIONS: {f"dynamodb:{one}" for one in TELLS},
        f"{CONNECTIONS}/index/ending_sessions": {"dynamodb:Query"},
        QUEUE: {"sqs:SendMessage"},
        DEAD: {f"sqs:{one}" for one in TAKES},
        f"{STAGE}/POST/@connections/*": {"execute-api:ManageConnections"},
        f"{STAGE}/DELETE/@connections/*": {"execute-api:ManageConnections"},
    },
    "Auditor": {
        RUNS: READS,
        f"{RUNS}/index/open_by_age": {"dynamodb:Query"},
        f"{RUNS}/index/open_by_next_check": {"dynamodb:Query"},
        f"{RUNS}/index/runs_by_end": {"dynamodb:Query"},
        JOURNAL: {"dynamodb:Query"},
        CONNECTIONS: {"dynamodb:GetItem", "dynamodb:Query"},
    },
}


@pytest.mark.parametrize("name", EXPECTED)
def test_a_function_may_do_this_and_nothing_else(own: Stack, host: Stack, name: str) -> None:
    """Each role has exactly the rights of its line, and to write its own log; a local cloud gets the same."""
    logs = {f"<Functions/{name}Log.Arn>": {"logs:CreateLogStream", "logs:PutLogEvents"}}
    for stack in (own, host):
        assert _rights(stack, name) == {**EXPECTED[name], **logs}


@pytest.mark.parametrize("name", EXPECTED)
def test_only_the_runner_reads_the_one_secret(foreign: Stack, name: str) -> None:
    """A secret that is configured is readable to the runner, and changes nobody else's rights."""
    secret = {SECRET: {"secretsmanager:GetSecretValue"}} if name == "Runner" else {}
    logs = {f"<Functions/{name}Log.Arn>": {"logs:CreateLogStream", "logs:PutLogEvents"}}
    assert _rights(foreign, name) == {**EXPECTED[name], **logs, **secret}


def test_a_function_has_its_own_role_and_no_other_policy(deployments: Deployments) -> None:
    """No role is shared, none has a managed policy, and none has a policy but its own."""
    for stack in (deployments.own, deployments.foreign, deployments.host):
        policies = stack.of("AWS::IAM::Policy")
        for name in EXPECTED:
            role = f"Functions/{name}Role"
            assert stack.properties(f"Functions/{name}")["Role"] == f"<{role}.Arn>"
            assert set(stack.properties(role)) == {"AssumeRolePolicyDocument"}
            (trust,) = stack.properties(role)["AssumeRolePolicyDocument"]["Statement"]
            assert trust["Principal"] == {"Service": "lambda.amazonaws.com"}
            assert [path for path, each in policies.items() if f"<{role}>" in each["Roles"]] == [
                f"Functions/{name}Policy"
            ]


def test_nobody_changes_what_the_journal_says(deployments: Deployments) -> None:
    """No role of the stack may update the journal or delete from it."""
    for stack in (deployments.own, deployments.foreign, deployments.host):
        texts = [
            str(statement)
            for policy in stack.of("AWS::IAM::Policy").values()
            for statement in policy["PolicyDocument"]["Statement"]
        ]
        named = [text for text in texts if JOURNAL in text or "'*'" in text]
        assert named
        assert not [text for text in named if "Update" in text or "Delete" in text]


def test_the_auditor_reads_and_does_nothing_else(deployments: Deployments) -> None:
    """Beside lines of its own log it can write nothing, send nothing, close nothing: it cannot do what it looks for."""
    for stack in (deployments.own, deployments.foreign, deployments.host):
        rights = _rights(stack, "Auditor")
        assert rights.pop("<Functions/AuditorLog.Arn>") == {"logs:CreateLogStream", "logs:PutLogEvents"}
        assert set().union(*rights.values()) == READS
        assert not [resource for resource in rights if not resource.startswith((RUNS, JOURNAL, CONNECTIONS))]


def _rights(stack: Stack, name: str) -> dict[str, set[str]]:
    rights: dict[str, set[str]] = {}
    for statement in stack.properties(f"Functions/{name}Policy")["PolicyDocument"]["Statement"]:
        assert set(statement) <= {"Action", "Effect", "Resource", "Condition"}
        assert statement["Effect"] == "Allow"
        only = ""
        if "Condition" in statement:
            ((operator, keys),) = statement["Condition"].items()
            ((key, (partition,)),) = keys.items()
            assert (operator, key) == ("ForAllValues:StringLike", "dynamodb:LeadingKeys")
            only = f"[{partition}]"
        for resource in _list(statement["Resource"]):
            rights.setdefault(f"{resource}{only}", set()).update(_list(statement["Action"]))
    return rights


def _list(one_or_more: str | list[str]) -> list[str]:
    return [one_or_more] if isinstance(one_or_more, str) else one_or_more
