"""What API Gateway hands to a function: the fields we use, and nothing of what we do not.

Shapes of https://docs.aws.amazon.com/apigateway/latest/developerguide/ (WebSocket APIs; HTTP API payload 2.0).
A malformed event raises pydantic's ValidationError, which never repeats what came in.
"""

import base64
from collections.abc import Mapping
from typing import Annotated

from pydantic import AliasPath, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

from playbyplay.domain.connection import Session

_PROTOCOL = "sec-websocket-protocol"


class Event(BaseModel):
    """Frozen; unknown fields are left out, and errors hide the input."""

    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=to_camel, hide_input_in_errors=True)


def _texts(value: object) -> object:
    return {} if value is None else value


def _text(value: object) -> object:
    return "" if value is None else value


Texts = Annotated[Mapping[str, str], BeforeValidator(_texts)]
Text = Annotated[str, BeforeValidator(_text)]


class Headers(Event):
    """An event with HTTP headers, whose names arrive in any case."""

    headers: Texts = Field(default_factory=dict)

    def header(self, name: str) -> str | None:
        """Return a header's value by its name in any case; None if absent."""
        wanted = name.lower()
        return next((value for key, value in self.headers.items() if key.lower() == wanted), None)

    @property
    def origin(self) -> str | None:
        """The Origin header; None if absent."""
        return self.header("origin")

    @property
    def protocols(self) -> list[str]:
        """The subprotocols the client offers, in its order."""
        offered = (one.strip() for one in (self.header(_PROTOCOL) or "").split(","))
        return [one for one in offered if one]


class AuthorizerContext(Event):
    """What the authorizer said of the connection; every value is a string on the way."""

    user: str = Field(min_length=1)
    session_expires_ms: int = Field(alias="session_expires_ms")

    @property
    def session(self) -> Session:
        """Who the connection belongs to, and until when."""
        return Session(self.user, self.session_expires_ms)


class AuthorizerEvent(Headers):
    """The `$connect` authorizer's event."""

    method_arn: str
    query_string_parameters: Texts = Field(default_factory=dict)


class ClientContext(Event):
    """The request context of what an admitted client does."""

    connection_id: str = Field(min_length=1)
    authorizer: AuthorizerContext


class ClientEvent(Event):
    """What an admitted client does."""

    request_context: ClientContext

    @property
    def connection_id(self) -> str:
        """The connection."""
        return self.request_context.connection_id

    @property
    def session(self) -> Session:
        """Who the connection belongs to, and until when."""
        return self.request_context.authorizer.session


class ConnectEvent(Headers, ClientEvent):
    """`$connect`."""


class MessageEvent(ClientEvent):
    """A client frame."""

    body: Text = ""
    is_base64_encoded: bool = False


class DisconnectContext(Event):
    """The request context of `$disconnect`."""

    connection_id: str = Field(min_length=1)
    disconnect_status_code: int | None = None


class DisconnectEvent(Event):
    """`$disconnect`, which may never come."""

    request_context: DisconnectContext

    @property
    def connection_id(self) -> str:
        """The connection."""
        return self.request_context.connection_id

    @property
    def disconnect_status_code(self) -> int | None:
        """How it was closed; None if API Gateway does not say."""
        return self.request_context.disconnect_status_code


class HttpEvent(Headers):
    """A request of an HTTP API that its JWT authorizer let pass."""

    claims: Mapping[str, object] = Field(validation_alias=AliasPath("requestContext", "authorizer", "jwt", "claims"))
    body: Text = ""
    is_base64_encoded: bool = False

    @property
    def subject(self) -> str | None:
        """The token's subject; None if it has none."""
        subject = self.claims.get("sub")
        return subject if isinstance(subject, str) and subject else None

    @property
    def content(self) -> bytes:
        """The body as it was sent."""
        return base64.b64decode(self.body) if self.is_base64_encoded else self.body.encode()
