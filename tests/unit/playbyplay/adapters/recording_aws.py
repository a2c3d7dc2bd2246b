"""The door to AWS, with a record of what went through it and faults by order of the test."""

from collections import defaultdict, deque
from typing import Any

from botocore.exceptions import ClientError, ReadTimeoutError

from playbyplay.adapters.aws import Answer, Aws, Params
from playbyplay.ports import Log


class RecordingAws(Aws):
    """Makes the calls and keeps them.

    Attributes:
        calls: operation and parameters of every call, in order.
    """

    def __init__(self, log: Log, endpoints: dict[str, str] | None = None) -> None:
        super().__init__(log, endpoints)
        self.calls: list[tuple[str, Params]] = []
        self._before: defaultdict[str, deque[Exception | None]] = defaultdict(deque)
        self._after: defaultdict[str, deque[Exception]] = defaultdict(deque)

    @property
    def operations(self) -> list[str]:
        """The operations of all calls, in order."""
        return [operation for operation, _params in self.calls]

    def fail(self, operation: str, *errors: Exception | None) -> None:
        """Let the next calls of an operation raise and do nothing, one for each error; None lets one pass."""
        self._before[operation].extend(errors)

    def lose_answer(self, operation: str) -> None:
        """Let the next call of an operation take effect and its answer get lost."""
        self._after[operation].append(ReadTimeoutError(endpoint_url="https://example"))

    async def call(self, service: str, operation: str, params: Params) -> Answer:
        self.calls.append((operation, params))
        error = self._before[operation].popleft() if self._before[operation] else None
        if error is not None:
            raise error
        answer = await super().call(service, operation, params)
        if self._after[operation]:
            raise self._after[operation].popleft()
        return answer


def refusal(code: str, status: int = 400) -> ClientError:
    """Return what botocore raises for an answer of AWS."""
    answer: dict[str, Any] = {"Error": {"Code": code, "Message": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "Operation")
