"""The handlers as Lambda finds them: made by their environment, light to import, and in one piece."""

import asyncio
import inspect
import json
import subprocess
import sys
from collections.abc import Callable, Coroutine, Iterator
from types import ModuleType
from typing import Any, TypeVar

import pytest

from agent_runner import handler as runner
from auditor import handler as auditor
from connect import authorizer
from connect import handler as connect
from message import handler as message
from playbyplay.adapters.aws import Aws
from playbyplay.adapters.container import Answer, Container, Event
from playbyplay.adapters.sqs_run_queue import job_body
from playbyplay.ports import Job
from playbyplay.settings import (
    AuditorSettings,
    AuthorizerSettings,
    BadSetting,
    ConnectSettings,
    Environment,
    MessageSettings,
    RunnerSettings,
    WatchdogSettings,
)
from tests.contract.moto_lock import locked_moto
from tests.contract.tables import Stored
from tests.fakes.ids import uuid
from tests.fakes.log import FakeLog
from tests.histories import USER
from tests.integration.cloud_house import METHOD, ORIGIN
from ticket import handler as ticket
from watchdog import handler as watchdog

HANDLERS = (authorizer, connect, message, runner, ticket, watchdog, auditor)
T = TypeVar("T")
Handle = Callable[[Event, object], Answer]


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """An environment without our variables; containers made in it are gone after the test."""
    for name in ("RUNS_TABLE", "JOURNAL_TABLE", "CONNECTIONS_TABLE", "QUEUE_URL", "CALLBACK_URL", "ORIGINS"):
        monkeypatch.delenv(f"PLAYBYPLAY_{name}", raising=False)
    yield monkeypatch
    for handler in HANDLERS:
        kept = vars(handler)["_container"]
        if kept.cache_info().currsize:
            container = kept()
            assert isinstance(container, Container)
            container.close()
        kept.cache_clear()


def set_all(environment: pytest.MonkeyPatch, settings: Environment) -> None:
    for name, value in settings.to_env().items():
        environment.setenv(name, value)


@pytest.mark.parametrize(
    ("handler", "first"),
    [
        (authorizer, "RUNS_TABLE"),
        (connect, "CONNECTIONS_TABLE"),
        (message, "RUNS_TABLE"),
        (runner, "RUNS_TABLE"),
        (ticket, "RUNS_TABLE"),
        (watchdog, "RUNS_TABLE"),
        (auditor, "RUNS_TABLE"),
    ],
    ids=[handler.__name__ for handler in HANDLERS],
)
def test_a_missing_variable_is_named(environment: pytest.MonkeyPatch, handler: ModuleType, first: str) -> None:
    """At the first call, not at the import; the next call finds it if it is there by then."""
    handle: Handle = handler.lambda_handler
    for _ in range(2):
        with pytest.raises(BadSetting, match=f"PLAYBYPLAY_{first}"):
            handle({}, None)


def test_only_the_variable_that_is_missing_is_named(environment: pytest.MonkeyPatch) -> None:
    """And never a value."""
    set_all(environment, AuthorizerSettings(runs_table="secret-table", origins=ORIGIN))
    environment.delenv("PLAYBYPLAY_ORIGINS")
    with pytest.raises(BadSetting) as trouble:
        authorizer.lambda_handler({}, None)
    assert "PLAYBYPLAY_ORIGINS" in str(trouble.value)
    assert "secret-table" not in str(trouble.value)


class Deployment:
    """An AWS in memory with the functions deployed: called as Lambda calls them, from outside any loop."""

    def __init__(self, environment: pytest.MonkeyPatch) -> None:
        self._aws = Aws(FakeLog())
        stored = self._call(Stored.made(self._aws))
        self.queue_url = stored.queue_url
        names: dict[str, Any] = {
            "runs_table": stored.runs,
            "journal_table": stored.journal,
            "connections_table": stored.connections,
        }
        # moto has @connections at the root of an API only, and takes posts to any connection.
        names |= {"queue_url": stored.queue_url, "callback_url": "https://abc123.execute-api.us-east-1.amazonaws.com"}
        for settings in (
            AuthorizerSettings(runs_table=stored.runs, origins=ORIGIN),
            ConnectSettings(connections_table=stored.connections),
            MessageSettings(**names),
            RunnerSettings(**names),
            WatchdogSettings(**names),
            AuditorSettings(**{name: names[name] for name in ("runs_table", "journal_table", "connections_table")}),
        ):
            set_all(environment, settings)

    def records(self) -> list[dict[str, Any]]:
        """Return what waits in the queue."""
        wanted = {"QueueUrl": self.queue_url, "AttributeNames": ["All"]}
        answer = self._call(self._aws.call("sqs", "receive_message", wanted))
        return [
            {
                "messageId": sent["MessageId"],
                "receiptHandle": sent["ReceiptHandle"],
                "body": sent["Body"],
                "attributes": sent["Attributes"],
            }
            for sent in answer["Messages"]
        ]

    def close(self) -> None:
        self._aws.close()

    def _call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run(coroutine)


@pytest.fixture
def deployment(environment: pytest.MonkeyPatch) -> Iterator[Deployment]:
    with locked_moto():
        deployed = Deployment(environment)
        yield deployed
        deployed.close()


def test_the_handlers_serve_a_turn(deployment: Deployment, capsys: pytest.CaptureFixture[str]) -> None:
    """Made by their environment, on loops of their own, with the scripted model and the agents there are."""
    claims = {"authorizer": {"jwt": {"claims": {"sub": USER}}}}
    given = ticket.lambda_handler({"requestContext": claims, "headers": {"origin": ORIGIN}}, None)
    shown = f"playbyplay.v1, ticket.{json.loads(given['body'])['ticket']}"
    context = {"connectionId": "mine=", "connectedAt": 0, "requestId": "request="}
    handshake = {"headers": {"origin": ORIGIN, "sec-websocket-protocol": shown}}
    opening = context | {"routeKey": "$connect", "eventType": "CONNECT"}
    policy = authorizer.lambda_handler({**handshake, "methodArn": METHOD, "requestContext": opening}, None)
    whose = {"authorizer": policy["context"]}
    assert connect.lambda_handler({**handshake, "requestContext": opening | whose}, None)["statusCode"] == 200

    def send(**frame: Any) -> dict[str, Any]:
        told = context | whose | {"routeKey": "$default", "eventType": "MESSAGE"}
        event = {"requestContext": told, "body": json.dumps(frame), "isBase64Encoded": False}
        reply: dict[str, Any] = json.loads(message.lambda_handler(event, None)["body"])
        return reply

    run_id = send(type="agent_message", content="Hello, what can you do?")["run_id"]
    assert runner.lambda_handler({"Records": deployment.records()}, None) == {"batchItemFailures": []}
    assert send(type="ping", cursors={run_id: 0})["heads"][run_id]["status"] == "completed"
    assert watchdog.lambda_handler({}, None) == {"overdue": 0, "astray": 0, "findings": {}, "failed": 0, "closed": 0}
    assert watchdog.lambda_handler({"Records": []}, None) == {"batchItemFailures": []}
    audited = auditor.lambda_handler({}, None)
    assert (audited["complete"], audited["unread"], audited["missing"], audited["found"]) == (True, 0, {}, [])
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    logged = {(line["service"], line["event"]) for line in lines if "event" in line}
    assert {
        ("connect", "connection_opened"),
        ("message", "message_accepted"),
        ("agent_runner", "run_settled"),
    } <= logged
    assert {("watchdog", "watchdog_swept"), ("auditor", "audit_swept")} <= logged
    assert not {event for _service, event in logged} & {"aws_failed", "post_failed", "run_retried"}
    assert any("_aws" in line and line.get("MessageAccepted") for line in lines)
    assert shown.rpartition(".")[2] not in json.dumps(lines)


class Ending:
    """What Lambda tells of a call with one second left."""

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds left."""
        return 1_000


def test_a_runner_with_too_little_time_left_takes_no_job(deployment: Deployment) -> None:
    """Lambda's context tells; the job comes again, and is looked at where there is time."""
    record = {"messageId": "m", "receiptHandle": "h", "body": job_body(Job(USER, uuid(404)))}
    event = {"Records": [{**record, "attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": "1750000000000"}}]}
    assert runner.lambda_handler(event, Ending()) == {"batchItemFailures": [{"itemIdentifier": "m"}]}
    assert runner.lambda_handler(event, None) == {"batchItemFailures": []}


@pytest.mark.parametrize("name", [handler.__name__ for handler in HANDLERS])
def test_an_import_is_light(name: str) -> None:
    """No handler imports openai, a web server, a database or a client of AWS's own tools before it is called.

    Nor does it start a thread or read a variable of ours; and none but the runner's knows the runner.
    """
    code = f"import sys, threading, {name}; print(threading.active_count(), *sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    threads, *modules = told.stdout.split()
    assert threads == "1"
    heavy = {"openai", "aiohttp", "moto", "aws_lambda_powertools.utilities.parser", "local", "playbyplay_client"}
    assert heavy & set(modules) == set()
    assert ("agent_runner" in modules) == (name == runner.__name__)
    assert name in modules


@pytest.mark.parametrize("handler", HANDLERS, ids=[handler.__name__ for handler in HANDLERS])
def test_a_handler_composes_and_calls(handler: ModuleType) -> None:
    """In under sixty lines; what there is to decide stands elsewhere."""
    source = inspect.getsource(handler)
    assert len(source.splitlines()) < 60
    functions = [
        name for name, kept in vars(handler).items() if inspect.isfunction(kept) and kept.__module__ == handler.__name__
    ]
    assert functions == ["build", "lambda_handler"]
