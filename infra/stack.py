"""The one stack. Read from top to bottom: what holds data, what has an address, who reads them, who is let in."""

from urllib.parse import urlsplit

from aws_cdk import CfnOutput, Duration, RemovalPolicy, Stack
from aws_cdk.aws_apigateway import CfnAccount
from aws_cdk.aws_events import Rule, Schedule
from aws_cdk.aws_events_targets import LambdaFunction
from aws_cdk.aws_iam import ManagedPolicy, Role, ServicePrincipal
from aws_cdk.aws_lambda import EventSourceMapping
from constructs import Construct

from infra.context import Context
from infra.functions import Functions, Settings
from infra.gateway import SocketApi, TicketApi
from infra.grants import Grants
from infra.identity import Identity, Provider, foreign
from infra.monitoring.construct import Monitoring
from infra.queue import JobQueue
from infra.storage import Storage
from infra.web import Web
from playbyplay.settings import (
    AuditorSettings,
    AuthorizerSettings,
    ConnectSettings,
    MessageSettings,
    RunnerSettings,
    TicketSettings,
    WatchdogSettings,
)

NAME = "Playbyplay"
_SCRIPTED = "scripted"
_LETTERS = 5  # a call; each may end a run and tell whoever watches it, in a few seconds
_LETTER_READERS = 2  # Lambda's least; nobody waits for a dead letter


class PlaybyplayStack(Stack):
    """Everything that is deployed.

    Args:
        context: the choices.
    """

    def __init__(self, scope: Construct, context: Context) -> None:
        super().__init__(scope, NAME, description="Agent chat with a complete, ordered, live account of the work")
        self._context = context
        host = context.platform == "host"

        self.storage = Storage(self, "Storage", keep=context.keep_data)
        self.queue = JobQueue(self, "Queue")
        self.socket = SocketApi(self, "Socket", rate=context.rate, burst=context.burst, callback=context.callback)
        self.tickets = TicketApi(self, "Tickets")
        self.identity = None if context.issuer else self._own_identity()
        self.web = Web(
            self,
            "Web",
            socket_host=self.socket.host,
            ticket_host=self.tickets.host,
            token_origin=self._token_origin(),
        )
        provider = self._provider()
        grants = Grants(storage=self.storage, queue=self.queue, socket=self.socket, secret=context.model_secret)
        self.functions = Functions(
            self, "Functions", settings=self._settings(), grants=grants, host=host, reserved=context.reserved
        )
        self._connect_them(provider)
        self._schedule()
        if not host:
            self.web.publish(self._page_config(provider))
        if context.account_logs:
            self._let_gateways_log()
        self.monitoring = Monitoring(
            self,
            "Monitoring",
            functions=self.functions.all(),
            jobs=self.queue.jobs,
            dead=self.queue.dead,
            api=self.socket.api,
            stage=self.socket.stage,
            email=context.alarm_email,
            url=context.alarm_url,
            runbooks=context.runbooks,
        )
        self._tell()

    def _own_identity(self) -> Identity:
        return Identity(
            self,
            "Identity",
            prefix=self._context.login_prefix,
            self_sign_up=self._context.self_sign_up,
            keep=self._context.keep_data,
        )

    def _token_origin(self) -> str:
        if self.identity:
            return f"https://{self.identity.host}"
        token = urlsplit(self._context.token_url)
        return f"{token.scheme}://{token.netloc}" if token.netloc else ""

    def _origins(self) -> list[str]:
        """Return where the page may be: on the distribution, and wherever the context says."""
        return [self.web.origin, *self._context.origins.split()]

    def _provider(self) -> Provider:
        if self.identity:
            return self.identity.serve(self._origins(), test_logins=self._context.test_logins)
        return foreign(self._context)

    def _settings(self) -> Settings:
        runs, journal = self.storage.runs.table_name, self.storage.journal.table_name
        connections, queue = self.storage.connections.table_name, self.queue.jobs.queue_url
        callback = self.socket.callback_url
        origins = " ".join(self._origins())
        return Settings(
            authorizer=AuthorizerSettings(
                runs_table=runs, origins=origins, ticket_in_query=self._context.ticket_in_query
            ),
            connect=ConnectSettings(connections_table=connections),
            ticket=TicketSettings(runs_table=runs, origins=origins),
            message=MessageSettings(
                runs_table=runs,
                journal_table=journal,
                connections_table=connections,
                queue_url=queue,
                callback_url=callback,
                double_text=self._context.double_text,
                open_runs=self._context.open_runs,
                messages_per_minute=self._context.messages_per_minute,
            ),
            runner=RunnerSettings(
                runs_table=runs,
                journal_table=journal,
                connections_table=connections,
                queue_url=queue,
                callback_url=callback,
                model=self._context.model,
                model_secret=self._context.model_secret,
                model_url=self._context.model_url,
            ),
            watchdog=WatchdogSettings(
                runs_table=runs,
                journal_table=journal,
                connections_table=connections,
                queue_url=queue,
                callback_url=callback,
            ),
            auditor=AuditorSettings(runs_table=runs, journal_table=journal, connections_table=connections),
        )

    def _connect_them(self, provider: Provider) -> None:
        functions = self.functions
        self.socket.route(
            authorizer=functions.authorizer,
            connect=functions.connect,
            message=functions.message,
            ticket_in_query=self._context.ticket_in_query,
            replies=self._context.platform != "host",
        )
        self.tickets.route(ticket=functions.ticket, issuer=provider.issuer, audience=provider.audience)
        # Not the event source of the library: it grants rights of its own choice.
        EventSourceMapping(
            self,
            "Jobs",
            target=functions.runner,
            event_source_arn=self.queue.jobs.queue_arn,
            batch_size=1,  # one run a call: a run that fails takes no other with it
            report_batch_item_failures=True,
            max_concurrency=self._context.concurrency,
        )
        EventSourceMapping(
            self,
            "DeadLetters",
            target=functions.watchdog,
            event_source_arn=self.queue.dead.queue_arn,
            batch_size=_LETTERS,
            report_batch_item_failures=True,
            max_concurrency=_LETTER_READERS,
        )

    def _schedule(self) -> None:
        # A rule for each: who audits must not depend on what it audits.
        for name, function in (("EachMinute", self.functions.watchdog), ("EachAudit", self.functions.auditor)):
            # No second try: the next minute is one.
            sweep = LambdaFunction(function, retry_attempts=0, max_event_age=Duration.minutes(1))
            Rule(self, name, schedule=Schedule.rate(Duration.minutes(1)), targets=[sweep])

    def _let_gateways_log(self) -> None:
        """Give API Gateway the account-wide right to write logs; a socket's access log is refused without it."""
        policy = ManagedPolicy.from_aws_managed_policy_name("service-role/AmazonAPIGatewayPushToCloudWatchLogs")
        writer = Role(
            self, "LogWriter", assumed_by=ServicePrincipal("apigateway.amazonaws.com"), managed_policies=[policy]
        )
        account = CfnAccount(self, "GatewayAccount", cloud_watch_role_arn=writer.role_arn)
        for shared in (writer, account):  # others of the account may lean on it by then
            shared.apply_removal_policy(RemovalPolicy.RETAIN)
        self.socket.stage.node.add_dependency(account)

    def _page_config(self, provider: Provider) -> dict[str, object]:
        model = self._context.model if self._context.model_secret or self._context.model_url else _SCRIPTED
        config = {"v": 1, "model": model, "socket": self.socket.url, "ticket": "/ticket"}
        signing = provider.sign_in()
        return {**config, "sign_in": signing} if signing else config

    def _tell(self) -> None:
        told = {
            "SocketUrl": self.socket.url,
            "PageUrl": f"{self.web.origin}/",
            "TicketUrl": f"{self.web.origin}/ticket",
            "TicketApiId": self.tickets.api.api_id,
            "QueueUrl": self.queue.jobs.queue_url,
            "DeadLetterQueueUrl": self.queue.dead.queue_url,
            "RunsTable": self.storage.runs.table_name,
            "JournalTable": self.storage.journal.table_name,
            "ConnectionsTable": self.storage.connections.table_name,
        }
        if self.identity:
            told["UserPoolId"] = self.identity.pool.user_pool_id
            told["UserPoolClientId"] = self.identity.client.user_pool_client_id
        for name, value in told.items():
            CfnOutput(self, name, value=value)
