"""The campaign runs beside the other tests, on what they leave of the processor, and is asked for at the end."""

import functools
import os
import signal
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context

import pytest

from tests.simulation.campaign import Tally, pairs, single_faults, tally_of
from tests.simulation.schedule import Schedule, by_seed, one_fault

SEEDS = 2_000
PAIRS = 400
PROGRAMS = ("idempotent", "unsafe")
_BATCH = 50
_POLITE = 15


def _be_polite() -> None:
    """Give way to the tests, and leave Ctrl-C to who began this."""
    os.nice(_POLITE)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


class Campaigns:
    """What is being played."""

    def __init__(self) -> None:
        self._pool: ProcessPoolExecutor | None = None
        self._parts: dict[str, list[Future[Tally]]] = {}

    def begin(self) -> None:
        """Play everything; one processor is left to those whose tests wait for the clock."""
        self._pool = ProcessPoolExecutor(max(1, (os.cpu_count() or 2) - 1), get_context("fork"), initializer=_be_polite)
        for program in PROGRAMS:
            faults = [functools.partial(one_fault, strike, program=program) for strike in single_faults(program)]
            self._play(program, faults)
        self._play("pairs", [functools.partial(one_fault, *pair) for pair in pairs(PAIRS)])
        self._play("seeds", [functools.partial(by_seed, seed) for seed in range(SEEDS)])

    def tally(self, name: str) -> Tally:
        """Wait for one of them to end."""
        whole = Tally()
        for part in self._parts[name]:
            whole.merge(part.result())
        return whole

    def end(self) -> None:
        """Leave nothing behind."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def _play(self, name: str, schedules: list[functools.partial[Schedule]]) -> None:
        assert self._pool is not None
        batches: list[list[Callable[[], Schedule]]] = [
            list(schedules[start : start + _BATCH]) for start in range(0, len(schedules), _BATCH)
        ]
        self._parts[name] = [self._pool.submit(tally_of, batch) for batch in batches]


_CAMPAIGNS = Campaigns()


def _asks(item: pytest.Item) -> bool:
    return "campaigns" in getattr(item, "fixturenames", ())


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Ask at the very end."""
    items.sort(key=_asks)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Begin as soon as it is known that somebody will ask."""
    if not session.config.option.collectonly and any(map(_asks, session.items)):
        _CAMPAIGNS.begin()


def pytest_sessionfinish() -> None:
    """End what nobody waited for."""
    _CAMPAIGNS.end()


@pytest.fixture(scope="session")
def campaigns() -> Campaigns:
    """Give what is being played."""
    return _CAMPAIGNS
