"""Jobs in SQS: what a message is, and what a receipt asks for."""

import json
import re
from dataclasses import replace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ReadTimeoutError

from playbyplay.adapters.aws import Answer, Aws, Params
from playbyplay.adapters.sqs_run_queue import MalformedJob, SqsReceipt, SqsRunQueue, job_body, read_job
from playbyplay.errors import StoreUnavailable
from playbyplay.ports import MAX_HOPS, Job
from tests.fakes.ids import uuid
from tests.fakes.log import FakeLog
from tests.unit.playbyplay.adapters.recording_aws import RecordingAws, refusal

JOB = Job("ann", uuid(1))
GOOD = {"v": 1, "user": "ann", "run_id": uuid(1)}


class Agreeing(Aws):
    """Does nothing and agrees to everything."""

    def __init__(self, log: FakeLog) -> None:
        super().__init__(log)
        self.calls: list[tuple[str, str, Params]] = []

    async def call(self, service: str, operation: str, params: Params) -> Answer:
        self.calls.append((service, operation, params))
        return {}


@pytest.fixture
def url(aws: RecordingAws) -> str:
    """Make a queue; return its URL."""
    made: str = boto3.client("sqs").create_queue(QueueName="jobs")["QueueUrl"]
    return made


def received(url: str) -> list[dict[str, Any]]:
    """Take what is visible."""
    answer = boto3.client("sqs").receive_message(
        QueueUrl=url, MaxNumberOfMessages=10, MessageSystemAttributeNames=["MessageGroupId"]
    )
    messages: list[dict[str, Any]] = answer.get("Messages", [])
    return messages


def test_a_body_carries_ids_and_a_version() -> None:
    """Nothing else, as JSON, and it reads back."""
    assert json.loads(job_body(JOB)) == GOOD
    for user in ("ann", "x" * 1000, 'é😀"\\\n'):
        assert read_job(job_body(Job(user, uuid(7)))) == Job(user, uuid(7))


def test_a_body_tells_how_often_its_run_was_handed_on() -> None:
    """Where that is never it says nothing, and one without it is a job all the same."""
    assert json.loads(job_body(replace(JOB, hops=7))) == {**GOOD, "hops": 7}
    assert read_job(json.dumps(GOOD)) == read_job(json.dumps({**GOOD, "hops": 0})) == JOB
    for hops in range(MAX_HOPS + 1):
        job = replace(JOB, hops=hops)
        assert read_job(job_body(job)) == job


@pytest.mark.parametrize("hops", [-1, MAX_HOPS + 1, 10**30, "1", 1.0, 1.5, True, None, [], {}, "secret words"])
def test_a_count_that_is_none_is_malformed(hops: object) -> None:
    """Nothing is taken for a number that is not one, and no number is taken that no runner writes."""
    with pytest.raises(MalformedJob) as caught:
        read_job(json.dumps({**GOOD, "hops": hops}))
    assert "secret words" not in f"{caught.value} {caught.value.__cause__}"


@pytest.mark.parametrize(
    "body",
    [
        "",
        "null",
        "[]",
        "secret words",
        json.dumps({**GOOD, "v": 2}),
        json.dumps({**GOOD, "v": "1"}),
        json.dumps({**GOOD, "v": True}),
        json.dumps({**GOOD, "more": "secret words"}),
        json.dumps({**GOOD, "user": ""}),
        json.dumps({**GOOD, "user": 7}),
        json.dumps({**GOOD, "run_id": "secret words"}),
        json.dumps({**GOOD, "run_id": uuid(1).upper().replace("0197", "019A")}),
        json.dumps({"v": 1, "user": "secret words"}),
        json.dumps(GOOD)[:-1],
    ],
)
def test_anything_else_is_malformed(body: str) -> None:
    """And no error repeats what the message held."""
    with pytest.raises(MalformedJob) as caught:
        read_job(body)
    assert "secret words" not in f"{caught.value} {caught.value.__cause__}"


async def test_a_job_is_one_message(aws: RecordingAws, url: str) -> None:
    """Of the user's own group, which tells nothing of the user's name."""
    await SqsRunQueue(aws, url).send(JOB)
    (message,) = received(url)
    assert read_job(message["Body"]) == JOB
    assert "ann" not in message["Attributes"]["MessageGroupId"]
    assert aws.operations == ["send_message"]


async def test_users_are_told_apart(aws: RecordingAws, url: str) -> None:
    """Each user has one group for good, of the letters and the length SQS takes, whatever the name."""
    queue = SqsRunQueue(aws, url)
    users = ["ann", "bob", "x" * 1000, "é😀 \n", "ann"]
    for user in users:
        await queue.send(Job(user, uuid(1)))
    groups = [message["Attributes"]["MessageGroupId"] for message in received(url)]
    assert len(set(groups)) == 4
    assert groups[0] == groups[4] == "49915e0d7d4b402e3017d010bc1c0e83cac6c797d6c16e66340fe3268693a6a1"
    assert all(re.fullmatch(r"[A-Za-z0-9]{1,128}", group) for group in groups)


async def test_a_job_whose_answer_got_lost_is_sent_again(aws: RecordingAws, url: str) -> None:
    """Twice is harmless, never is not."""
    aws.lose_answer("send_message")
    await SqsRunQueue(aws, url).send(JOB)
    assert [read_job(message["Body"]) for message in received(url)] == [JOB, JOB]


async def test_a_queue_that_does_not_take_a_job_says_so(aws: RecordingAws, url: str) -> None:
    """Whatever went wrong: absent, throttled, broken."""
    with pytest.raises(StoreUnavailable):
        await SqsRunQueue(aws, f"{url}-absent").send(JOB)
    for error in (refusal("ThrottlingException"), refusal("InternalError", 500)):
        aws.fail("send_message", *[error] * 3)
        with pytest.raises(StoreUnavailable):
            await SqsRunQueue(aws, url).send(JOB)
    assert received(url) == []


@pytest.mark.parametrize(
    ("seconds", "asked"),
    [(-1, 0), (0, 0), (0.01, 1), (44.2, 45), (45, 45), (45.0, 45), (43_199.5, 43_200), (43_200, 43_200), (1e9, 43_200)],
)
async def test_a_receipt_asks_for_whole_seconds(log: FakeLog, seconds: float, asked: int) -> None:
    """Rounded up, and within what SQS takes."""
    agreeing = Agreeing(log)
    await SqsReceipt(agreeing, "url", "handle").extend(seconds)
    assert agreeing.calls == [
        (
            "sqs",
            "change_message_visibility",
            {"QueueUrl": "url", "ReceiptHandle": "handle", "VisibilityTimeout": asked},
        )
    ]


async def test_a_job_that_is_hidden_no_more_comes_again(aws: RecordingAws, url: str) -> None:
    """The receipt speaks of its own message."""
    await SqsRunQueue(aws, url).send(JOB)
    (message,) = received(url)
    assert received(url) == []
    await SqsReceipt(aws, url, message["ReceiptHandle"]).extend(0)
    assert [read_job(again["Body"]) for again in received(url)] == [JOB]


async def test_a_receipt_that_holds_no_more_says_so(aws: RecordingAws, url: str) -> None:
    """Refused, or never answered; one try, for the owner of a run waits for it."""
    errors = [
        refusal("ReceiptHandleIsInvalid"),
        refusal("AWS.SimpleQueueService.MessageNotInflight"),
        refusal("InternalError", 500),
        ReadTimeoutError(endpoint_url="https://example"),
    ]
    for error in errors:
        aws.calls.clear()
        aws.fail("change_message_visibility", error)
        with pytest.raises(StoreUnavailable):
            await SqsReceipt(aws, url, "handle").extend(45)
        assert len(aws.calls) == 1
