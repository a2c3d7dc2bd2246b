"""The data directory: one process owns it, and the lock says so."""

import fcntl
from pathlib import Path
from typing import IO, TextIO

from playbyplay.errors import PlaybyplayError


class DataDirectoryError(PlaybyplayError):
    """The directory cannot be used; one sentence says why."""


class DataDirectory:
    """Holds the lock from its making to `release`.

    Args:
        path: made if missing, readable by its owner alone.

    Raises:
        DataDirectoryError: another process owns it, or it cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock: IO[str] = (path / "lock").open("w")
        except OSError as error:
            raise DataDirectoryError(f"The data directory {path} cannot be used: {error.strerror}.") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock.close()
            raise DataDirectoryError(
                f"Another Playbyplay is using the data directory {path}. "
                "Stop it, or set PLAYBYPLAY_DATA to another directory."
            ) from None

    def open_log(self) -> TextIO:
        """Return the log file, to append to; line by line, so that a crash loses none."""
        return (self.path / "playbyplay.log").open("a", buffering=1, encoding="utf-8")

    def release(self) -> None:
        """Let the next process in."""
        self._lock.close()
