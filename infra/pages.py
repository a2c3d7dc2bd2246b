"""Builds the pages of `clients/web` into its `dist`, under the Node of this project: `python -m infra.pages`.

What is there stays until the new pages are whole, so that a server goes on serving and a build that fails
takes nothing away.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from infra import toolchain

WEB = Path(__file__).parents[1] / "clients" / "web"


def build(folder: Path = WEB) -> Path:
    """Install what the build needs, unless it is there, and build.

    Args:
        folder: where the sources are.

    Returns:
        Where the pages are.

    Raises:
        SystemExit: npm or the build could not; what was built before is still there.
    """
    toolchain.install(folder)
    modules = folder / "node_modules"
    pages, fresh, old = folder / "dist", modules / f".fresh-{os.getpid()}", modules / f".old-{os.getpid()}"
    vite = modules / "vite" / "bin" / "vite.js"
    command = [str(toolchain.node()), str(vite), "build", "--outDir", str(fresh), "--logLevel", "warn"]
    try:
        if subprocess.run(command, check=False, cwd=folder, env=toolchain.environment()).returncode:
            sys.exit(f"The pages of {folder.name} could not be built.")
        if pages.exists():
            pages.rename(old)
        fresh.rename(pages)
    finally:
        for left in (fresh, old):
            shutil.rmtree(left, ignore_errors=True)
    return pages


if __name__ == "__main__":
    build()
