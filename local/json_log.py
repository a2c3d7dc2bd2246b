"""The log of the one-machine home: one JSON object a line."""

import contextlib
import json
import sys
from typing import TextIO

from playbyplay.observability import COUNTED_ONLY, EVENT_NAMES
from playbyplay.ports import Clock


class JsonLog:
    """Writes each event as one line of JSON; those that are only counted have none.

    Args:
        clock: for the time of each line.
        stream: where to; standard error unless told.
    """

    def __init__(self, clock: Clock, stream: TextIO | None = None) -> None:
        self._clock = clock
        self._stream = stream or sys.stderr

    def event(self, name: str, **fields: str | float | bool | None) -> None:
        """Write one event of the catalogue.

        Raises:
            ValueError: the name is not in the catalogue.
        """
        if name not in EVENT_NAMES:
            raise ValueError(f"{name} is not in the catalogue of log events")
        if name in COUNTED_ONLY:
            return
        line = {
            "time": self._clock.now_ms(),
            "event": name,
            **{key: val for key, val in fields.items() if val is not None},
        }
        with contextlib.suppress(OSError, ValueError):  # a full disk must not cost a run
            self._stream.write(json.dumps(line) + "\n")
