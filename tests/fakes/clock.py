"""A clock that stands still until it is told otherwise."""


class FakeClock:
    """Implements `ports.Clock`."""

    def __init__(self, now_ms: int = 1_750_000_000_000) -> None:
        self.ms = now_ms

    def now_ms(self) -> int:
        return self.ms

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.ms += round(seconds * 1000)
