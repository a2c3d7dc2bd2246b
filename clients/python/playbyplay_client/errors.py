"""What the client raises: every error a caller may have to tell from the others."""

from playbyplay.errors import PlaybyplayError


class ClientError(PlaybyplayError):
    """The root of what the client raises."""


class CannotConnect(ClientError):
    """There is no server to be had under this URL; one sentence says why."""


class ConnectionLost(ClientError):
    """The client was closed, or every attempt to connect again failed. Runs go on at the server."""


class Unanswered(ClientError):
    """A frame got no answer, however often it was sent; sending it again with the same id is safe."""


class CodedError(ClientError):
    """An error with a code of the contract and a safe sentence."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class Rejected(CodedError):
    """The server refused a frame, which changed nothing."""


class RunLost(CodedError):
    """The rest of a run's events cannot be had any more."""


class RunFailed(CodedError):
    """The run ended in `error`: there is no answer."""
