"""Accepting a message in DynamoDB: the message, its thread, turn and run and record 0, in one transaction.

A thread's `rev` rises whenever its open turns change, so the position is exact, and a turn that is
settled meanwhile makes the accept read the thread again instead of leaving the new turn unsent.
"""

import asyncio
import random
from dataclasses import replace
from typing import Any

from playbyplay.adapters.aws import Aws, ConditionFailed
from playbyplay.adapters.dynamo_items import Item, item, names, plain
from playbyplay.adapters.dynamo_journal import record_item
from playbyplay.adapters.dynamo_run_items import RUN_KEPT_S, Thread, key, may_be_gone, run_item, run_of
from playbyplay.adapters.dynamo_runs_table import RunsTable
from playbyplay.adapters.tables import (
    JOURNAL_KEPT_S,
    PK,
    RUNS_KEPT_S,
    TTL,
    message_key,
    run_key,
    thread_key,
    turn_key,
)
from playbyplay.domain.journal import History, InputEntry, Record
from playbyplay.domain.thread import Run
from playbyplay.errors import Refused, StoreRefused, StoreUnavailable
from playbyplay.ports import Acceptance, Accepted

_TRIES = 60  # while the thread keeps changing
_PAUSE_S = 0.1
_ABSENT = f"attribute_not_exists({PK})"
# https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html
_FAILED = "ConditionalCheckFailed"
_IN_THE_WAY = frozenset({"None", _FAILED, "TransactionConflict"})
_NEVER = frozenset({"ItemCollectionSizeLimitExceeded", "ValidationError"})
# All open turns of a thread are in its one item, which holds 400 KB, some 8,000 of them, and each accept pays for
# every kilobyte of it: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
MAX_OPEN = 1_000
_OPEN_RETRY_MS = 60_000


class Acceptances:
    """What messages made.

    Args:
        aws: the door.
        table: where runs, threads and turns are.
        journal_table: where an accept writes record 0.
    """

    def __init__(self, aws: Aws, table: RunsTable, journal_table: str) -> None:
        self._aws = aws
        self._table = table
        self._journal_table = journal_table

    async def accept(self, acceptance: Acceptance, now_s: int) -> Accepted:
        """Write the run, its turn and record 0, or find the run this message made before.

        A run found under the very id of this acceptance was made by an earlier try of it: no duplicate.
        """
        wanted = acceptance.run
        expiry = Expiry(now_s)
        thread: Thread | None = None
        for _ in range(_TRIES):
            if thread is None and not acceptance.new_thread:
                thread = await self._thread(wanted)
                if thread is None:
                    return await self._without_thread(wanted, now_s)
            if thread is not None and len(thread.open) >= MAX_OPEN:
                return await self._without_room(wanted, now_s)
            draft = Draft(acceptance, thread, expiry)
            try:
                await self._write(draft)
            except ConditionFailed as failed:
                found = await self._made(wanted, now_s) if _was_made(failed) else None
                if found is not None:
                    return found
                if not _IN_THE_WAY.issuperset(failed.codes):
                    raise _trouble(failed) from failed
                thread = Thread.of(failed.items[Draft.THREAD])
            else:
                return Accepted(draft.run, duplicate=False, position=draft.position)
            await asyncio.sleep(_PAUSE_S * random.random())  # noqa: S311 - jitter
        raise StoreUnavailable("the thread keeps changing")

    async def find(self, user: str, client_message_id: str) -> Accepted | None:
        """Return what a message made, as a duplicate."""
        message = await self._table.get(user, message_key(client_message_id))
        return await self._found(user, plain(message)["run_id"]) if message is not None else None

    async def _write(self, draft: "Draft") -> None:
        """Write once.

        The request's token is made anew by botocore: one of ours would be refused as soon as the thread has moved,
        and the conditions tell more of an earlier try: which run it made, as it is by now.
        """
        operations = draft.operations(self._table.name, self._journal_table)
        await self._aws.write("dynamodb", "transact_write_items", {"TransactItems": operations})

    async def _without_thread(self, wanted: Run, now_s: int) -> Accepted:
        """Answer an accept whose thread is not there: the message may be known from another one."""
        found = await self._made(wanted, now_s) if wanted.client_message_id is not None else None
        if found is None:
            raise Refused("not_found", "There is no such thread.")
        return found

    async def _without_room(self, wanted: Run, now_s: int) -> Accepted:
        """Answer an accept whose thread takes no more: the message may be one of those it holds."""
        found = await self._made(wanted, now_s)
        if found is None:
            raise Refused("overloaded", "Too many messages of this thread are waiting.", retry_after_ms=_OPEN_RETRY_MS)
        return found

    async def _made(self, wanted: Run, now_s: int) -> Accepted | None:
        """Return what this message made before, or an earlier try of this accept.

        Raises:
            Refused: `expired`: the message is known still, and its run so old that it is gone.
        """
        run_id = wanted.run_id
        if wanted.client_message_id is not None:
            message = await self._table.get(wanted.user, message_key(wanted.client_message_id))
            if message is None:
                return None
            run_id = plain(message)["run_id"]
        found = await self._found(wanted.user, run_id)
        if found is None and may_be_gone(run_id, now_s * 1000):
            raise Refused("expired", "The run of this message is no longer kept.", run_id=run_id)
        return replace(found, duplicate=run_id != wanted.run_id) if found is not None else None

    async def _found(self, user: str, run_id: str) -> Accepted | None:
        kept = await self._table.get(user, run_key(run_id))
        if kept is None:
            return None
        run = run_of(kept)
        thread = await self._thread(run)
        return Accepted(run, duplicate=True, position=thread.ahead(run.turn) if thread else 0)

    async def _thread(self, run: Run) -> Thread | None:
        return Thread.of(await self._table.get(run.user, thread_key(run.thread_id)))


class Expiry:
    """When the items of one accept may go, in seconds since the epoch."""

    def __init__(self, now_s: int) -> None:
        self.names_s = now_s + RUNS_KEPT_S
        self.run_s = now_s + RUN_KEPT_S
        self.journal_s = now_s + JOURNAL_KEPT_S


class Draft:
    """One accept as the transaction that makes it.

    Args:
        acceptance: what is accepted.
        thread: as it was read; None for a new one.
        expiry: when its items may go.

    Attributes:
        run: with its turn.
        position: the open turns ahead of it, exact if the transaction succeeds.
    """

    THREAD = 0
    RUN = 1
    MESSAGE = 4

    def __init__(self, acceptance: Acceptance, thread: Thread | None, expiry: Expiry) -> None:
        self._acceptance = acceptance
        self._thread = thread
        self._expiry = expiry
        self.run = replace(acceptance.run, turn=thread.next_turn if thread else 1)
        self.position = len(thread.open) if thread else 0

    def operations(self, runs_table: str, journal_table: str) -> list[dict[str, Any]]:
        """Return what is written, all or nothing; `THREAD`, `RUN` and `MESSAGE` are places in this list."""
        run, expires_s = self.run, self._expiry.names_s
        turn = key(run.user, turn_key(run.thread_id, run.turn)) | item({"run_id": run.run_id, TTL: expires_s})
        record = record_item(run.user, run.run_id, self._record(), self._expiry.journal_s)
        operations = [
            self._thread_operation(runs_table),
            _put(runs_table, run_item(run, waits=self.position > 0, expires_s=self._expiry.run_s)),
            _put(runs_table, turn),
            _put(journal_table, record),
        ]
        if run.client_message_id is not None:
            names_run = item({"run_id": run.run_id, "thread_id": run.thread_id, TTL: expires_s})
            operations.append(_put(runs_table, key(run.user, message_key(run.client_message_id)) | names_run))
        return operations

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


def _put(table: str, put: Item) -> dict[str, Any]:
    return {"Put": {"TableName": table, "Item": put, "ConditionExpression": _ABSENT}}


def _trouble(failed: ConditionFailed) -> StoreRefused | StoreUnavailable:
    """Return what it means that a transaction failed for more than what was in its way."""
    words = f"transact_write_items: {', '.join(failed.codes)}"
    return StoreUnavailable(words) if _NEVER.isdisjoint(failed.codes) else StoreRefused(words)


def _was_made(failed: ConditionFailed) -> bool:
    """Whether the run or what its message made was there already."""
    return _FAILED in (failed.codes[Draft.RUN], *failed.codes[Draft.MESSAGE : Draft.MESSAGE + 1])
