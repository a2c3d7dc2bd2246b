"""The built ops page at a server of canned answers, so that a test says what there is to be seen.

The headers are the one-machine server's and stricter by trusted types: what does not run under
them here would not run there.
"""

import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from aiohttp import web

from local.http import SECURITY_HEADERS
from playbyplay.observability import METRICS, Metric, combinations

DIST = Path(__file__).parents[2] / "clients" / "web" / "dist"
BUCKET_S = 10
RUNBOOKS = """# Operations

## Runs without terminal

Look at the **runner** first, or at [Another one](#another-one).

- Is it `alive`?
- Is the queue long?

```
playbyplay audit
```

## Another one

Not this.
"""
_STRICT = {
    **SECURITY_HEADERS,
    "Content-Security-Policy": SECURITY_HEADERS["Content-Security-Policy"] + "; require-trusted-types-for 'script'",
}
_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".html": "text/html"}


class OpsSite:
    """What the server says; a test changes it between two looks.

    Attributes:
        asked: the query of each overview that was asked for.
        is_away: whether it hangs up on who asks.
    """

    def __init__(self) -> None:
        self.overview = quiet_overview()
        self.runs: list[dict[str, Any]] = []
        self.runbooks = RUNBOOKS
        self.asked: list[str] = []
        self.is_away = False
        self.port = 0

    def app(self) -> web.Application:
        """Return the application."""
        app = web.Application()
        app.router.add_get("/ops", self._page)
        app.router.add_get("/web/assets/{name}", self._asset)
        app.router.add_get("/ops/overview.json", self._overview)
        app.router.add_get("/ops/runs.json", self._runs)
        app.router.add_get("/ops/operations.md", self._runbooks)
        return app

    async def _page(self, _request: web.Request) -> web.Response:
        return _file(DIST / "ops.html")

    async def _asset(self, request: web.Request) -> web.Response:
        return _file(DIST / "assets" / Path(request.match_info["name"]).name)

    async def _overview(self, request: web.Request) -> web.Response:
        self.asked.append(request.query_string)
        return self._say(request, self.overview)

    async def _runs(self, request: web.Request) -> web.Response:
        return self._say(request, {"now": self.overview["now"], "runs": self.runs})

    async def _runbooks(self, _request: web.Request) -> web.Response:
        return web.Response(text=self.runbooks, content_type="text/markdown", headers=_STRICT)

    def _say(self, request: web.Request, body: dict[str, Any]) -> web.Response:
        if self.is_away and request.transport is not None:
            request.transport.abort()
        return web.json_response(body, headers=_STRICT)


@contextlib.asynccontextmanager
async def ops_site() -> AsyncIterator[OpsSite]:
    """Serve the page on a free port."""
    site = OpsSite()
    runner = web.AppRunner(site.app(), access_log=None)
    await runner.setup()
    listener = web.TCPSite(runner, "127.0.0.1", 0)
    await listener.start()
    site.port = runner.addresses[0][1]
    try:
        yield site
    finally:
        await runner.cleanup()


def quiet_overview(minutes: int = 15) -> dict[str, Any]:
    """Return an overview of a server that nobody has used yet, by the catalogue's own metrics."""
    now = int(time.time() * 1000)
    keys = [key for metric in METRICS for key in _keys(metric)]
    return {
        "now": now,
        "from": now - minutes * 60_000,
        "bucket_s": BUCKET_S,
        "series": {},
        "totals": dict.fromkeys(keys, 0),
        "open_runs": 0,
        "connections": 1,
        "absence": {
            "AcceptedWithoutAgentStarted": 0,
            "ToolExecutingWithoutToolCompleted": 0,
            "RunsWithoutTerminal": 0,
            "PostedWithoutReceipt": 0,
            "JournalViolations": 0,
            "AbandonedWhileRunning": 0,
        },
        "findings": [],
        "audited_ms": now - 800,
        "faults": [],
        "fault_kinds": [],
        "catalogue": {
            metric.name: {
                "group": metric.group,
                "unit": metric.unit,
                "meaning": metric.meaning,
                "gauge": metric.gauge,
            }
            for metric in METRICS
        },
    }


def run(run_id: str, now: int, **changes: Any) -> dict[str, Any]:
    """Return a row of the newest runs: one that is well on its way, but for the changes."""
    return {
        "run_id": run_id,
        "turn": 1,
        "status": "running",
        "accepted_ms": now - 8_000,
        "ended_ms": None,
        "events": 4,
        "last_event": "tool_executing",
        "last_event_ms": now - 1_500,
        "silence_ms": 1_500,
        "attempts": 1,
        "owned": True,
        "absences": [],
        **changes,
    }


def _keys(metric: Metric) -> list[str]:
    return [".".join([metric.name, *(value for _, value in each)]) for each in combinations(metric)]


def _file(path: Path) -> web.Response:
    return web.Response(body=path.read_bytes(), content_type=_TYPES[path.suffix], charset="utf-8", headers=_STRICT)
