"""Who sent the frame: known from the connection, never from the frame."""

from dataclasses import dataclass

from playbyplay.domain.connection import Session


@dataclass(frozen=True, slots=True)
class Caller:
    """The connection a frame came on, and the user it belongs to."""

    connection_id: str
    session: Session

    @property
    def user(self) -> str:
        """The user."""
        return self.session.user
