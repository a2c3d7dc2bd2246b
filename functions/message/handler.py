"""Lambda: every client frame of the WebSocket API."""

import functools
from typing import Unpack

from message.accept import Accept
from message.answer import Answer
from message.cancel import Cancel
from message.dispatch import Dispatch
from message.ping import Ping
from message.present import Presence
from message.resume import Resume
from message.route import Route
from playbyplay.adapters import container
from playbyplay.adapters.cloud import Cloud
from playbyplay.adapters.container import Container, Parts
from playbyplay.adapters.stage_quota import StageQuota
from playbyplay.ports import Log
from playbyplay.settings import MessageSettings


def build(settings: MessageSettings, *, log: Log, **parts: Unpack[Parts]) -> Route:
    """Compose the function."""
    on = Cloud.of(settings, log, parts)
    clock, ids, timing, notifier = on.clock, on.ids, on.timing, on.notifier
    runs, journal, connections = on.runs, on.journal, on.connections
    present = Presence(connections=connections, gateway=on.gateway, clock=clock)
    dispatch = Dispatch(
        accept=Accept(runs=runs, queue=on.queue, notifier=notifier, clock=clock, ids=ids, log=log, timing=timing),
        resume=Resume(runs=runs, journal=journal, connections=connections, present=present, notifier=notifier),
        cancel=Cancel(runs=runs, journal=journal, settlement=on.settlement, clock=clock, ids=ids, timing=timing),
        answer=Answer(journal=journal),
        ping=Ping(runs=runs, journal=journal, present=present),
        quota=StageQuota(),
        clock=clock,
        log=log,
    )
    return Route(dispatch=dispatch, log=log)


@functools.cache
def _container() -> Container:
    return Container("message", MessageSettings, build)


def lambda_handler(event: container.Event, _context: object) -> container.Answer:
    """Answer one frame."""
    return _container().answer(event)
