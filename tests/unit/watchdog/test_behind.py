"""How far the runners are behind: the age of the run that waits longest, noted with the time."""

from collections.abc import Awaitable, Callable

import pytest

from playbyplay.errors import OutcomeUnknown, StoreUnavailable
from tests.fakes.clock import FakeClock
from watchdog.behind import Behind


class Store:
    """What is asked and what is noted."""

    def __init__(self, oldest_ms: int | None, error: Exception | None = None) -> None:
        self.noted: list[tuple[float, int]] = []
        self._oldest_ms = oldest_ms
        self._error = error

    async def oldest_ms(self) -> int | None:
        if self._error:
            raise self._error
        return self._oldest_ms

    async def note(self, age_s: float, now_ms: int) -> None:
        self.noted.append((age_s, now_ms))

    async def no_note(self, age_s: float, now_ms: int) -> None:
        await self.note(age_s, now_ms)
        raise StoreUnavailable("by order of the test")


def behind(store: Store, clock: FakeClock, note: Callable[[float, int], Awaitable[None]] | None = None) -> Behind:
    return Behind(oldest_ms=store.oldest_ms, note=note or store.note, clock=clock)


@pytest.mark.parametrize(("waits_ms", "age_s"), [(None, 0.0), (0, 0.0), (90_500, 90.5), (-40, 0.0)])
async def test_the_age_of_the_oldest_is_noted(waits_ms: int | None, age_s: float) -> None:
    """None waits: 0; another's clock that is ahead of ours: 0 as well."""
    clock = FakeClock()
    store = Store(None if waits_ms is None else clock.now_ms() - waits_ms)
    await behind(store, clock)()
    assert store.noted == [(age_s, clock.now_ms())]


@pytest.mark.parametrize("error", [StoreUnavailable("x"), OutcomeUnknown("x")], ids=repr)
async def test_what_is_not_known_is_not_noted(error: Exception) -> None:
    """The sweep goes on; the note before stands."""
    store = Store(None, error)
    await behind(store, FakeClock())()
    assert store.noted == []


async def test_a_note_that_fails_costs_no_sweep() -> None:
    """The next one makes it good."""
    store = Store(None)
    await behind(store, FakeClock(), store.no_note)()
    assert len(store.noted) == 1
