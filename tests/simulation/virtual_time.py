"""An event loop whose time passes only when nothing else can happen: hours in milliseconds, the same every time."""

import asyncio
import selectors
from collections.abc import Mapping
from typing import Any


class Stuck(Exception):
    """Nothing is ready and no timer is set: nothing will ever happen again."""


class _Selector(selectors.SelectSelector):
    """Waits for no file: instead of waiting, the loop's time leaps to its next timer."""

    loop: "VirtualLoop"

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise Stuck
        self.loop.leap(timeout)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """Knows no socket and no thread; use it where everything outside is a fake."""

    def __init__(self) -> None:
        self._now_s = 0.0
        selector = _Selector()
        selector.loop = self
        super().__init__(selector)
        self.set_exception_handler(_ignore)

    def time(self) -> float:
        """Return the virtual time, seconds from 0."""
        return self._now_s

    def leap(self, seconds: float) -> None:
        """Let time pass."""
        self._now_s += max(0.0, seconds)


def _ignore(_loop: asyncio.AbstractEventLoop, _context: Mapping[str, Any]) -> None:
    """A task of a process that fell has nobody who hears how it ended."""
