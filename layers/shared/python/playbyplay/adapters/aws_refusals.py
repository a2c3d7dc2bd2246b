"""What an error answer of AWS means to who made the call: not now, not before somebody acts, or never.

The codes stand here and nowhere else; what is in none of the lists and a 4xx is a call that no repeat mends.
"""

from typing import Any

from botocore.exceptions import ClientError

from playbyplay.errors import OutcomeUnknown, PlaybyplayError, StoreDenied, StoreRefused, StoreUnavailable

# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html: nothing was written.
_BUSY = frozenset(
    {
        "KmsThrottled",
        "LimitExceededException",
        "OverLimit",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionCanceledException",  # without its reasons
        "TransactionConflictException",
        "TransactionInProgressException",
    }
)
# A grant, a key or a name is wrong: the same page, the errors all services have in common, and those of SQS and
# Secrets Manager, https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html among them.
_DENIED = frozenset(
    {
        "AWS.SimpleQueueService.NonExistentQueue",
        "AccessDenied",
        "AccessDeniedException",
        "DecryptionFailure",
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "IncompleteSignatureException",
        "InvalidClientTokenId",
        "InvalidRequestException",  # of a secret that is to be deleted
        "InvalidSignatureException",
        "KmsAccessDenied",
        "KmsDisabled",
        "KmsInvalidKeyUsage",
        "KmsInvalidState",
        "KmsNotFound",
        "KmsOptInRequired",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "NotAuthorized",
        "OptInRequired",
        "QueueDoesNotExist",
        "RequestExpired",
        "ResourceNotFoundException",
        "UnrecognizedClientException",
    }
)
_CLIENT_ERROR = 400
_FORBIDDEN = 403
_TOO_MANY = 429
_SERVER_ERROR = 500


def code_of(error: ClientError) -> str:
    """Return the code of an error answer; empty if it has none."""
    return str(error.response.get("Error", {}).get("Code", ""))


def status_of(error: ClientError) -> int:
    """Return the HTTP status of an error answer; 0 if it has none."""
    metadata: dict[str, Any] = error.response.get("ResponseMetadata", {})
    return int(metadata.get("HTTPStatusCode", 0))


def refusal(operation: str, error: ClientError) -> PlaybyplayError:
    """Return the error of ours for an answer that is no failed condition."""
    code, status = code_of(error), status_of(error)
    words = f"{operation}: {code}"
    if code in _BUSY or status == _TOO_MANY:
        return StoreUnavailable(words)
    if code in _DENIED or status == _FORBIDDEN:
        return StoreDenied(words)
    if status >= _SERVER_ERROR:
        return OutcomeUnknown(words)
    return StoreRefused(words) if status >= _CLIENT_ERROR else StoreUnavailable(words)
