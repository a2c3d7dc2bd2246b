"""Whoever wants to see all that passes between a client and its server: a log of the wire, a test."""

from typing import Protocol

from playbyplay.protocol import replies
from playbyplay.protocol.events import Event


class Observer(Protocol):
    """Is told what happens as it happens; it must neither wait nor raise."""

    def opened(self, connection: int) -> None:
        """Note that a connection stands; they are counted from 1."""
        ...

    def closed(self, connection: int) -> None:
        """Note that a connection is known to have ended."""
        ...

    def sent(self, connection: int, text: str) -> None:
        """Note a frame that is about to be written; whether it arrives, its answer tells."""
        ...

    def received(self, connection: int, text: str) -> None:
        """Note a frame of the server, before anything is made of it."""
        ...

    def delivered(self, frame: Event | replies.RunInput | replies.ResponseDelta) -> None:
        """Note what is handed on, in order: an event, a message of the user, a piece of an answer."""
        ...


class Nobody:
    """Implements `Observer`: sees nothing."""

    def opened(self, connection: int) -> None:
        """Look away."""

    def closed(self, connection: int) -> None:
        """Look away."""

    def sent(self, connection: int, text: str) -> None:
        """Look away."""

    def received(self, connection: int, text: str) -> None:
        """Look away."""

    def delivered(self, frame: Event | replies.RunInput | replies.ResponseDelta) -> None:
        """Look away."""
