"""How a runner learns of a cancel on AWS: it looks at the run every two seconds.

The first look comes after the first pause: who watches has just acquired the run and saw the mark
as it was then, so a run shorter than the pause costs no call.
"""

import asyncio

from playbyplay.adapters.aws import Aws
from playbyplay.adapters.dynamo_items import plain
from playbyplay.adapters.dynamo_run_items import key
from playbyplay.adapters.tables import run_key
from playbyplay.errors import StoreUnavailable


class DynamoCancelWatch:
    """Implements `ports.CancelWatch`; what the port calls "at once" is within one pause here.

    Args:
        aws: the door.
        runs_table: where the mark is.
        every_s: the pause before each look.
    """

    def __init__(self, aws: Aws, runs_table: str, every_s: float = 2.0) -> None:
        self._aws = aws
        self._table = runs_table
        self._every_s = every_s

    def requested(self, user: str, run_id: str) -> asyncio.Future[None]:
        """Return what is done when the run is marked for cancelling; cancelling it ends the looking."""
        return asyncio.ensure_future(self._look_until_marked(user, run_id))

    async def _look_until_marked(self, user: str, run_id: str) -> None:
        while True:
            await asyncio.sleep(self._every_s)
            if await self._is_marked(user, run_id):
                return

    async def _is_marked(self, user: str, run_id: str) -> bool:
        """Look, eventually consistent: half the price, and the next look sees what this one missed."""
        get = {"TableName": self._table, "Key": key(user, run_key(run_id)), "ProjectionExpression": "cancel"}
        try:
            answer = await self._aws.read("dynamodb", "get_item", get)
        except StoreUnavailable:
            return False
        return bool(plain(answer.get("Item", {})).get("cancel"))
