"""Runs the CDK app as the CDK does, in a process of its own, and reads what it wrote."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra import toolchain

ROOT = Path(__file__).resolve().parents[2]
_OURS = json.loads((ROOT / "cdk.json").read_text())["context"]
_PATHS = {"aws:cdk:enable-path-metadata": True, "aws:cdk:enable-asset-metadata": True}  # as the command line asks
_STACK = "Playbyplay/"
_LIMIT_S = 300  # the first one builds the layers


def start(folder: Path, app: str = "infra.app", **context: str) -> subprocess.Popen[str]:
    """Start a synthesis into a folder."""
    env = toolchain.environment() | {
        "CDK_OUTDIR": str(folder),
        "CDK_CONTEXT_JSON": json.dumps({**_OURS, **_PATHS, **context}),
    }
    return subprocess.Popen(
        [sys.executable, "-m", app],
        cwd=ROOT,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Return the exit code of a synthesis and what it wrote to standard error."""
    try:
        _, told = process.communicate(timeout=_LIMIT_S)
    finally:
        process.kill()
    return process.returncode, told


@dataclass(frozen=True, slots=True)
class Stack:
    """A synthesised stack; resources are named by their path below it, without `/Resource` at the end."""

    folder: Path
    resources: dict[str, dict[str, Any]]
    outputs: dict[str, str]
    by_id: dict[str, str]

    @classmethod
    def read(cls, folder: Path) -> "Stack":
        """Read what a synthesis wrote."""
        template = json.loads((folder / "Playbyplay.template.json").read_text())
        found = {name: each for name, each in template["Resources"].items() if "aws:cdk:path" in each["Metadata"]}
        by_id = {name: _path(each) for name, each in found.items()}
        resources = {by_id[name]: _plain(each, by_id) for name, each in found.items()}
        assert len(resources) == len(template["Resources"])
        outputs = {name: _plain(each["Value"], by_id) for name, each in template["Outputs"].items()}
        return cls(folder, resources, outputs, by_id)

    def properties(self, path: str) -> dict[str, Any]:
        """Return a resource's properties; references are `<path>` or `<path.Attribute>`."""
        properties: dict[str, Any] = self.resources[path]["Properties"]
        return properties

    def of(self, kind: str) -> dict[str, dict[str, Any]]:
        """Return the properties of every resource of a type."""
        return {path: each["Properties"] for path, each in self.resources.items() if each["Type"] == kind}

    def asset(self, path: str) -> Path:
        """Return the folder that a resource is uploaded from."""
        return self.folder / str(self.resources[path]["Metadata"]["aws:asset:path"])


def files(folder: Path) -> set[str]:
    """Return the files below a folder."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def size(folder: Path) -> int:
    """Return how many bytes a folder's files have."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _path(resource: dict[str, Any]) -> str:
    return str(resource["Metadata"]["aws:cdk:path"]).removeprefix(_STACK).removesuffix("/Resource")


def _plain(value: Any, by_id: dict[str, str]) -> Any:
    """Write intrinsic functions as text that can be read."""
    match value:
        case {"Ref": name}:
            return f"<{by_id.get(name, name)}>"
        case {"Fn::GetAtt": [name, attribute]}:
            return f"<{by_id.get(name, name)}.{attribute}>"
        case {"Fn::Join": [between, parts]}:
            return str(between).join(str(_plain(part, by_id)) for part in parts)
        case dict():
            return {key: _plain(each, by_id) for key, each in value.items()}
        case list():
            return [_plain(each, by_id) for each in value]
    return value
