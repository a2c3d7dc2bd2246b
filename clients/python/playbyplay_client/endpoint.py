"""Asks something of a server beside its socket: one HTTP request, and a sentence for each way it fails."""

import os
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import aiohttp

from playbyplay_client.dialer import addresses
from playbyplay_client.errors import CannotConnect

ANSWER_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Reply:
    """What a server said.

    Attributes:
        address: where it was asked.
    """

    address: str
    status: int
    body: str


async def ask(url: str, path: str, *, method: str, json: object = None) -> Reply:
    """Return what a server says at a path.

    Args:
        url: of the server's socket or page.
        path: what stands where the socket's `/ws` does, such as `/faults`.
        method: of HTTP.
        json: the request's body; None for none.

    Raises:
        CannotConnect: there is no server.
    """
    beside = urlsplit(addresses(url)[1])
    address = beside._replace(path=beside.path.removesuffix("/ticket") + path).geturl()
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ANSWER_S)) as http,
            http.request(method, address, json=json, allow_redirects=False) as response,
        ):
            return Reply(address, response.status, await response.text())
    except TimeoutError:
        raise CannotConnect(f"{address} did not answer within {ANSWER_S:g} s.") from None
    except aiohttp.ClientResponseError:
        raise CannotConnect(f"What answers at {address} does not speak HTTP.") from None
    except (aiohttp.ClientError, OSError, ValueError) as failure:
        number = failure.errno or 0 if isinstance(failure, OSError) else 0
        reason = os.strerror(number) if number > 0 else str(failure) or type(failure).__name__
        raise CannotConnect(f"Cannot reach {address}: {reason}. Is the server running?") from None
