"""A client frame as API Gateway hands it over, and the answer as it wants it back (the route response)."""

import contextlib

from message.caller import Caller
from message.dispatch import Dispatch
from message.violations import Violations
from playbyplay.adapters.api_gateway_events import MessageEvent
from playbyplay.adapters.container import Answer, Event
from playbyplay.errors import PostError, ProtocolViolation
from playbyplay.ports import Gateway, Log
from playbyplay.protocol.codec import rejection
from playbyplay.protocol.replies import Reply


class Route:
    """Serves the route of all frames."""

    def __init__(self, *, dispatch: Dispatch, violations: Violations, gateway: Gateway, log: Log) -> None:
        self._dispatch = dispatch
        self._violations = violations
        self._gateway = gateway
        self._log = log

    async def __call__(self, event: Event) -> Answer:
        """Return the frame that answers this one.

        Raises:
            RuntimeError: a bug of ours, by its type's name alone: Lambda logs the text of what is raised, and
                a text may hold what a user said. API Gateway sends its own typeless frame, and the client resends.
        """
        connection_id = None
        try:
            frame = MessageEvent.model_validate(event)
            connection_id = frame.connection_id
            reply = await self._reply(frame)
            if self._violations.too_many(connection_id, reply):
                await self._end(connection_id, reply)
            return {"statusCode": 200, "body": reply.to_json()}
        except Exception as error:  # noqa: BLE001 - raised again, without its text
            name = type(error).__name__
            self._log.event("frame_crashed", connection_id=connection_id, error=name)
            raise RuntimeError(name) from None

    async def _end(self, connection_id: str, reply: Reply) -> None:
        """Close a connection that was told why: API Gateway sends what we return only then, and it reaches nobody."""
        with contextlib.suppress(PostError):
            await self._gateway.post(connection_id, reply.to_json())
        with contextlib.suppress(PostError):
            await self._gateway.close(connection_id)

    async def _reply(self, frame: MessageEvent) -> Reply:
        if not frame.is_base64_encoded:
            return await self._dispatch(Caller(frame.connection_id, frame.session), frame.body)
        refused = ProtocolViolation("bad_encoding", "A frame is text, not binary.")
        self._log.event("frame_rejected", connection_id=frame.connection_id, code=refused.code)
        return rejection(refused)
