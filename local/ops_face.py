"""The ops page over HTTP: the page itself, the numbers it asks for, and an audit at once.

Nothing of what users say or are called is told. A page of somebody else's may neither read nor ask: its origin is
refused, and so is a name for this machine that is not ours, whatever address it was made to stand for.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from aiohttp import web

from local import ops_files
from local.auditor import AuditFailed, Auditor
from local.overview import Answer, Overview, missing
from local.sqlite_recent_runs import RecentRuns
from playbyplay.errors import StoreUnavailable
from playbyplay.ports import Clock
from playbyplay.tickets import AdmissionRefused, Doors

MINUTES: Final = 15
MAX_MINUTES: Final = 1440
_NO_STORE: Final = {"Cache-Control": "no-store"}


class OpsFace:
    """The routes.

    Args:
        doors: the origins a browser may come from; their hosts are the names this server goes by.
    """

    def __init__(self, *, overview: Overview, runs: RecentRuns, auditor: Auditor, clock: Clock, doors: Doors) -> None:
        self._overview = overview
        self._runs = runs
        self._auditor = auditor
        self._clock = clock
        self._doors = doors
        self._hosts = {origin.partition("://")[2] for origin in doors.origins}
        self._headers: Mapping[str, str] = {}

    def add_to(self, app: web.Application, headers: Mapping[str, str]) -> None:
        """Add the routes to an application.

        Args:
            app: the application.
            headers: what every answer carries.
        """
        self._headers = headers
        app.router.add_get("/ops", self._guarded(self._page))
        app.router.add_get("/web/assets/{name}", self._guarded(self._asset))
        app.router.add_get("/ops/operations.md", self._guarded(self._runbooks))
        app.router.add_get("/ops/overview.json", self._guarded(self._tell_overview))
        app.router.add_get("/ops/runs.json", self._guarded(self._tell_runs))
        app.router.add_post("/ops/audit", self._guarded(self._audit))

    def _guarded(
        self, handler: Callable[[web.Request], Awaitable[web.Response]]
    ) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def guarded(request: web.Request) -> web.Response:
            try:
                answer = self._refusal(request) or await handler(request)
            except (StoreUnavailable, AuditFailed):
                answer = _say(503, {"message": "The store does not answer."})
            answer.headers.update({**self._headers, **answer.headers})
            return answer

        return guarded

    def _refusal(self, request: web.Request) -> web.Response | None:
        if request.headers.getall("Host", []) not in [[host] for host in self._hosts]:
            return _say(403, {"message": "This host is not allowed."})
        try:
            self._doors.check(request.headers.get("Origin"))
        except AdmissionRefused as refused:
            return _say(refused.status, {"message": refused.message})
        return None

    async def _page(self, _request: web.Request) -> web.Response:
        return ops_files.page()

    async def _asset(self, request: web.Request) -> web.Response:
        return ops_files.asset(request.match_info["name"])

    async def _runbooks(self, _request: web.Request) -> web.Response:
        return ops_files.runbooks()

    async def _tell_overview(self, request: web.Request) -> web.Response:
        minutes = _minutes(request)
        if minutes is None:
            return _say(400, {"message": f"minutes is a whole number from 1 to {MAX_MINUTES}."})
        return _say(200, await self._overview(minutes))

    async def _tell_runs(self, _request: web.Request) -> web.Response:
        absences: dict[str, list[str]] = {}
        for finding in missing(self._auditor)["findings"]:
            absences.setdefault(finding["run_id"], []).append(finding["absence"])
        runs = [{**row, "absences": absences.get(row["run_id"], [])} for row in await self._runs()]
        return _say(200, {"now": self._clock.now_ms(), "runs": runs})

    async def _audit(self, _request: web.Request) -> web.Response:
        swept = (await self._auditor.audit()).swept
        looked = {"audited": swept.audited, "open": swept.open, "complete": swept.complete, "unread": swept.unread}
        return _say(200, {**looked, **missing(self._auditor)})


def _minutes(request: web.Request) -> int | None:
    """Return how many minutes are asked for; None where that is no number in bounds, or something else is asked."""
    if not request.query:
        return MINUTES
    asked = request.query.getall("minutes", [])
    if len(request.query) > 1 or len(asked) != 1 or not asked[0].isascii() or not asked[0].isdigit():
        return None
    minutes = int(asked[0]) if len(asked[0]) <= len(str(MAX_MINUTES)) else 0
    return minutes if 1 <= minutes <= MAX_MINUTES else None


def _say(status: int, value: Answer | dict[str, Any]) -> web.Response:
    return web.json_response(value, status=status, headers=_NO_STORE)
