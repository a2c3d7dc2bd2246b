"""A backlog of any age."""

from tests.fakes.faults import Faults


class FakeBacklog:
    """Implements `ports.Backlog`.

    Attributes:
        seconds: how long the oldest job has waited, as it will be known after the next `refresh`.
    """

    def __init__(self, faults: Faults | None = None) -> None:
        self.faults = faults or Faults()
        self.seconds = 0.0
        self._known_s = 0.0

    async def age_s(self) -> float:
        return self._known_s

    async def refresh(self) -> None:
        async with self.faults.around("backlog.refresh"):
            self._known_s = self.seconds
