"""One door to AWS: clients made once, calls on a small thread pool, and every SDK error translated here.

boto3 waits in threads; the core is asyncio. botocore's own retries are off, so that a call is tried
again in one layer only: here where repeating is harmless, else by who reads the outcome back.
"""

import asyncio
import random
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
    ProxyConnectionError,
)
from botocore.parsers import ResponseParserError

from playbyplay.errors import OutcomeUnknown, PlaybyplayError, StoreUnavailable
from playbyplay.ports import Log

_THREADS = 16  # ten posts at once, a renewal, a read, and some air
_TRIES = 3
_PAUSE_S = 0.05
_CONNECT_S = 1.0
_READ_S = 2.0

# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html: nothing was written.
_NOTHING_DONE = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "ThrottlingException",
        "Throttling",
        "RequestLimitExceeded",
        "RequestThrottled",
        "TooManyRequestsException",
        "TransactionConflictException",
        "TransactionInProgressException",
        "LimitExceededException",
        "AccessDeniedException",
        "AccessDenied",
        "UnrecognizedClientException",
        "ExpiredTokenException",
        "ResourceNotFoundException",
        "AWS.SimpleQueueService.NonExistentQueue",
        "QueueDoesNotExist",
    }
)
_SERVER_ERROR = 500
_NOTHING_SENT = (
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
    ProxyConnectionError,
)

Params = Mapping[str, Any]
Answer = dict[str, Any]


class ConditionFailed(PlaybyplayError):
    """A conditional write found its condition not to hold.

    Args:
        items: the item as it stands, where the call asked for it; for a transaction one per operation.
        codes: of a transaction, why each operation failed; `None` for one that did not.
    """

    def __init__(self, items: list[Answer | None], codes: list[str]) -> None:
        super().__init__("the condition does not hold")
        self.items = items
        self.codes = codes


class Aws:
    """Makes calls; one per process.

    Args:
        log: where a refused call is told, by operation and code.
        endpoints: where a service is, where that is not AWS's own place.
    """

    def __init__(self, log: Log, endpoints: Mapping[str, str] | None = None) -> None:
        self.log = log
        self._endpoints = endpoints or {}
        self._clients: dict[str, Any] = {}
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="aws")

    def client(self, service: str) -> Any:  # noqa: ANN401 - boto3 makes its clients at run time
        """Return the one client of a service, made when it is first asked for."""
        if service not in self._clients:
            config = Config(
                connect_timeout=_CONNECT_S,
                read_timeout=_READ_S,
                max_pool_connections=_THREADS,
                retries={"mode": "standard", "total_max_attempts": 1},
                tcp_keepalive=True,
            )
            self._clients[service] = boto3.client(service, endpoint_url=self._endpoints.get(service), config=config)
        return self._clients[service]

    async def call(self, service: str, operation: str, params: Params) -> Answer:
        """Make one call, once, on the thread pool; errors are botocore's own."""
        method: Callable[..., Answer] = getattr(self.client(service), operation)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, lambda: method(**params))

    async def read(self, service: str, operation: str, params: Params) -> Answer:
        """Read, or write what may be repeated; up to three tries.

        Raises:
            ConditionFailed: the condition does not hold.
            StoreUnavailable: no try was answered.
        """
        for attempt in range(_TRIES):
            try:
                return await self.write(service, operation, params)
            except (OutcomeUnknown, StoreUnavailable) as trouble:
                if attempt == _TRIES - 1:
                    raise StoreUnavailable(str(trouble)) from trouble
            await asyncio.sleep(_PAUSE_S * (2**attempt) * (1 + random.random()))  # noqa: S311 - jitter
        raise AssertionError  # pragma: no cover

    async def write(self, service: str, operation: str, params: Params) -> Answer:
        """Write once.

        Raises:
            ConditionFailed: the condition does not hold.
            OutcomeUnknown: it may have been written.
            StoreUnavailable: it was not written.
        """
        try:
            return await self.call(service, operation, params)
        except ClientError as error:
            raise self._translated(operation, error) from error
        except _NOTHING_SENT as error:
            self.log.event("aws_failed", operation=operation, code=type(error).__name__)
            raise StoreUnavailable(operation) from error
        except (BotoCoreError, ResponseParserError) as error:
            self.log.event("aws_failed", operation=operation, code=type(error).__name__)
            raise OutcomeUnknown(operation) from error

    def close(self) -> None:
        """End the threads, which takes as long as the calls under way, and close every client."""
        self._threads.shutdown(cancel_futures=True)
        for client in self._clients.values():
            client.close()

    def _translated(self, operation: str, error: ClientError) -> PlaybyplayError:
        code = str(error.response.get("Error", {}).get("Code", ""))
        if code == "ConditionalCheckFailedException":
            return ConditionFailed([error.response.get("Item")], [code])
        if code == "TransactionCanceledException":
            reasons: list[Answer] = error.response.get("CancellationReasons", [])
            return ConditionFailed(
                [reason.get("Item") for reason in reasons], [str(reason.get("Code", "None")) for reason in reasons]
            )
        self.log.event("aws_failed", operation=operation, code=code)
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        if code not in _NOTHING_DONE and status >= _SERVER_ERROR:
            return OutcomeUnknown(f"{operation}: {code}")
        return StoreUnavailable(f"{operation}: {code}")
