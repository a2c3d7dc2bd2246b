"""What a deployment may choose: context values (`-c name=value`), read once and checked before anything is built."""

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args
from urllib.parse import urlsplit

from playbyplay.settings import DoubleText

_HOSTS = ("localhost", "127.0.0.1")  # where plain http is admitted
_CLI = ("acknowledged-issue-numbers", "cli-telemetry", "notices")  # what the CDK's own commands write
# https://docs.aws.amazon.com/cognito/latest/developerguide/cognito-user-pools-assign-domain-prefix.html
_RESERVED = ("aws", "amazon", "cognito")
_SECRET = re.compile(r"[A-Za-z0-9/_+=.@-]{1,512}")
_EMAIL = re.compile(r"[^\s@]{1,64}@[^\s@]+\.[^\s@]+")
_PREFIX = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


class BadContext(Exception):
    """A context value is unknown or wrong; the message is one sentence that says what it takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The choices, each with its default.

    Attributes:
        platform: `aws`, or `host`: third-party code for this machine, and no resource a local cloud cannot make.
        origins: further exact origins, separated by spaces, that a browser may come from.
        callback: of a local cloud, the address below which `{api}/{stage}` is a stage's @connections endpoint.
        ticket_in_query: whether a ticket may stand in the socket's URL.
        issuer: of an OIDC provider that is used instead of a user pool of our own; `audience` goes with it.
        audience: whom that provider's tokens are for: the page's client id there.
        authorize_url: where the page sends a user to sign in at that provider.
        token_url: where the page exchanges the code it comes back with.
        logout_url: where the page sends a user to sign out.
        scope: what the page asks of that provider, with openid in it.
        login_prefix: first label of the sign-in page's domain; unique in its region.
        self_sign_up: whether anybody may make an account.
        test_logins: whether a script may sign in with a password, for tests.
        model: the model's name at the service.
        model_secret: name of the secret that holds the service's key; without it the scripted model answers.
        model_url: of a compatible model service.
        concurrency: how many runs are worked on at a time.
        reserved: Lambda concurrency set aside for the runner, 0 for none.
        rate: frames a second that the socket takes from all clients.
        burst: frames it takes at once.
        double_text: what becomes of a message while an earlier one of its thread is answered: `queue`, `reject` or
            `interrupt`.
        open_runs: how many runs of one user may be open, those that wait included; below `concurrency`, or one user
            can keep every runner at work.
        messages_per_minute: how many messages of one user are accepted.
        keep_data: whether runs and journal outlive the stack.
        alarm_email: who is written to when an alarm rings; has to confirm it once.
        alarm_url: what is called over https then.
        runbooks: the https address below which the repository's files are, for the links in alarms.
        account_logs: whether the stack gives API Gateway its account-wide right to write logs.
    """

    platform: Literal["aws", "host"] = "aws"
    origins: str = ""
    callback: str = ""
    ticket_in_query: bool = False
    issuer: str = ""
    audience: str = ""
    authorize_url: str = ""
    token_url: str = ""
    logout_url: str = ""
    scope: str = "openid"
    login_prefix: str = ""
    self_sign_up: bool = False
    test_logins: bool = False
    model: str = "gpt-5-mini"
    model_secret: str = ""
    model_url: str = ""
    concurrency: int = 20
    reserved: int = 0
    rate: int = 1000
    burst: int = 2000
    double_text: DoubleText = "queue"
    open_runs: int = 16
    messages_per_minute: int = 100
    keep_data: bool = True
    alarm_email: str = ""
    alarm_url: str = ""
    runbooks: str = ""
    account_logs: bool = True

    @classmethod
    def read(cls, values: Mapping[str, object]) -> "Context":
        """Read the values; those with a colon or an at sign are the CDK's own.

        Raises:
            BadContext: a value is unknown or wrong, or one is missing that another needs.
        """
        ours = {name: str(value) for name, value in values.items() if name not in _CLI and not set(name) & {":", "@"}}
        fields = {field.name: field for field in dataclasses.fields(cls)}
        for name in ours:
            if name not in fields:
                raise BadContext(f"There is no context value {name}; there are {', '.join(sorted(fields))}.")
        known = {name: _value(fields[name], text) for name, text in ours.items()}
        context = cls(**known)  # type: ignore[arg-type]  # each was read by its field's type
        context._check()
        return context

    def _check(self) -> None:
        _among("platform", self.platform, ("aws", "host"))
        _between("concurrency", self.concurrency, 2, 1000)  # Lambda's own bounds of MaximumConcurrency
        _between("rate", self.rate, 1, 100_000)
        _between("burst", self.burst, 1, 100_000)
        _among("double_text", self.double_text, get_args(DoubleText))
        _between("open_runs", self.open_runs, 1, 1000)
        _between("messages_per_minute", self.messages_per_minute, 1, 100_000)
        if self.reserved and self.reserved < self.concurrency:
            raise BadContext(
                "reserved must be 0 or at least concurrency, or the queue hands out jobs that nobody may run."
            )
        for origin in self.origins.split():
            _url("origins", origin, origin=True)
        for name in ("callback", "issuer", "authorize_url", "token_url", "logout_url", "model_url"):
            if getattr(self, name):
                _url(name, getattr(self, name))
        if self.model_secret and not _SECRET.fullmatch(self.model_secret):
            raise BadContext("model_secret takes the name of a secret, not its ARN.")
        self._check_sign_in()
        self._check_alarms()

    def _check_alarms(self) -> None:
        if self.alarm_email and not _EMAIL.fullmatch(self.alarm_email):
            raise BadContext("alarm_email takes one e-mail address.")
        for name in ("alarm_url", "runbooks"):
            if getattr(self, name):
                _url(name, getattr(self, name))
                if not getattr(self, name).startswith("https:"):
                    raise BadContext(f"{name} takes https addresses only.")

    def _check_sign_in(self) -> None:
        if self.issuer and not self.audience:
            raise BadContext("issuer needs audience: without it a token for any other service would be taken.")
        for name in ("audience", "authorize_url", "token_url", "logout_url"):
            if getattr(self, name) and not self.issuer:
                raise BadContext(f"{name} needs issuer: the user pool of the stack has its own.")
        if "openid" not in self.scope.split():
            raise BadContext("scope needs openid in it: without it the page cannot tell one user from another.")
        if bool(self.authorize_url) != bool(self.token_url):
            raise BadContext("authorize_url and token_url go together: the page needs both to sign in.")
        for name in ("self_sign_up", "test_logins", "login_prefix"):
            if getattr(self, name) and self.issuer:
                raise BadContext(f"{name} is of the stack's user pool, and issuer stands in its place.")
        if self.login_prefix and not _PREFIX.fullmatch(self.login_prefix):
            raise BadContext("login_prefix takes 1 to 63 of a-z, 0-9 and -, not at its ends.")
        if any(word in self.login_prefix for word in _RESERVED):
            raise BadContext("login_prefix must not hold aws, amazon or cognito: the user pool refuses these words.")


def _value(field: "dataclasses.Field[object]", text: str) -> object:
    if field.type is bool:
        _among(field.name, text, ("0", "1"))
        return text == "1"
    if field.type is int:
        if not re.fullmatch(r"[0-9]{1,9}", text):
            raise BadContext(f"{field.name} takes a whole number.")
        return int(text)
    return text.strip()


def _among(name: str, text: str, choices: tuple[str, ...]) -> None:
    if text not in choices:
        raise BadContext(f"{name} takes {' or '.join(choices)}.")


def _between(name: str, number: int, low: int, high: int) -> None:
    if not low <= number <= high:
        raise BadContext(f"{name} takes a whole number from {low} to {high}.")


def _url(name: str, text: str, *, origin: bool = False) -> None:
    """Refuse what is no address; an origin has no path, as browsers send it."""
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urlsplit("")
    plain = parts.scheme == "http" and host in _HOSTS
    if not host or not (parts.scheme == "https" or plain) or parts.username or parts.query or parts.fragment:
        raise BadContext(f"{name} takes https addresses, or http on localhost, without query.")
    if origin and text != f"{parts.scheme}://{parts.netloc}".lower():
        raise BadContext(f"{name} takes exact origins as browsers send them: scheme, host and port, without a path.")
