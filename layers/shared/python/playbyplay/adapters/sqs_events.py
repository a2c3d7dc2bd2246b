"""What an SQS event source hands to a function: the fields we use.

Shape of https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html. A malformed event raises
pydantic's ValidationError, which never repeats what came in.
"""

from pydantic import AliasPath, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel


class SqsRecord(BaseModel):
    """One message of the queue.

    Attributes:
        receive_count: how often it was received, this time included.
        sent_ms: when it was sent, milliseconds since the epoch.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=to_camel)

    message_id: str = Field(min_length=1)
    receipt_handle: str = Field(min_length=1)
    body: str
    receive_count: int = Field(validation_alias=AliasPath("attributes", "ApproximateReceiveCount"))
    sent_ms: int = Field(validation_alias=AliasPath("attributes", "SentTimestamp"))


class SqsEvent(BaseModel):
    """A batch."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    records: tuple[SqsRecord, ...] = Field(alias="Records")
