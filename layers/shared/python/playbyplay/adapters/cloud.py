"""The ports on AWS, as the functions that touch runs compose on them."""

from dataclasses import dataclass
from typing import Self

from playbyplay.adapters.api_gateway import ApiGatewayGateway
from playbyplay.adapters.aws import Aws
from playbyplay.adapters.container import Parts
from playbyplay.adapters.dynamo_backlog import DynamoBacklog
from playbyplay.adapters.dynamo_connection_store import DynamoConnectionStore
from playbyplay.adapters.dynamo_journal import DynamoJournal
from playbyplay.adapters.dynamo_run_store import DynamoRunStore
from playbyplay.adapters.sqs_run_queue import SqsRunQueue
from playbyplay.adapters.system import SystemClock, SystemIds
from playbyplay.domain.timing import CLOUD, Timing
from playbyplay.notifier import Notifier
from playbyplay.ports import Clock, ConnectionStore, Gateway, Ids, Journal, Log, RunQueue, RunStore
from playbyplay.settings import MessageSettings, RunnerSettings, WatchdogSettings
from playbyplay.settlement import Settlement


@dataclass(frozen=True, slots=True, kw_only=True)
class Cloud:
    """Every port over its adapter."""

    aws: Aws
    clock: Clock
    ids: Ids
    log: Log
    timing: Timing
    runs: RunStore
    journal: Journal
    queue: RunQueue
    backlog: DynamoBacklog
    connections: ConnectionStore
    gateway: Gateway
    notifier: Notifier
    settlement: Settlement

    @classmethod
    def of(cls, settings: MessageSettings | RunnerSettings | WatchdogSettings, log: Log, parts: Parts) -> Self:
        """Return the ports of a function's tables, queue and stage.

        Args:
            settings: names them.
            log: the function's.
            parts: what is brought instead of the usual.
        """
        clock, ids, timing = parts.get("clock", SystemClock()), parts.get("ids", SystemIds()), CLOUD
        aws = parts.get("aws") or Aws(log, {"apigatewaymanagementapi": settings.callback_url})
        journal = DynamoJournal(aws, clock, settings.journal_table)
        runs = DynamoRunStore(aws, clock, settings.runs_table, settings.journal_table)
        queue = SqsRunQueue(aws, settings.queue_url)
        connections = DynamoConnectionStore(aws, clock, settings.connections_table)
        gateway = parts.get("gateway") or ApiGatewayGateway(aws)
        notifier = Notifier(
            journal=journal, connections=connections, gateway=gateway, clock=clock, ids=ids, log=log, timing=timing
        )
        return cls(
            aws=aws,
            clock=clock,
            ids=ids,
            log=log,
            timing=timing,
            runs=runs,
            journal=journal,
            queue=queue,
            backlog=DynamoBacklog(aws, clock, settings.runs_table),
            connections=connections,
            gateway=gateway,
            notifier=notifier,
            settlement=Settlement(runs=runs, queue=queue, notifier=notifier, clock=clock, log=log),
        )
