"""How `make test` deals the tests out to several processes. Without `-n` nothing here has an effect."""

import functools
import os

import pytest
from xdist.scheduler import LoadScopeScheduling

from tests.groups import gives_way, group_of, rank_of

_POLITE = 5


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Put our groups in the place of pytest-xdist's scopes, where it is asked for scopes."""
    if config.getvalue("dist") != "loadscope":
        return None
    scheduler = LoadScopeScheduling(config, log)
    scheduler._split_scope = group_of
    return scheduler


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let the groups begin in their order."""
    if _is_worker(config):
        items.sort(key=lambda item: rank_of(item.nodeid))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> None:
    """Give way from the first patient test on; a process has no other left by then."""
    if _is_worker(item.config) and gives_way(item.nodeid):
        _give_way()


@functools.cache
def _give_way() -> None:
    os.nice(_POLITE)


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")
