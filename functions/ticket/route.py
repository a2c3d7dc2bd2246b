"""POST /ticket as the HTTP API hands it over: its JWT authorizer has said who asks."""

import json
import unicodedata

from playbyplay.adapters.api_gateway_events import HttpEvent
from playbyplay.adapters.container import Answer, Event
from playbyplay.domain.connection import TICKET_S
from playbyplay.tickets import AdmissionRefused, Tickets

MAX_USER = 255  # OpenID Connect Core 1.0, section 2: `sub` is at most 255 characters
_HEADERS = {"Content-Type": "application/json", "Cache-Control": "no-store"}


class Route:
    """Gives tickets."""

    def __init__(self, *, tickets: Tickets) -> None:
        self._tickets = tickets

    async def __call__(self, event: Event) -> Answer:
        """Return a ticket, or one sentence that says why there is none.

        Raises:
            RuntimeError: the type's name of what went wrong, without its text: Lambda logs what is raised.
        """
        try:
            return await self._answer(event)
        except Exception as error:  # noqa: BLE001 - raised again, without its text
            raise RuntimeError(type(error).__name__) from None

    async def _answer(self, event: Event) -> Answer:
        request = HttpEvent.model_validate(event)
        user = request.subject
        if user is None or not _is_user(user):
            return _answer(400, {"message": "The token names no user that can be served here."})
        if request.body:
            return _answer(400, {"message": "The request takes no body."})
        try:
            ticket = await self._tickets.give(user, request.origin)
        except AdmissionRefused as refused:
            return _answer(refused.status, {"message": refused.message})
        return _answer(200, {"ticket": ticket, "expires_in": TICKET_S})


def _is_user(subject: str) -> bool:
    """Whether a subject can be part of a key: neither too long, nor with control characters or broken pairs."""
    return len(subject) <= MAX_USER and not any(unicodedata.category(one) in ("Cc", "Cs") for one in subject)


def _answer(status: int, body: dict[str, str | int]) -> Answer:
    return {"statusCode": status, "headers": _HEADERS, "body": json.dumps(body)}
