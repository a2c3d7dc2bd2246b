"""What a campaign that sees its own insides holds the product to, where nothing is broken: seconds, not minutes.

What is left out and made up for later keeps every other bound, since those allow for faults. Real processes
and real clocks are not held to this.
"""

from dataclasses import dataclass
from typing import Final

from playbyplay.domain.timing import CLOUD
from playbyplay.settings import DoubleText


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How soon things happen, and under which policy.

    Attributes:
        runners: how many runs are worked on at once.
        start_s: from when a run can go on to its next record, while a runner is free.
        live_s: from an event to its frame on a connection that is there, and was made whole since the last fault.
        input_s: the same for a message, on the other connections of its user.
        cancel_s: from an accepted cancel to the last record that is not the end.
        beat_s: between two frames of a run that is worked on.
        hole_s: from an event that leaves a hole to its client's `resume`.
        late_s: how late a limit of the run itself may be noticed.
        run_s, queue_s: those limits.
        double_text: what a second message does.
        skewed: whether clocks differ, so that leases and limits are not held to their seconds.
    """

    runners: int
    start_s: float
    live_s: float
    input_s: float
    cancel_s: float
    beat_s: float
    hole_s: float
    late_s: float
    run_s: float
    queue_s: float
    double_text: DoubleText
    skewed: bool = False


TERMS: Final = Terms(
    runners=2,
    start_s=8.0,
    live_s=2.0,
    input_s=2.0,
    cancel_s=4.0,
    beat_s=15.0,
    hole_s=4.0,
    late_s=5.0,
    run_s=CLOUD.run_s,
    queue_s=CLOUD.queue_s,
    double_text="queue",
)
"""Of the simulated world on the cloud's timing."""
