"""One accept as a transaction: what it writes, on which conditions, and what it means which of them fail.

A user's minute is counted in it, so exactly. The open runs are counted before it, and the minute tells how many
messages that count may have missed; only who sends more in a minute than may be open is counted once more.
"""

from dataclasses import dataclass, replace
from typing import Any

from playbyplay.adapters.aws import ConditionFailed
from playbyplay.adapters.dynamo_items import Item, item, names, plain
from playbyplay.adapters.dynamo_journal import record_item
from playbyplay.adapters.dynamo_run_items import RUN_KEPT_S, Thread, key, run_item
from playbyplay.adapters.tables import (
    JOURNAL_KEPT_S,
    PK,
    RUNS_KEPT_S,
    TTL,
    message_key,
    rate_key,
    thread_key,
    turn_key,
)
from playbyplay.domain.journal import History, InputEntry, Record
from playbyplay.ports import Acceptance, Limits

MINUTE_MS = 60_000
_RATE_KEPT_S = 3_600  # beyond its minute, for clocks that differ
_ABSENT = f"attribute_not_exists({PK})"
# https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html
FAILED = "ConditionalCheckFailed"
CONFLICT = "TransactionConflict"
UNTOUCHED = "None"


class Expiry:
    """When the items of one accept may go, in seconds since the epoch."""

    def __init__(self, now_s: int) -> None:
        self.names_s = now_s + RUNS_KEPT_S
        self.run_s = now_s + RUN_KEPT_S
        self.journal_s = now_s + JOURNAL_KEPT_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """What a user has used up of what it may ask for.

    Attributes:
        accepted: messages of this minute of the clock that were accepted before the open runs were counted, at least.
        open_runs: as they were counted.
    """

    accepted: int = 0
    open_runs: int = 0

    def most(self, limits: Limits) -> int:
        """Return how many messages of this minute, being accepted by now, leave room for one more.

        Each of them that the count of open runs has not seen may be open.
        """
        return min(limits.messages_per_minute, self.accepted + limits.open_runs - self.open_runs)


class Draft:
    """One accept as the transaction that makes it.

    Args:
        acceptance: what is accepted.
        thread: as it was read; None for a new one.
        use: what its user has used up; there is room left.
        expiry: when its items may go.

    Attributes:
        run: with its turn.
        position: the open turns ahead of it, exact if the transaction succeeds.
    """

    THREAD = 0
    RUN = 1
    RATE = 4
    MESSAGE = 5

    def __init__(self, acceptance: Acceptance, thread: Thread | None, use: Use, expiry: Expiry) -> None:
        self._acceptance = acceptance
        self._thread = thread
        self._most = use.most(acceptance.limits)
        self._expiry = expiry
        self.run = replace(acceptance.run, turn=thread.next_turn if thread else 1)
        self.position = len(thread.open) if thread else 0

    def operations(self, runs_table: str, journal_table: str) -> list[dict[str, Any]]:
        """Return what is written, all or nothing; the constants are places in this list."""
        run, expires_s = self.run, self._expiry.names_s
        turn = key(run.user, turn_key(run.thread_id, run.turn)) | item({"run_id": run.run_id, TTL: expires_s})
        record = record_item(run.user, run.run_id, self._record(), self._expiry.journal_s)
        operations = [
            self._thread_operation(runs_table),
            _put(runs_table, run_item(run, waits=self.position > 0, expires_s=self._expiry.run_s)),
            _put(runs_table, turn),
            _put(journal_table, record),
            self._rate_operation(runs_table),
        ]
        if run.client_message_id is not None:
            names_run = item({"run_id": run.run_id, "thread_id": run.thread_id, TTL: expires_s})
            operations.append(_put(runs_table, key(run.user, message_key(run.client_message_id)) | names_run))
        return operations

    def was_made(self, failed: ConditionFailed) -> bool:
        """Whether the run or what its message made was there already."""
        return FAILED in self._own_codes(failed)

    def was_too_much(self, failed: ConditionFailed) -> bool:
        """Whether the user had used up more than was known, and nobody is just making what this message makes."""
        return failed.codes[self.RATE] == FAILED and CONFLICT not in self._own_codes(failed)

    def accepted(self, failed: ConditionFailed) -> int:
        """Return how many messages of this minute had been accepted when that was too much."""
        counted = failed.items[self.RATE]
        return int(plain(counted)["accepted"]) if counted is not None else 0

    def _own_codes(self, failed: ConditionFailed) -> tuple[str, ...]:
        return failed.codes[self.RUN], *failed.codes[self.MESSAGE : self.MESSAGE + 1]

    def _record(self) -> Record:
        run = self.run
        entry = InputEntry(
            thread_id=run.thread_id,
            turn=run.turn,
            content=self._acceptance.content,
            timestamp=self._acceptance.timestamp,
            client_message_id=run.client_message_id,
        )
        return History(run.user, run.run_id).record(self._acceptance.token, [entry])

    def _thread_operation(self, table: str) -> dict[str, Any]:
        run, thread = self.run, self._thread
        where = key(run.user, thread_key(run.thread_id))
        if thread is None:
            begun = item({"next_turn": 2, "open": {"1": run.run_id}, "rev": 1, TTL: self._expiry.names_s})
            return _put(table, where | begun)
        update = "SET #next_turn = :next, #open.#turn = :run_id, #rev = :rev, #expires = :expires"
        return {
            "Update": {
                "TableName": table,
                "Key": where,
                "UpdateExpression": update,
                "ConditionExpression": "#rev = :read",
                "ExpressionAttributeNames": names(update) | {"#turn": str(run.turn), "#expires": TTL},
                "ExpressionAttributeValues": item(
                    {
                        ":next": run.turn + 1,
                        ":run_id": run.run_id,
                        ":rev": thread.rev + 1,
                        ":read": thread.rev,
                        ":expires": self._expiry.names_s,
                    }
                ),
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            }
        }

    def _rate_operation(self, table: str) -> dict[str, Any]:
        """Return the count of the user's messages of this minute, to which a refused one adds nothing."""
        minute = self.run.created_ms // MINUTE_MS
        update = "ADD #accepted :one SET #expires = :expires"
        condition = "attribute_not_exists(#accepted) OR #accepted < :most"
        return {
            "Update": {
                "TableName": table,
                "Key": key(self.run.user, rate_key(minute)),
                "UpdateExpression": update,
                "ConditionExpression": condition,
                "ExpressionAttributeNames": names(update, condition) | {"#expires": TTL},
                "ExpressionAttributeValues": item(
                    {
                        ":one": 1,
                        ":most": self._most,
                        ":expires": (minute + 1) * MINUTE_MS // 1000 + _RATE_KEPT_S,
                    }
                ),
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            }
        }


def _put(table: str, put: Item) -> dict[str, Any]:
    return {"Put": {"TableName": table, "Item": put, "ConditionExpression": _ABSENT}}
