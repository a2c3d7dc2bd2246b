"""What the checks of cdk-nag find and why it stays: one reason for each finding, kept in one place to be read.

Whatever is found and does not stand here fails the synth.
"""

from collections.abc import Mapping
from typing import Final

from aws_cdk import Acknowledgment, CfnElement, Validations
from constructs import IConstruct

from infra.gateway import STAGE
from infra.stack import PlaybyplayStack

_DEPLOYER: Final = "Custom::CDKBucketDeployment"  # how the CDK names the function that fills the bucket
_VERSION = "3.13 is what the layers' wheels and bytecode are for; it moves when they do."
_FUNCTION: Final = {
    "AwsSolutions-L1": _VERSION,
    "Serverless-LambdaLatestVersion": _VERSION,
    "Serverless-LambdaTracing": "The X-Ray SDK is in maintenance mode and adds 240 ms to a cold start; the journal "
    "holds every step of a run with its time, and log lines carry the run's id.",
    "Serverless-LambdaDLQ": "Nobody calls it asynchronously but the clock, whose next minute is the second try; jobs "
    "have the queue's dead letters.",
}
_SOCKET_ROUTE: Final = {
    "AwsSolutions-APIG4": "A WebSocket API takes an authorizer on $connect only; its context comes with every frame.",
}
_DEAD_LETTERS: Final = {"Serverless-SQSRedrivePolicy": "It is the dead-letter queue."}
_EVENT_SOURCE: Final = {
    "Serverless-LambdaEventSourceMappingDestination": "SQS has no such destination; a job has its dead letters, and "
    "a letter comes again until it is no longer kept.",
}
_CLOCK: Final = {"Serverless-EventBusDLQ": "A sweep that did not start is made good by the next, a minute later."}
_SUBSCRIBERS: Final = {
    "Serverless-SNSRedrivePolicy": "An alarm that could not be delivered stands in CloudWatch all the same; a queue of "
    "such messages would be one more thing to look at.",
}
_POOL: Final = {
    "AwsSolutions-COG2": "A second factor is the operator's choice: the context can name a provider that asks for one.",
    "AwsSolutions-COG8": "The plus plan is paid for each user; what it adds is not leaned on.",
}
_FILES: Final = {
    "AwsSolutions-S1": "It holds the public page, which only CloudFront reads.",
}
_DISTRIBUTION: Final = {
    "AwsSolutions-CFR1": "The page is for whoever may sign in, wherever they are.",
    "AwsSolutions-CFR2": "A firewall is paid for and the operator's choice; what costs us work needs a token, and both "
    "APIs are throttled.",
    "AwsSolutions-CFR3": "Its log would keep query strings, and a sign-in comes back with its code in one.",
    "AwsSolutions-CFR4": "Under CloudFront's own name CloudFront sets the oldest TLS; a domain of one's own ends that.",
}
_MANAGED: Final = "AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role"
_LOG_WRITER: Final = {
    f"{_MANAGED}/AmazonAPIGatewayPushToCloudWatchLogs]": "AWS made this policy for this very role, which is the "
    "account's and not ours.",
}
_FILLER: Final = (
    *_FUNCTION,
    f"{_MANAGED}/AWSLambdaBasicExecutionRole]",
    "AwsSolutions-IAM5[Action::s3:GetBucket*]",
    "AwsSolutions-IAM5[Action::s3:GetObject*]",
    "AwsSolutions-IAM5[Action::s3:List*]",
    "AwsSolutions-IAM5[Action::s3:Abort*]",
    "AwsSolutions-IAM5[Action::s3:DeleteObject*]",
)
_FILLS: Final = "The CDK's own function, called only while the stack is deployed; it reaches these two buckets."
_POSTS: Final = "Connection ids are API Gateway's and known only as clients come; stage and method are named."


def acknowledge(stack: PlaybyplayStack) -> None:
    """Say why each finding stays."""
    for function in stack.functions.all().values():
        _stays(function, _FUNCTION)
    _acknowledge_posts(stack)
    for route in ("$disconnect-Route", "$default-Route"):
        _stays(stack.socket.api.node.find_child(route), _SOCKET_ROUTE)
    _stays(stack.queue.dead, _DEAD_LETTERS)
    callers = {"Jobs": _EVENT_SOURCE, "DeadLetters": _EVENT_SOURCE, "EachMinute": _CLOCK, "EachAudit": _CLOCK}
    for name, why in callers.items():
        _stays(stack.node.find_child(name), why)
    for subscriber in stack.monitoring.told.subscriptions:
        _stays(subscriber, _SUBSCRIBERS)
    _stays(stack.web.files, _FILES)
    _stays(stack.web.distribution, _DISTRIBUTION)
    if stack.identity:
        _stays(stack.identity.pool, _POOL)
    for child in stack.node.children:
        if child.node.id == "LogWriter":
            _stays(child, _LOG_WRITER)
        if child.node.id.startswith(_DEPLOYER):
            _stays(child, dict.fromkeys([*_FILLER, *_buckets(stack)], _FILLS))


def _acknowledge_posts(stack: PlaybyplayStack) -> None:
    api = _logical_id(stack, stack.socket.api)
    for name, methods in {"Message": ("POST", "DELETE"), "Runner": ("POST",), "Watchdog": ("POST", "DELETE")}.items():
        for method in methods:
            place = f"<AWS::Region>:<AWS::AccountId>:<{api}>/{STAGE}/{method}/@connections/*"
            found = f"AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:execute-api:{place}]"
            _stays(stack.functions.node.find_child(f"{name}Policy"), {found: _POSTS})


def _buckets(stack: PlaybyplayStack) -> list[str]:
    # The bucket of the CDK's own assets: the qualifier is part of every bootstrap that was not renamed.
    assets = "arn:<AWS::Partition>:s3:::cdk-hnb659fds-assets-<AWS::AccountId>-<AWS::Region>/*"
    places = [assets, f"<{_logical_id(stack, stack.web.files)}.Arn>/*"]
    return [f"AwsSolutions-IAM5[Resource::{place}]" for place in places]


def _stays(construct: IConstruct, reasons: Mapping[str, str]) -> None:
    Validations.of(construct).acknowledge(*(Acknowledgment(id=name, reason=why) for name, why in reasons.items()))


def _logical_id(stack: PlaybyplayStack, construct: IConstruct) -> str:
    element = construct.node.default_child
    assert isinstance(element, CfnElement)  # noqa: S101 - what every such construct is made of
    return str(stack.resolve(stack.get_logical_id(element)))
