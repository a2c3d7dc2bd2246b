"""`agent_message`: make it a run, durably, exactly once; then the queue, then the reply.

One atomic write, so an accepted message cannot be half there; a repeat finds the same run.
"""

import asyncio
import contextlib
from collections.abc import Awaitable

from message.caller import Caller
from message.cancel import Cancel
from message.double_text import Interrupt, Repair, turns_ahead
from playbyplay.domain.thread import Run, check_repeat, digest
from playbyplay.domain.timing import Timing, timestamp
from playbyplay.errors import OutcomeUnknown, PlaybyplayError, Refused, StoreUnavailable
from playbyplay.notifier import Notifier
from playbyplay.ports import Acceptance, Accepted, Backlog, Clock, Ids, Job, Journal, Limits, Log, RunQueue, RunStore
from playbyplay.protocol.commands import AgentMessage
from playbyplay.protocol.replies import MessageAccepted, RunInput
from playbyplay.settings import DoubleText
from playbyplay.settlement import Settlement

_TRIES = 3
_REPAIRS = 2
_STORE_S = 5.0
_SEND_S = 10.0  # so that a queue's own tries fit; with the store's it is well below the 25 s the function has
_REFRESH_S = 2.0
_NOTE_S = 2.0
_BACKLOG_RETRY_MS = 10_000


class Accept:
    """Accepts messages."""

    def __init__(
        self,
        *,
        runs: RunStore,
        journal: Journal,
        queue: RunQueue,
        backlog: Backlog,
        notifier: Notifier,
        settlement: Settlement,
        cancel: Cancel,
        clock: Clock,
        ids: Ids,
        log: Log,
        timing: Timing,
        limits: Limits,
        double_text: DoubleText,
    ) -> None:
        self._runs = runs
        self._queue = queue
        self._backlog = backlog
        self._notifier = notifier
        self._interrupt = Interrupt(runs=runs, cancel=cancel, log=log)
        self._repair = Repair(runs=runs, journal=journal, settlement=settlement)
        self._clock = clock
        self._ids = ids
        self._log = log
        self._timing = timing
        self._limits = limits
        self._double_text = double_text

    async def __call__(self, caller: Caller, message: AgentMessage) -> MessageAccepted:
        """Return the run of a message, made now or by an earlier send of it.

        Raises:
            Refused: `not_found`, `conflict`, `thread_busy` or `rate_limited`: nothing was written; `overloaded`:
                most likely nothing, and the same message sent again makes no second run.
        """
        acceptance = self._acceptance(caller.user, message)
        began_ms = acceptance.run.created_ms
        if await self._backlog.age_s() > self._timing.backlog_s:
            accepted = await self._made_before(acceptance, message)
        else:
            accepted = await self._store(acceptance, message)
        run, elapsed_ms = accepted.run, self._clock.now_ms() - began_ms
        await self._side_by_side(
            self._note(accepted, acceptance, elapsed_ms),
            self._send(accepted),
            self._refresh(),
            self._tell_others(caller, accepted, acceptance),
            self._interrupt_ahead(caller, accepted),
        )
        return MessageAccepted(
            client_message_id=message.client_message_id,
            run_id=run.run_id,
            thread_id=run.thread_id,
            turn=run.turn,
            duplicate=accepted.duplicate,
            position=accepted.position,
        )

    def _acceptance(self, user: str, message: AgentMessage) -> Acceptance:
        now_ms = self._clock.now_ms()
        run = Run(
            user=user,
            run_id=self._ids.uuid(),
            thread_id=message.thread_id or self._ids.uuid(),
            turn=0,
            client_message_id=message.client_message_id,
            content_digest=digest(message.content),
            created_ms=now_ms,
            deadline_ms=now_ms + int((self._timing.queue_s + self._timing.run_s) * 1000),
        )
        return Acceptance(
            run=run,
            new_thread=message.thread_id is None,
            content=message.content,
            timestamp=timestamp(now_ms),
            token=self._ids.uuid(),
            only_if_idle=self._double_text == "reject" and message.thread_id is not None,
            limits=self._limits,
        )

    async def _made_before(self, acceptance: Acceptance, message: AgentMessage) -> Accepted:
        """Find the run that the message made before the runners fell behind: accepted means accepted.

        Raises:
            Refused: `overloaded`: it made none, or the store does not say; `conflict`.
        """
        found, _ = await asyncio.gather(self._found(acceptance), self._refresh())
        if found is None:
            raise Refused(
                "overloaded",
                "Too many messages are waiting. Send it again.",
                client_message_id=message.client_message_id,
                retry_after_ms=_BACKLOG_RETRY_MS,
            )
        check_repeat(found.run, acceptance.run.content_digest, message.thread_id)
        return found

    async def _found(self, acceptance: Acceptance) -> Accepted | None:
        wanted = acceptance.run
        if wanted.client_message_id is None:
            return None
        with contextlib.suppress(OutcomeUnknown, StoreUnavailable, TimeoutError):
            async with asyncio.timeout(_STORE_S):
                return await self._runs.find(wanted.user, wanted.client_message_id)
        return None

    async def _store(self, acceptance: Acceptance, message: AgentMessage) -> Accepted:
        """Have it written in time.

        Cut off, it may be written all the same: sent again, it is found, and sent to the queue as a duplicate.
        """
        accepted = None
        try:
            async with asyncio.timeout(_STORE_S):
                accepted = await self._written(acceptance)
        except TimeoutError:
            pass
        except Refused as refused:
            raise Refused(
                refused.code,
                refused.message,
                client_message_id=message.client_message_id,
                run_id=refused.run_id,
                retry_after_ms=refused.retry_after_ms,
            ) from None
        if accepted is None:
            raise Refused(
                "overloaded",
                "The message could not be stored. Send it again.",
                client_message_id=message.client_message_id,
                retry_after_ms=1000,
            )
        check_repeat(accepted.run, acceptance.run.content_digest, message.thread_id)
        return accepted

    async def _written(self, acceptance: Acceptance) -> Accepted | None:
        """Write once; an unknown outcome is read back before the same write is tried again."""
        for tried in range(_TRIES):
            if tried:  # on AWS after 0.1 s, then after 0.4 s more
                await asyncio.sleep(self._timing.retry_s / 50 * 4 ** (tried - 1) * (1 + self._ids.fraction()))
            try:
                return await self._once(acceptance)
            except OutcomeUnknown:
                accepted = await self._read_back(acceptance)
                if accepted is not None:
                    return accepted
            except StoreUnavailable:
                continue
        return None

    async def _once(self, acceptance: Acceptance) -> Accepted:
        """Write once; a thread that only looks busy is mended first."""
        wanted = acceptance.run
        for _ in range(_REPAIRS):
            try:
                return await self._runs.accept(acceptance)
            except Refused as refused:
                if refused.code != "thread_busy" or not await self._repair(wanted.user, wanted.thread_id):
                    raise
        return await self._runs.accept(acceptance)

    async def _read_back(self, acceptance: Acceptance) -> Accepted | None:
        """Look whether the write took effect: by the message's id, else by the run's own."""
        wanted = acceptance.run
        try:
            run = await self._runs.get(wanted.user, wanted.run_id)
            if run is not None:
                return Accepted(run, duplicate=False, position=len(await turns_ahead(self._runs, run)))
            if wanted.client_message_id is None:
                return None
            return await self._runs.find(wanted.user, wanted.client_message_id)
        except (OutcomeUnknown, StoreUnavailable):
            return None

    async def _side_by_side(self, *calls: Awaitable[None]) -> None:
        """Do all to their ends, even if one breaks."""
        for outcome in await asyncio.gather(*calls, return_exceptions=True):
            if outcome is not None:
                raise outcome

    async def _send(self, accepted: Accepted) -> None:
        """Ask for a runner. The run is durable: where the queue fails now, a later look at open runs sends it."""
        run = accepted.run
        if accepted.position > 0 or run.status != "queued":
            return
        try:
            async with asyncio.timeout(_SEND_S):
                await self._queue.send(Job(run.user, run.run_id))
        except (PlaybyplayError, TimeoutError):
            self._log.event("run_retried", run_id=run.run_id, reason="queue")

    async def _note(self, accepted: Accepted, acceptance: Acceptance, elapsed_ms: int) -> None:
        """Log it, and whether its user sent it into a turn that is being answered."""
        run, resent = accepted.run, None
        if accepted.position > 0 and not accepted.duplicate:
            resent = "new"
            with contextlib.suppress(Exception):  # the message is accepted, and its reply must say so
                async with asyncio.timeout(_NOTE_S):
                    ahead = await turns_ahead(self._runs, run)
                    if any(turn.content_digest == acceptance.run.content_digest for turn in ahead):
                        resent = "same"
        self._log.event(
            "message_accepted",
            run_id=run.run_id,
            duplicate=accepted.duplicate,
            position=accepted.position,
            elapsed_ms=elapsed_ms,
            resent=resent,
        )

    async def _refresh(self) -> None:
        """Learn how far the runners are behind, for the messages to come."""
        with contextlib.suppress(PlaybyplayError, TimeoutError):
            async with asyncio.timeout(_REFRESH_S):
                await self._backlog.refresh()

    async def _interrupt_ahead(self, caller: Caller, accepted: Accepted) -> None:
        if self._double_text == "interrupt" and accepted.position > 0 and accepted.run.is_open:
            await self._interrupt(caller, accepted.run)

    async def _tell_others(self, caller: Caller, accepted: Accepted, acceptance: Acceptance) -> None:
        if accepted.duplicate:
            return
        run = accepted.run
        frame = RunInput(
            run_id=run.run_id,
            thread_id=run.thread_id,
            turn=run.turn,
            content=acceptance.content,
            timestamp=acceptance.timestamp,
        )
        await self._notifier.tell_others(caller.user, run.run_id, frame, but=caller.connection_id)
