"""Who is told: the topic that every alarm sends to, and who has subscribed to it.

It is not encrypted with a key of KMS. CloudWatch cannot use the one AWS manages, and a key of our own is paid for:
what is sent is the names of alarms, numbers and the texts of their table, nothing of a user.
https://repost.aws/knowledge-center/cloudwatch-configure-alarm-sns
"""

from aws_cdk import ArnFormat, Aws, Stack
from aws_cdk.aws_iam import PolicyStatement, ServicePrincipal
from aws_cdk.aws_sns import Subscription, SubscriptionProtocol, Topic
from constructs import Construct


class AlarmTopic(Construct):
    """A topic that alarms of this account may publish to, over TLS.

    Args:
        email: who is written to; "" for nobody. AWS asks the reader to confirm.
        url: what is called over https; "" for nothing. It has to confirm too.
    """

    def __init__(self, scope: Construct, name: str, *, email: str, url: str) -> None:
        super().__init__(scope, name)
        self.topic = Topic(self, "Topic", display_name="Playbyplay", enforce_ssl=True)
        # A policy of one's own takes the place of the one that lets the whole account publish.
        alarms = Stack.of(self).format_arn(
            service="cloudwatch", resource="alarm", resource_name="*", arn_format=ArnFormat.COLON_RESOURCE_NAME
        )
        self.topic.add_to_resource_policy(
            PolicyStatement(
                sid="AlarmsPublish",
                principals=[ServicePrincipal("cloudwatch.amazonaws.com")],
                actions=["sns:Publish"],
                resources=[self.topic.topic_arn],
                conditions={
                    "StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID},
                    "ArnLike": {"aws:SourceArn": alarms},
                },
            )
        )
        self.subscriptions = [
            Subscription(self, kind, topic=self.topic, protocol=protocol, endpoint=endpoint)
            for kind, protocol, endpoint in (
                ("Email", SubscriptionProtocol.EMAIL, email),
                ("Url", SubscriptionProtocol.HTTPS, url),
            )
            if endpoint
        ]
