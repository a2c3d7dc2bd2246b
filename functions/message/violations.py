"""Frames that are no commands: ten of a connection in a minute, and it is closed."""

import functools
from typing import get_args

from playbyplay.domain.connection import MAX_VIOLATIONS, VIOLATION_WINDOW_S, SlidingWindow
from playbyplay.errors import RejectionCode
from playbyplay.ports import Clock
from playbyplay.protocol.replies import MessageRejected, Reply

# The other codes refuse what a well-made client may well ask for.
_REFUSALS: frozenset[RejectionCode] = frozenset(
    {"not_found", "conflict", "thread_busy", "rate_limited", "overloaded", "expired"}
)
VIOLATIONS: frozenset[RejectionCode] = frozenset(get_args(RejectionCode)) - _REFUSALS
MAX_REMEMBERED = 1000


class Violations:
    """Counts the violations of many connections in memory; of those unheard of for longest it forgets them."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._window = functools.lru_cache(MAX_REMEMBERED)(_window)

    def too_many(self, connection_id: str, reply: Reply) -> bool:
        """Count what a reply refused; return whether the connection is to be closed."""
        if not isinstance(reply, MessageRejected) or reply.code not in VIOLATIONS:
            return False
        return self._window(connection_id).wait_s(self._clock.now_ms() / 1000) > 0


def _window(_connection_id: str) -> SlidingWindow:
    return SlidingWindow(MAX_VIOLATIONS - 1, VIOLATION_WINDOW_S)
