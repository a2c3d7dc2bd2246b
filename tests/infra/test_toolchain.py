"""The tools: a Node that the CDK's runtime takes, and pinned programs without addresses."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from infra import toolchain
from tests.infra.synthesis import ROOT

INFRA = ROOT / "infra"


def test_node_is_one_that_the_cdk_takes() -> None:
    """`node` is found first on the path that tools are given, and is version 22 or newer."""
    environment = toolchain.environment({"PATH": "/usr/bin", "KEPT": "1"})
    found = subprocess.run(["node", "--version"], env=environment, capture_output=True, text=True, check=True)  # noqa: S607 - by PATH
    assert int(found.stdout.removeprefix("v").split(".")[0]) >= 22
    assert environment["KEPT"] == "1"
    assert environment["JSII_NODE"] == str(toolchain.node())
    assert environment["PATH"].split(":")[0] == str(Path(sys.executable).parent)


def test_the_cdk_runs() -> None:
    """The command line is installed on first use and is the pinned version."""
    pinned = json.loads((INFRA / "package.json").read_text())["dependencies"]["aws-cdk"]
    done = subprocess.run(
        [*toolchain.cdk(), "--version"], env=toolchain.environment(), capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith(f"{pinned} ")


@pytest.mark.parametrize("there", [True, False], ids=["the machine's npm", "the wheel's npm"])
def test_packages_are_installed_by_the_machines_npm_where_it_has_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, there: bool
) -> None:
    """It knows the machine's network; the one of the wheel works on a machine without Node."""
    own = tmp_path / "npm"
    if there:
        own.write_text("#!/bin/sh\necho 11.0.0\n")
        own.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    command = toolchain.npm()
    assert (command == [str(own)]) == there
    done = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True)
    assert int(done.stdout.split(".")[0]) >= 10


def test_the_lock_names_every_program_by_hash_and_none_by_address() -> None:
    """A lock works with whatever registry a machine uses: hashes, no addresses."""
    packages = json.loads((INFRA / "package-lock.json").read_text())["packages"]
    programs = {name: each for name, each in packages.items() if name}
    assert {"node_modules/aws-cdk", "node_modules/wscat"} <= set(programs)
    for each in programs.values():
        assert each["integrity"].startswith("sha512-")
        assert "resolved" not in each
