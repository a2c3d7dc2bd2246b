"""`make run`: serve until Ctrl-C."""

import asyncio
import os
import signal
import sys

from local.collector import tune
from local.server import HOST, Server
from local.settings import BadSetting, LocalSettings
from playbyplay.errors import PlaybyplayError


def main() -> int:
    """Serve; return the exit code."""
    try:
        return asyncio.run(_serve(LocalSettings.from_env(os.environ)))
    except KeyboardInterrupt:
        return 130
    except BadSetting as bad:
        return _say(str(bad))


async def _serve(settings: LocalSettings) -> int:
    server = Server(settings)
    if settings.database is None and not (settings.data / "demo-shop.sqlite3").exists():
        print("Making the demo shop database (once, a few seconds) ...", flush=True)
    try:
        await server.start()
    except PlaybyplayError as error:
        return _say(str(error))
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    tune()
    _greet(server, faults=settings.faults)
    await stopped.wait()
    print("\nStopping; open runs go on at the next start.", flush=True)
    await server.stop()
    return 0


def _greet(server: Server, *, faults: bool) -> None:
    print(f"Playbyplay is at http://{HOST}:{server.port}  (socket: ws://{HOST}:{server.port}/ws)")
    if server.model_name == "scripted":
        print("No OPENAI_API_KEY: the scripted model answers. Its tools are real, its words follow rules.")
    else:
        print(f"Model: {server.model_name}")
    if faults:
        print("The fault switch is there: in the page, and as .venv/bin/playbyplay faults")
    if server.waiting_jobs:
        print(f"Going on with {server.waiting_jobs} accepted run(s) of the last time.")
    print("Ctrl-C ends it.", flush=True)


def _say(sentence: str) -> int:
    print(sentence, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
