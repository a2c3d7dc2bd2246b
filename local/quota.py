"""What one connection may ask for in a minute."""

import asyncio

from local.settings import LocalSettings
from playbyplay.domain.connection import SlidingWindow

_MINUTE_S = 60.0


class LocalQuota:
    """Implements `ports.Quota` in memory: a connection does not outlive the process."""

    def __init__(self, settings: LocalSettings) -> None:
        self._limits = {"agent_message": settings.messages_per_minute, "resume": settings.resumes_per_minute}
        self._other = settings.others_per_minute
        self._windows: dict[str, dict[str, SlidingWindow]] = {}

    async def wait_s(self, user: str, connection_id: str, kind: str) -> float:  # noqa: ARG002 - a limit per connection
        """Count one command of a type; return 0 where it fits, else the seconds until it would."""
        limit = self._limits.get(kind, self._other)
        windows = self._windows.setdefault(connection_id, {})
        if kind not in windows:
            windows[kind] = SlidingWindow(limit, _MINUTE_S)
        return windows[kind].wait_s(asyncio.get_running_loop().time())

    def forget(self, connection_id: str) -> None:
        """Forget a connection that is closed."""
        self._windows.pop(connection_id, None)
