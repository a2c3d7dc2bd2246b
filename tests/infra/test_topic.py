"""Who is told when an alarm rings: the topic, who may publish to it, who has subscribed."""

from tests.infra.synthesis import Stack

TOPIC = "<Monitoring/Told/Topic>"


def test_alarms_of_this_account_may_publish_and_nobody_else(own: Stack) -> None:
    """A policy of one's own takes the place of AWS's usual one, so without the grant no alarm could tell anybody."""
    (policy,) = own.of("AWS::SNS::TopicPolicy").values()
    assert policy["Topics"] == [TOPIC]
    allowed = [one for one in policy["PolicyDocument"]["Statement"] if one["Effect"] == "Allow"]
    assert allowed == [
        {
            "Sid": "AlarmsPublish",
            "Effect": "Allow",
            "Principal": {"Service": "cloudwatch.amazonaws.com"},
            "Action": "sns:Publish",
            "Resource": TOPIC,
            "Condition": {
                "StringEquals": {"aws:SourceAccount": "<AWS::AccountId>"},
                "ArnLike": {"aws:SourceArn": "arn:<AWS::Partition>:cloudwatch:<AWS::Region>:<AWS::AccountId>:alarm:*"},
            },
        }
    ]


def test_nobody_publishes_in_clear(own: Stack) -> None:
    """Without TLS publishing is denied to everybody."""
    (policy,) = own.of("AWS::SNS::TopicPolicy").values()
    (denied,) = (one for one in policy["PolicyDocument"]["Statement"] if one["Effect"] == "Deny")
    assert (denied["Principal"], denied["Action"], denied["Resource"]) == ("*", "sns:Publish", TOPIC)
    assert denied["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_the_topic_has_no_key_that_cloudwatch_cannot_use(own: Stack) -> None:
    """With the key that AWS manages for SNS, alarms would ring and nobody would hear."""
    (topic,) = own.of("AWS::SNS::Topic").values()
    assert "KmsMasterKeyId" not in topic


def test_whoever_the_context_names_is_told(own: Stack, foreign: Stack, host: Stack) -> None:
    """By mail, by a call over https, or nobody at all."""
    assert list(own.of("AWS::SNS::Subscription").values()) == [
        {"TopicArn": TOPIC, "Protocol": "email", "Endpoint": "on-call@example.org"}
    ]
    assert list(foreign.of("AWS::SNS::Subscription").values()) == [
        {"TopicArn": TOPIC, "Protocol": "https", "Endpoint": "https://pager.example.org/playbyplay"}
    ]
    assert host.of("AWS::SNS::Subscription") == {}
    assert host.of("AWS::SNS::Topic")
