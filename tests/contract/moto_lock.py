"""AWS in memory: moto in this process, answering one call at a time.

Alone moto is not safe under threads: of several that race one conditional put more than one may win.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from moto import mock_aws
from moto.core.botocore_stubber import BotocoreStubber

LOCK = threading.RLock()
REGION = "us-east-1"


@contextmanager
def locked_moto() -> Iterator[None]:
    """Answer every call of boto3 from memory, one after the other."""
    answer = BotocoreStubber.__call__

    def one_at_a_time(self: BotocoreStubber, event_name: str, request: Any, **extra: Any) -> Any:
        with LOCK:
            return answer(self, event_name, request, **extra)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_DEFAULT_REGION", REGION)
        patch.delenv("AWS_ENDPOINT_URL", raising=False)
        patch.setattr(BotocoreStubber, "__call__", one_at_a_time)
        with mock_aws():
            yield
