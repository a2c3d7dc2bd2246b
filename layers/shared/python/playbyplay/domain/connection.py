"""Rules of connections: who may open one, and how much one may ask for."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

MAX_PER_USER = 10
SESSION_S = 12 * 3600
TICKET_S = 30
MAX_VIOLATIONS = 10
VIOLATION_WINDOW_S = 60.0


@dataclass(frozen=True, slots=True)
class Session:
    """Who a connection belongs to, for its whole life.

    Attributes:
        expires_ms: when its frames are no longer served, milliseconds since the epoch.
    """

    user: str
    expires_ms: int


@dataclass(frozen=True, slots=True)
class Subscriber:
    """A connection that gets the live frames of its user's runs.

    Attributes:
        opened_ms: when it was opened, milliseconds since the epoch.
        lagging: whether it missed a live frame and waits for its own resume.
        receipts: the last seq it said it holds, by run.
        received_ms: when it said so last, milliseconds since the epoch; 0 if it never did.
    """

    connection_id: str
    opened_ms: int
    lagging: bool = False
    receipts: Mapping[str, int] = field(default_factory=dict)
    received_ms: int = 0


@dataclass(slots=True)
class SlidingWindow:
    """At most `limit` things in any `window_s` seconds."""

    limit: int
    window_s: float
    _times: deque[float] = field(default_factory=deque)

    def wait_s(self, now_s: float) -> float:
        """Count one thing at `now_s`; return 0 if it fits, else the seconds until one would (it is not counted)."""
        while self._times and self._times[0] <= now_s - self.window_s:
            self._times.popleft()
        if len(self._times) >= self.limit:
            return self._times[0] + self.window_s - now_s
        self._times.append(now_s)
        return 0.0
