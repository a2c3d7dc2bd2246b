"""Opening a connection: the server's addresses, the ticket, the handshake, and a sentence for each way it fails."""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlencode, urlsplit

import aiohttp

from playbyplay.protocol.base import SUBPROTOCOL
from playbyplay_client.errors import CannotConnect

_MAX_FRAME_BYTES = 256 * 1024  # ten times the contract's: a server in error is answered, not cut off


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """How a user whom a server knows by a token gets tickets.

    Attributes:
        ticket_url: where to POST for one; a page there has the Origin that is claimed, unless told otherwise.
        token: of the user, sent as a bearer to that place only; None where nobody asks for one.
        in_query: whether the ticket goes into the socket's URL, for a gateway that answers no subprotocol.
    """

    ticket_url: str
    token: str | None = None
    in_query: bool = False

    @property
    def origin(self) -> str:
        """The Origin of a page beside the ticket endpoint."""
        parts = urlsplit(self.ticket_url)
        return f"{parts.scheme}://{parts.netloc}"


class Opens(Protocol):
    """What opens connections."""

    async def open(self, http: aiohttp.ClientSession, timeout_s: float) -> aiohttp.ClientWebSocketResponse:
        """Return a new connection, in time.

        Raises:
            CannotConnect: one sentence says why.
        """
        ...


class Dialer:
    """Opens connections to one server, each with its own ticket where one is needed."""

    def __init__(
        self,
        url: str,
        user: str | None,
        origin: str | None,
        ticket: str | Callable[[], Awaitable[str]] | None,
        sign_in: SignIn | None = None,
    ) -> None:
        self._url, self._ticket_url = addresses(url)
        self._user, self._origin, self._ticket, self._token = user, origin, ticket, None
        self._in_query = sign_in is not None and sign_in.in_query
        if sign_in is not None:
            addresses(sign_in.ticket_url)
            self._ticket_url, self._token = sign_in.ticket_url, sign_in.token
            self._origin = origin or sign_in.origin

    async def open(self, http: aiohttp.ClientSession, timeout_s: float) -> aiohttp.ClientWebSocketResponse:
        """Return a new connection.

        Raises:
            CannotConnect: one sentence says why.
        """
        try:
            async with asyncio.timeout(timeout_s):
                ticket = await self._new_ticket(http)
                url, protocols = self._handshake(ticket)
                socket = await http.ws_connect(
                    url,
                    protocols=protocols,
                    origin=self._origin,
                    timeout=aiohttp.ClientWSTimeout(ws_close=1.0),
                    max_msg_size=_MAX_FRAME_BYTES,
                )
        except aiohttp.WSServerHandshakeError as refusal:
            raise CannotConnect(f"{self._url} refused the connection (HTTP {refusal.status}).") from None
        except TimeoutError:
            raise CannotConnect(f"{self._url} did not answer within {timeout_s:g} s.") from None
        except OSError as failure:
            number = failure.errno or 0
            reason = os.strerror(number) if number > 0 else failure.strerror or str(failure)
            raise CannotConnect(f"Cannot reach {self._url}: {reason}. Is the server running?") from None
        except (aiohttp.ClientError, ValueError) as failure:
            reason = str(failure) or type(failure).__name__
            raise CannotConnect(f"What answers at {self._url} is not a Playbyplay server: {reason}.") from None
        if socket.protocol != SUBPROTOCOL and not self._in_query:
            await socket.close()
            raise CannotConnect(f"What answers at {self._url} does not speak {SUBPROTOCOL}.")
        return socket

    def _handshake(self, ticket: str | None) -> tuple[str, tuple[str, ...]]:
        """Return the URL and the subprotocols of one handshake."""
        if ticket is None:
            return self._url, (SUBPROTOCOL,)
        if not self._in_query:
            return self._url, (SUBPROTOCOL, f"ticket.{ticket}")
        join = "&" if urlsplit(self._url).query else "?"
        return f"{self._url}{join}{urlencode({'ticket': ticket})}", (SUBPROTOCOL,)

    async def _new_ticket(self, http: aiohttp.ClientSession) -> str | None:
        if self._ticket is not None:
            return self._ticket if isinstance(self._ticket, str) else await self._ticket()
        if self._user is None and self._origin is None:
            return None
        body = {"user": self._user} if self._user is not None else None
        headers = {"Origin": self._origin} if self._origin is not None else {}
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token}"
        # Not to where it may be sent on to: a token is for this place only.
        async with http.post(self._ticket_url, json=body, headers=headers, allow_redirects=False) as response:
            answer = json.loads(await response.text())
        if not isinstance(answer, dict) or not isinstance(answer.get("ticket"), str):
            said = answer.get("message") if isinstance(answer, dict) else None
            raise CannotConnect(f"{self._ticket_url} gave no ticket (HTTP {response.status}): {said}")
        return str(answer["ticket"])


def addresses(url: str) -> tuple[str, str]:
    """Return the URLs of the socket and of the ticket endpoint beside it.

    Raises:
        CannotConnect: this is not the URL of a server.
    """
    try:
        parts = urlsplit(url)
        known = parts.scheme in {"http", "https", "ws", "wss"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        known = False
    if not known:
        raise CannotConnect(f"Not the URL of a server: {url!r}. It looks like ws://127.0.0.1:8787/ws.")
    secure = "s" if parts.scheme in {"https", "wss"} else ""
    path = parts.path.rstrip("/")
    if parts.scheme.startswith("http") and not path.endswith("/ws"):
        path += "/ws"
    socket = parts._replace(scheme=f"ws{secure}", path=path or "/ws", fragment="")
    ticket = socket._replace(scheme=f"http{secure}", path=socket.path.rpartition("/")[0] + "/ticket", query="")
    return socket.geturl(), ticket.geturl()
