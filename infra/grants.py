"""What each function may do, as `docs/aws.md` tells it, and nothing else.

No role may change a record of the journal: a record that stands is the truth. Transactions need no
right of their own; DynamoDB asks for that of each write in them.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from aws_cdk import Aws
from aws_cdk.aws_iam import PolicyStatement
from aws_cdk.aws_sqs import Queue

from infra.gateway import SocketApi
from infra.queue import JobQueue
from infra.storage import Storage
from playbyplay.adapters.tables import (
    BACKLOG,
    ENDING_SESSIONS,
    OPEN_BY_AGE,
    OPEN_BY_NEXT_CHECK,
    RUNS_BY_END,
    ticket_key,
)

_TELL = ("GetItem", "UpdateItem", "DeleteItem", "Query")  # a fan-out reads, marks and forgets connections


@dataclass(frozen=True, slots=True)
class Grants:
    """The statements of each function's role.

    Args:
        secret: name of the one secret, "" for none.
    """

    storage: Storage
    queue: JobQueue
    socket: SocketApi
    secret: str

    def authorizer(self) -> list[PolicyStatement]:
        """Mark tickets as used."""
        return [self._under(ticket_key("*"), "UpdateItem")]

    def connect(self) -> list[PolicyStatement]:
        """Keep and forget connections, and note when one left."""
        return [_items(self.storage.connections.table_arn, *_TELL, "PutItem")]

    def ticket(self) -> list[PolicyStatement]:
        """Keep tickets."""
        return [self._under(ticket_key("*"), "PutItem")]

    def message(self) -> list[PolicyStatement]:
        """Accept messages, answer from the store, send jobs and frames."""
        return [
            _items(self._runs, "GetItem", "BatchGetItem", "PutItem", "UpdateItem", "Query"),
            _items(f"{self._runs}/index/{OPEN_BY_AGE}", "Query"),
            _items(self.storage.journal.table_arn, "PutItem", "Query"),
            _items(self.storage.connections.table_arn, *_TELL, "PutItem"),
            _messages(self.queue.jobs, "SendMessage"),
            *self._posts("POST", "DELETE"),
        ]

    def runner(self) -> list[PolicyStatement]:
        """Work on runs; the event source takes jobs with these rights too."""
        return [
            _items(self._runs, "GetItem", "BatchGetItem", "UpdateItem", "Query"),
            _items(self.storage.journal.table_arn, "PutItem", "Query"),
            _items(self.storage.connections.table_arn, *_TELL),
            _messages(self.queue.jobs, *_CONSUME, "ChangeMessageVisibility", "SendMessage"),
            *self._posts("POST"),
            *self._secrets(),
        ]

    def watchdog(self) -> list[PolicyStatement]:
        """Look at open runs, settle, end and send them; close what outlived its session; take dead letters."""
        return [
            _items(self._runs, "GetItem", "UpdateItem"),
            _items(f"{self._runs}/index/{OPEN_BY_NEXT_CHECK}", "Query"),
            self._under(BACKLOG, "PutItem"),
            _items(self.storage.journal.table_arn, "PutItem", "Query"),
            _items(self.storage.connections.table_arn, *_TELL),
            _items(f"{self.storage.connections.table_arn}/index/{ENDING_SESSIONS}", "Query"),
            _messages(self.queue.jobs, "SendMessage"),
            _messages(self.queue.dead, *_CONSUME),
            *self._posts("POST", "DELETE"),
        ]

    def auditor(self) -> list[PolicyStatement]:
        """Read runs, journals and connections; whoever audits changes nothing and tells nobody."""
        return [
            _items(self._runs, "GetItem", "BatchGetItem", "Query"),
            *(_items(f"{self._runs}/index/{one}", "Query") for one in (OPEN_BY_AGE, OPEN_BY_NEXT_CHECK, RUNS_BY_END)),
            _items(self.storage.journal.table_arn, "Query"),
            _items(self.storage.connections.table_arn, "GetItem", "Query"),
        ]

    @property
    def _runs(self) -> str:
        return self.storage.runs.table_arn

    def _under(self, partition: str, *actions: str) -> PolicyStatement:
        """Give a right to one kind of item of `runs`."""
        statement = _items(self._runs, *actions)
        # https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/specifying-conditions.html
        statement.add_condition("ForAllValues:StringLike", {"dynamodb:LeadingKeys": [partition]})
        return statement

    def _posts(self, *methods: str) -> Iterator[PolicyStatement]:
        stage = f"{self.socket.api.api_id}/{self.socket.stage.stage_name}"
        here = f"arn:{Aws.PARTITION}:execute-api:{Aws.REGION}:{Aws.ACCOUNT_ID}:{stage}"
        places = [f"{here}/{method}/@connections/*" for method in methods]
        yield PolicyStatement(actions=["execute-api:ManageConnections"], resources=places)

    def _secrets(self) -> Iterator[PolicyStatement]:
        if self.secret:
            # Secrets Manager ends each name with six characters of its own.
            here = f"arn:{Aws.PARTITION}:secretsmanager:{Aws.REGION}:{Aws.ACCOUNT_ID}"
            name = f"{here}:secret:{self.secret}-??????"
            yield PolicyStatement(actions=["secretsmanager:GetSecretValue"], resources=[name])


# https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html: what an event source needs.
_CONSUME = ("ReceiveMessage", "DeleteMessage", "GetQueueAttributes")


def _messages(queue: Queue, *actions: str) -> PolicyStatement:
    return PolicyStatement(actions=[f"sqs:{one}" for one in actions], resources=[queue.queue_arn])


def _items(table_or_index: str, *actions: str) -> PolicyStatement:
    return PolicyStatement(actions=[f"dynamodb:{one}" for one in actions], resources=[table_or_index])
