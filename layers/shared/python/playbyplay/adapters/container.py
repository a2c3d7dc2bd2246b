"""What a function on AWS keeps from one call to the next: its settings, its parts, its loop, its log.

Each handler makes one when it is first called, so importing a handler costs nothing but the import.
"""

import asyncio
import os
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Protocol, TypedDict, TypeVar, runtime_checkable

from playbyplay.adapters.aws import Aws
from playbyplay.adapters.powertools_log import PowertoolsLog
from playbyplay.ports import Clock, Gateway, Ids, Log
from playbyplay.settings import Environment

S = TypeVar("S", bound=Environment)
S_contra = TypeVar("S_contra", bound=Environment, contravariant=True)

Event = Mapping[str, Any]
Answer = dict[str, Any]
Serve = Callable[[Event], Coroutine[Any, Any, Answer]]


@runtime_checkable
class Timed(Protocol):
    """What serves events and wants to know how long it may take."""

    def until(self, ends_s: float) -> Serve:
        """Return what serves an event that must be done with by a monotonic second."""
        ...


@runtime_checkable
class LambdaContext(Protocol):
    """What Lambda tells of a call, as far as it is wanted.

    https://docs.aws.amazon.com/lambda/latest/dg/python-context.html
    """

    def get_remaining_time_in_millis(self) -> int:
        """Return how long until Lambda ends the process."""
        ...


class Parts(TypedDict, total=False):
    """What a test may bring instead of the usual."""

    aws: Aws
    gateway: Gateway
    clock: Clock
    ids: Ids


class Build(Protocol[S_contra]):
    """A handler's `build`."""

    def __call__(self, settings: S_contra, *, log: Log) -> Serve:
        """Return what serves an event."""
        ...


class Container:
    """One container of a function.

    Args:
        service: the function's name in the log.
        settings: what its environment is read into.
        build: composes it.

    Raises:
        BadSetting: the environment is not what the settings want.
    """

    def __init__(self, service: str, settings: type[S], build: Build[S]) -> None:
        self._log = PowertoolsLog(service)
        self._serve = build(settings.from_env(os.environ), log=self._log)
        self._runner = asyncio.Runner()

    def answer(self, event: Event, context: object = None) -> Answer:
        """Serve one event to its end, and write what was counted meanwhile.

        Args:
            event: what to serve.
            context: Lambda's; without one there is no time limit.
        """
        serve = self._serve
        if isinstance(serve, Timed) and isinstance(context, LambdaContext):
            serve = serve.until(time.monotonic() + context.get_remaining_time_in_millis() / 1000)
        try:
            return self._runner.run(serve(event))
        finally:
            self._log.flush()

    def close(self) -> None:
        """End the loop; a container on AWS is frozen instead."""
        self._runner.close()
