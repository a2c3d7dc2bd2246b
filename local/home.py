"""Composes the one-machine home: the same use cases as on AWS, with SQLite and aiohttp below them."""

from dataclasses import dataclass
from pathlib import Path

from agent_runner.engine import Budget, Engine
from agent_runner.model import ModelClient
from agent_runner.registry import Registry
from agent_runner.supervisor import Supervisor
from agent_runner.tool_executor import ToolExecutor
from connect.admission import Admission, Attendance
from local.database import Database
from local.fault_face import FaultFace
from local.fault_ports import DoublingQueue, FreezableModel, LossyGateway, MortalTools
from local.fault_switch import FaultSwitch
from local.faults_seen import FaultsSeen
from local.gateway import SocketGateway
from local.http import LOCAL_USER, HttpFace
from local.metrics import CountingLog
from local.ops import Ops, Watched, build_ops
from local.owners_first import OverdueAfterOwners, OwnersFirst
from local.quota import LocalQuota
from local.run_queue import LocalRunQueue
from local.settings import LocalSettings
from local.socket import SocketRules
from local.sqlite_connection_store import SqliteConnectionStore
from local.sqlite_journal import SqliteJournal
from local.sqlite_run_store import SqliteRunStore
from local.sqlite_ticket_store import SqliteTicketStore
from local.watchdog import Watchdog
from local.worker import Worker
from message.accept import Accept
from message.answer import Answer
from message.cancel import Cancel
from message.dispatch import Dispatch
from message.ping import Ping
from message.present import Presence
from message.resume import Resume
from playbyplay.adapters.system import SystemClock, SystemIds
from playbyplay.domain.timing import ONE_MACHINE, Timing
from playbyplay.notifier import Notifier
from playbyplay.ports import Clock, Gateway, Ids, Limits, Log, RunQueue
from playbyplay.settlement import Settlement
from playbyplay.tickets import Doors, Tickets
from watchdog.look import Look
from watchdog.sweep import Sweep


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a test or a bench may bring instead of the usual."""

    registry: Registry | None = None
    model: ModelClient | None = None
    timing: Timing = ONE_MACHINE
    clock: Clock | None = None
    ids: Ids | None = None
    log: Log | None = None
    budget: Budget | None = None
    queue: LocalRunQueue | None = None
    gateway: SocketGateway | None = None


@dataclass(frozen=True, slots=True)
class Home:
    """The composed parts that have a life of their own."""

    runs: SqliteRunStore
    queue: LocalRunQueue
    connections: SqliteConnectionStore
    gateway: SocketGateway
    worker: Worker
    watchdog: Watchdog
    ops: Ops
    face: HttpFace
    log: Log


def build(
    settings: LocalSettings,
    parts: Parts,
    *,
    log: CountingLog,
    database: Database,
    model: ModelClient,
    shop: Path,
    host: str,
    port: int,
) -> Home:
    """Return the home on an open database; nothing runs yet.

    Args:
        settings: what can be set.
        parts: what is brought instead of the usual.
        log: what every part tells.
        database: where everything is kept.
        model: who answers.
        shop: the database that database_analyzer analyses.
        host: the page's host, for the origins a browser may come from.
        port: the page's port.
    """
    clock, ids, timing = parts.clock or SystemClock(), parts.ids or SystemIds(), parts.timing
    journal, runs = SqliteJournal(database), SqliteRunStore(database, clock, timing)
    queue, gateway = parts.queue or LocalRunQueue(), parts.gateway or SocketGateway()
    connections, quota = SqliteConnectionStore(database, clock), LocalQuota(settings)
    posts: Gateway = gateway
    jobs: RunQueue = queue
    resources = {"database": str(shop)}
    tools = ToolExecutor(resources=resources, clock=clock, log=log)
    switch: FaultSwitch | None = None
    faults_seen = FaultsSeen(log, clock)
    if settings.faults:
        switch = FaultSwitch(connections=connections, sockets=gateway, clock=clock, log=faults_seen)
        posts, jobs, model = LossyGateway(gateway, switch), DoublingQueue(queue, switch), FreezableModel(model, switch)
        tools = MortalTools(resources=resources, clock=clock, log=log, switch=switch)
    notifier = Notifier(
        journal=journal, connections=connections, gateway=posts, clock=clock, ids=ids, log=log, timing=timing
    )
    settlement = Settlement(runs=runs, queue=jobs, notifier=notifier, clock=clock, log=log)
    supervisor = Supervisor(
        runs=runs,
        journal=journal,
        notifier=notifier,
        settlement=settlement,
        cancels=runs,
        engine=Engine(parts.registry or Registry.discover(), parts.budget or Budget()),
        tools=tools,
        model=model,
        clock=clock,
        ids=ids,
        log=log,
        timing=timing,
    )
    present = Presence(connections=connections, gateway=gateway, clock=clock)
    cancel = Cancel(runs=runs, journal=journal, settlement=settlement, clock=clock, ids=ids, log=log, timing=timing)
    dispatch = Dispatch(
        accept=Accept(
            runs=runs,
            journal=journal,
            queue=jobs,
            backlog=queue,
            notifier=notifier,
            settlement=settlement,
            cancel=cancel,
            clock=clock,
            ids=ids,
            log=log,
            timing=timing,
            limits=Limits(open_runs=settings.open_runs, messages_per_minute=settings.user_messages_per_minute),
            double_text=settings.double_text,
        ),
        resume=Resume(
            runs=runs,
            journal=journal,
            connections=connections,
            present=present,
            notifier=notifier,
            settlement=settlement,
            log=log,
        ),
        cancel=cancel,
        answer=Answer(journal=journal),
        ping=Ping(runs=runs, journal=journal, connections=connections, present=present, clock=clock, log=log),
        quota=quota,
        clock=clock,
        log=log,
    )
    look = Look(
        runs=runs,
        journal=journal,
        queue=queue,
        overdue=runs,
        settlement=settlement,
        clock=clock,
        ids=ids,
        log=log,
        timing=timing,
    )
    owners_first = OwnersFirst(clock, timing)
    overdue = OverdueAfterOwners(runs, owners_first)
    sweep = Sweep(overdue=overdue, look=look, connections=connections, gateway=gateway, clock=clock, log=log)
    doors = Doors(origins=frozenset({f"http://{host}:{port}", f"http://localhost:{port}"}), guest=LOCAL_USER)
    tickets = Tickets(doors=doors, store=SqliteTicketStore(database, clock), clock=clock, ids=ids)
    watched = Watched(
        database=database,
        runs=runs,
        open_runs=overdue,
        journal=journal,
        connections=connections,
        log=log,
        clock=clock,
        timing=timing,
    )
    ops = build_ops(watched, data=settings.data, doors=doors, faults=faults_seen)
    rules = SocketRules(settings=settings, dispatch=dispatch, gateway=gateway, quota=quota, ids=ids, log=log)
    worker = Worker(
        queue=queue,
        supervisor=supervisor,
        owners_first=owners_first,
        log=log,
        visibility_s=timing.visibility_s,
        concurrent_runs=settings.concurrent_runs,
    )
    if switch is not None:
        switch.command(worker)
    return Home(
        runs=runs,
        queue=queue,
        connections=connections,
        gateway=gateway,
        worker=worker,
        watchdog=Watchdog(sweep=sweep, log=log, every_s=timing.sweep_s),
        ops=ops,
        face=HttpFace(
            settings=settings,
            tickets=tickets,
            admission=Admission(doors=doors, tickets=tickets, clock=clock),
            attendance=Attendance(connections=connections, clock=clock, log=log),
            gateway=gateway,
            rules=rules,
            model_name=model.name,
            ops=ops.face,
            faults=FaultFace(switch=switch, doors=doors, user=LOCAL_USER) if switch is not None else None,
        ),
        log=log,
    )
