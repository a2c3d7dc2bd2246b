"""What a million turns cost on AWS: what was counted, times the list prices of us-east-1, without any free tier.

Sources: `price list` is AWS's public price list service as of November 2024 and later, `pricing page` the
service's own page, `re:Post` AWS's answers there. Prices change: look again before you decide by them.
"""

from dataclasses import dataclass

from bench.cloud_turn import Turn

_GB = 1024**3
_MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Price:
    """Dollars for one of something, and who says so."""

    dollars: float
    source: str


MESSAGE = Price(1.00 / _MILLION, "price list: API Gateway WebSocket, first billion, 32 KB each, both directions")
CONNECTION_MINUTE = Price(0.25 / _MILLION, "price list and re:Post: API Gateway WebSocket")
INVOCATION = Price(0.20 / _MILLION, "price list: Lambda requests")
GB_SECOND = Price(0.0000133334, "price list: Lambda arm64, first 7.5 billion")
QUEUE_REQUEST = Price(0.40 / _MILLION, "price list: SQS standard, 64 KB each")
WRITE_UNIT = Price(0.625 / _MILLION, "price list, 2024-11-15: DynamoDB on demand")
READ_UNIT = Price(0.125 / _MILLION, "price list, 2024-11-15: DynamoDB on demand")
LOG_GB = Price(0.50, "price list: CloudWatch logs, taken in")
PRICES = {
    "message": MESSAGE,
    "connection minute": CONNECTION_MINUTE,
    "invocation": INVOCATION,
    "GB-second": GB_SECOND,
    "queue request": QUEUE_REQUEST,
    "write unit": WRITE_UNIT,
    "read unit": READ_UNIT,
    "GB of log": LOG_GB,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumptions:
    """What cannot be counted without an account.

    Attributes:
        connection_minutes: a connection is open for so long for each turn.
        message_s: one call of the message function.
        message_gb: its memory, as in `infra/functions.py`.
        runner_s: the runner at work, at the least; a turn that takes longer here takes as long there.
        runner_gb: its memory, as in `infra/functions.py`.
        poller_requests: of the queue's poller for one job: a receive and a delete; polls that find nothing are not
            a turn's.
        platform_bytes: what Lambda itself logs for one invocation.
    """

    connection_minutes: float = 2
    message_s: float = 0.1
    message_gb: float = 0.5
    runner_s: float = 1.0
    runner_gb: float = 1.0
    poller_requests: int = 2
    platform_bytes: int = 1024


NOT_COUNTED = (
    "the model, data sent to the internet, storage and backups, metrics and alarms, empty polls, the watchdog, "
    "the auditor, opening the connection, retries"
)


def dollars(turn: Turn, given: Assumptions) -> dict[str, float]:
    """Return what a million such turns cost, by what is paid for."""
    runner_s = max(given.runner_s, turn.runner_s)
    queue = given.poller_requests + sum(count for call, count in turn.calls.made.items() if call.startswith("sqs "))
    invocations = turn.message_calls + 1
    logged = turn.log_bytes + invocations * given.platform_bytes
    each = {
        "API Gateway messages": turn.messages * MESSAGE.dollars,
        "connection minutes": given.connection_minutes * CONNECTION_MINUTE.dollars,
        "Lambda requests": invocations * INVOCATION.dollars,
        "message function": turn.message_calls * given.message_s * given.message_gb * GB_SECOND.dollars,
        "runner": runner_s * given.runner_gb * GB_SECOND.dollars,
        "SQS": queue * QUEUE_REQUEST.dollars,
        "DynamoDB writes": turn.calls.write_units * WRITE_UNIT.dollars,
        "DynamoDB reads": turn.calls.read_units * READ_UNIT.dollars,
        "logs": logged / _GB * LOG_GB.dollars,
    }
    return {name: round(cost * _MILLION, 2) for name, cost in each.items()}
