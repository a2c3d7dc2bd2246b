"""The caller is there: its row is put back where it went missing, and who has to give way for it is closed.

`ping` and `resume` say so. It is also where a connection learns that it gave way itself, since the
function that takes connections in may not close any. It is not closed here, or it would not get the
answer: told `expired`, a client connects again.
"""

import asyncio
import contextlib

from message.caller import Caller
from playbyplay.errors import PostError, Refused
from playbyplay.ports import Clock, ConnectionStore, Gateway


class Presence:
    """Keeps the rows of those who speak."""

    def __init__(self, *, connections: ConnectionStore, gateway: Gateway, clock: Clock) -> None:
        self._connections = connections
        self._gateway = gateway
        self._clock = clock

    async def __call__(self, caller: Caller) -> None:
        """Return once the caller's row stands.

        Raises:
            Refused: `expired`, when the caller is the one that gives way.
        """
        gave_way = await self._connections.add(caller.connection_id, caller.session, now_ms=self._clock.now_ms())
        await asyncio.gather(*(self._close(one) for one in gave_way if one != caller.connection_id))
        if caller.connection_id in gave_way:
            raise Refused("expired", "This connection gave way to newer ones.")

    async def _close(self, connection_id: str) -> None:
        with contextlib.suppress(PostError):  # it gets no frames any more, and is tried again when it speaks
            await self._gateway.close(connection_id)
