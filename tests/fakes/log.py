"""A log that remembers, and takes only names of the catalogue."""

from playbyplay.observability import EVENT_NAMES


class FakeLog:
    """Implements `ports.Log`.

    Attributes:
        events: name and fields of every event, in order.
    """

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, str | float | bool | None]]] = []

    def event(self, name: str, **fields: str | float | bool | None) -> None:
        if name not in EVENT_NAMES:
            raise ValueError(f"{name} is not in the catalogue of log events")
        self.events.append((name, fields))

    @property
    def names(self) -> list[str]:
        """The names of all events, in order."""
        return [name for name, _fields in self.events]

    def of(self, name: str) -> list[dict[str, str | float | bool | None]]:
        """Return the fields of every event of a name."""
        return [fields for event, fields in self.events if event == name]
