"""Alarms as the stack made them, and those who are told."""

import json
from typing import NamedTuple

from infra.local_cloud_stack import STACK, Deployment

PAGE = 100  # DescribeAlarms gives no more at once


class Heard(NamedTuple):
    """What a message of the topic says."""

    alarm: str
    state: str


def physical(deployed: Deployment, name: str, kind: str = "AWS::CloudWatch::Alarm") -> str:
    """Return what the cloud calls a resource of the monitoring, named as the stack names it."""
    pages = deployed.cloud.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=STACK)
    made = [one for page in pages for one in page["StackResourceSummaries"] if one["ResourceType"] == kind]
    (found,) = (one["PhysicalResourceId"] for one in made if name in one["LogicalResourceId"])
    return str(found)


def states(deployed: Deployment) -> dict[str, str]:
    """Return the state of every alarm by its name in the cloud."""
    kinds = ["MetricAlarm", "CompositeAlarm"]
    told = deployed.cloud.client("cloudwatch").describe_alarms(AlarmTypes=kinds, MaxRecords=PAGE)
    return {one["AlarmName"]: one["StateValue"] for kind in kinds for one in told[f"{kind}s"]}


class Listener:
    """A queue that has subscribed to the topic of the alarms, as a pager would.

    Attributes:
        heard: what came, in order.
    """

    def __init__(self, deployed: Deployment) -> None:
        self._queues = deployed.cloud.client("sqs")
        self._url = self._queues.create_queue(QueueName="pager")["QueueUrl"]
        asked = self._queues.get_queue_attributes(QueueUrl=self._url, AttributeNames=["QueueArn"])
        queue, topic = asked["Attributes"]["QueueArn"], physical(deployed, "Told", "AWS::SNS::Topic")
        lets_it = {
            "Effect": "Allow",
            "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": queue,
            "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [lets_it]})
        self._queues.set_queue_attributes(QueueUrl=self._url, Attributes={"Policy": policy})
        deployed.cloud.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue)
        self.heard: list[Heard] = []

    def states_of(self, alarm: str) -> list[str]:
        """Return the states that an alarm was said to have come to, in order."""
        while told := self._queues.receive_message(QueueUrl=self._url, MaxNumberOfMessages=10).get("Messages"):
            for message in told:
                said = json.loads(json.loads(message["Body"])["Message"])
                self.heard.append(Heard(said["AlarmName"], said["NewStateValue"]))
                self._queues.delete_message(QueueUrl=self._url, ReceiptHandle=message["ReceiptHandle"])
        return [one.state for one in self.heard if one.alarm == alarm]
