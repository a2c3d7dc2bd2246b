"""The two APIs: the socket, and the HTTP face of `/ticket`.

Each is made before the functions, which read its address, and is given its routes after them.
"""

from aws_cdk import Aws, Duration, RemovalPolicy
from aws_cdk.aws_apigatewayv2 import (
    CfnStage,
    HttpApi,
    HttpMethod,
    HttpStage,
    ThrottleSettings,
    WebSocketApi,
    WebSocketStage,
)
from aws_cdk.aws_apigatewayv2_authorizers import HttpJwtAuthorizer, WebSocketLambdaAuthorizer
from aws_cdk.aws_apigatewayv2_integrations import HttpLambdaIntegration, WebSocketLambdaIntegration
from aws_cdk.aws_lambda import IFunction
from aws_cdk.aws_logs import LogGroup, RetentionDays
from constructs import Construct

STAGE = "v1"
_LONGEST = Duration.seconds(29)  # no integration may take longer; the functions' own limits are shorter
_TICKETS_PER_SECOND = 50
_TICKETS_AT_ONCE = 100
_FROM_PROTOCOL = "route.request.header.Sec-WebSocket-Protocol"
_FROM_QUERY = "route.request.querystring.ticket"
# Every frame is `$default`'s: what this yields has a slash in it, so no frame can name `$connect` or `$disconnect`.
_NO_ROUTE = "${request.body.type}/${request.body.type}"
# What is told of a request: never its query string, headers or body, for a ticket may stand in each.
_SOCKET_LOG = ("requestId", "requestTimeEpoch", "routeKey", "eventType", "connectionId", "status", "error.message")
_HTTP_LOG = ("requestId", "requestTimeEpoch", "routeKey", "status", "responseLatency", "error.message")


class SocketApi(Construct):
    """The WebSocket API and its one stage.

    Args:
        callback: of a local cloud, where its APIs are; AWS's own place unless told.
    """

    def __init__(self, scope: Construct, name: str, *, rate: int, burst: int, callback: str) -> None:
        super().__init__(scope, name)
        self.api = WebSocketApi(self, "Api", route_selection_expression=_NO_ROUTE)
        self.stage = WebSocketStage(
            self,
            "Stage",
            web_socket_api=self.api,
            stage_name=STAGE,
            auto_deploy=True,
            detailed_metrics_enabled=True,
            throttle=ThrottleSettings(rate_limit=rate, burst_limit=burst),
        )
        _log_access(self, self.stage.node.default_child, _SOCKET_LOG)
        local = f"{callback.rstrip('/')}/{self.api.api_id}/{STAGE}"
        self.callback_url = local if callback else self.stage.callback_url
        self.url = "ws" + local.removeprefix("http") if callback else self.stage.url
        self.host = f"{self.api.api_id}.execute-api.{Aws.REGION}.{Aws.URL_SUFFIX}"

    def route(
        self, *, authorizer: IFunction, connect: IFunction, message: IFunction, ticket_in_query: bool, replies: bool
    ) -> None:
        """Give the API its routes.

        Args:
            authorizer: redeems the ticket.
            connect: keeps and forgets connections.
            message: takes every frame.
            ticket_in_query: whether the ticket stands in the URL and not among the subprotocols.
            replies: whether the route says that the function's answer is a frame; a local cloud sends it unasked.
        """
        source = _FROM_QUERY if ticket_in_query else _FROM_PROTOCOL
        self.api.add_route(
            "$connect",
            integration=WebSocketLambdaIntegration("Connect", connect, timeout=_LONGEST),
            authorizer=WebSocketLambdaAuthorizer("Tickets", authorizer, identity_source=[source]),
        )
        self.api.add_route(
            "$disconnect", integration=WebSocketLambdaIntegration("Disconnect", connect, timeout=_LONGEST)
        )
        default = self.api.add_route(
            "$default",
            integration=WebSocketLambdaIntegration("Message", message, timeout=_LONGEST),
            return_response=True,
        )
        if not replies:
            default.node.try_remove_child("Response")


class TicketApi(Construct):
    """The HTTP API behind the page's `/ticket`; who calls must hold a token of the issuer."""

    def __init__(self, scope: Construct, name: str) -> None:
        super().__init__(scope, name)
        self.api = HttpApi(self, "Api", create_default_stage=False)
        self.stage = HttpStage(
            self,
            "Stage",
            http_api=self.api,
            stage_name="$default",
            auto_deploy=True,
            detailed_metrics_enabled=True,
            throttle=ThrottleSettings(rate_limit=_TICKETS_PER_SECOND, burst_limit=_TICKETS_AT_ONCE),
        )
        _log_access(self, self.stage.node.default_child, _HTTP_LOG)
        self.host = f"{self.api.api_id}.execute-api.{Aws.REGION}.{Aws.URL_SUFFIX}"

    def route(self, *, ticket: IFunction, issuer: str, audience: str) -> None:
        """Give the API its route."""
        self.api.add_routes(
            path="/ticket",
            methods=[HttpMethod.POST],
            integration=HttpLambdaIntegration("Ticket", ticket, timeout=_LONGEST),
            authorizer=HttpJwtAuthorizer("SignedIn", issuer, jwt_audience=[audience]),
        )


def _log_access(scope: Construct, stage: object, names: tuple[str, ...]) -> None:
    assert isinstance(stage, CfnStage)  # noqa: S101 - what a stage is made of
    log = LogGroup(scope, "AccessLog", retention=RetentionDays.ONE_MONTH, removal_policy=RemovalPolicy.DESTROY)
    line = ",".join(f'"{name}":"$context.{name}"' for name in names)
    stage.access_log_settings = CfnStage.AccessLogSettingsProperty(
        destination_arn=log.log_group_arn, format=f"{{{line}}}"
    )
