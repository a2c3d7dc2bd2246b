"""Runs and threads as items of the runs table: values in, values out; `docs/aws.md` shows the items."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Self

from playbyplay.adapters.dynamo_items import Item, item, plain
from playbyplay.adapters.dynamo_shards import shard_of
from playbyplay.adapters.tables import (
    NEXT_CHECK,
    OPEN_SHARD,
    OPEN_SINCE,
    PK,
    RUNS_KEPT_S,
    SK,
    TTL,
    WAITS,
    run_key,
    user_key,
)
from playbyplay.domain.thread import Run
from playbyplay.domain.timing import CLOUD

FIRST_CHECK_MS = int(CLOUD.first_check_s * 1000)
# What names a run goes before it: DynamoDB removes items in any order and days late,
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/TTL.html
RUN_KEPT_S = RUNS_KEPT_S + 7 * 86_400
_FIELDS = frozenset(field.name for field in fields(Run))


@dataclass(frozen=True, slots=True)
class Thread:
    """A thread as it was read.

    Attributes:
        open: the run of each open turn, by turn.
        rev: rises with every change of `open`.
    """

    next_turn: int
    open: Mapping[int, str]
    rev: int

    @classmethod
    def of(cls, attributes: Item | None) -> Self | None:
        """Read an item."""
        if attributes is None:
            return None
        kept = plain(attributes)
        return cls(kept["next_turn"], {int(turn): run_id for turn, run_id in kept["open"].items()}, kept["rev"])

    def ahead(self, turn: int) -> int:
        """Count the open turns before one."""
        return sum(other < turn for other in self.open)


def key(user: str, sk: str) -> Item:
    """Return the key of one of a user's items."""
    return item({PK: user_key(user), SK: sk})


def run_of(attributes: Item) -> Run:
    """Read the item of a run."""
    kept = {name: value for name, value in plain(attributes).items() if name in _FIELDS}
    return Run(**{"client_message_id": None, **kept})


def may_be_gone(run_id: str, now_ms: int) -> bool:
    """Whether a run is so old that its item may have been removed; a run id begins with its time (RFC 9562)."""
    return now_ms - int(run_id.replace("-", "")[:12], 16) > RUN_KEPT_S * 1000


def run_item(run: Run, *, waits: bool, expires_s: int) -> Item:
    """Return an open run as its item, with what both indexes of open runs need."""
    return key(run.user, run_key(run.run_id)) | item(
        {
            **asdict(run),
            WAITS: waits or None,
            OPEN_SINCE: f"{run.created_ms:013d}#{run.run_id}",
            OPEN_SHARD: shard_of(run.run_id),
            NEXT_CHECK: run.created_ms + FIRST_CHECK_MS,
            TTL: expires_s,
        }
    )
