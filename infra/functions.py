"""The seven functions: their code, their layers, their environments, their roles, their logs."""

from collections.abc import Mapping
from dataclasses import dataclass

from aws_cdk import Duration, RemovalPolicy
from aws_cdk.aws_iam import Policy, PolicyStatement, Role, ServicePrincipal
from aws_cdk.aws_lambda import (
    Architecture,
    Code,
    Function,
    LayerVersion,
    LoggingFormat,
    RecursiveLoop,
    Runtime,
)
from aws_cdk.aws_logs import LogGroup, RetentionDays
from constructs import Construct

from infra import assets
from infra.grants import Grants
from playbyplay.settings import (
    AuditorSettings,
    AuthorizerSettings,
    ConnectSettings,
    Environment,
    MessageSettings,
    RunnerSettings,
    TicketSettings,
    WatchdogSettings,
)

RUNNER_S = 900  # Lambda's longest
_SHORT_S = 10  # a handshake or a ticket: two or three calls of at most 3 s
_FRAME_S = 25  # an accept reads back what it does not know for 5 s at most; API Gateway waits for 29 s
_SWEEP_S = 55  # of the watchdog and of the auditor: the next one begins after 60
# Lambda gives processor by memory, a whole one at 1,769 MB: these are for imports and TLS, not for what is held.
_SMALL_MB = 512
_RUNNER_MB = 1024  # openai's import alone takes three times as long at 512; half a processor is enough while it waits


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The environment of each function."""

    authorizer: AuthorizerSettings
    connect: ConnectSettings
    ticket: TicketSettings
    message: MessageSettings
    runner: RunnerSettings
    watchdog: WatchdogSettings
    auditor: AuditorSettings


class Functions(Construct):
    """Everything that runs our code.

    Args:
        settings: of each function.
        grants: of each function.
        host: whether third-party code is for this machine.
        reserved: concurrency set aside for the runner, 0 for none.
    """

    def __init__(
        self, scope: Construct, name: str, *, settings: Settings, grants: Grants, host: bool, reserved: int
    ) -> None:
        super().__init__(scope, name)
        ours = self._layer("Shared", Code.from_asset(str(assets.shared(host=host))))
        gateway = self._layer("Gateway", Code.from_asset(str(assets.third_party("gateway", host=host))))
        runner = self._layer("RunnerPackages", Code.from_asset(str(assets.third_party("runner", host=host))))
        self._layers = {"gateway": [ours, gateway], "runner": [ours, runner]}

        self.authorizer = self._function(
            "Authorizer", "connect.authorizer", settings.authorizer, grants.authorizer(), timeout_s=_SHORT_S
        )
        self.connect = self._function(
            "Connect", "connect.handler", settings.connect, grants.connect(), timeout_s=_SHORT_S
        )
        self.ticket = self._function("Ticket", "ticket.handler", settings.ticket, grants.ticket(), timeout_s=_SHORT_S)
        self.message = self._function(
            "Message", "message.handler", settings.message, grants.message(), timeout_s=_FRAME_S
        )
        self.runner = self._function(
            "Runner",
            "agent_runner.handler",
            settings.runner,
            grants.runner(),
            timeout_s=RUNNER_S,
            memory_mb=_RUNNER_MB,
            layers="runner",
            # Who settles a turn sends the next one of its thread to the queue that called it, and so does a runner
            # whose time is up with the run it works on (30 times at most): after sixteen in a row Lambda would take
            # it for an endless loop and stop it.
            loop=RecursiveLoop.ALLOW,
            reserved=reserved,
        )
        self.watchdog = self._function(
            "Watchdog", "watchdog.handler", settings.watchdog, grants.watchdog(), timeout_s=_SWEEP_S
        )
        self.auditor = self._function(
            "Auditor", "auditor.handler", settings.auditor, grants.auditor(), timeout_s=_SWEEP_S
        )

    def all(self) -> Mapping[str, Function]:
        """Return the functions by name."""
        return {
            "authorizer": self.authorizer,
            "connect": self.connect,
            "ticket": self.ticket,
            "message": self.message,
            "agent_runner": self.runner,
            "watchdog": self.watchdog,
            "auditor": self.auditor,
        }

    def _layer(self, name: str, code: Code) -> LayerVersion:
        return LayerVersion(
            self,
            name,
            code=code,
            compatible_runtimes=[Runtime.PYTHON_3_13],
            compatible_architectures=[Architecture.ARM_64],
        )

    def _function(
        self,
        name: str,
        module: str,
        settings: Environment,
        grants: list[PolicyStatement],
        *,
        timeout_s: int,
        memory_mb: int = _SMALL_MB,
        layers: str = "gateway",
        loop: RecursiveLoop | None = None,
        reserved: int = 0,
    ) -> Function:
        log = LogGroup(self, f"{name}Log", retention=RetentionDays.ONE_MONTH, removal_policy=RemovalPolicy.DESTROY)
        # The usual managed policy would let it write to every log of the account.
        writing = PolicyStatement(actions=["logs:CreateLogStream", "logs:PutLogEvents"], resources=[log.log_group_arn])
        role = Role(self, f"{name}Role", assumed_by=ServicePrincipal("lambda.amazonaws.com"))
        policy = Policy(self, f"{name}Policy", statements=[*grants, writing], roles=[role])
        function = Function(
            self,
            name,
            runtime=Runtime.PYTHON_3_13,
            architecture=Architecture.ARM_64,
            handler=f"{module}.lambda_handler",
            code=Code.from_asset(str(assets.FUNCTIONS), exclude=assets.only(module.split(".", 1)[0])),
            layers=self._layers[layers],
            environment=settings.to_env(),
            timeout=Duration.seconds(timeout_s),
            memory_size=memory_mb,
            role=role,
            log_group=log,
            logging_format=LoggingFormat.TEXT,  # ours are JSON lines already, and metrics are read from them
            recursive_loop=loop,
            reserved_concurrent_executions=reserved or None,
        )
        function.node.add_dependency(policy)  # without its rights a function must not be called
        return function
