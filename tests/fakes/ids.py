"""Ids that are new each time and the same in each run of the tests."""

import base64
import hashlib


class FakeIds:
    """Implements `ports.Ids`.

    Args:
        start: the number of the first id.

    Attributes:
        chance: what `fraction` returns.
    """

    def __init__(self, start: int = 1_000) -> None:
        self.chance = 0.0
        self._number = start

    def uuid(self) -> str:
        return uuid(self._next())

    def secret(self) -> str:
        digest = hashlib.sha256(str(self._next()).encode()).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()

    def fraction(self) -> float:
        return self.chance

    def _next(self) -> int:
        self._number += 1
        return self._number


def uuid(number: int) -> str:
    """Return the UUIDv7 of a number; that of a higher one sorts higher."""
    return f"0197{number >> 16:04x}-{number & 0xFFFF:04x}-7000-8000-{number:012x}"
