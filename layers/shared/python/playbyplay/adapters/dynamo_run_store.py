"""Runs, threads and turns in DynamoDB: an accept is one transaction, all else one item at a time.

Every other write is harmless when repeated, so it is repeated; the thread's map of open turns says
which turn is next, and a reader that finds a closed run in it takes it out.
"""

from collections.abc import Mapping

from playbyplay.adapters.aws import Aws
from playbyplay.adapters.dynamo_acceptances import Acceptances
from playbyplay.adapters.dynamo_items import Plain, item, plain
from playbyplay.adapters.dynamo_run_items import FIRST_CHECK_MS, run_of
from playbyplay.adapters.dynamo_runs_table import RunsTable
from playbyplay.adapters.dynamo_shards import shard_of
from playbyplay.adapters.dynamo_threads import Threads
from playbyplay.adapters.tables import (
    ENDED,
    ENDED_SHARD,
    NEXT_CHECK,
    OPEN_BY_AGE,
    OPEN_SHARD,
    OPEN_SINCE,
    PK,
    SK,
    WAITS,
    run_key,
    turn_key,
    user_key,
)
from playbyplay.domain.thread import Run
from playbyplay.domain.timing import CLOUD
from playbyplay.ports import MAX_TURNS, Acceptance, Accepted, Acquired, Clock, NotAcquired, Settled
from playbyplay.protocol.base import RunStatus

CHECK_AFTER_LEASE_MS = int(CLOUD.after_lease_s * 1000)
_LAST_TURN = 10**10 - 1  # of as many digits as a turn's key has
_OPEN = "#status IN (:queued, :running)"
_OPEN_VALUES: Mapping[str, Plain] = {":queued": "queued", ":running": "running"}


class DynamoRunStore:
    """Implements `ports.RunStore`.

    Args:
        aws: the door.
        clock: for when items may go, and when a run ended.
        runs_table: where runs, threads and turns are.
        journal_table: where an accept writes record 0.
    """

    def __init__(self, aws: Aws, clock: Clock, runs_table: str, journal_table: str) -> None:
        self._clock = clock
        self._table = RunsTable(aws, runs_table)
        self._threads = Threads(self._table, clock)
        self._acceptances = Acceptances(aws, self._table, self._threads, journal_table)

    async def accept(self, acceptance: Acceptance) -> Accepted:
        """Write the run, its turn and record 0, or find the run this message made before."""
        return await self._acceptances.accept(acceptance, self._clock.now_ms() // 1000)

    async def find(self, user: str, client_message_id: str) -> Accepted | None:
        """Return what a message made, as a duplicate."""
        return await self._acceptances.find(user, client_message_id)

    async def get(self, user: str, run_id: str) -> Run | None:
        """Return a run."""
        found = await self._table.get(user, run_key(run_id))
        return run_of(found) if found is not None else None

    async def acquire(
        self, user: str, run_id: str, owner: str, *, now_ms: int, lease_until_ms: int
    ) -> Acquired | NotAcquired:
        """Take the lease of an open run that nobody holds; counts an attempt."""
        taken, old = await self._table.update(
            user,
            run_key(run_id),
            "SET #owner = :owner, #lease_until_ms = :lease, #attempts = #attempts + :one,"
            f" #status = :running, #{NEXT_CHECK} = :check",
            f"{_OPEN} AND (attribute_not_exists(#owner) OR #lease_until_ms <= :now)",
            {
                **_OPEN_VALUES,
                ":owner": owner,
                ":lease": lease_until_ms,
                ":one": 1,
                ":now": now_ms,
                ":check": lease_until_ms + CHECK_AFTER_LEASE_MS,
            },
        )
        kept = taken or old
        if kept is None:
            return NotAcquired("unknown")
        run = run_of(kept)
        by_us_before = (run.owner, run.lease_until_ms) == (owner, lease_until_ms)  # whose answer was lost
        if taken is None and not by_us_before:
            return NotAcquired("held" if run.is_open else "closed")
        return Acquired(run, may_wait=WAITS in kept)

    async def renew(self, user: str, run_id: str, owner: str, *, lease_until_ms: int, reset_attempts: bool) -> bool:
        """Prolong an own lease."""
        renewed, _old = await self._table.update(
            user,
            run_key(run_id),
            f"SET #lease_until_ms = :lease, #{NEXT_CHECK} = :check" + (", #attempts = :one" if reset_attempts else ""),
            "#owner = :owner",
            {
                ":owner": owner,
                ":lease": lease_until_ms,
                ":check": lease_until_ms + CHECK_AFTER_LEASE_MS,
                **({":one": 1} if reset_attempts else {}),
            },
        )
        return renewed is not None

    async def release(self, user: str, run_id: str, owner: str) -> None:
        """Give an own lease back, and take back the attempt it counted; the status stays."""
        await self._table.update(
            user,
            run_key(run_id),
            "SET #attempts = #attempts - :one, #lease_until_ms = :zero REMOVE #owner",
            "#owner = :owner",
            {":owner": owner, ":zero": 0, ":one": 1},
        )

    async def request_cancel(self, user: str, run_id: str) -> Run | None:
        """Mark an open run for cancelling; its owner looks for the mark."""
        values = {**_OPEN_VALUES, ":true": True}
        marked, old = await self._table.update(user, run_key(run_id), "SET #cancel = :true", _OPEN, values)
        kept = marked or old
        return run_of(kept) if kept is not None else None

    async def settle(self, run: Run, status: RunStatus) -> Settled:
        """Note that a run has ended; return the first open turn of its thread as well.

        The order is what the promises rest on. The thread is first, so that who accepts the next turn knows. The
        next turn is brought forward before this run leaves the index of open runs: whoever falls in between leaves
        one of the two to be looked at soon, and a look at this one settles it again.
        """
        thread = await self._threads.close(run.user, run.thread_id, run.turn, run.run_id)
        head = await self._threads.head(run.user, run.thread_id, thread)
        if head is not None:
            await self._look_soon(head)
        settled, _old = await self._table.update(
            run.user,
            run_key(run.run_id),
            f"SET #status = :status, #lease_until_ms = :zero, #{ENDED_SHARD} = :shard, #{ENDED} = :now"
            f" REMOVE #owner, #{OPEN_SINCE}, #{OPEN_SHARD}, #{NEXT_CHECK}",
            _OPEN,
            {
                **_OPEN_VALUES,
                ":status": status,
                ":zero": 0,
                ":shard": shard_of(run.run_id),
                ":now": self._clock.now_ms(),
            },
        )
        return Settled(head, changed=settled is not None)

    async def head(self, user: str, thread_id: str) -> Run | None:
        """Return the first open turn of a thread."""
        return await self._threads.head(user, thread_id, await self._threads.get(user, thread_id))

    async def turns(self, user: str, thread_id: str, *, from_turn: int, to_turn: int | None = None) -> list[Run]:
        """Return runs of a thread by turn."""
        last = from_turn + MAX_TURNS - 1
        first, last = max(from_turn, 1), min(last, last if to_turn is None else to_turn, _LAST_TURN)
        if first > last:
            return []
        between = {
            "KeyConditionExpression": f"{PK} = :pk AND {SK} BETWEEN :first AND :last",
            "ExpressionAttributeValues": item(
                {":pk": user_key(user), ":first": turn_key(thread_id, first), ":last": turn_key(thread_id, last)}
            ),
        }
        run_ids = [plain(turn)["run_id"] for turn in await self._table.query(between, limit=MAX_TURNS)]
        found = {run.run_id: run for run in map(run_of, await self._table.get_all(user, map(run_key, run_ids)))}
        return [found[run_id] for run_id in run_ids if run_id in found]

    async def open_runs(self, user: str, *, limit: int) -> list[Run]:
        """Return a user's open runs, oldest first."""
        mine = {
            "IndexName": OPEN_BY_AGE,
            "KeyConditionExpression": f"{PK} = :pk",
            "ExpressionAttributeValues": item({":pk": user_key(user)}),
        }
        return [run_of(found) for found in await self._table.query(mine, limit=limit)]

    async def _look_soon(self, run: Run) -> None:
        """Have a run looked at like one that was accepted now, unless it is to be sooner, or has ended."""
        soon_ms = self._clock.now_ms() + FIRST_CHECK_MS
        await self._table.update(
            run.user, run_key(run.run_id), f"SET #{NEXT_CHECK} = :soon", f"#{NEXT_CHECK} > :soon", {":soon": soon_ms}
        )
