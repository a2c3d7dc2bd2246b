"""A model that answers by plan, and remembers what it was asked."""

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from agent_runner.model import ModelRequest, ModelResponse, OnText, RequestedCall
from playbyplay.protocol.events import Usage

Behaviour: TypeAlias = ModelResponse | BaseException | Callable[[ModelRequest, OnText], Awaitable[ModelResponse]]
"""A response is returned, an error raised, a coroutine function called."""


class FakeModel:
    """Implements `agent_runner.model.ModelClient`.

    Args:
        plan: what each request meets, in order; or the last one over and over, if `repeats`.

    Attributes:
        requests: what was asked, in order.
    """

    name = "fake"

    def __init__(self, *plan: Behaviour, repeats: bool = False) -> None:
        self.requests: list[ModelRequest] = []
        self._plan = list(plan)
        self._repeats = repeats

    async def respond(self, request: ModelRequest, on_text: OnText) -> ModelResponse:
        self.requests.append(request)
        if not self._plan:
            raise AssertionError("the model was asked more often than planned")
        behaviour = self._plan[0] if self._repeats and len(self._plan) == 1 else self._plan.pop(0)
        if isinstance(behaviour, BaseException):
            raise behaviour
        if isinstance(behaviour, ModelResponse):
            return behaviour
        return await behaviour(request, on_text)


def says(text: str, *, tokens: int = 1) -> ModelResponse:
    """Return an answer."""
    return ModelResponse(text, usage=Usage(input_tokens=tokens, output_tokens=tokens))


def calls(*names: str, text: str = "I will look.", arguments: str = "{}") -> ModelResponse:
    """Return a response that asks for calls, all with the same arguments."""
    requested = tuple(RequestedCall(name, arguments) for name in names)
    return ModelResponse(text, requested, usage=Usage(input_tokens=1, output_tokens=1))
