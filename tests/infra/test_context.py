"""The choices of a deployment: what they take, and the sentence for what they do not."""

import pytest

from infra.context import BadContext, Context
from playbyplay.settings import MessageSettings

OIDC = {"issuer": "https://id.example.org", "audience": "page"}


def test_nothing_has_to_be_chosen() -> None:
    """Every choice has a default."""
    assert Context.read({}) == Context()


def test_values_are_read_by_their_kind() -> None:
    """Flags, numbers and texts come as text from the command line and as themselves from cdk.json."""
    read = Context.read(
        {"platform": "host", "ticket_in_query": "1", "concurrency": 7, "origins": " https://a.example "}
    )
    assert read == Context(platform="host", ticket_in_query=True, concurrency=7, origins="https://a.example")


def test_the_cdks_own_values_are_left_alone() -> None:
    """Names with a colon or an at sign are the CDK's."""
    assert Context.read({"aws:cdk:version-reporting": True, "@aws-cdk/core:checkSecretUsage": True}) == Context()


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"platfrom": "host"}, "There is no context value platfrom; there are account_logs, alarm_email, "),
        ({"platform": "azure"}, "platform takes aws or host."),
        ({"ticket_in_query": "yes"}, "ticket_in_query takes 0 or 1."),
        ({"keep_data": "true"}, "keep_data takes 0 or 1."),
        ({"concurrency": "many"}, "concurrency takes a whole number."),
        ({"concurrency": "-3"}, "concurrency takes a whole number."),
        ({"concurrency": "1"}, "concurrency takes a whole number from 2 to 1000."),
        ({"concurrency": "1001"}, "concurrency takes a whole number from 2 to 1000."),
        ({"rate": "0"}, "rate takes a whole number from 1 to 100000."),
        ({"burst": "0"}, "burst takes a whole number from 1 to 100000."),
        ({"double_text": "drop"}, "double_text takes queue or reject or interrupt."),
        ({"open_runs": "0"}, "open_runs takes a whole number from 1 to 1000."),
        ({"open_runs": "1001"}, "open_runs takes a whole number from 1 to 1000."),
        ({"messages_per_minute": "0"}, "messages_per_minute takes a whole number from 1 to 100000."),
        ({"messages_per_minute": "many"}, "messages_per_minute takes a whole number."),
        ({"reserved": "19"}, "reserved must be 0 or at least concurrency, "),
        ({"origins": "https://a.example/"}, "origins takes exact origins as browsers send them: "),
        ({"origins": "https://A.example"}, "origins takes exact origins as browsers send them: "),
        ({"origins": "https://a.example *"}, "origins takes https addresses, "),
        ({"origins": "http://a.example"}, "origins takes https addresses, "),
        ({"callback": "localhost:4566"}, "callback takes https addresses, "),
        ({"callback": "http://localhost:99999"}, "callback takes https addresses, "),
        ({"model_url": "https://models.example.org/?key=1"}, "model_url takes https addresses, "),
        ({"issuer": "https://id.example.org"}, "issuer needs audience: "),
        ({"audience": "page"}, "audience needs issuer: "),
        ({"token_url": "https://id.example.org/token"}, "token_url needs issuer: "),
        ({**OIDC, "token_url": "https://id.example.org/token"}, "authorize_url and token_url go together: "),
        ({**OIDC, "scope": "profile"}, "scope needs openid in it: "),
        ({**OIDC, "test_logins": "1"}, "test_logins is of the stack's user pool, "),
        ({**OIDC, "self_sign_up": "1"}, "self_sign_up is of the stack's user pool, "),
        ({"login_prefix": "-chat"}, "login_prefix takes 1 to 63 of a-z, 0-9 and -, "),
        ({"login_prefix": "my-aws-chat"}, "login_prefix must not hold aws, amazon or cognito: "),
        (
            {"model_secret": "arn:aws:secretsmanager:x:1:secret:key"},
            "model_secret takes the name of a secret, ",
        ),
        ({"model_secret": "key-*"}, "model_secret takes the name of a secret, "),
        ({"login_prefix": "Chat"}, "login_prefix takes 1 to 63 of a-z, 0-9 and -, "),
        ({"alarm_email": "on-call"}, "alarm_email takes one e-mail address."),
        ({"alarm_email": "a@example.org b@example.org"}, "alarm_email takes one e-mail address."),
        ({"alarm_email": "a@b@example.org"}, "alarm_email takes one e-mail address."),
        ({"alarm_url": "pager.example.org"}, "alarm_url takes https addresses, "),
        ({"alarm_url": "http://localhost:9000"}, "alarm_url takes https addresses only."),
        ({"runbooks": "http://localhost/docs"}, "runbooks takes https addresses only."),
        ({"runbooks": "https://git.example.org/?ref=main"}, "runbooks takes https addresses, "),
    ],
)
def test_a_wrong_value_is_told_in_one_sentence(values: dict[str, str], sentence: str) -> None:
    """The sentence names the value and says what it takes; it never repeats what was given."""
    with pytest.raises(BadContext) as caught:
        Context.read(values)
    assert str(caught.value).startswith(sentence)
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize(
    "values",
    [
        OIDC,
        {"callback": "http://localhost:4566/_aws/execute-api"},
        {"origins": "http://127.0.0.1:8000 https://a.example:8443"},
        {"reserved": "20"},
        {"login_prefix": "chat-2"},
        {"double_text": "interrupt", "open_runs": "1000", "messages_per_minute": "1"},
        {"alarm_email": "on.call+chat@example.org", "alarm_url": "https://pager.example.org/key/enqueue"},
        {"runbooks": "https://git.example.org/playbyplay/blob/main/"},
    ],
)
def test_these_are_fine(values: dict[str, str]) -> None:
    """What is meant is taken."""
    Context.read(values)


def test_what_a_user_may_ask_for_is_the_same_unless_told() -> None:
    """The defaults of a deployment are those of the message function."""
    usual = MessageSettings(runs_table="r", journal_table="j", connections_table="c", queue_url="q", callback_url="b")
    chosen = Context()
    for name in ("double_text", "open_runs", "messages_per_minute"):
        assert getattr(chosen, name) == getattr(usual, name)


def test_one_user_alone_cannot_keep_every_runner_at_work() -> None:
    """By the defaults a fifth of the runners is left to others, however many long runs one user opens."""
    chosen = Context()
    assert chosen.open_runs <= chosen.concurrency * 4 / 5
