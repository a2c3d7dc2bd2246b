"""Error answers of AWS: what each of them means to who made the call."""

import pytest
from botocore.exceptions import ClientError

from playbyplay.adapters.aws_refusals import code_of, refusal, status_of
from playbyplay.errors import OutcomeUnknown, PlaybyplayError, StoreDenied, StoreRefused, StoreUnavailable
from tests.unit.playbyplay.adapters.recording_aws import refusal as answer

BUSY = ["ProvisionedThroughputExceededException", "ThrottlingException", "RequestThrottled", "KmsThrottled"]
DENIED = [
    "AccessDeniedException",
    "AccessDenied",
    "UnrecognizedClientException",
    "ExpiredTokenException",
    "ExpiredToken",
    "InvalidSignatureException",
    "RequestExpired",
    "ResourceNotFoundException",
    "AWS.SimpleQueueService.NonExistentQueue",
    "KmsAccessDenied",
    "DecryptionFailure",
]
REFUSED = ["ValidationException", "ItemCollectionSizeLimitExceededException", "SerializationException", "Unheard"]


@pytest.mark.parametrize(
    ("code", "status", "ours"),
    [
        *((code, 400, StoreUnavailable) for code in BUSY),
        *((code, 400, StoreDenied) for code in DENIED),
        *((code, 400, StoreRefused) for code in REFUSED),
        ("ThrottlingException", 503, StoreUnavailable),
        ("Unheard", 429, StoreUnavailable),
        ("Unheard", 403, StoreDenied),
        ("Unheard", 413, StoreRefused),
        ("InternalServerError", 500, OutcomeUnknown),
        ("", 502, OutcomeUnknown),
        ("", 0, StoreUnavailable),
    ],
)
def test_an_answer_is_an_error_of_ours(code: str, status: int, ours: type[PlaybyplayError]) -> None:
    """By its code first, then by its status; the words are the operation and the code alone."""
    error = refusal("put_item", answer(code, status))
    assert type(error) is ours
    assert str(error) == f"put_item: {code}"


def test_an_answer_may_lack_everything() -> None:
    """Then nothing is known of it but that it is an error."""
    bare = ClientError({}, "Operation")
    assert (code_of(bare), status_of(bare)) == ("", 0)
    assert type(refusal("query", bare)) is StoreUnavailable
