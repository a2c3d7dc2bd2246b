"""All verbs on the ports of AWS."""

from message.accept import Accept
from message.answer import Answer
from message.cancel import Cancel
from message.dispatch import Dispatch
from message.ping import Ping
from message.present import Presence
from message.resume import Resume
from playbyplay.adapters.cloud import Cloud
from playbyplay.adapters.container_quota import ContainerQuota
from playbyplay.ports import Limits
from playbyplay.settings import MessageSettings


def dispatch_on(on: Cloud, settings: MessageSettings) -> Dispatch:
    """Compose what answers a frame.

    Args:
        on: the ports.
        settings: what one user may ask for, and what becomes of a message that comes before the last one's answer.
    """
    clock, ids, timing, notifier = on.clock, on.ids, on.timing, on.notifier
    runs, journal, connections = on.runs, on.journal, on.connections
    present = Presence(connections=connections, gateway=on.gateway, clock=clock)
    cancel = Cancel(
        runs=runs, journal=journal, settlement=on.settlement, clock=clock, ids=ids, log=on.log, timing=timing
    )
    return Dispatch(
        accept=Accept(
            runs=runs,
            journal=journal,
            queue=on.queue,
            backlog=on.backlog,
            notifier=notifier,
            settlement=on.settlement,
            cancel=cancel,
            clock=clock,
            ids=ids,
            log=on.log,
            timing=timing,
            limits=Limits(open_runs=settings.open_runs, messages_per_minute=settings.messages_per_minute),
            double_text=settings.double_text,
        ),
        resume=Resume(
            runs=runs,
            journal=journal,
            connections=connections,
            present=present,
            notifier=notifier,
            settlement=on.settlement,
            log=on.log,
        ),
        cancel=cancel,
        answer=Answer(journal=journal),
        ping=Ping(runs=runs, journal=journal, connections=connections, present=present, clock=clock, log=on.log),
        quota=ContainerQuota(clock),
        clock=clock,
        log=on.log,
    )
