"""The clock, the ids and the chance of the machine it runs on."""

import base64
import random
import secrets
import threading
import time

_VERSION_7 = 0x7 << 76
_VARIANT = 0b10 << 62


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
        fresh = (time.time_ns() // 1_000_000) << 74 | secrets.randbits(74)
        with self._lock:
            self._last = fresh if fresh >> 74 > self._last >> 74 else self._last + 1
            value = self._last
        high, low = value >> 62, value & ((1 << 62) - 1)
        number = (high >> 12) << 80 | _VERSION_7 | (high & 0xFFF) << 64 | _VARIANT | low
        text = f"{number:032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    def secret(self) -> str:
        """Return 256 random bits, base64url without padding."""
        return base64.urlsafe_b64encode(secrets.token_bytes(32)).rstrip(b"=").decode()

    def fraction(self) -> float:
        """Return a random number of [0, 1)."""
        return random.random()  # noqa: S311 - jitter is no secret
