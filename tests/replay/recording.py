"""A recording: the journal of one run as a store keeps it, and what the version that wrote it made of every prefix.

One JSON file each, below `journals/`, in a folder per version. Recordings are history: a new version adds its own.
"""

import base64
import json
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from playbyplay.domain.journal import ENTRIES, Record
from playbyplay.domain.thread import Run

JOURNALS = Path(__file__).parent / "journals"
VERSION = "v1"
_LONG = 2_000  # characters; a longer text is packed, or a long answer would be in the repository several times
_PACKED = "zlib"


@dataclass(frozen=True, slots=True)
class Stored:
    """One record as a store keeps it: the columns, and the entries as the bytes they were written in."""

    pos: int
    epoch: int
    token: str
    last_seq: int
    entries: str

    @classmethod
    def of(cls, record: Record) -> "Stored":
        """Return a record as it is stored."""
        return cls(record.pos, record.epoch, record.token, record.last_seq, record.entries_json())

    def record(self) -> Record:
        """Return the record, read as every store reads it.

        Raises:
            ValidationError: it holds what this version does not know.
        """
        return Record(self.pos, self.epoch, self.token, self.last_seq, ENTRIES.validate_json(self.entries))

    @property
    def kinds(self) -> list[str]:
        """What it holds, in a word each, for who reads a failure."""
        return [entry["event"]["type"] if "event" in entry else entry["kind"] for entry in json.loads(self.entries)]


@dataclass(frozen=True, slots=True)
class Turn:
    """A run as it was accepted, and its journal."""

    run: Run
    records: tuple[Stored, ...]


@dataclass(frozen=True, slots=True)
class Recording:
    """One run that was recorded.

    Attributes:
        version: of the journal's form: the folder it is in.
        tells: what happened in it.
        earlier: the turns before it in its thread.
        turn: the run.
        read_ms: the time at which its prefixes were read.
        recalled: what its model was told of the earlier turns, as plain JSON.
        prefixes: what was made of its first record, of its first two, and so on to all of them.
    """

    version: str
    name: str
    tells: str
    earlier: tuple[Turn, ...]
    turn: Turn
    read_ms: int
    recalled: list[dict[str, Any]]
    prefixes: list[dict[str, Any]]

    def to_json(self) -> str:
        """Return the recording as the text of its file."""
        told = {
            "tells": self.tells,
            "earlier": [_told(turn) for turn in self.earlier],
            "turn": _told(self.turn),
            "read_ms": self.read_ms,
            "recalled": self.recalled,
            "prefixes": self.prefixes,
        }
        return json.dumps(_packed(told), indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def of(cls, path: Path) -> "Recording":
        """Return the recording a file holds."""
        told = _unpacked(json.loads(path.read_text(encoding="utf-8")))
        return cls(
            version=path.parent.name,
            name=path.stem,
            tells=told["tells"],
            earlier=tuple(_turn(turn) for turn in told["earlier"]),
            turn=_turn(told["turn"]),
            read_ms=told["read_ms"],
            recalled=told["recalled"],
            prefixes=told["prefixes"],
        )


def recordings() -> list[Recording]:
    """Return every recording of every version, the oldest version first."""
    return [Recording.of(path) for path in sorted(JOURNALS.glob("*/*.json"))]


def newest(recorded: Sequence[Recording]) -> str:
    """Return the latest version among recordings."""
    return max((one.version for one in recorded), key=lambda version: int(version.removeprefix("v")))


def _told(turn: Turn) -> dict[str, Any]:
    run = turn.run
    return {
        "user": run.user,
        "run_id": run.run_id,
        "thread_id": run.thread_id,
        "turn": run.turn,
        "client_message_id": run.client_message_id,
        "content_digest": run.content_digest,
        "created_ms": run.created_ms,
        "deadline_ms": run.deadline_ms,
        "records": [asdict(record) for record in turn.records],
    }


def _turn(told: dict[str, Any]) -> Turn:
    records = tuple(Stored(**record) for record in told.pop("records"))
    return Turn(Run(**told), records)


def _packed(value: Any) -> Any:
    if isinstance(value, str) and len(value) > _LONG:
        return {_PACKED: base64.b64encode(zlib.compress(value.encode(), 9)).decode()}
    if isinstance(value, dict):
        return {name: _packed(inner) for name, inner in value.items()}
    return [_packed(inner) for inner in value] if isinstance(value, list) else value


def _unpacked(value: Any) -> Any:
    if isinstance(value, dict):
        if value.keys() == {_PACKED}:
            return zlib.decompress(base64.b64decode(value[_PACKED])).decode()
        return {name: _unpacked(inner) for name, inner in value.items()}
    return [_unpacked(inner) for inner in value] if isinstance(value, list) else value
