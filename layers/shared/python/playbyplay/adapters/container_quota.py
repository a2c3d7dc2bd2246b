"""What one connection may ask for on AWS, as one container has seen it: a brake, no exact limit.

The stage of the API throttles all callers together, before a function is called, and the run store counts the
messages of each user. What is left costs reads: a connection that asks too often meets the same containers
again and again, and each of them counts what it served.
"""

import functools
from collections.abc import Mapping
from typing import Final

from playbyplay.domain.connection import SlidingWindow
from playbyplay.ports import Clock

PER_MINUTE: Final[Mapping[str, int]] = {"resume": 300, "ping": 600, "cancel": 600, "answer": 600}
MAX_REMEMBERED = 1000  # windows; a full one is some 20 KB
_MINUTE_S = 60.0


class ContainerQuota:
    """Implements `ports.Quota` in the container's memory; what was not asked for longest is forgotten."""

    def __init__(self, clock: Clock) -> None:
        # The wall clock: a frozen container's loop may not know how long it was.
        self._clock = clock
        self._window = functools.lru_cache(MAX_REMEMBERED)(_window)

    async def wait_s(self, user: str, connection_id: str, kind: str) -> float:  # noqa: ARG002 - a limit per connection
        """Count one command of a type; return 0 where it fits, else the seconds until it would.

        Messages are not counted here.
        """
        if kind not in PER_MINUTE:
            return 0.0
        return self._window(connection_id, kind).wait_s(self._clock.now_ms() / 1000)


def _window(_connection_id: str, kind: str) -> SlidingWindow:
    return SlidingWindow(PER_MINUTE[kind], _MINUTE_S)
