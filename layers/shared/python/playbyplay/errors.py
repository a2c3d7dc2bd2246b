"""Every error that crosses a module border, cut by what must happen next.

PlaybyplayError
├── Refused                 tell the user: answered with `message_rejected`, the connection stays
│   └── ProtocolViolation   ... and counted against the connection
├── RunError                fail the run: becomes the terminal `error`
├── Unreadable              leave it to a version that knows it: the job comes again
├── Demoted                 not ours any more: stop, forget, post nothing
├── GrammarError            a bug of the writer: nothing was appended
├── SlotTaken               somebody wrote this slot: read it, it may have been we
├── StoreUnavailable        nothing was written: try again later
│   └── StoreDenied         ... not at once: somebody has to mend a grant, a key or a name
├── StoreRefused            the store will never take this, a bug of ours: the run ends in `error{internal}`
├── OutcomeUnknown          it may have been written: read back, never guess
└── PostError               ignore: the client heals through resume
    ├── ConnectionGone      ... after removing the connection's rows
    └── PostFailed          ... after one more try
"""

from typing import Literal

RejectionCode = Literal[
    "bad_json",
    "duplicate_key",
    "too_deep",
    "too_large",
    "bad_encoding",
    "unknown_type",
    "unknown_field",
    "missing_field",
    "bad_type",
    "bad_value",
    "unsupported_version",
    "not_found",
    "conflict",
    "thread_busy",
    "rate_limited",
    "overloaded",
    "expired",
]

TerminalCode = Literal[
    "cancelled",
    "deadline_exceeded",
    "attempts_exhausted",
    "queue_timeout",
    "model_unavailable",
    "model_refused",
    "tool_loop_limit",
    "budget_exceeded",
    "context_too_long",
    "internal",
]


class PlaybyplayError(Exception):
    """The root: catch it to catch everything this package raises on purpose."""


class Refused(PlaybyplayError):
    """A frame that is answered with `message_rejected` and changes nothing.

    Args:
        code: one of the contract's rejection codes.
        message: a safe sentence; it never repeats the input.
        client_message_id: the id the frame named, if it named a valid one.
        run_id: the run the frame named, if it named a valid one.
        retry_after_ms: when trying again makes sense.
    """

    def __init__(
        self,
        code: RejectionCode,
        message: str,
        *,
        client_message_id: str | None = None,
        run_id: str | None = None,
        retry_after_ms: int | None = None,
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code: RejectionCode = code
        self.message = message
        self.client_message_id = client_message_id
        self.run_id = run_id
        self.retry_after_ms = retry_after_ms

    @property
    def retryable(self) -> bool:
        """Whether the same frame can succeed later, unchanged."""
        return self.code in ("rate_limited", "overloaded", "thread_busy")


class ProtocolViolation(Refused):
    """A frame that is not a command of the contract; ten in a minute close the connection."""


class RunError(PlaybyplayError):
    """A failure that ends the run with `error{code}`.

    Args:
        code: one of the contract's terminal codes.
        message: a safe sentence for the user.
    """

    def __init__(self, code: TerminalCode, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code: TerminalCode = code
        self.message = message

    @property
    def retryable(self) -> bool:
        """Whether sending the same message again may end better."""
        return self.code not in ("model_refused", "context_too_long")


class Unreadable(PlaybyplayError):
    """A later version wrote it; what this one does not know it does not guess."""


class Demoted(PlaybyplayError):
    """Another owner wrote the slot this one wanted: the run is not ours any more."""


class GrammarError(PlaybyplayError):
    """An event the run grammar does not allow here; raised before anything is written."""


class SlotTaken(PlaybyplayError):
    """The journal's slot is not empty: written by another, or by an earlier try of ours."""


class StoreUnavailable(PlaybyplayError):
    """The store did nothing; the same call can be made again."""


class StoreDenied(StoreUnavailable):
    """The store did nothing and will not until somebody acts: no grant, no credentials, no such table."""


class StoreRefused(PlaybyplayError):
    """The store did nothing and never will: a malformed call or an item too large, a bug of ours."""


class OutcomeUnknown(PlaybyplayError):
    """The store may or may not have written; only reading back tells."""


class PostError(PlaybyplayError):
    """A frame that did not reach one connection. A post never fails a run."""


class ConnectionGone(PostError):
    """The connection is closed (API Gateway's 410)."""


class PostFailed(PostError):
    """The connection could not take the frame now (429, 5xx, time-out).

    Args:
        reason: a short word for logs and metrics: `slow`, `throttled`, `timeout`, `unavailable`.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
