"""How far the runners are behind, noted after each sweep for those who accept messages."""

import contextlib
from collections.abc import Awaitable, Callable

from playbyplay.errors import PlaybyplayError
from playbyplay.ports import Clock


class Behind:
    """Notes how long users have waited for a runner: not the one with the longest wait, but several.

    Args:
        oldest_ms: tells since when, milliseconds since the epoch, None where too few wait.
        note: keeps the seconds, and when they were so many.
        clock: tells how long that is.
    """

    def __init__(
        self,
        *,
        oldest_ms: Callable[[], Awaitable[int | None]],
        note: Callable[[float, int], Awaitable[None]],
        clock: Clock,
    ) -> None:
        self._oldest_ms = oldest_ms
        self._note = note
        self._clock = clock

    async def __call__(self) -> None:
        """Look and note; where the store does not answer, the note before stands until it is too old."""
        with contextlib.suppress(PlaybyplayError):
            oldest_ms = await self._oldest_ms()
            now_ms = self._clock.now_ms()
            await self._note(max(0, now_ms - (now_ms if oldest_ms is None else oldest_ms)) / 1000, now_ms)
