"""The campaign runs beside the other tests, on what they leave of the processors, and is asked for at the end."""

import contextlib
import functools
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context, parent_process
from typing import TypeAlias

import pytest

from tests.simulation.campaign import Tally, pairs, single_faults, tally_of
from tests.simulation.schedule import Schedule, by_seed, one_fault

SEEDS = 2_000
PAIRS = 400
PROGRAMS = ("idempotent", "unsafe")
_BATCH = 20
_POLITE = 19

Batch: TypeAlias = list[Callable[[], Schedule]]


def _be_polite() -> None:
    """Give way to the tests, leave Ctrl-C to who began this, and end with them however they end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(_POLITE)
    if hasattr(os, "SCHED_IDLE"):  # Linux: a processor that plays this counts as free to those whose tests wait
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


class Campaigns:
    """What is being played."""

    def __init__(self) -> None:
        self._pool: ProcessPoolExecutor | None = None
        self._parts: dict[str, list[tuple[Future[Tally], Batch]]] = {}

    def begin(self) -> None:
        """Play everything, once; in fresh processes, for those of the tests have threads and connections."""
        if self._pool is not None:
            return
        self._pool = ProcessPoolExecutor(os.cpu_count(), get_context("spawn"), initializer=_be_polite)
        for program in PROGRAMS:
            faults = [functools.partial(one_fault, strike, program=program) for strike in single_faults(program)]
            self._play(program, faults)
        self._play("pairs", [functools.partial(one_fault, *pair) for pair in pairs(PAIRS)])
        self._play("seeds", [functools.partial(by_seed, seed) for seed in range(SEEDS)])

    def tally(self, name: str) -> Tally:
        """Wait for one of them to end; what nobody has begun is played by who asks."""
        whole = Tally()
        for part, batch in reversed(self._parts[name]):  # from the end: the others are at the beginning
            whole.merge(tally_of(batch) if part.cancel() else part.result())
        return whole

    def end(self) -> None:
        """Leave nothing behind."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def _play(self, name: str, schedules: list[functools.partial[Schedule]]) -> None:
        assert self._pool is not None
        batches: list[Batch] = [list(schedules[start : start + _BATCH]) for start in range(0, len(schedules), _BATCH)]
        self._parts[name] = [(self._pool.submit(tally_of, batch), batch) for batch in batches]


_CAMPAIGNS = Campaigns()


def _asks(item: pytest.Item) -> bool:
    return "campaigns" in getattr(item, "fixturenames", ())


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Ask at the very end."""
    items.sort(key=_asks)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Begin as soon as it is known that somebody will ask, unless other processes know it too."""
    if not session.config.option.collectonly and not hasattr(session.config, "workerinput"):
        _begin(session)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Begin in the one process that plays these tests, with the first of them."""
    _begin(item.session)


def _begin(session: pytest.Session) -> None:
    if any(map(_asks, session.items)):
        _CAMPAIGNS.begin()


def pytest_sessionfinish() -> None:
    """End what nobody waited for."""
    _CAMPAIGNS.end()


@pytest.fixture(scope="session")
def campaigns() -> Campaigns:
    """Give what is being played."""
    return _CAMPAIGNS
