"""A small OAuth 2.0 provider on loopback, as strict as Cognito where the page can get it wrong.

It asks nobody for a password: who comes to `/authorize` is signed in as `user`, or sent back as `answer` says.
"""

import asyncio
import base64
import contextlib
import hashlib
import json
import secrets
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

HOST = "127.0.0.1"
CLIENT = "page-client"
_CORS = {"Access-Control-Allow-Origin": "*"}  # what Cognito's token endpoint answers
Answer = Callable[[dict[str, str]], dict[str, str]]


def _opened() -> asyncio.Event:
    gate = asyncio.Event()
    gate.set()
    return gate


@dataclass
class IdentityProvider:
    """The provider, and what it saw.

    Attributes:
        user: who is signed in next.
        access_s: how long an access token is good.
        answer: changes what `/authorize` sends back; None sends a code.
        token_status: of a token endpoint that has failed; None while it works.
        nameless: gives no id token.
        token_gate: closed, a renewal waits for it.
        logout_gate: closed, a sign-out waits for it.
        port: on 127.0.0.1.
        authorizations: the queries of every visit to `/authorize`.
        grants: the forms of every request to `/token`.
        logouts: the queries of every visit to `/logout`.
        issued: every token ever given out.
        access: the users of the access tokens that are good now.
        refresh: the users of the refresh tokens that are good now.
    """

    user: str = "ann"
    access_s: int = 3600
    answer: Answer | None = None
    token_status: int | None = None
    nameless: bool = False
    token_gate: asyncio.Event = field(default_factory=_opened)
    logout_gate: asyncio.Event = field(default_factory=_opened)
    port: int = 0
    authorizations: list[dict[str, str]] = field(default_factory=list)
    grants: list[dict[str, str]] = field(default_factory=list)
    logouts: list[dict[str, str]] = field(default_factory=list)
    issued: list[str] = field(default_factory=list)
    access: dict[str, str] = field(default_factory=dict)
    refresh: dict[str, str] = field(default_factory=dict)
    _codes: dict[str, dict[str, str]] = field(default_factory=dict)

    @property
    def origin(self) -> str:
        return f"http://{HOST}:{self.port}"

    def settings(self) -> dict[str, str]:
        """Return what `config.json` says of this provider."""
        return {
            "authorize_url": f"{self.origin}/authorize?identity_provider=test",
            "token_url": f"{self.origin}/token",
            "client_id": CLIENT,
            "scope": "openid playbyplay/chat",
            "logout_url": f"{self.origin}/logout",
        }

    def kinds(self) -> list[str]:
        """Return the grant types asked for, in order."""
        return [grant["grant_type"] for grant in self.grants]

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/authorize", self._authorize)
        app.router.add_post("/token", self._token)
        app.router.add_get("/logout", self._logout)
        return app

    async def _authorize(self, request: web.Request) -> web.StreamResponse:
        query = dict(request.query)
        self.authorizations.append(query)
        assert query["identity_provider"] == "test"
        assert (query["response_type"], query["client_id"]) == ("code", CLIENT)
        assert query["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe(24)
        self._codes[code] = {**query, "user": self.user}
        sent = {"code": code, "state": query["state"]}
        if self.answer is not None:
            sent = self.answer(sent)
        raise web.HTTPFound(f"{query['redirect_uri']}?{urlencode(sent)}")

    async def _token(self, request: web.Request) -> web.StreamResponse:
        assert request.content_type == "application/x-www-form-urlencoded"
        form = {name: str(value) for name, value in (await request.post()).items()}
        self.grants.append(form)
        if self.token_status is not None:
            return web.Response(status=self.token_status, headers=_CORS)
        if form.get("client_id") != CLIENT or "client_secret" in form:
            return _error("invalid_client")
        if form["grant_type"] == "refresh_token":
            await self.token_gate.wait()
            user = self.refresh.pop(form["refresh_token"], None)
            return _error("invalid_grant") if user is None else self._tokens(user)
        asked = self._codes.pop(form["code"], None)
        if asked is None or asked["redirect_uri"] != form["redirect_uri"]:
            return _error("invalid_grant")
        if asked["code_challenge"] != _s256(form["code_verifier"]):
            return _error("invalid_grant", "the verifier is another")
        return self._tokens(asked["user"], identified=True)

    def _tokens(self, user: str, *, identified: bool = False) -> web.Response:
        access, refresh = f"access-{secrets.token_hex(16)}", f"refresh-{secrets.token_hex(16)}"
        self.access[access] = user
        self.refresh[refresh] = user
        tokens: dict[str, Any] = {"access_token": access, "refresh_token": refresh, "token_type": "Bearer"}
        if identified and not self.nameless:
            tokens["id_token"] = f"{_json64({'alg': 'none'})}.{_json64({'sub': user, 'aud': CLIENT})}.signature"
        self.issued += [tokens[name] for name in ("access_token", "refresh_token", "id_token") if name in tokens]
        return web.json_response({**tokens, "expires_in": self.access_s}, headers=_CORS)

    async def _logout(self, request: web.Request) -> web.StreamResponse:
        self.logouts.append(dict(request.query))
        await self.logout_gate.wait()
        raise web.HTTPFound(request.query["logout_uri"])


@contextlib.asynccontextmanager
async def identity_provider() -> AsyncIterator[IdentityProvider]:
    """Run a provider on a free port."""
    provider = IdentityProvider()
    async with listening(provider.app()) as port:
        provider.port = port
        yield provider


@contextlib.asynccontextmanager
async def listening(app: web.Application) -> AsyncIterator[int]:
    """Serve an application on a free port of loopback."""
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, HOST, 0).start()
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


def _s256(verifier: str) -> str:
    """RFC 7636, 4.2; a verifier has 43 to 128 characters (4.1)."""
    assert 43 <= len(verifier) <= 128
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def _json64(value: dict[str, str]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value, ensure_ascii=False).encode()).rstrip(b"=").decode()


def _error(code: str, description: str = "") -> web.Response:
    return web.json_response({"error": code, "error_description": description}, status=400, headers=_CORS)
