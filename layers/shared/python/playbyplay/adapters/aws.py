"""One door to AWS: clients made once, calls on a small thread pool, and every SDK error translated here.

boto3 waits in threads; the core is asyncio. botocore's own retries are off, so that a call is tried
again in one layer only: here where repeating is harmless, else by who reads the outcome back.
"""

import asyncio
import random
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
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

from playbyplay.adapters.aws_refusals import code_of, refusal
from playbyplay.errors import OutcomeUnknown, PlaybyplayError, StoreDenied, StoreRefused, StoreUnavailable
from playbyplay.ports import Log

_THREADS = 16  # ten posts at once, a renewal, a read, and some air
_TRIES = 3
_PAUSE_S = 0.05
_CONNECT_S = 1.0
_READ_S = 2.0

# Lambda freezes a process between its calls, and a socket that died meanwhile would only tell at its next use.
_IDLE_S = 10.0
_POSTS = "apigatewaymanagementapi"
_POST_READ_S = 1.5  # below the two seconds of a post, so that the socket is given up, not the thread left with it
_NOTHING_SENT = (
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    ProxyConnectionError,
)
_NO_CREDENTIALS = (NoCredentialsError, PartialCredentialsError)

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
        now_s: the wall clock in seconds; the one clock that is right after a freeze, or no call could be signed.
    """

    def __init__(
        self, log: Log, endpoints: Mapping[str, str] | None = None, *, now_s: Callable[[], float] = time.time
    ) -> None:
        self.log = log
        self._endpoints = endpoints or {}
        self._now_s = now_s
        self._clients: dict[str, Any] = {}
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="aws")
        self._counting = threading.Lock()
        self._under_way = 0  # calls whose thread is not done, be they waited for or not
        self._answered_s = now_s()

    def client(self, service: str) -> Any:  # noqa: ANN401 - boto3 makes its clients at run time
        """Return the one client of a service, made when it is first asked for."""
        if service not in self._clients:
            config = Config(
                connect_timeout=_CONNECT_S,
                read_timeout=_POST_READ_S if service == _POSTS else _READ_S,
                max_pool_connections=_THREADS,
                retries={"mode": "standard", "total_max_attempts": 1},
                tcp_keepalive=True,
            )
            self._clients[service] = boto3.client(service, endpoint_url=self._endpoints.get(service), config=config)
        return self._clients[service]

    async def call(self, service: str, operation: str, params: Params) -> Answer:
        """Make one call, once, on the thread pool; errors are botocore's own."""
        method: Callable[..., Answer] = getattr(self.client(service), operation)
        self._begin()
        made = self._threads.submit(lambda: method(**params))
        made.add_done_callback(self._end)
        return await asyncio.wrap_future(made)

    async def read(self, service: str, operation: str, params: Params) -> Answer:
        """Read, or write what may be repeated; up to three tries, one where another would be no better.

        Raises:
            ConditionFailed: the condition does not hold.
            StoreRefused: AWS never takes such a call.
            StoreUnavailable: no try was answered.
        """
        for attempt in range(_TRIES):
            try:
                return await self.write(service, operation, params)
            except StoreDenied:
                raise
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
            StoreRefused: it was not written and never will be.
            StoreUnavailable: it was not written.
        """
        try:
            return await self.call(service, operation, params)
        except ClientError as error:
            raise self._translated(operation, error) from error
        except (BotoCoreError, ResponseParserError) as error:
            self.log.event("aws_failed", operation=operation, code=type(error).__name__)
            raise _failure(error)(operation) from error

    def close(self) -> None:
        """End the threads, which takes as long as the calls under way, and close every client."""
        self._threads.shutdown(cancel_futures=True)
        for client in self._clients.values():
            client.close()

    def _begin(self) -> None:
        """Count a call; after a pause with none under way, have it made on a connection of its own time."""
        with self._counting:
            if not self._under_way and self._now_s() - self._answered_s > _IDLE_S:
                for client in self._clients.values():
                    client.close()  # of its idle connections: it makes new ones when it is used again
            self._under_way += 1

    def _end(self, made: Future[Answer]) -> None:
        """Count a call out, in its thread; note when AWS was last heard of."""
        heard = not made.cancelled() and (made.exception() is None or isinstance(made.exception(), ClientError))
        with self._counting:
            self._under_way -= 1
            if heard:
                self._answered_s = self._now_s()

    def _translated(self, operation: str, error: ClientError) -> PlaybyplayError:
        code = code_of(error)
        if code == "ConditionalCheckFailedException":
            return ConditionFailed([error.response.get("Item")], [code])
        reasons: list[Answer] = error.response.get("CancellationReasons", [])
        if reasons:
            return ConditionFailed(
                [reason.get("Item") for reason in reasons], [str(reason.get("Code", "None")) for reason in reasons]
            )
        self.log.event("aws_failed", operation=operation, code=code)
        return refusal(operation, error)


def _failure(error: Exception) -> type[PlaybyplayError]:
    """Return what it means that a call was not answered."""
    if isinstance(error, ParamValidationError):
        return StoreRefused
    if isinstance(error, _NO_CREDENTIALS):
        return StoreDenied
    return StoreUnavailable if isinstance(error, _NOTHING_SENT) else OutcomeUnknown
