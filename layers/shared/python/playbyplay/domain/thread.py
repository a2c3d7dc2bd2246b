"""Rules of threads and turns: a message becomes the next turn, or the repeat of one there is."""

import hashlib
from dataclasses import dataclass

from playbyplay.errors import Refused
from playbyplay.protocol.base import RunStatus

OPEN: frozenset[RunStatus] = frozenset({"queued", "running"})


@dataclass(frozen=True, slots=True)
class Run:
    """A run as the run store keeps it; `status` is a cache, the journal is the truth.

    Attributes:
        content_digest: SHA-256 of the message, to tell a repeat from a conflict.
        lease_until_ms: until when `owner` holds it, milliseconds since the epoch.
        attempts: acquisitions in a row that appended no public event.
        cancel: whether its user asked for the end.
    """

    user: str
    run_id: str
    thread_id: str
    turn: int
    client_message_id: str | None
    content_digest: str
    created_ms: int
    deadline_ms: int
    status: RunStatus = "queued"
    owner: str | None = None
    lease_until_ms: int = 0
    attempts: int = 0
    cancel: bool = False

    @property
    def is_open(self) -> bool:
        """Whether its terminal is still to come, as far as the store knows."""
        return self.status in OPEN


def digest(content: str) -> str:
    """Return the fingerprint by which a repeated message is recognised."""
    return hashlib.sha256(content.encode()).hexdigest()


def check_repeat(run: Run, content_digest: str, thread_id: str | None) -> None:
    """Let a true repeat of a message pass.

    Raises:
        Refused: `conflict`, when the same client_message_id came with another content or thread.
    """
    if run.content_digest != content_digest or (thread_id is not None and thread_id != run.thread_id):
        raise Refused(
            "conflict",
            "This client_message_id was used for another message.",
            client_message_id=run.client_message_id,
        )
