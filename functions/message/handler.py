"""Lambda: every client frame of the WebSocket API."""

import functools
from typing import Unpack

from message.route import Route
from message.verbs import dispatch_on
from message.violations import Violations
from playbyplay.adapters import container
from playbyplay.adapters.cloud import Cloud
from playbyplay.adapters.container import Container, Parts
from playbyplay.ports import Log
from playbyplay.settings import MessageSettings


def build(settings: MessageSettings, *, log: Log, **parts: Unpack[Parts]) -> Route:
    """Compose the function."""
    on = Cloud.of(settings, log, parts)
    dispatch = dispatch_on(on, settings)
    return Route(dispatch=dispatch, violations=Violations(on.clock), gateway=on.gateway, log=log)


@functools.cache
def _container() -> Container:
    return Container("message", MessageSettings, build)


def lambda_handler(event: container.Event, _context: object) -> container.Answer:
    """Answer one frame."""
    return _container().answer(event)
