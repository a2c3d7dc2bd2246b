"""The handshake as the authorizer sees it: which tickets were shown, and the policy that answers them.

https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-lambda-auth.html
"""

import hashlib

from connect.admission import Admission
from playbyplay.adapters.api_gateway_events import AuthorizerEvent
from playbyplay.adapters.container import Answer, Event
from playbyplay.domain.connection import Session
from playbyplay.protocol.base import SUBPROTOCOL
from playbyplay.tickets import AdmissionRefused

TICKET_PREFIX = "ticket."
_UNAUTHORIZED = 401


class Handshake:
    """Answers the authorizer's question.

    Args:
        admission: redeems.
        ticket_in_query: whether a ticket may stand in the URL.
    """

    def __init__(self, *, admission: Admission, ticket_in_query: bool) -> None:
        self._admission = admission
        self._ticket_in_query = ticket_in_query

    async def __call__(self, event: Event) -> Answer:
        """Return the policy that lets the connection in, with whose it is; or the one that denies it.

        Raises:
            Exception: "Unauthorized", the very word API Gateway answers with 401; anything else is 500.
            RuntimeError: the type's name of what went wrong, without its text: Lambda logs what is raised.
        """
        try:
            return await self._let_in(AuthorizerEvent.model_validate(event))
        except AdmissionRefused:
            raise Exception("Unauthorized") from None  # noqa: TRY002 - the guide's own example
        except Exception as error:  # noqa: BLE001 - raised again, without its text
            raise RuntimeError(type(error).__name__) from None

    async def _let_in(self, handshake: AuthorizerEvent) -> Answer:
        try:
            session = await self._admission(handshake.origin, self._shown(handshake))
        except AdmissionRefused as refused:
            if refused.status == _UNAUTHORIZED:
                raise
            return _policy("Deny", "nobody", handshake.method_arn)
        principal = hashlib.sha256(session.user.encode()).hexdigest()  # it may show in an access log
        return _policy("Allow", principal, handshake.method_arn) | {"context": _context(session)}

    def _shown(self, handshake: AuthorizerEvent) -> list[str]:
        """Return every ticket; none where one stands where it must not, or without our subprotocol."""
        offered = handshake.protocols
        in_query = handshake.query_string_parameters.get("ticket")
        if (in_query is not None and not self._ticket_in_query) or (offered and SUBPROTOCOL not in offered):
            return []
        shown = [one.removeprefix(TICKET_PREFIX) for one in offered if one.startswith(TICKET_PREFIX)]
        return shown if in_query is None else [*shown, in_query]


def _policy(effect: str, principal: str, method_arn: str) -> Answer:
    statement = {"Action": "execute-api:Invoke", "Effect": effect, "Resource": method_arn}
    return {"principalId": principal, "policyDocument": {"Version": "2012-10-17", "Statement": [statement]}}


def _context(session: Session) -> dict[str, str]:
    """Return what API Gateway repeats with every event of the connection, as strings, which they become anyway."""
    return {"user": session.user, "session_expires_ms": str(session.expires_ms)}
