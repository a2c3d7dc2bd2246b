"""All that watches the stack: the metrics, the alarms on them, who is told, and the dashboard."""

from collections.abc import Mapping

from aws_cdk import Stack
from aws_cdk.aws_apigatewayv2 import WebSocketApi, WebSocketStage
from aws_cdk.aws_lambda import Function
from aws_cdk.aws_sqs import Queue
from constructs import Construct

from infra.monitoring.alarm_construct import Alarms
from infra.monitoring.alarms import ALARMS, BLANK_SCREEN
from infra.monitoring.dashboard import make_dashboard
from infra.monitoring.metrics import Metrics
from infra.monitoring.topic import AlarmTopic


class Monitoring(Construct):
    """The alarms of the table, one dashboard, one topic.

    Args:
        functions: by the names of `names.py`.
        jobs: the queue of jobs.
        dead: that of dead letters.
        api: the socket.
        stage: its one stage.
        email: who is written to when an alarm rings; "" for nobody.
        url: what is called then; "" for nothing.
        runbooks: the address below which the repository's files are; "" for none.
    """

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
        email: str,
        url: str,
        runbooks: str,
    ) -> None:
        super().__init__(scope, name)
        metrics = Metrics(functions=functions, jobs=jobs, dead=dead, api=api, stage=stage)
        self.told = AlarmTopic(self, "Told", email=email, url=url)
        maker = Alarms(
            self, prefix=Stack.of(self).stack_name, metrics=metrics, topic=self.told.topic, runbooks=runbooks
        )
        alarms = {row.name: maker.alarm(row) for row in ALARMS}
        blank = maker.composite(BLANK_SCREEN, alarms)
        make_dashboard(self, metrics=metrics, alarms=[blank, *alarms.values()], functions=functions)
