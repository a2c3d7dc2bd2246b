"""The sockets of an API Gateway WebSocket API, through its @connections calls.

What a call's failure means to the one who posts is decided here, not at the door to AWS: a closed
connection is an everyday answer, and a post is never repeated here, its caller does that.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, ConnectTimeoutError, HTTPClientError, ReadTimeoutError
from botocore.parsers import ResponseParserError

from playbyplay.adapters.aws import Aws
from playbyplay.adapters.aws_refusals import code_of, status_of
from playbyplay.errors import ConnectionGone, PostFailed

_POST_S = 2.0  # ports.Gateway

# https://docs.aws.amazon.com/apigatewaymanagementapi/latest/api/API_PostToConnection.html
_FORBIDDEN = 403
_GONE = 410
_TOO_LARGE = 413
_TOO_MANY = 429
_SERVER_ERROR = 500
_BUFFER_FULL = "LimitExceededException"


class ApiGatewayGateway:
    """Implements `ports.Gateway`.

    Args:
        aws: the door; it was told the stage's endpoint.
        post_s: how long a call may take.
    """

    def __init__(self, aws: Aws, post_s: float = _POST_S) -> None:
        self._aws = aws
        self._post_s = post_s

    async def post(self, connection_id: str, text: str) -> None:
        """Send one text frame."""
        await self._call("post_to_connection", {"ConnectionId": connection_id, "Data": text.encode()})

    async def close(self, connection_id: str) -> None:
        """Close a connection; an unknown one is no error.

        Raises:
            PostFailed: API Gateway did not do it.
        """
        try:
            await self._call("delete_connection", {"ConnectionId": connection_id})
        except ConnectionGone:
            return

    async def _call(self, operation: str, params: Mapping[str, Any]) -> None:
        try:
            async with asyncio.timeout(self._post_s):
                await self._aws.call("apigatewaymanagementapi", operation, params)
        except ClientError as error:
            raise self._refusal(operation, error) from error
        except (TimeoutError, ReadTimeoutError, ConnectTimeoutError) as error:
            raise PostFailed("timeout") from error
        except (BotoCoreError, ResponseParserError) as error:
            if not isinstance(error, HTTPClientError):  # no credentials, no answer of API Gateway: not the network
                self._complain(operation, type(error).__name__)
            raise PostFailed("unavailable") from error

    def _refusal(self, operation: str, error: ClientError) -> ConnectionGone | PostFailed:
        """Read what API Gateway answered."""
        status, code = status_of(error), code_of(error)
        if status == _GONE:
            return ConnectionGone("the connection is closed")
        if status == _TOO_LARGE:
            return PostFailed("too_large")
        if status == _TOO_MANY:
            return PostFailed("slow" if code == _BUFFER_FULL else "throttled")
        if status >= _SERVER_ERROR:
            return PostFailed("unavailable")
        self._complain(operation, code)  # a grant or an endpoint is wrong, and no retry mends it
        return PostFailed("forbidden" if status == _FORBIDDEN else "refused")

    def _complain(self, operation: str, code: str) -> None:
        self._aws.log.event("aws_failed", operation=operation, code=code)
