"""The sockets in memory: what each connection got, and connections that misbehave."""

import asyncio
import json
from collections import defaultdict, deque
from collections.abc import Callable
from typing import Any, Final, TypeAlias

from playbyplay.errors import ConnectionGone, PostFailed
from tests.fakes.faults import Faults

HANGS: Final = "hangs"
"""The connection takes the frame and never says so."""

Behaviour: TypeAlias = PostFailed | ConnectionGone | asyncio.Event | str | None
"""An error is raised; an event is waited for before the frame is taken; None takes it."""


class FakeGateway:
    """Implements `ports.Gateway`.

    Attributes:
        texts: the frames each connection took, in order.
        closed: the connections that were closed, in order.
        on_post: called with each frame as it is taken, before the post returns.
    """

    def __init__(self, faults: Faults | None = None) -> None:
        self.faults = faults or Faults()
        self.texts: dict[str, list[str]] = defaultdict(list)
        self.closed: list[str] = []
        self.on_post: Callable[[str, dict[str, Any]], None] | None = None
        self._planned: dict[str, deque[Behaviour]] = defaultdict(deque)
        self._always: dict[str, Behaviour] = {}

    def plan(self, connection_id: str, *behaviours: Behaviour) -> None:
        """The next posts to a connection meet these, in order."""
        self._planned[connection_id].extend(behaviours)

    def always(self, connection_id: str, behaviour: Behaviour) -> None:
        """Every post to a connection that nothing else is planned for meets this."""
        self._always[connection_id] = behaviour

    def frames(self, connection_id: str, *types: str) -> list[dict[str, Any]]:
        """Return the frames a connection took, of some types or of all, as JSON values."""
        frames = [json.loads(text) for text in self.texts[connection_id]]
        return [frame for frame in frames if not types or frame["type"] in types]

    async def post(self, connection_id: str, text: str) -> None:
        async with self.faults.around("gateway.post"):
            planned = self._planned[connection_id]
            behaviour = planned.popleft() if planned else self._always.get(connection_id)
            if isinstance(behaviour, PostFailed | ConnectionGone):
                raise behaviour
            if isinstance(behaviour, asyncio.Event):
                await behaviour.wait()
            if self.on_post is not None:
                self.on_post(connection_id, json.loads(text))
            self.texts[connection_id].append(text)
            if behaviour == HANGS:
                await asyncio.Event().wait()

    async def close(self, connection_id: str) -> None:
        async with self.faults.around("gateway.close"):
            self.closed.append(connection_id)
