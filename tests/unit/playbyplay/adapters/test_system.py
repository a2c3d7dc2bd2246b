"""The clock, the ids and the chance of this machine."""

import base64
import re
import threading
import time
import uuid

from playbyplay.adapters.system import SystemClock, SystemIds
from playbyplay.protocol.base import UUID_PATTERN


def milliseconds_of(text: str) -> int:
    return int(text.replace("-", "")[:12], 16)


def test_the_clock_tells_milliseconds_since_the_epoch() -> None:
    """Between two looks at the machine's own."""
    before = int(time.time() * 1000)
    now = SystemClock().now_ms()
    assert before <= now <= int(time.time() * 1000) + 1
    assert isinstance(now, int)


def test_an_id_is_a_uuid_of_version_7() -> None:
    """Canonical lower case, the variant of RFC 9562, the time in front."""
    ids = SystemIds()
    for _ in range(200):
        before = SystemClock().now_ms()
        text = ids.uuid()
        parsed = uuid.UUID(text)
        assert re.fullmatch(UUID_PATTERN, text)
        assert str(parsed) == text
        assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)
        assert abs(milliseconds_of(text) - before) < 1_000


def test_a_later_id_sorts_higher() -> None:
    """As text and without end: thousands within one millisecond too, none twice."""
    ids = SystemIds()
    made = [ids.uuid() for _ in range(20_000)]
    assert made == sorted(made)
    assert len(set(made)) == len(made)


def test_ids_made_in_threads_are_all_different() -> None:
    """Four threads at once, each in rising order."""
    ids, made = SystemIds(), list[list[str]]()

    def make() -> None:
        made.append([ids.uuid() for _ in range(3_000)])

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({text for of_one in made for text in of_one}) == 12_000
    assert all(of_one == sorted(of_one) for of_one in made)


def test_two_makers_do_not_agree() -> None:
    """The random bits differ, in all but the fixed ones."""
    numbers = [uuid.UUID(SystemIds().uuid()).int for _ in range(300)]
    tails = [number & ((1 << 62) - 1) for number in numbers]
    assert len(set(tails)) == 300
    ever_set, always_set = 0, (1 << 62) - 1
    for tail in tails:
        ever_set |= tail
        always_set &= tail
    assert ever_set == (1 << 62) - 1
    assert always_set == 0
    assert len({(number >> 64) & 0xFFF for number in numbers}) > 200


def test_a_secret_is_256_random_bits() -> None:
    """43 characters of base64url without padding; never one twice."""
    secrets = {SystemIds().secret() for _ in range(200)}
    assert len(secrets) == 200
    for secret in secrets:
        assert re.fullmatch(r"[A-Za-z0-9_-]{43}", secret)
        assert len(base64.urlsafe_b64decode(secret + "=")) == 32


def test_a_fraction_is_below_one() -> None:
    """From 0 on, and not always the same."""
    fractions = [SystemIds().fraction() for _ in range(500)]
    assert all(0 <= one < 1 for one in fractions)
    assert min(fractions) < 0.1
    assert max(fractions) > 0.9
