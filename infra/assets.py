"""What is uploaded: the zips of the functions, our own layer, the two third-party layers, the page.

No Docker: uv fetches wheels for the functions' processor. A third-party layer is kept under `.cloud/layers`
by the hash of what it is made of. Bytecode comes along, because /opt is read-only: without it every cold
start would compile all it imports.
"""

import contextlib
import functools
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from uv import find_uv_bin

ROOT = Path(__file__).resolve().parent.parent
FUNCTIONS = ROOT / "functions"
SHARED = ROOT / "layers" / "shared"
PAGE = ROOT / "local" / "page"
PYTHON = "3.13"
_PLATFORM = "aarch64-manylinux2014"
_LAYERS = ROOT / ".cloud" / "layers"
# botocore brings the description of every service; the functions call four.
_SERVICES = frozenset({"apigatewaymanagementapi", "dynamodb", "secretsmanager", "sqs"})
_PROGRAMS = frozenset({"ruff"})  # code_analyzer runs it; ruff looks for itself beside its package
_JUNK = (
    "**/*.pyi",
    "**/tests",
    "*.dist-info/RECORD",
    "*.dist-info/INSTALLER",
    "*.dist-info/REQUESTED",
    "*.dist-info/sboms",
    ".lock",
    "boto3/data",  # of boto3's resources; clients need botocore's only
    "boto3/examples",
    "aws_lambda_powertools/event_handler/openapi/swagger_ui",
)
_RECIPE = "2"  # raised when the way a layer is made changes


def only(name: str) -> list[str]:
    """Return the patterns that leave nothing of `functions/` but one function's folder."""
    return ["*", f"!{name}", f"!{name}/**", "**/__pycache__", "**/*.pyc", "**/py.typed"]


def third_party(layer: str, *, host: bool) -> Path:
    """Return the folder of a third-party layer, made once.

    Args:
        layer: `gateway` or `runner`, as its requirements file is named.
        host: for this machine and this Python instead of Lambda's.
    """
    requirements = ROOT / "requirements" / f"{layer}.txt"
    python = interpreter(host=host)
    target = f"{platform.platform()} {sys.version}" if host else f"{_PLATFORM} {PYTHON}"
    recipe = (_RECIPE, target, "bytecode" if python else "sources", requirements.read_text())
    key = hashlib.sha256("\0".join(recipe).encode()).hexdigest()[:16]
    made = _LAYERS / f"{layer}-{'host' if host else 'aws'}-{key}"
    if not made.exists():
        with _scratch() as folder:
            _install(requirements, folder / "python", host=host)
            _trim(folder / "python")
            _compile(python, folder)
            _keep(folder, made)
    return made


def shared(*, host: bool) -> Path:
    """Return the folder of our own layer: the sources, and their bytecode."""
    with _scratch() as folder:
        shutil.copytree(SHARED, folder, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
        _compile(interpreter(host=host), folder)
        made = _LAYERS / f"shared-{_fingerprint(folder)}"
        if not made.exists():
            _keep(folder, made)
    return made


def page() -> Path:
    """Return the page as it is served: `index.html` at the root, the rest below `assets/`."""
    with _scratch() as folder:
        shutil.copytree(PAGE, folder / "assets")
        (folder / "assets" / "index.html").rename(folder / "index.html")
        made = _LAYERS / f"page-{_fingerprint(folder)}"
        if not made.exists():
            _keep(folder, made)
    return made


@functools.cache
def interpreter(*, host: bool) -> Path | None:
    """Return a Python that writes the bytecode the functions read; None where this machine has none.

    Bytecode is bound to the minor version. Without it a deployment works, with slower cold starts.
    """
    if host or f"{sys.version_info.major}.{sys.version_info.minor}" == PYTHON:
        return Path(sys.executable)
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = sorted(pyenv.glob(f"{PYTHON}.*/bin/python{PYTHON}"))
    if on_path := shutil.which(f"python{PYTHON}"):
        found.insert(0, Path(on_path))
    for python in found:
        asked = subprocess.run([python, "-c", "import compileall"], capture_output=True, check=False)
        if asked.returncode == 0:  # a shim may be on the path and start nothing
            return python
    sys.stderr.write(f"No Python {PYTHON} here, so the layers go without bytecode: cold starts will be slower.\n")
    return None


def _install(requirements: Path, target: Path, *, host: bool) -> None:
    where = ["--python", sys.executable] if host else ["--python-platform", _PLATFORM, "--python-version", PYTHON]
    # Copies: what is trimmed here must not be uv's own cache.
    options = ["--link-mode", "copy", "--only-binary", ":all:", "--no-deps", "--require-hashes"]
    command = [
        find_uv_bin(),
        "pip",
        "install",
        "--system-certs",  # the machine's network may have its own
        "-q",
        "--target",
        str(target),
        *where,
        *options,
        "-r",
        str(requirements),
    ]
    subprocess.run(command, check=True)


def _trim(site: Path) -> None:
    for pattern in _JUNK:
        for path in sorted(site.glob(pattern)):
            _remove(path)
    for path in (site / "botocore" / "data").iterdir():
        if path.is_dir() and path.name not in _SERVICES:
            _remove(path)
    programs = site / "bin"
    for path in programs.iterdir():
        if path.name not in _PROGRAMS:
            _remove(path)
    if not any(programs.iterdir()):
        programs.rmdir()


def _compile(python: Path | None, folder: Path) -> None:
    if python:
        # Unchecked: the zip changes every date, and a stamp that does not fit counts as stale.
        how = ["-q", "-j", "0", "--invalidation-mode", "unchecked-hash", "-s", str(folder), "-p", "/opt"]
        subprocess.run([str(python), "-I", "-m", "compileall", *how, str(folder)], check=True)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


@contextlib.contextmanager
def _scratch() -> Iterator[Path]:
    _LAYERS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=_LAYERS) as scratch:
        yield Path(scratch) / "made"


def _keep(folder: Path, made: Path) -> None:
    with contextlib.suppress(OSError):  # another process was first
        folder.rename(made)


def _fingerprint(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(f"{path.relative_to(folder)}\0{path.stat().st_size}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
