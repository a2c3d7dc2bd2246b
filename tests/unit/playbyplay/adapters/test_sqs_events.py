"""Events of an SQS source, in the shape Lambda sends them."""

from typing import Any

import pytest
from pydantic import ValidationError

from playbyplay.adapters.sqs_events import SqsEvent

RECORD: dict[str, Any] = {
    "messageId": "3f1c0f5e-7a43-4c1a-9b6e-0d4c9a2f7e11",
    "receiptHandle": "AQEBexample",
    "body": '{"v":1,"user":"ann","run_id":"01970000-0001-7000-8000-000000000001"}',
    "attributes": {
        "ApproximateReceiveCount": "2",
        "SentTimestamp": "1750000000123",
        "MessageGroupId": "0a1b2c",
        "SenderId": "AROAEXAMPLE:message",
        "ApproximateFirstReceiveTimestamp": "1750000000456",
    },
    "messageAttributes": {},
    "md5OfBody": "00000000000000000000000000000000",
    "eventSource": "aws:sqs",
    "eventSourceARN": "arn:aws:sqs:eu-central-1:123456789012:jobs",
    "awsRegion": "eu-central-1",
}


def test_a_batch_is_read() -> None:
    """Every record with its ids, its body, how often it came and when it was sent."""
    event = SqsEvent.model_validate({"Records": [RECORD, {**RECORD, "messageId": "second"}]})
    first, second = event.records
    assert first.message_id == "3f1c0f5e-7a43-4c1a-9b6e-0d4c9a2f7e11"
    assert first.receipt_handle == "AQEBexample"
    assert first.body == RECORD["body"]
    assert first.receive_count == 2
    assert first.sent_ms == 1_750_000_000_123
    assert second.message_id == "second"


def test_nothing_else_is_kept() -> None:
    """Neither senders nor digests, and nothing can be changed."""
    event = SqsEvent.model_validate({"Records": [RECORD]})
    assert set(event.records[0].model_dump()) == {"message_id", "receipt_handle", "body", "receive_count", "sent_ms"}
    with pytest.raises(ValidationError):
        event.records[0].body = ""  # type: ignore[misc]  # the very thing that is refused


@pytest.mark.parametrize("missing", ["messageId", "receiptHandle", "body", "attributes"])
def test_a_record_without_what_is_needed_is_malformed(missing: str) -> None:
    """And the error repeats nothing of it."""
    record = {name: value for name, value in RECORD.items() if name != missing}
    with pytest.raises(ValidationError) as caught:
        SqsEvent.model_validate({"Records": [record]})
    assert "AQEBexample" not in str(caught.value)
    assert "01970000" not in str(caught.value)


@pytest.mark.parametrize("event", [{}, {"Records": None}, {"Records": "secret words"}, {"Records": ["secret words"]}])
def test_an_event_that_is_no_batch_is_malformed(event: dict[str, Any]) -> None:
    """Whatever it is."""
    with pytest.raises(ValidationError) as caught:
        SqsEvent.model_validate(event)
    assert "secret words" not in str(caught.value)
