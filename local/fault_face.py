"""The fault switch over HTTP: `GET /faults` tells how it stands, `POST /faults` moves it."""

from dataclasses import asdict
from typing import Any

from aiohttp import web

from local.fault_order import FAULTS, BadOrder, read_order
from local.fault_switch import FaultSwitch, NothingToHit
from playbyplay.tickets import AdmissionRefused, Doors

_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


class FaultFace:
    """The routes of the switch.

    Args:
        doors: the origins a browser may come from.
        user: whose connections are meant where no user is named.
    """

    def __init__(self, *, switch: FaultSwitch, doors: Doors, user: str) -> None:
        self._switch = switch
        self._doors = doors
        self._user = user

    def add_to(self, app: web.Application) -> None:
        """Add the routes to an application."""
        app.router.add_get("/faults", self._tell)
        app.router.add_post("/faults", self._obey)

    async def _tell(self, request: web.Request) -> web.StreamResponse:
        return self._refusal(request) or _answer(200, self._standing())

    async def _obey(self, request: web.Request) -> web.StreamResponse:
        refusal = self._refusal(request)
        if refusal is not None:
            return refusal
        try:
            says = await self._switch.obey(read_order(await request.read(), self._user))
        except BadOrder as bad:
            return _answer(400, {"message": str(bad)})
        except NothingToHit as nothing:
            return _answer(409, {"message": str(nothing)})
        return _answer(200, {"says": says, **self._standing()})

    def _refusal(self, request: web.Request) -> web.Response | None:
        try:
            self._doors.check(request.headers.get("Origin"))
        except AdmissionRefused as refused:
            return _answer(refused.status, {"message": refused.message})
        return None

    def _standing(self) -> dict[str, Any]:
        return {
            "faults": [asdict(fault) for fault in FAULTS],
            "armed": self._switch.armed,
            "fired": [asdict(fired) for fired in self._switch.fired],
        }


def _answer(status: int, value: dict[str, Any]) -> web.Response:
    return web.json_response(value, status=status, headers=_HEADERS)
