"""Node's tools at work in one of the folders below clients/."""

import asyncio
from pathlib import Path

from infra import toolchain

CHECK_S = 120.0


async def run(folder: Path, *command: str, seconds: float = CHECK_S) -> str:
    """Run a command in a folder and return what it printed; it has to succeed in time."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        env=toolchain.environment(),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(seconds):
            said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, said.decode()
    return said.decode()


async def npm(folder: Path, *arguments: str) -> str:
    """Run npm in a folder, as `run` does."""
    return await run(folder, *toolchain.npm(), *arguments)
