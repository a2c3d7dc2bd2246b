"""Keeps out of the log what is no news: sweeps that found nothing, and what the sweep before found missing already."""

from collections.abc import Mapping
from typing import Final

from playbyplay.ports import Log

# Of each sweep, the fields that say how much it looked at: that alone is no news.
_LOOKED_AT: Final[Mapping[str, frozenset[str]]] = {
    "watchdog_swept": frozenset(),
    "audit_swept": frozenset({"audited", "open", "complete"}),
}


class News:
    """Implements `ports.Log`: passes on what is news. A sweep comes every second or two, and an absence may last."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._known: frozenset[object] = frozenset()
        self._found: set[object] = set()
        self._swept: Mapping[str, object] = {}

    def event(self, name: str, **fields: str | float | bool | None) -> None:
        """Record an event, unless it is known."""
        if name == "absence_found":
            absence = (fields.get("run_id"), fields.get("absence"))
            self._found.add(absence)
            if absence in self._known:
                return
        elif name in _LOOKED_AT and not self._is_news(name, fields):
            return
        self._log.event(name, **fields)

    def _is_news(self, name: str, fields: Mapping[str, object]) -> bool:
        found = {field: value for field, value in fields.items() if field not in _LOOKED_AT[name]}
        if name != "audit_swept":
            return any(found.values())
        before, self._swept = self._swept, found
        self._known, self._found = frozenset(self._found), set()
        return found != before if before else any(found.values())
