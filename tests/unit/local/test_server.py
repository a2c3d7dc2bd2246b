"""The order in which a start goes."""

import sqlite3
from pathlib import Path

import pytest
from aiohttp import web

from agent_runner.registry import Registry
from agent_runner.scripted_model import ScriptedModel
from local.database import Database
from local.home import Parts
from local.server import Server
from local.settings import LocalSettings
from local.sqlite_connection_store import SqliteConnectionStore
from playbyplay.domain.connection import Session
from tests.e2e.home import plain_agent
from tests.fakes.clock import FakeClock
from tests.fakes.log import FakeLog


async def test_connections_of_the_process_before_are_forgotten_before_anybody_connects(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the row of who connects meanwhile would be lost with theirs."""
    path = tmp_path / "playbyplay.sqlite3"
    database = Database(path)
    await SqliteConnectionStore(database, FakeClock()).add("theirs", Session("ann", 1), now_ms=0)
    await database.close()
    kept: list[int] = []
    start = web.SockSite.start

    async def counts(site: web.SockSite) -> None:
        with sqlite3.connect(path) as other:
            kept.extend(other.execute("SELECT count(*) FROM connections").fetchone())
        other.close()
        await start(site)

    monkeypatch.setattr(web.SockSite, "start", counts)
    parts = Parts(registry=Registry((), root=plain_agent()), model=ScriptedModel(), log=FakeLog())
    server = Server(LocalSettings(data=tmp_path, port=0), parts)
    await server.start()
    await server.stop()
    assert kept == [0]
