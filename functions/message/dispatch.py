"""A frame in, a reply out: decode, check the session, call the verb; a refusal is a reply too."""

import asyncio
from collections.abc import Mapping
from typing import Final

from message.accept import Accept
from message.answer import Answer
from message.caller import Caller
from message.cancel import Cancel
from message.ping import Ping
from message.resume import Resume
from playbyplay.errors import OutcomeUnknown, Refused, StoreUnavailable
from playbyplay.ports import Clock, Log, Quota
from playbyplay.protocol import commands
from playbyplay.protocol.codec import decode, rejection
from playbyplay.protocol.replies import Reply

# How long an answer may take, of the 25 s the function has: a client that hears nothing asks again.
# `agent_message` and `cancel` are not here. They limit themselves: what follows a write is not cut off with it.
_LIMIT_S: Final[Mapping[str, float]] = {"ping": 5.0, "answer": 5.0, "resume": 20.0}


class Dispatch:
    """Routes every client frame to its verb."""

    def __init__(
        self,
        *,
        accept: Accept,
        resume: Resume,
        cancel: Cancel,
        answer: Answer,
        ping: Ping,
        quota: Quota,
        clock: Clock,
        log: Log,
    ) -> None:
        self._accept = accept
        self._resume = resume
        self._cancel = cancel
        self._answer = answer
        self._ping = ping
        self._quota = quota
        self._clock = clock
        self._log = log

    async def __call__(self, caller: Caller, frame: str | bytes) -> Reply:
        """Return the frame that answers this one."""
        try:
            command = decode(frame)
            await self._check(caller, command)
            reply = await self._serve(caller, command)
        except Refused as refused:
            self._log.event("frame_rejected", connection_id=caller.connection_id, code=refused.code)
            return rejection(refused)
        self._log.event("frame_answered", type=command.type)
        return reply

    async def _serve(self, caller: Caller, command: commands.Command) -> Reply:
        try:
            async with asyncio.timeout(_LIMIT_S.get(command.type)):
                return await self._answer_to(caller, command)
        except (OutcomeUnknown, StoreUnavailable, TimeoutError):
            raise Refused(
                "overloaded",
                "The store did not answer. Ask again.",
                client_message_id=getattr(command, "client_message_id", None),
                run_id=getattr(command, "run_id", None),
                retry_after_ms=1000,
            ) from None

    async def _check(self, caller: Caller, command: commands.Command) -> None:
        """Let a command pass whose session lives and whose quota is not used up."""
        client_message_id = getattr(command, "client_message_id", None)
        run_id = getattr(command, "run_id", None)
        if caller.session.expires_ms <= self._clock.now_ms():
            # No run_id: `expired` with one means that this run's events are no longer kept.
            raise Refused("expired", "This session is over. Connect again.", client_message_id=client_message_id)
        wait_s = await self._quota.wait_s(caller.user, caller.connection_id, command.type)
        if wait_s > 0:
            raise Refused(
                "rate_limited",
                "Too many frames. Slow down.",
                client_message_id=client_message_id,
                run_id=run_id,
                retry_after_ms=int(wait_s * 1000) + 1,
            )

    async def _answer_to(self, caller: Caller, command: commands.Command) -> Reply:
        match command:
            case commands.AgentMessage():
                return await self._accept(caller, command)
            case commands.Resume():
                return await self._resume(caller, command)
            case commands.Cancel():
                return await self._cancel(caller, command)
            case commands.Answer():
                return await self._answer(caller, command)
            case commands.Ping():
                return await self._ping(caller, command)
