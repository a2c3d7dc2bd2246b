"""The functions: processor, limits, layers, zips, environments, logs."""

import subprocess
import sys
from typing import Any

import pytest

from infra.assets import FUNCTIONS, SHARED
from playbyplay.settings import (
    AuditorSettings,
    AuthorizerSettings,
    ConnectSettings,
    Environment,
    MessageSettings,
    RunnerSettings,
    TicketSettings,
    WatchdogSettings,
)
from tests.infra.synthesis import Stack, files

PACKAGES = {
    "Authorizer": "connect",
    "Connect": "connect",
    "Ticket": "ticket",
    "Message": "message",
    "Runner": "agent_runner",
    "Watchdog": "watchdog",
    "Auditor": "auditor",
}
HANDLERS = {name: f"{package}.handler.lambda_handler" for name, package in PACKAGES.items()}
HANDLERS["Authorizer"] = "connect.authorizer.lambda_handler"
LIMITS = {"Authorizer": 10, "Connect": 10, "Ticket": 10, "Message": 25, "Runner": 900, "Watchdog": 55, "Auditor": 55}
RUNS, JOURNAL, CONNECTIONS = "<Storage/Runs>", "<Storage/Journal>", "<Storage/Connections>"
QUEUE, CALLBACK = "<Queue/Jobs>", "https://<Socket/Api>.execute-api.<AWS::Region>.<AWS::URLSuffix>/v1"
PAGE = "https://<Web/Distribution.DomainName>"
FIVE: dict[str, Any] = {
    "runs_table": RUNS,
    "journal_table": JOURNAL,
    "connections_table": CONNECTIONS,
    "queue_url": QUEUE,
    "callback_url": CALLBACK,
}
SETTINGS: dict[str, Environment] = {
    "Authorizer": AuthorizerSettings(runs_table=RUNS, origins=f"{PAGE} https://chat.example.org"),
    "Connect": ConnectSettings(connections_table=CONNECTIONS),
    "Ticket": TicketSettings(runs_table=RUNS, origins=f"{PAGE} https://chat.example.org"),
    "Message": MessageSettings(**FIVE),
    "Runner": RunnerSettings(**FIVE),
    "Watchdog": WatchdogSettings(**FIVE),
    "Auditor": AuditorSettings(runs_table=RUNS, journal_table=JOURNAL, connections_table=CONNECTIONS),
}


@pytest.mark.parametrize("name", PACKAGES)
def test_a_function_runs_on_arm_with_its_limits(own: Stack, name: str) -> None:
    """Every function is Python 3.13 on arm64, with a handler that its zip holds and a limit of its own."""
    function = own.properties(f"Functions/{name}")
    assert function["Runtime"] == "python3.13"
    assert function["Architectures"] == ["arm64"]
    assert function["Handler"] == HANDLERS[name]
    assert function["Timeout"] == LIMITS[name]
    assert function["MemorySize"] == (1024 if name == "Runner" else 512)


@pytest.mark.parametrize("name", PACKAGES)
def test_a_zip_holds_one_package_and_no_more(own: Stack, name: str) -> None:
    """The zip is the package's folder with every module of it, and nothing of any other."""
    package = PACKAGES[name]
    sources = {str(path.relative_to(FUNCTIONS)) for path in (FUNCTIONS / package).rglob("*.py")}
    assert files(own.asset(f"Functions/{name}")) == sources
    module = HANDLERS[name].removesuffix(".lambda_handler").replace(".", "/")
    assert f"{module}.py" in sources


@pytest.mark.parametrize("name", PACKAGES)
def test_an_environment_is_what_the_function_reads(own: Stack, name: str) -> None:
    """What the stack writes is read back by the function's own settings, to the last field."""
    environment = own.properties(f"Functions/{name}")["Environment"]["Variables"]
    assert environment == SETTINGS[name].to_env()
    assert type(SETTINGS[name]).from_env(environment) == SETTINGS[name]


def test_choices_reach_the_functions_that_they_are_for(foreign: Stack, host: Stack) -> None:
    """The model reaches the runner, what a user may ask for the messages, the ticket in the URL the authorizer."""
    runner = foreign.properties("Functions/Runner")["Environment"]["Variables"]
    wanted = RunnerSettings(**FIVE, model="large", model_secret="model-key", model_url="https://models.example.org/v1")  # noqa: S106 - its name
    assert RunnerSettings.from_env(runner) == wanted
    message = foreign.properties("Functions/Message")["Environment"]["Variables"]
    asked = MessageSettings(**FIVE, double_text="reject", open_runs=9, messages_per_minute=30)
    assert MessageSettings.from_env(message) == asked
    authorizer = host.properties("Functions/Authorizer")["Environment"]["Variables"]
    assert AuthorizerSettings.from_env(authorizer) == AuthorizerSettings(
        runs_table=RUNS, origins=PAGE, ticket_in_query=True
    )


def test_only_the_runner_carries_the_heavy_layer(own: Stack) -> None:
    """Each function has our layer and one of third parties; openai and ruff are in the runner's."""
    for name in PACKAGES:
        third = "RunnerPackages" if name == "Runner" else "Gateway"
        layers = own.properties(f"Functions/{name}")["Layers"]
        assert sorted(layers) == sorted(["<Functions/Shared>", f"<Functions/{third}>"])


@pytest.mark.parametrize("name", PACKAGES)
def test_a_handler_needs_nothing_but_its_zip_and_its_layers(host: Stack, name: str) -> None:
    """With nothing else to import from, the handler is found and the services it calls are described."""
    third = "RunnerPackages" if name == "Runner" else "Gateway"
    folders = [
        host.asset(f"Functions/{name}"),
        *(host.asset(f"Functions/{one}") / "python" for one in ("Shared", third)),
    ]
    program = (
        "import sys; sys.path[:0] = sys.argv[2:]; import importlib, boto3\n"
        "assert callable(importlib.import_module(sys.argv[1]).lambda_handler)\n"
        "for service in ('dynamodb', 'sqs', 'secretsmanager', 'apigatewaymanagementapi'):\n"
        "    boto3.client(service, region_name='us-east-1', endpoint_url='http://localhost:1')\n"
    )
    module = HANDLERS[name].removesuffix(".lambda_handler")
    command = [sys.executable, "-I", "-S", "-c", program, module, *map(str, folders)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={})
    assert (done.returncode, done.stderr) == (0, "")


def test_our_layer_holds_the_sources_and_their_bytecode(own: Stack) -> None:
    """The layer is `layers/shared` as it is, and compiled, so that no cold start compiles it."""
    held = files(own.asset("Functions/Shared"))
    sources = {str(path.relative_to(SHARED)) for path in SHARED.rglob("*") if path.suffix == ".py"}
    assert {path for path in held if not path.endswith((".pyc", "py.typed"))} == sources
    compiled = {path.replace("__pycache__/", "").replace(".cpython-313.pyc", ".py") for path in held if ".pyc" in path}
    assert compiled in (sources, set())  # none where this machine has no Python 3.13


def test_a_function_writes_to_its_own_log_for_thirty_days(own: Stack) -> None:
    """Every function has a log of its own, and no log is kept for ever."""
    groups = own.of("AWS::Logs::LogGroup")
    for name in PACKAGES:
        logging = own.properties(f"Functions/{name}")["LoggingConfig"]
        assert logging["LogGroup"] == f"<Functions/{name}Log>"
    assert {group["RetentionInDays"] for group in groups.values()} == {30}
    cdks = "Custom::S3AutoDeleteObjects"  # its function empties the bucket when the stack goes, and logs as it likes
    ours = {path: function for path, function in own.of("AWS::Lambda::Function").items() if not path.startswith(cdks)}
    assert all("LoggingConfig" in function for function in ours.values())


def test_the_runner_may_send_to_the_queue_that_calls_it(own: Stack) -> None:
    """Lambda would stop a chain of turns as a loop; for the runner, and nobody else, it lets it be."""
    loops = {
        path: one["RecursiveLoop"] for path, one in own.of("AWS::Lambda::Function").items() if "RecursiveLoop" in one
    }
    assert loops == {"Functions/Runner": "Allow"}


def test_concurrency_is_set_aside_only_when_asked_for(own: Stack, foreign: Stack) -> None:
    """Reserved concurrency takes from the rest of the account, so it is the operator's choice and the runner's only."""
    name = "ReservedConcurrentExecutions"
    reserved = {path: one[name] for path, one in own.of("AWS::Lambda::Function").items() if name in one}
    assert reserved == {"Functions/Runner": 40}
    assert not [one for one in foreign.of("AWS::Lambda::Function").values() if name in one]
