"""The clock, the ids and the chance of the machine it runs on."""

import base64
import os
import random
import secrets
import threading
import time

_VARIANT = 0b10 << 62
_LOW_62 = (1 << 62) - 1


class SystemClock:
    """The wall clock."""

    def now_ms(self) -> int:
        """Return milliseconds since the epoch, UTC."""
        return time.time_ns() // 1_000_000


class SystemIds:
    """Ids from the operating system's randomness."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0

    def uuid(self) -> str:
        """Return a UUIDv7 (RFC 9562, 5.7): 48 bits of milliseconds, 74 random bits.

        Within one process a later id sorts higher: in the same millisecond the random tail of the
        one before is raised by one (RFC 9562, 6.2, method 2).
        """
        fresh = (time.time_ns() // 1_000_000) << 74 | int.from_bytes(os.urandom(10), "big") >> 6
        with self._lock:
            self._last = fresh if fresh >> 74 > self._last >> 74 else self._last + 1
            value = self._last
        text = f"{value >> 74:012x}7{value >> 62 & 0xFFF:03x}{_VARIANT | value & _LOW_62:016x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    def secret(self) -> str:
        """Return 256 random bits, base64url without padding."""
        return base64.urlsafe_b64encode(secrets.token_bytes(32)).rstrip(b"=").decode()

    def fraction(self) -> float:
        """Return a random number of [0, 1)."""
        return random.random()  # noqa: S311 - jitter is no secret
