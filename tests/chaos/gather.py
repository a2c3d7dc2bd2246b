"""Fills the evidence with what the server's side left: its store, its ledger, its log."""

import contextlib
import json
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from local.database import Database
from local.sqlite_journal import SqliteJournal
from local.sqlite_run_store import SqliteRunStore
from playbyplay.adapters.system import SystemClock
from playbyplay.domain.journal import CheckpointEntry, InputEntry, Record
from playbyplay.domain.timing import ONE_MACHINE
from tests.chaos.faults import Kind, Window
from tests.chaos.ledger import effects, lines
from tests.chaos.play import id_of
from tests.chaos.serve import DATABASE
from tests.chaos.server import CampaignError
from tests.simulation.evidence import Evidence, Fault, Logged, ModelAsked, Put, ToolCalled, ToolEffect

_LOST: Final[Mapping[str, Kind]] = {"lost_post": "post lost", "lost_job": "job lost"}
_FIRED: Final[Mapping[str, Kind]] = {"kill_runner": "runner killed", "duplicate_job": "job twice"}
# How long a loss may last: a client with an open run pings so often, and finds what it misses (C13); a job that was
# lost is sent again so soon, and one that was lost with its runner too (C8).
_LASTS_MS: Final[Mapping[Kind, float]] = {
    "post lost": 5_000.0,
    "job lost": 5_000.0,
    "runner killed": 4_000.0,
    "job twice": 0.0,
}
_MODES: Final[Mapping[Kind, str]] = {
    "post lost": "drop",
    "job lost": "drop",
    "runner killed": "crash",
    "job twice": "twice",
}
Scopes = dict[str, tuple[str, str | None]]
"""Run and scope of each message the model was asked about, by its id."""


async def gather(evidence: Evidence, directory: Path) -> list[Window]:
    """Read everything the server left; it has ended. Return the faults that it alone knows the time of.

    Raises:
        CampaignError: something is missing or cannot be read.
    """
    try:
        await _store(evidence, directory / "data" / DATABASE)
        lost = _ledger(evidence, directory)
        for line in (directory / "data" / "playbyplay.log").read_text(encoding="utf-8").splitlines():
            with contextlib.suppress(ValueError):  # the last line of a process that fell may be half
                fields: dict[str, Any] = json.loads(line)
                evidence.log.append(Logged(fields.pop("time"), fields.pop("event"), fields))
        fired = [line for line in evidence.log if line.name == "fault_injected"]
        windows = lost + [_window(_FIRED[str(line.fields["fault"])], line.at_ms, line.fields) for line in fired]
    except (OSError, sqlite3.Error, KeyError, ValueError) as error:
        raise CampaignError(f"What the server left cannot be read: {type(error).__name__}: {error}") from error
    evidence.faults += [Fault(one.at_ms, "server", _MODES[one.kind], one.until_ms) for one in windows]
    evidence.faults.sort(key=lambda fault: fault.at_ms)
    return windows


def _window(kind: Kind, at_ms: float, fields: Mapping[str, Any]) -> Window:
    return Window(kind, None, at_ms, at_ms + _LASTS_MS[kind], fields.get("run_id"))


async def _store(evidence: Evidence, path: Path) -> None:
    database = Database(path)
    try:
        runs, journal = SqliteRunStore(database, SystemClock(), ONE_MACHINE), SqliteJournal(database)
        keys = database.read("SELECT user, run_id FROM runs ORDER BY created_ms, run_id")
        found = [await runs.get(user, run_id) for user, run_id in keys]
        evidence.runs = [run for run in found if run is not None]
        stored = database.read("SELECT DISTINCT user, run_id FROM journal")
        evidence.journals = {(user, run_id): await journal.read(user, run_id) for user, run_id in stored}
        rows = database.read("SELECT at_ms, user, run_id, pos, token FROM chaos_puts ORDER BY rowid")
        evidence.puts = [Put(*row) for row in rows]
    finally:
        await database.close()


def _ledger(evidence: Evidence, directory: Path) -> list[Window]:
    scopes, lost = _scopes(evidence), []
    for line in lines(directory):
        at_ms, kind = line.pop("at_ms"), line.pop("kind")
        if kind == "called":
            evidence.called.append(ToolCalled(at_ms, **line))
        elif kind == "asked":
            run_id, scope = scopes[line["id"]]
            evidence.asked.append(ModelAsked(at_ms, run_id, scope, line["step"]))
        else:
            lost.append(_window(_LOST[kind], at_ms, line))
    evidence.effects = [ToolEffect(*row) for row in effects(directory)]
    return lost


def _scopes(evidence: Evidence) -> Scopes:
    """Return where each message belongs that the model was asked about: its own id is all the model knows of it."""
    scopes: Scopes = {}
    for (_user, run_id), records in evidence.journals.items():
        entries = [entry for record in records for entry in record.entries]
        for entry in entries:
            if isinstance(entry, InputEntry):
                scopes[id_of(entry.content)] = run_id, None
            elif isinstance(entry, CheckpointEntry):
                for call in entry.calls:
                    if call.delegate is not None:
                        scopes[id_of(json.loads(call.arguments)["task"])] = run_id, call.call_id
    return scopes


def as_json(evidence: Evidence) -> str:
    """Return the evidence as JSON, to be looked at."""

    def plain(value: Any) -> Any:
        if isinstance(value, Record):
            return {
                "pos": value.pos,
                "epoch": value.epoch,
                "token": value.token,
                "entries": json.loads(value.entries_json()),
            }
        if isinstance(value, list | tuple | frozenset | set):
            return [plain(one) for one in value]
        if isinstance(value, dict):
            return {str(key if isinstance(key, str) else " ".join(key)): plain(one) for key, one in value.items()}
        if hasattr(value, "__dataclass_fields__"):
            return {name: plain(getattr(value, name)) for name in value.__dataclass_fields__}
        return value

    return json.dumps(plain(evidence))
