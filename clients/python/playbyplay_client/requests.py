"""The commands on their way: sent again until they are answered, refused for good, or given up. No socket, no clock."""

import asyncio
from dataclasses import dataclass
from typing import Any

from playbyplay.protocol import replies
from playbyplay_client.errors import Rejected, Unanswered
from playbyplay_client.pace import Pace


@dataclass(slots=True)
class Request:
    """A command that waits for its answer; `named` is the id that both carry."""

    kind: str
    named: str
    offset: str | int | None
    text: str
    answer: asyncio.Future[Any]
    due_s: float = 0.0
    sends: int = 0
    refusals: int = 0


class Requests:
    """The commands that wait for an answer, and when each is to be sent (again)."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self.waiting: list[Request] = []

    def add(self, kind: str, named: str, offset: str | int | None, text: str) -> Request:
        """Take in a command; two messages under one id cannot be told apart, so the second is refused."""
        if any(one.kind == kind == "agent_message" and one.named == named and one.text != text for one in self.waiting):
            raise Rejected("conflict", "Another message is being sent under this id.")
        request = Request(kind, named, offset, text, asyncio.get_running_loop().create_future())
        self.waiting.append(request)
        return request

    def due(self, now_s: float) -> list[str]:
        """Return what is to be sent now; a command that was sent too often gets no further."""
        texts = []
        for request in self.waiting:
            if request.answer.done() or now_s < request.due_s:
                continue
            if request.sends < self._pace.sends:
                request.sends += 1
                request.due_s = now_s + self._pace.answer_s
                texts.append(request.text)
            else:
                request.answer.set_exception(Unanswered(f"The server did not answer {request.kind} {request.named}."))
        return texts

    def send_again(self) -> None:
        """Make everything due: the connection is new."""
        for request in self.waiting:
            request.due_s = 0.0

    def postpone(self, now_s: float) -> None:
        """Bear an error of the gateway, which does not say whose it is: everything is sent again, soon."""
        for request in self.waiting:
            request.due_s = now_s + self._pace.wait_s(request.sends - 1)

    def answered(self, kind: str, named: str | None, answer: object, offset: int | None = None) -> None:
        """Give an answer to who waits for it."""
        for request in self.waiting:
            if (request.kind, request.named, request.offset) == (kind, named, offset) and not request.answer.done():
                request.answer.set_result(answer)

    def refused(self, refusal: replies.MessageRejected, now_s: float) -> None:
        """Bear a refusal, if it may be borne; one that names nothing may be of any command."""
        for request in self.waiting:
            if request.answer.done() or (refusal.client_message_id or refusal.run_id) not in {None, request.named}:
                continue
            request.refusals += 1
            if refusal.retryable and request.refusals <= self._pace.retries:
                wait_s = self._pace.wait_s(request.refusals - 1)
                request.due_s = now_s + max(wait_s, (refusal.retry_after_ms or 0) / 1000)
            else:
                request.answer.set_exception(Rejected(refusal.code, refusal.message))

    def fail(self, error: Exception) -> None:
        """Give up."""
        for request in self.waiting:
            if not request.answer.done():
                request.answer.set_exception(error)
