"""A frame in, a reply out: decode, check the session, call the verb; a refusal is a reply too."""

from message.accept import Accept
from message.answer import Answer
from message.caller import Caller
from message.cancel import Cancel
from message.ping import Ping
from message.resume import Resume
from playbyplay.errors import Refused
from playbyplay.ports import Clock, Log
from playbyplay.protocol import commands
from playbyplay.protocol.codec import decode, rejection
from playbyplay.protocol.replies import Reply


class Dispatch:
    """Routes every client frame to its verb."""

    def __init__(
        self, *, accept: Accept, resume: Resume, cancel: Cancel, answer: Answer, ping: Ping, clock: Clock, log: Log
    ) -> None:
        self._accept = accept
        self._resume = resume
        self._cancel = cancel
        self._answer = answer
        self._ping = ping
        self._clock = clock
        self._log = log

    async def __call__(self, caller: Caller, frame: str | bytes) -> Reply:
        """Return the frame that answers this one."""
        try:
            command = decode(frame)
            self._check_session(caller)
            return await self._answer_to(caller, command)
        except Refused as refused:
            self._log.event("frame_rejected", connection_id=caller.connection_id, code=refused.code)
            return rejection(refused)

    def _check_session(self, caller: Caller) -> None:
        if caller.session.expires_ms <= self._clock.now_ms():
            raise Refused("expired", "This session is over. Connect again.")

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
