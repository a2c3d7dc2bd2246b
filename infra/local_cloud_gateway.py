"""What runs in .cloud/venv: MiniStack, made to look as if TLS ended before it, as on AWS.

Templates forbid plain HTTP on queues, topics and buckets (`aws:SecureTransport`). On loopback there is
no TLS, so every request says that a proxy ended it. Types of resources that MiniStack does not know,
and the local cloud can do without, are accepted and do nothing. This file knows nothing of ours.
"""

import importlib
from collections.abc import Awaitable, Callable
from typing import Any

_WITHOUT_EFFECT = (
    "AWS::ApiGatewayV2::RouteResponse",  # what a function returns is sent to the client in any case
    "AWS::CloudWatch::Alarm",  # it takes no metric math, and no metric of ours reaches it
    "AWS::CloudWatch::CompositeAlarm",
    "Custom::CDKBucketDeployment",  # its function needs a runtime with boto3 and the AWS CLI
    "Custom::S3AutoDeleteObjects",
)

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


def main() -> None:
    """Serve until a signal comes; every setting is MiniStack's own variable."""
    cloud: Any = importlib.import_module("ministack.app")
    known = importlib.import_module("ministack.services.cloudformation.provisioners")._RESOURCE_HANDLERS  # noqa: SLF001
    for kind in _WITHOUT_EFFECT:
        known[kind] = {"create": without_effect, "delete": lambda *_: None}
    cloud.app = behind_tls(cloud.app)
    cloud.main()


if __name__ == "__main__":
    main()
