"""Every duration the contract names, in one object: tests and both homes run the same code on it."""

import functools
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Durations in seconds, unless a name says otherwise.

    Attributes:
        lease_s: how long an owner holds a run without renewing; for efficiency only, no promise rests on it.
        renew_s: how often the owner renews it.
        heartbeat_s: the silence after which a heartbeat is due; it comes within a quarter more.
        visibility_s: how long a job stays hidden from other runners.
        retry_s: how soon a job is tried again that the store could not serve.
        held_s: how soon a job is tried again whose run another owner holds; its own job brings that owner's successor.
        gone_grace_s: how young a connection must be for "gone" not to be believed (a post inside `$connect`).
        run_s: how long a run may take from its `agent_started`.
        queue_s: how long a message may wait for its run to start.
        store_s: how long an append whose outcome is unknown is tried again.
        no_new_step_s: so long before its time is up a runner begins no new step, and takes no run. An unsafe call
            that stands open is begun all the same: nobody could make it later.
        let_go_s: so long before its time is up a runner stops the steps under way and hands the run on; it may
            notice a quarter of `heartbeat_s` later.
        first_check_s: how long after its accept the watchdog looks at a run nobody took.
        after_lease_s: how long after the end of a lease it looks at a run nobody took over.
        check_again_s: how long after it sent a job anew it looks again, at the least.
        sweep_s: how often it sweeps.
        backlog_s: how long the oldest job may wait before new messages are refused.
        delta_s: the time streamed text is gathered for one frame.
        max_attempts: acquisitions in a row that append no public event.
        audit_s: how often the auditor looks.
        start_s: how long after it is its turn it misses a run's beginning.
        call_s: how long after its last step it misses the end of a call; longer than any tool here, or an answer of
            the model to a sub-agent, may take.
        silence_s: how long a run may tell nothing, whoever holds it, until it misses the end; longer than a call.
        recovery_s: how long a run may be silent that nobody holds, or open past its deadline, until it misses the end.
        receipt_s: how long after an event it misses the receipts of a client that gives any.
        away_s: how long after their last connection it misses a user with an open run.
        journal_s: how long a record is kept at the least: what is not whole after that, has expired.
    """

    lease_s: float
    renew_s: float
    heartbeat_s: float
    visibility_s: float
    retry_s: float
    held_s: float
    gone_grace_s: float = 30.0
    run_s: float = 3600.0
    queue_s: float = 3600.0
    store_s: float = 5.0
    no_new_step_s: float = 30.0
    let_go_s: float = 8.0
    first_check_s: float = 60.0
    after_lease_s: float = 30.0
    check_again_s: float = 60.0
    sweep_s: float = 60.0
    backlog_s: float = 600.0
    delta_s: float = 0.05
    max_attempts: int = 4
    audit_s: float = 60.0
    start_s: float = 10.0
    call_s: float = 600.0
    silence_s: float = 900.0
    recovery_s: float = 180.0
    receipt_s: float = 30.0
    away_s: float = 10.0
    journal_s: float = 30 * 86_400.0


CLOUD = Timing(
    lease_s=30, renew_s=10, heartbeat_s=11, visibility_s=45, retry_s=5, held_s=30, delta_s=0.25
)  # each frame costs
ONE_MACHINE = Timing(
    lease_s=3,
    renew_s=1,
    heartbeat_s=0.6,
    visibility_s=3.2,
    retry_s=0.5,
    held_s=0.5,
    first_check_s=2,
    after_lease_s=0.25,
    check_again_s=2,
    sweep_s=0.5,
    backlog_s=60,
    audit_s=2,
    recovery_s=5,
    receipt_s=5,
)


def timestamp(ms: int) -> str:
    """Render milliseconds since the epoch as the contract writes times: ISO 8601, UTC, `Z`."""
    return f"{_second(ms // 1000)}.{ms % 1000:03d}Z"


@functools.lru_cache(maxsize=8)
def _second(second: int) -> str:
    return f"{datetime.fromtimestamp(second, UTC):%Y-%m-%dT%H:%M:%S}"


def milliseconds(text: str) -> int:
    """Read a time as `timestamp` writes it; milliseconds since the epoch."""
    return round(datetime.fromisoformat(text).timestamp() * 1000)
