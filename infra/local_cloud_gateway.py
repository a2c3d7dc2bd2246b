"""What runs in .cloud/venv: MiniStack, made to look as if TLS ended before it, as on AWS.

Templates forbid plain HTTP on queues, topics and buckets (`aws:SecureTransport`). On loopback there is
no TLS, so every request says that a proxy ended it. Types of resources that MiniStack does not know,
and the local cloud can do without, are accepted and do nothing. Plain alarms watch, and the composite one with them;
those on metric math stand there and never have a value. This file knows nothing of ours.
"""

import importlib
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

_WITHOUT_EFFECT = (
    "AWS::ApiGatewayV2::RouteResponse",  # what a function returns is sent to the client in any case
    "Custom::CDKBucketDeployment",  # its function needs a runtime with boto3 and the AWS CLI
    "Custom::S3AutoDeleteObjects",
)

_ALARM, _COMPOSITE = "AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm"
_UNWATCHED = {"Namespace": "MetricMath", "MetricName": "IsNotWatchedHere"}

Scope = dict[str, Any]
App = Callable[[Scope, Any, Any], Awaitable[None]]


def behind_tls(cloud: App) -> App:
    """Return an ASGI app that tells the cloud of each request that it came over TLS."""

    async def serve(scope: Scope, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI's own callables
        if scope["type"] in {"http", "websocket"}:
            scope["headers"] = [*scope["headers"], (b"x-forwarded-proto", b"https")]
        await cloud(scope, receive, send)

    return serve


def without_effect(logical_id: str, *_: object) -> tuple[str, dict[str, str]]:
    """Pretend to make a resource; return its id and no attributes."""
    return logical_id, {}


def without_math(real: Callable[..., Any]) -> Callable[..., Any]:
    """Return what makes or changes an alarm: MiniStack refuses metric math, and takes a metric that never comes.

    The composite alarm needs each of its members to be there.
    """

    def plain(given: Any) -> Any:  # noqa: ANN401 - as MiniStack calls its handlers
        if not isinstance(given, dict) or not given.get("Metrics"):
            return given
        return {name: value for name, value in given.items() if name != "Metrics"} | _UNWATCHED

    def handle(name: str, *given: Any, **more: Any) -> Any:  # noqa: ANN401 - as above
        return real(name, *map(plain, given), **more)

    return handle


def composite(watch: Any) -> dict[str, Callable[..., Any]]:  # noqa: ANN401 - a module of MiniStack's
    """Return what makes, changes and deletes composite alarms: templates may not, and the service can.

    Args:
        watch: MiniStack's CloudWatch.
    """

    def put(_name: str, *given: Any, **_: object) -> tuple[str, dict[str, str]]:  # noqa: ANN401 - as above
        wanted = [one for one in given if isinstance(one, dict)][-1]  # an update has the old ones first
        status, _headers, body = watch._put_composite_alarm({}, wanted, is_cbor=False, is_json=True)  # noqa: SLF001
        if status != HTTPStatus.OK:
            raise ValueError(body)
        made = watch._composite_alarms[wanted["AlarmName"]]  # noqa: SLF001
        return made["AlarmName"], {"Arn": made["AlarmArn"]}

    def delete(name: str, *_: object) -> None:
        watch._composite_alarms.pop(name, None)  # noqa: SLF001

    return {"create": put, "update": put, "delete": delete}


def main() -> None:
    """Serve until a signal comes; every setting is MiniStack's own variable."""
    cloud: Any = importlib.import_module("ministack.app")
    known = importlib.import_module("ministack.services.cloudformation.provisioners")._RESOURCE_HANDLERS  # noqa: SLF001
    for kind in _WITHOUT_EFFECT:
        known[kind] = {"create": without_effect, "delete": lambda *_: None}
    known[_ALARM] |= {step: without_math(known[_ALARM][step]) for step in ("create", "update")}
    known[_COMPOSITE] = composite(importlib.import_module("ministack.services.cloudwatch"))
    cloud.app = behind_tls(cloud.app)
    cloud.main()


if __name__ == "__main__":
    main()
