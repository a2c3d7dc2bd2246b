"""The life of the one-machine home: open the data, take up what was left, listen, and end cleanly."""

import asyncio
import contextlib
import errno
import socket

from aiohttp import WSCloseCode, web

from agent_runner import demo_shop
from agent_runner.model import ModelClient
from agent_runner.scripted_model import ScriptedModel
from local.data_directory import DataDirectory
from local.database import Database
from local.home import Home, Parts, build
from local.json_log import JsonLog
from local.metrics import CountingLog
from local.news import News
from local.settings import LocalSettings
from playbyplay.adapters.system import SystemClock, SystemIds
from playbyplay.errors import PlaybyplayError
from playbyplay.ports import Log

HOST = "127.0.0.1"
_BACKLOG = 2048


class CannotListen(PlaybyplayError):
    """The port is not to be had; one sentence says why."""


class Server:
    """The running home: `start`, then `stop`.

    Args:
        settings: what can be set.
        parts: what is brought instead of the usual.

    Attributes:
        port: where it listens, on 127.0.0.1.
        model_name: who answers.
        waiting_jobs: how many accepted runs the last process left to this one.
    """

    def __init__(self, settings: LocalSettings, parts: Parts | None = None) -> None:
        self._settings = settings
        self._parts = parts or Parts()
        self._closing = contextlib.AsyncExitStack()
        self.port = settings.port
        self.model_name = ""
        self.waiting_jobs = 0

    async def start(self) -> None:
        """Open the data, take up what was left, and listen.

        Raises:
            CannotListen: the port is taken.
            DataDirectoryError: another process owns the data.
            StoreUnavailable: the database cannot be opened.
        """
        async with contextlib.AsyncExitStack() as closing:
            home = await self._open(closing)
            left = await home.runs.recover()
            for job in left:
                await home.queue.send(job)
            self.waiting_jobs = len(left)
            for endless in (
                home.ops.metrics.keep(),
                home.ops.auditor.watch(),
                home.worker.work(),
                home.watchdog.watch(),
            ):
                closing.push_async_callback(_end, asyncio.create_task(endless))
            home.log.event("server_started", port=self.port, model=self.model_name, waiting_jobs=self.waiting_jobs)
            closing.callback(home.log.event, "server_stopped")
            self._closing = closing.pop_all()

    async def stop(self) -> None:
        """Close every socket with 1001, leave open runs to the next start, and close the data."""
        await self._closing.aclose()

    async def _open(self, closing: contextlib.AsyncExitStack) -> Home:
        settings = self._settings
        listening = _bind(settings.port)
        closing.callback(listening.close)
        self.port = listening.getsockname()[1]
        directory = DataDirectory(settings.data)
        closing.callback(directory.release)
        clock = self._parts.clock or SystemClock()
        lines = self._parts.log or JsonLog(clock, closing.enter_context(directory.open_log()))
        log = CountingLog(News(lines))
        shop = settings.database or settings.data / "demo-shop.sqlite3"
        if settings.database is None and self._parts.registry is None:
            await asyncio.to_thread(demo_shop.ensure, shop)
        model = self._parts.model or self._model(closing, log)
        self.model_name = model.name
        database = Database(settings.data / "playbyplay.sqlite3")
        closing.push_async_callback(database.close)
        home = build(
            settings,
            self._parts,
            log=log,
            database=database,
            model=model,
            shop=shop,
            host=HOST,
            port=self.port,
        )
        closing.push_async_callback(home.ops.metrics.close)
        await home.connections.clear()  # while nobody can connect yet
        runner = web.AppRunner(home.face.app(), access_log=None, handle_signals=False, shutdown_timeout=2.0)
        await runner.setup()
        closing.push_async_callback(runner.cleanup)
        await web.SockSite(runner, listening, backlog=_BACKLOG).start()
        closing.push_async_callback(home.gateway.close_all, WSCloseCode.GOING_AWAY, b"Going away")
        return home

    def _model(self, closing: contextlib.AsyncExitStack, log: Log) -> ModelClient:
        """Return the model service's client where there is a key or an own service, else the scripted model."""
        settings = self._settings
        if settings.api_key is None and settings.base_url is None:
            return ScriptedModel(pace_s=settings.scripted_pace_s)
        # Imported here: the package takes as long to import as all the rest together.
        from agent_runner.openai_model import OpenAIModel, OpenAISettings  # noqa: PLC0415

        model = OpenAIModel(
            OpenAISettings(api_key=settings.api_key or "none", base_url=settings.base_url, model=settings.model),
            ids=self._parts.ids or SystemIds(),
            log=log,
        )
        closing.push_async_callback(model.close)
        return model


def _bind(port: int) -> socket.socket:
    try:
        return socket.create_server((HOST, port), backlog=_BACKLOG)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise CannotListen(
                f"Port {port} is taken on {HOST}. Is Playbyplay running already? "
                "Stop it, or set PLAYBYPLAY_PORT to another port."
            ) from None
        raise CannotListen(f"Cannot listen on {HOST}:{port}: {error.strerror}.") from None


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
