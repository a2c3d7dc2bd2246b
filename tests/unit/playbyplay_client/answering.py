"""A server that answers one address as planned, for the commands that ask one."""

import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import web


class Answering:
    """Answers one path of one server.

    Attributes:
        asked: method and body of each request, in order.
    """

    def __init__(self, path: str, status: int, body: Any) -> None:
        self.asked: list[tuple[str, str]] = []
        self._path = path
        self._status = status
        self._body = body if isinstance(body, str) else json.dumps(body)

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """Serve on a free port, and give the address."""
        app = web.Application()
        app.router.add_route("*", self._path, self._answer)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append((request.method, await request.text()))
        return web.Response(text=self._body, status=self._status)
