"""`$connect` and `$disconnect` as API Gateway hands them over.

Who gives way to a new connection is not closed here, where nothing may be closed: its row is gone,
and it is told `expired` when it next speaks.
"""

from connect.admission import Attendance
from playbyplay.adapters.api_gateway_events import ConnectEvent, DisconnectEvent
from playbyplay.adapters.container import Answer, Event
from playbyplay.protocol.base import SUBPROTOCOL

_CONNECT = "$connect"


class Route:
    """Serves the two routes of a connection's life."""

    def __init__(self, *, attendance: Attendance) -> None:
        self._attendance = attendance

    async def __call__(self, event: Event) -> Answer:
        """Return the answer to either: 200, with our subprotocol if the client offered it.

        Raises:
            RuntimeError: the type's name of what went wrong, without its text: Lambda logs what is raised.
        """
        try:
            return await self._answer(event)
        except Exception as error:  # noqa: BLE001 - raised again, without its text
            raise RuntimeError(type(error).__name__) from None

    async def _answer(self, event: Event) -> Answer:
        if event["requestContext"].get("routeKey") != _CONNECT:
            return await self._disconnect(DisconnectEvent.model_validate(event))
        connect = ConnectEvent.model_validate(event)
        await self._attendance.open(connect.connection_id, connect.session)
        # A browser ends a connection whose offer is not answered (RFC 6455, 4.1); the ticket is never echoed.
        chosen = {"Sec-WebSocket-Protocol": SUBPROTOCOL} if SUBPROTOCOL in connect.protocols else {}
        return {"statusCode": 200, "headers": chosen}

    async def _disconnect(self, disconnect: DisconnectEvent) -> Answer:
        """Forget a connection: it may come twice, never, or for one that was never let in."""
        await self._attendance.close(disconnect.connection_id, disconnect.disconnect_status_code)
        return {"statusCode": 200}
