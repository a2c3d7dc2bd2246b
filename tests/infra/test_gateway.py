"""The two APIs: routes, who is asked before them, limits, and what their logs keep."""

import json
import re

from tests.infra.synthesis import Stack

ROUTE = "AWS::ApiGatewayV2::Route"
DEFAULT = "Socket/Api/$default-Route"
# Of API Gateway's log variables, those that can hold a ticket or a word of a user.
TELLING = ("querystring", "path", "header", "input", "body", "authorizer", "integration")


def test_each_route_goes_to_its_function(own: Stack) -> None:
    """The socket has its three routes, the HTTP API its one."""
    found = {}
    for route in own.of(ROUTE).values():
        integration = own.properties(str(route["Target"]).removeprefix("integrations/<").removesuffix(">"))
        found[route["RouteKey"]] = re.findall(r"<(Functions/\w+)\.Arn>", integration["IntegrationUri"])
    assert found == {
        "$connect": ["Functions/Connect"],
        "$disconnect": ["Functions/Connect"],
        "$default": ["Functions/Message"],
        "POST /ticket": ["Functions/Ticket"],
    }


def test_no_frame_can_name_a_route(own: Stack) -> None:
    """Whatever a frame holds, the route that is chosen from it has a slash, and no route key of the socket has one."""
    assert own.properties("Socket/Api")["RouteSelectionExpression"] == "${request.body.type}/${request.body.type}"


def test_a_ticket_is_redeemed_before_anybody_is_connected(own: Stack, host: Stack) -> None:
    """`$connect` asks the authorizer, and hands it the header or, where a deployment wants it, the query."""
    for stack, source in ((own, "header.Sec-WebSocket-Protocol"), (host, "querystring.ticket")):
        route = stack.properties("Socket/Api/$connect-Route")
        assert (route["AuthorizationType"], route["AuthorizerId"]) == ("CUSTOM", "<Socket/Api/Tickets>")
        authorizer = stack.properties("Socket/Api/Tickets")
        assert authorizer["AuthorizerType"] == "REQUEST"
        assert authorizer["IdentitySource"] == [f"route.request.{source}"]
        assert "<Functions/Authorizer.Arn>" in authorizer["AuthorizerUri"]


def test_a_ticket_is_given_to_who_holds_a_token(own: Stack, foreign: Stack) -> None:
    """The HTTP API asks for a token of the issuer, for the page."""
    page = {
        "Issuer": "https://cognito-idp.<AWS::Region>.amazonaws.com/<Identity/Users>",
        "Audience": ["<Identity/Page>"],
    }
    realm = {"Issuer": "https://id.example.org/realm", "Audience": ["page"]}
    for stack, wanted in ((own, page), (foreign, realm)):
        route = stack.properties("Tickets/Api/POST--ticket")
        assert (route["AuthorizationType"], route["AuthorizerId"]) == ("JWT", "<Tickets/Api/SignedIn>")
        authorizer = stack.properties("Tickets/Api/SignedIn")
        assert authorizer["JwtConfiguration"] == wanted
        assert authorizer["IdentitySource"] == ["$request.header.Authorization"]


def test_the_answer_of_the_message_function_is_a_frame(own: Stack, host: Stack) -> None:
    """The default route has a route response; a local cloud knows no such resource and answers without."""
    responses = own.of("AWS::ApiGatewayV2::RouteResponse")
    assert list(responses) == [f"{DEFAULT}/Response"]
    assert responses[f"{DEFAULT}/Response"]["RouteResponseKey"] == "$default"
    assert own.properties(DEFAULT)["RouteResponseSelectionExpression"] == "$default"
    assert host.of("AWS::ApiGatewayV2::RouteResponse") == {}
    assert host.properties(DEFAULT)["RouteResponseSelectionExpression"] == "$default"


def test_no_integration_is_waited_for_longer_than_its_function_may_take(own: Stack) -> None:
    """Every integration is given API Gateway's 29 s, and every function behind one ends before."""
    assert {one["TimeoutInMillis"] for one in own.of("AWS::ApiGatewayV2::Integration").values()} == {29_000}
    for name in ("Authorizer", "Connect", "Message", "Ticket"):
        assert own.properties(f"Functions/{name}")["Timeout"] < 29


def test_both_stages_are_throttled_and_measured(own: Stack, host: Stack) -> None:
    """The socket's limits are the context's; the tickets' are fixed."""
    limits = {path: stage["DefaultRouteSettings"] for path, stage in own.of("AWS::ApiGatewayV2::Stage").items()}
    measured = {"DetailedMetricsEnabled": True}
    assert limits == {
        "Socket/Stage": {**measured, "ThrottlingRateLimit": 300, "ThrottlingBurstLimit": 600},
        "Tickets/Stage": {**measured, "ThrottlingRateLimit": 50, "ThrottlingBurstLimit": 100},
    }
    assert host.properties("Socket/Stage")["DefaultRouteSettings"]["ThrottlingRateLimit"] == 1000


def test_access_logs_keep_nothing_that_a_ticket_could_stand_in(own: Stack) -> None:
    """Every variable of the logs is one of API Gateway's own numbers and names."""
    for path in ("Socket", "Tickets"):
        settings = own.properties(f"{path}/Stage")["AccessLogSettings"]
        assert settings["DestinationArn"] == f"<{path}/AccessLog.Arn>"
        told = json.loads(settings["Format"])
        assert "requestId" in told
        for name, variable in told.items():
            assert variable == f"$context.{name}"
            assert not [word for word in TELLING if word in name.lower()]


def test_the_account_may_write_the_sockets_log_before_the_stage_is_made(own: Stack, foreign: Stack) -> None:
    """API Gateway refuses a socket's access log until the account has a role for it, unless it has one already."""
    assert own.properties("GatewayAccount") == {"CloudWatchRoleArn": "<LogWriter.Arn>"}
    for shared in ("GatewayAccount", "LogWriter"):  # the account's, and not gone with the stack
        assert own.resources[shared]["DeletionPolicy"] == "Retain"
    needs = [own.by_id[name] for name in own.resources["Socket/Stage"]["DependsOn"]]
    assert "GatewayAccount" in needs
    assert foreign.of("AWS::ApiGateway::Account") == {}


def test_a_local_clouds_addresses_are_what_the_functions_post_to(own: Stack, host: Stack) -> None:
    """The callback is a setting: AWS's own address of the stage, or one below the local cloud's."""
    for stack, url in (
        (own, "https://<Socket/Api>.execute-api.<AWS::Region>.<AWS::URLSuffix>/v1"),
        (host, "http://localhost:4566/_aws/execute-api/<Socket/Api>/v1"),
    ):
        environment = stack.properties("Functions/Message")["Environment"]["Variables"]
        assert environment["PLAYBYPLAY_CALLBACK_URL"] == url
    assert own.outputs["SocketUrl"] == "wss://<Socket/Api>.execute-api.<AWS::Region>.<AWS::URLSuffix>/v1"
    assert host.outputs["SocketUrl"] == "ws://localhost:4566/_aws/execute-api/<Socket/Api>/v1"
