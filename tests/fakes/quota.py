"""A quota that lets everything pass until it is told otherwise."""

from tests.fakes.faults import Faults


class FakeQuota:
    """Implements `ports.Quota`.

    Attributes:
        waits: the seconds to wait, by type of command; 0 for any other.
        asked: user, connection and type of each command, in order.
    """

    def __init__(self, faults: Faults | None = None) -> None:
        self.faults = faults or Faults()
        self.waits: dict[str, float] = {}
        self.asked: list[tuple[str, str, str]] = []

    async def wait_s(self, user: str, connection_id: str, kind: str) -> float:
        async with self.faults.around("quota.wait_s"):
            self.asked.append((user, connection_id, kind))
            return self.waits.get(kind, 0.0)
