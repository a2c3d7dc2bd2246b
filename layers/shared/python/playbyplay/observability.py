"""The catalogue of log events, and the log that writes them as one JSON object a line.

server_started       where it listens, which model answers
server_stopped       a clean end
connection_opened    user hash left out; connection_id
connection_closed    connection_id, code
frame_rejected       connection_id, code
frame_crashed        connection_id, error (the type's name): a bug of ours, the client resends
message_accepted     run_id, duplicate, position
run_acquired         run_id, epoch, attempts
run_settled          run_id, status, events, elapsed_ms
run_retried          run_id, reason: the job comes again
run_crashed          run_id, error (the type's name): ends in error{internal}
job_dropped          run_id, reason: the job was of no use
tool_failed          run_id, tool, error (the type's name)
model_retried        attempt, reason, wait_ms
append_in_doubt      run_id, reason: an outcome is read back
post_failed          run_id, reason: one connection missed a frame and heals through resume

No event carries message text, tool arguments, answers, tickets or keys.
"""

import contextlib
import json
import sys
from typing import Literal, TextIO, get_args

from playbyplay.ports import Clock

EventName = Literal[
    "server_started",
    "server_stopped",
    "connection_opened",
    "connection_closed",
    "frame_rejected",
    "frame_crashed",
    "message_accepted",
    "run_acquired",
    "run_settled",
    "run_retried",
    "run_crashed",
    "job_dropped",
    "tool_failed",
    "model_retried",
    "append_in_doubt",
    "post_failed",
]
EVENT_NAMES: frozenset[str] = frozenset(get_args(EventName))


class JsonLog:
    """Writes each event as one line of JSON.

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
        line = {
            "time": self._clock.now_ms(),
            "event": name,
            **{key: val for key, val in fields.items() if val is not None},
        }
        with contextlib.suppress(OSError, ValueError):  # a full disk must not cost a run
            self._stream.write(json.dumps(line) + "\n")
