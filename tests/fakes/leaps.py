"""Time of the event loop that passes when a test says so: limits of seconds, tested in no time.

    leap = Leaps(monkeypatch)
    asking = asyncio.ensure_future(...)
    await leap(4.9)  # whatever was to happen by now has happened

Without a leap no time passes at all. A leap lets everything that is ready happen first, so that its
timers are set before time passes.
"""

import asyncio

import pytest

_TURNS = 200  # of the loop: more than any chain of calls on fakes takes


class Leaps:
    """The time of the running loop, which stands still from now on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        loop = asyncio.get_running_loop()
        self._now_s = loop.time()
        monkeypatch.setattr(loop, "time", lambda: self._now_s)

    async def __call__(self, seconds: float) -> None:
        """Let so much time pass, and what is due by then happen."""
        await self.settle()
        self._now_s += seconds
        await self.settle()

    async def settle(self) -> None:
        """Let happen what can without time."""
        for _ in range(_TURNS):
            await asyncio.sleep(0)
