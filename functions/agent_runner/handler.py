"""Lambda: jobs of the queue."""

import functools
from typing import Unpack

from agent_runner.engine import Budget, Engine
from agent_runner.jobs import Jobs
from agent_runner.model import ModelClient
from agent_runner.registry import Registry
from agent_runner.resources import DemoResources
from agent_runner.secret_model import model_of
from agent_runner.supervisor import Supervisor
from agent_runner.tool_executor import ToolExecutor
from playbyplay.adapters import container
from playbyplay.adapters.cloud import Cloud
from playbyplay.adapters.container import Container
from playbyplay.adapters.dynamo_cancel_watch import DynamoCancelWatch
from playbyplay.adapters.secrets import Secrets
from playbyplay.adapters.sqs_run_queue import SqsReceipt
from playbyplay.ports import Log
from playbyplay.settings import RunnerSettings


class Parts(container.Parts, total=False):
    """What a test may bring instead of the usual."""

    registry: Registry
    model: ModelClient


def build(settings: RunnerSettings, *, log: Log, **parts: Unpack[Parts]) -> Jobs:
    """Compose the function."""
    on = Cloud.of(settings, log, parts)
    supervisor = Supervisor(
        runs=on.runs,
        journal=on.journal,
        notifier=on.notifier,
        settlement=on.settlement,
        cancels=DynamoCancelWatch(on.aws, settings.runs_table),
        engine=Engine(parts.get("registry") or Registry.discover(), Budget()),
        tools=ToolExecutor(resources=DemoResources(), clock=on.clock, log=log),
        model=parts.get("model") or model_of(settings, secrets=Secrets(on.aws, on.clock), ids=on.ids, log=log),
        clock=on.clock,
        ids=on.ids,
        log=log,
        timing=on.timing,
    )
    receipts = functools.partial(SqsReceipt, on.aws, settings.queue_url)
    return Jobs(supervisor=supervisor, receipts=receipts, clock=on.clock, log=log, retry_s=on.timing.retry_s)


@functools.cache
def _container() -> Container:
    return Container("agent_runner", RunnerSettings, build)


def lambda_handler(event: container.Event, context: object) -> container.Answer:
    """Run the jobs of one batch."""
    return _container().answer(event, context)
