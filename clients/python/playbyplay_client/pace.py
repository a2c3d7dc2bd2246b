"""How fast and how often the client tries; tests run at a quicker pace than people."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Durations in seconds, and how often something is tried.

    Attributes:
        tick_s: how often the timer looks for what is due.
        connect_s: the longest a handshake may take.
        answer_s: a frame without an answer is sent again after this.
        first_wait_s, last_wait_s: the back-off between connections, doubling, with full jitter.
        attempts: connections that may fail in a row.
        sends: how often one frame is sent at most, and ...
        retries: how many retryable refusals of it are borne.
        ping_factor: stretches the ping intervals; below 1 in tests.
    """

    tick_s: float = 0.1
    connect_s: float = 10.0
    answer_s: float = 5.0
    first_wait_s: float = 0.5
    last_wait_s: float = 20.0
    attempts: int = 12
    sends: int = 12
    retries: int = 5
    ping_factor: float = 1.0

    def wait_s(self, attempt: int) -> float:
        """Return the longest wait before an attempt, counted from 0."""
        return min(self.last_wait_s, self.first_wait_s * 2.0 ** min(attempt, 16))
