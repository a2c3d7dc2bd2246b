"""The layers: what they hold, what they leave out, and that they fit."""

import sysconfig

import pytest

from infra import assets
from tests.infra.synthesis import Stack, files, size

BUDGETS = {"Gateway": 25_000_000, "RunnerPackages": 75_000_000}
SERVICES = {"apigatewaymanagementapi", "dynamodb", "secretsmanager", "sqs"}
NEEDED = {
    "Gateway": {"aws_lambda_powertools", "boto3", "botocore", "pydantic", "pydantic_core"},
    "RunnerPackages": {"aws_lambda_powertools", "boto3", "botocore", "openai", "pydantic", "pydantic_core", "ruff"},
}


@pytest.mark.parametrize("layer", BUDGETS)
def test_a_layer_fits_its_budget(own: Stack, layer: str) -> None:
    """Lambda unpacks 250 MB at most in all; a cold start pays for each of them."""
    assert size(own.asset(f"Functions/{layer}")) <= BUDGETS[layer]


@pytest.mark.parametrize("layer", BUDGETS)
def test_a_layer_holds_the_packages_that_are_imported(own: Stack, layer: str) -> None:
    """Packages stand below `python/`, where Lambda looks for them; the gateway's has no openai and no ruff."""
    site = own.asset(f"Functions/{layer}") / "python"
    packages = {path.name for path in site.iterdir()}
    assert NEEDED[layer] <= packages
    assert layer == "RunnerPackages" or not {"openai", "ruff", "bin"} & packages


@pytest.mark.parametrize("layer", BUDGETS)
def test_a_layer_is_for_lambdas_processor(own: Stack, layer: str) -> None:
    """Every library of machine code is for arm64 and Python 3.13; the template says the same."""
    libraries = [path for path in files(own.asset(f"Functions/{layer}")) if path.endswith(".so")]
    assert libraries
    assert all("cpython-313-aarch64" in path for path in libraries)
    assert own.properties(f"Functions/{layer}")["CompatibleArchitectures"] == ["arm64"]


def test_a_local_clouds_layers_are_for_this_machine(host: Stack) -> None:
    """With `platform=host` the libraries are this Python's."""
    (core,) = [
        path for path in files(host.asset("Functions/Gateway")) if "_pydantic_core" in path and ".pyi" not in path
    ]
    assert core.endswith(str(sysconfig.get_config_var("EXT_SUFFIX")))


@pytest.mark.parametrize("layer", BUDGETS)
def test_a_layer_describes_the_services_that_are_called(own: Stack, layer: str) -> None:
    """Botocore's descriptions of every other service are left out; what all of them share is there."""
    data = own.asset(f"Functions/{layer}") / "python" / "botocore" / "data"
    assert {path.name for path in data.iterdir() if path.is_dir()} == SERVICES
    shared = {"endpoints.json", "partitions.json", "sdk-default-configuration.json", "_retry.json"}
    assert {path.name for path in data.iterdir() if path.is_file()} == shared


@pytest.mark.parametrize("layer", BUDGETS)
def test_a_layer_carries_nothing_that_no_function_reads(own: Stack, layer: str) -> None:
    """Neither type stubs nor tests nor programs, but for the one that code_analyzer runs."""
    held = files(own.asset(f"Functions/{layer}"))
    assert not [path for path in held if path.endswith(".pyi") or "/tests/" in path]
    programs = {path for path in held if path.startswith("python/bin/")}
    assert programs == ({"python/bin/ruff"} if layer == "RunnerPackages" else set())


def test_the_analyser_is_found_where_the_layer_has_it(own: Stack) -> None:
    """Ruff looks for its program in `bin` beside its package, and there it is, to be run."""
    site = own.asset("Functions/RunnerPackages") / "python"
    assert (site / "ruff" / "__init__.py").exists()
    assert (site / "bin" / "ruff").stat().st_mode & 0o111 == 0o111


@pytest.mark.parametrize("layer", BUDGETS)
def test_a_layer_brings_bytecode_that_python_does_not_question(own: Stack, layer: str) -> None:
    """Compiled with unchecked hashes: the zip changes every date, and /opt cannot be written to."""
    site = own.asset(f"Functions/{layer}") / "python"
    compiled = list(site.rglob("*.pyc"))
    if assets.interpreter(host=False) is None:
        assert compiled == []
        return
    assert len(compiled) > 300
    assert {path.read_bytes()[4] for path in compiled} == {1}  # PEP 552: hash-based, not checked


def test_a_layer_is_made_once() -> None:
    """What was made of the same requirements is used again."""
    assert assets.third_party("gateway", host=True) == assets.third_party("gateway", host=True)


def test_the_locks_of_the_layers_are_the_environments() -> None:
    """The functions run what is tested here: every version in a layer is the development environment's."""
    everything = _versions("dev")
    for layer in ("gateway", "runner"):
        pinned = _versions(layer)
        assert pinned
        assert {name: everything[name] for name in pinned} == pinned


def _versions(name: str) -> dict[str, str]:
    lines = (assets.ROOT / "requirements" / f"{name}.txt").read_text().splitlines()
    pins = [line.split(" ", 1)[0].split("==") for line in lines if "==" in line.split(" ", 1)[0]]
    return dict(pins)
