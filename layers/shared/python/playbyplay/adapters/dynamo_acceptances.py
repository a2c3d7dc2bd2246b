"""Accepting a message in DynamoDB: the message, its thread, turn and run and record 0, in one transaction.

A thread's `rev` rises whenever its open turns change, so the position is exact, and a turn that is
settled meanwhile makes the accept read the thread again instead of leaving the new turn unsent.
"""

import asyncio
import random
from dataclasses import replace

from playbyplay.adapters.aws import Aws, ConditionFailed
from playbyplay.adapters.dynamo_drafts import CONFLICT, FAILED, MINUTE_MS, UNTOUCHED, Draft, Expiry, Use
from playbyplay.adapters.dynamo_items import item, plain
from playbyplay.adapters.dynamo_run_items import Thread, may_be_gone, run_of
from playbyplay.adapters.dynamo_runs_table import RunsTable
from playbyplay.adapters.dynamo_threads import Threads
from playbyplay.adapters.tables import OPEN_BY_AGE, PK, message_key, run_key, user_key
from playbyplay.domain.thread import Run
from playbyplay.errors import Refused, StoreRefused, StoreUnavailable
from playbyplay.ports import Acceptance, Accepted

_TRIES = 60  # while the thread keeps changing, or other messages of the user are counted
_PAUSE_S = 0.1
_IN_THE_WAY = frozenset({UNTOUCHED, FAILED, CONFLICT})
_NEVER = frozenset({"ItemCollectionSizeLimitExceeded", "ValidationError"})
# All open turns of a thread are in its one item, which holds 400 KB, some 8,000 of them, and each accept pays for
# every kilobyte of it: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
MAX_OPEN = 1_000
_OPEN_RETRY_MS = 60_000
_SOON_MS = 1_000


class Acceptances:
    """What messages made.

    Args:
        aws: the door.
        table: where runs, threads and turns are.
        threads: the threads in it.
        journal_table: where an accept writes record 0.
    """

    def __init__(self, aws: Aws, table: RunsTable, threads: Threads, journal_table: str) -> None:
        self._aws = aws
        self._table = table
        self._threads = threads
        self._journal_table = journal_table

    async def accept(self, acceptance: Acceptance, now_s: int) -> Accepted:
        """Write the run, its turn and record 0, or find the run this message made before.

        A run found under the very id of this acceptance was made by an earlier try of it: no duplicate.
        """
        wanted, expiry = acceptance.run, Expiry(now_s)
        thread, open_runs = await asyncio.gather(self._thread_of(acceptance), self._open_runs(acceptance))
        use = Use(open_runs=open_runs)
        for _ in range(_TRIES):
            if acceptance.only_if_idle:
                thread = await self._mended(wanted, thread)
            refused = _refused(acceptance, thread, use)
            if refused is not None:
                return await self._made_or(refused, wanted, now_s)
            draft = Draft(acceptance, thread, use, expiry)
            try:
                await self._write(draft)
            except ConditionFailed as failed:
                found = await self._made(wanted, now_s) if draft.was_made(failed) else None
                if found is not None:
                    return found
                if not _IN_THE_WAY.issuperset(failed.codes):
                    raise _trouble(failed) from failed
                if draft.was_too_much(failed):
                    use = await self._used(acceptance, draft.accepted(failed))
                else:
                    await asyncio.sleep(_PAUSE_S * random.random())  # noqa: S311 - jitter
                if failed.codes[Draft.THREAD] != UNTOUCHED:
                    thread = Thread.of(failed.items[Draft.THREAD]) or await self._thread_of(acceptance)
            else:
                return Accepted(draft.run, duplicate=False, position=draft.position)
        raise StoreUnavailable("transact_write_items: others are always in the way")

    async def find(self, user: str, client_message_id: str) -> Accepted | None:
        """Return what a message made, as a duplicate."""
        message = await self._table.get(user, message_key(client_message_id))
        return await self._found(user, plain(message)["run_id"]) if message is not None else None

    async def _write(self, draft: Draft) -> None:
        """Write once.

        The request's token is made anew by botocore: one of ours would be refused as soon as the thread has moved,
        and the conditions tell more of an earlier try: which run it made, as it is by now.
        """
        operations = draft.operations(self._table.name, self._journal_table)
        await self._aws.write("dynamodb", "transact_write_items", {"TransactItems": operations})

    async def _thread_of(self, acceptance: Acceptance) -> Thread | None:
        """Return the thread as it is, where it is not to begin."""
        run = acceptance.run
        return None if acceptance.new_thread else await self._threads.get(run.user, run.thread_id)

    async def _open_runs(self, acceptance: Acceptance) -> int:
        """Count the user's open runs, up to the limit."""
        mine = {
            "IndexName": OPEN_BY_AGE,
            "KeyConditionExpression": f"{PK} = :pk",
            "ExpressionAttributeValues": item({":pk": user_key(acceptance.run.user)}),
        }
        return await self._table.count(mine, limit=acceptance.limits.open_runs)

    async def _used(self, acceptance: Acceptance, accepted: int) -> Use:
        """Return what a user has used up, known to have sent so much; the open runs are counted after that."""
        if accepted >= acceptance.limits.messages_per_minute:
            return Use(accepted=accepted)
        return Use(accepted=accepted, open_runs=await self._open_runs(acceptance))

    async def _mended(self, wanted: Run, thread: Thread | None) -> Thread | None:
        """Return the thread without turns that only look open, if no turn of it is open."""
        if thread is None or not thread.open:
            return thread
        head = await self._threads.head(wanted.user, wanted.thread_id, thread)
        return thread if head is not None else await self._threads.get(wanted.user, wanted.thread_id)

    async def _made_or(self, refused: Refused, wanted: Run, now_s: int) -> Accepted:
        """Return what this message made before; where it made nothing, it is refused.

        Raises:
            Refused: that.
            StoreUnavailable: it made a run, which is not seen yet.
        """
        run_id = await self._named(wanted)
        found = await self._seen(wanted, run_id, now_s) if run_id is not None else None
        if found is not None:
            return found
        if run_id is None or wanted.client_message_id is None:
            raise refused
        raise StoreUnavailable("get_item: a run its message names is not seen")

    async def _made(self, wanted: Run, now_s: int) -> Accepted | None:
        """Return what this message made before, or an earlier try of this accept."""
        run_id = await self._named(wanted)
        return await self._seen(wanted, run_id, now_s) if run_id is not None else None

    async def _named(self, wanted: Run) -> str | None:
        """Return the run that this message made; of a message without an id, the one this accept would make."""
        if wanted.client_message_id is None:
            return wanted.run_id
        message = await self._table.get(wanted.user, message_key(wanted.client_message_id))
        return plain(message)["run_id"] if message is not None else None

    async def _seen(self, wanted: Run, run_id: str, now_s: int) -> Accepted | None:
        """Return the run of a message, if it is seen.

        Raises:
            Refused: `expired`: the message is known still, and its run so old that it is gone.
        """
        found = await self._found(wanted.user, run_id)
        if found is None and may_be_gone(run_id, now_s * 1000):
            raise Refused("expired", "The run of this message is no longer kept.", run_id=run_id)
        return replace(found, duplicate=run_id != wanted.run_id) if found is not None else None

    async def _found(self, user: str, run_id: str) -> Accepted | None:
        kept = await self._table.get(user, run_key(run_id))
        if kept is None:
            return None
        run = run_of(kept)
        thread = await self._threads.get(user, run.thread_id)
        return Accepted(run, duplicate=True, position=thread.ahead(run.turn) if thread else 0)


def _refused(acceptance: Acceptance, thread: Thread | None, use: Use) -> Refused | None:
    """Return why a message makes no run, unless it made one before."""
    if thread is None and not acceptance.new_thread:
        return Refused("not_found", "There is no such thread.")
    if thread is not None and thread.open and acceptance.only_if_idle:
        return Refused("thread_busy", "An earlier message of this thread is being answered.", retry_after_ms=_SOON_MS)
    if use.open_runs >= acceptance.limits.open_runs:
        return Refused("rate_limited", "Too many messages are being answered.", retry_after_ms=_SOON_MS)
    if use.accepted >= acceptance.limits.messages_per_minute:
        left_ms = MINUTE_MS - acceptance.run.created_ms % MINUTE_MS
        return Refused("rate_limited", "Too many messages. Slow down.", retry_after_ms=left_ms)
    if thread is not None and len(thread.open) >= MAX_OPEN:
        return Refused("overloaded", "Too many messages of this thread are waiting.", retry_after_ms=_OPEN_RETRY_MS)
    return None


def _trouble(failed: ConditionFailed) -> StoreRefused | StoreUnavailable:
    """Return what it means that a transaction failed for more than what was in its way."""
    words = f"transact_write_items: {', '.join(failed.codes)}"
    return StoreUnavailable(words) if _NEVER.isdisjoint(failed.codes) else StoreRefused(words)
