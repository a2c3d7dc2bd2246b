"""Whether a run must end before anybody goes on with it: for the runner that takes it, and for the watchdog."""

from playbyplay.domain.ending import answer_of, started_ms
from playbyplay.domain.journal import History
from playbyplay.domain.thread import Run
from playbyplay.domain.timing import Timing
from playbyplay.errors import RunError


def verdict(run: Run, history: History, *, now_ms: int, timing: Timing) -> RunError | None:
    """Return why a run must end now; None where it may go on.

    Args:
        run: as whoever takes it would find it, its own attempt counted.
        history: its journal.
        now_ms: when.
        timing: the limits.
    """
    if run.cancel:
        return cancelled()
    # The attempt that got on counts no more, but only a later owner says so in the store.
    if run.attempts > timing.max_attempts * (2 if history.progressed else 1):
        return RunError("attempts_exhausted", "The run was tried several times and did not get through.")
    if history.state.phase == "queued":
        if now_ms > run.created_ms + timing.queue_s * 1000:
            return RunError("queue_timeout", "The message waited too long for an agent.")
        return None
    late = is_late(history, now_ms, timing) or (now_ms > run.deadline_ms and answer_of(history) is None)
    return too_late() if late else None


def is_late(history: History, now_ms: int, timing: Timing) -> bool:
    """Whether a started run has taken too long; one whose answer is known has not."""
    return now_ms > started_ms(history) + timing.run_s * 1000 and answer_of(history) is None


def cancelled() -> RunError:
    """Return the end its user wished for."""
    return RunError("cancelled", "The run was cancelled.")


def too_late() -> RunError:
    """Return the end of a run that took too long."""
    return RunError("deadline_exceeded", "The run took too long.")
