"""How far the runners are behind, as the watchdog noted it in its last sweep: one item for everybody.

A message is not kept waiting for it: what is remembered is asked for anew beside other work, now and then.
"""

from playbyplay.adapters.aws import Aws
from playbyplay.adapters.dynamo_items import item, plain
from playbyplay.adapters.tables import BACKLOG, PK, SK, TTL
from playbyplay.domain.timing import CLOUD
from playbyplay.errors import PlaybyplayError
from playbyplay.ports import Clock

_ASK_MS = 15_000
_BELIEVED_MS = int(3 * CLOUD.sweep_s * 1000)  # a watchdog that fell must not keep messages out
_AHEAD_MS = 5_000  # of our clock, another's may be; a note from later would be believed until then, and longer
_KEPT_S = 3_600
_KEY = item({PK: BACKLOG, SK: BACKLOG})


class DynamoBacklog:
    """Implements `ports.Backlog`.

    Args:
        aws: the door.
        clock: tells how old the note is, and what was learned of it.
        runs_table: where the note is.
    """

    def __init__(self, aws: Aws, clock: Clock, runs_table: str) -> None:
        self._aws = aws
        self._clock = clock
        self._table = runs_table
        self._asked_ms: int | None = None
        self._age_ms = 0
        self._noted_ms = 0

    async def age_s(self) -> float:
        """Return what is remembered; 0 where that is nothing, or old, or not of now at all."""
        believed = -_AHEAD_MS <= self._clock.now_ms() - self._noted_ms <= _BELIEVED_MS
        return self._age_ms / 1000 if believed else 0.0

    async def refresh(self) -> None:
        """Read the note, every 15 s at the most; a failure leaves what is known."""
        now_ms = self._clock.now_ms()
        if self._asked_ms is not None and now_ms - self._asked_ms < _ASK_MS:
            return
        self._asked_ms = now_ms  # before the answer: of many messages at once one asks, and a store in trouble rests
        try:
            answer = await self._aws.read("dynamodb", "get_item", {"TableName": self._table, "Key": _KEY})
        except PlaybyplayError:  # a refused call, too, costs no message: AWS's door has told of it
            return
        note = plain(answer.get("Item", {}))
        self._age_ms, self._noted_ms = note.get("age_ms", 0), note.get("noted_ms", 0)

    async def note(self, age_s: float, now_ms: int) -> None:
        """Write how long the runners have been behind, for all who accept messages.

        Raises:
            StoreUnavailable: the note before it stands, until it is too old.
        """
        note = item({"age_ms": round(age_s * 1000), "noted_ms": now_ms, TTL: now_ms // 1000 + _KEPT_S})
        await self._aws.read("dynamodb", "put_item", {"TableName": self._table, "Item": _KEY | note})
