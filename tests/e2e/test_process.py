"""The server as a process: killed in the middle, started again, started twice, ended by Ctrl-C."""

import asyncio
import json
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import websockets

from agent_runner import demo_shop
from tests.e2e.process import ROOT, Frame, free_port, read_until, server_process
from tests.mission_critical.test_websocket_agent_events_suite import violations

PROMPT = "Analyze my database performance"
EVENTS = {
    "agent_started",
    "agent_thinking",
    "tool_executing",
    "tool_completed",
    "agent_completed",
    "final_response",
    "error",
}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the demo shop once for all processes."""
    path = tmp_path_factory.mktemp("shop") / "demo-shop.sqlite3"
    demo_shop.make(path)
    return path


def _events(frames: list[Frame]) -> list[Frame]:
    return [
        {key: value for key, value in frame.items() if key != "replay"}
        for frame in frames
        if frame.get("type") in EVENTS
    ]


@pytest.mark.parametrize("killed_after", [0, 1, 3, 5, 8])
async def test_a_run_goes_on_after_kill_9(tmp_path: Path, shop: Path, killed_after: int) -> None:
    """SIGKILL after any number of events: the next process brings the run to its terminal, repeating none."""
    async with server_process(tmp_path, PLAYBYPLAY_DATABASE=str(shop)) as server:
        async with websockets.connect(server.url) as connection:
            await connection.send(json.dumps({"type": "agent_message", "content": PROMPT}))
            frames = await read_until(connection, "message_accepted")
            run_id = frames[-1]["run_id"]
            while len(_events(frames)) < killed_after:
                frames.append(json.loads(await connection.recv()))
            assert await server.signal(signal.SIGKILL) == -signal.SIGKILL
        before = _events(frames)

        await server.start()
        assert "Going on with 1 accepted run" in server.said
        async with websockets.connect(server.url) as connection:
            await connection.send(json.dumps({"type": "resume", "run_id": run_id, "after_seq": 0}))
            seen: dict[int, Frame] = {}
            while not seen or seen[max(seen)]["type"] not in {"final_response", "error"}:
                for event in _events(await read_until(connection, *EVENTS)):
                    assert seen.setdefault(event["seq"], event) == event
            await connection.send(json.dumps({"type": "resume", "run_id": run_id, "after_seq": 0}))
            frames = await read_until(connection, "replay_complete")
            stored = _events([frame for frame in frames if frame.get("replay")])

    assert stored == list(seen.values())
    assert stored[: len(before)] == before
    assert violations(stored) == []
    assert stored[-1]["type"] == "final_response"
    assert "Found 3 slow queries" in stored[-1]["content"]


async def test_a_killed_server_forgets_no_accepted_message(tmp_path: Path, shop: Path) -> None:
    """A resend after the kill finds the same run, and the run ends."""
    client_message_id = "0b54bd0e-8dd0-4c1d-abb1-0112d6082869"
    message = json.dumps({"type": "agent_message", "content": PROMPT, "client_message_id": client_message_id})
    async with server_process(tmp_path, PLAYBYPLAY_DATABASE=str(shop)) as server:
        async with websockets.connect(server.url) as connection:
            await connection.send(message)
            first = (await read_until(connection, "message_accepted"))[-1]
            await server.signal(signal.SIGKILL)
        await server.start()
        async with websockets.connect(server.url) as connection:
            await connection.send(message)
            second = [
                frame for frame in await read_until(connection, "final_response") if frame["type"] == "message_accepted"
            ]
    assert second == [{**first, "duplicate": True}]


async def test_ctrl_c_ends_it_cleanly(tmp_path: Path, shop: Path) -> None:
    """SIGINT in the middle of a run: sockets close with 1001, exit code 0, and the run goes on at the next start."""
    async with server_process(tmp_path, PLAYBYPLAY_DATABASE=str(shop)) as server:
        async with websockets.connect(server.url) as connection:
            await connection.send(json.dumps({"type": "agent_message", "content": PROMPT}))
            await read_until(connection, "tool_executing")
            assert await server.signal(signal.SIGINT) == 0
            await connection.wait_closed()
            assert connection.close_code == 1001
        assert "Stopping" in server.said
        await server.start()
        async with websockets.connect(server.url) as connection:
            await read_until(connection, "final_response")


async def test_a_second_start_on_a_used_port_says_so(tmp_path: Path, shop: Path) -> None:
    """The second server ends with exit code 1 and one sentence."""
    async with server_process(tmp_path / "one", PLAYBYPLAY_DATABASE=str(shop)) as server:
        port = server.url.split(":")[2].split("/")[0]
        done = await asyncio.to_thread(_start, PLAYBYPLAY_PORT=port, PLAYBYPLAY_DATA=str(tmp_path / "two"))
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert f"Port {port} is taken" in done.stderr


async def test_a_second_start_on_used_data_says_so(tmp_path: Path, shop: Path) -> None:
    """One process owns a data directory; the second ends with exit code 1 and one sentence."""
    async with server_process(tmp_path, PLAYBYPLAY_DATABASE=str(shop)):
        done = await asyncio.to_thread(
            _start,
            PLAYBYPLAY_PORT=str(free_port()),
            PLAYBYPLAY_DATA=str(tmp_path),
            PLAYBYPLAY_DATABASE=str(shop),
        )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "is using the data directory" in done.stderr


@pytest.mark.parametrize(
    ("name", "value"), [("PLAYBYPLAY_PORT", "http"), ("PLAYBYPLAY_PORT", "70000"), ("PLAYBYPLAY_IDLE_S", "-1")]
)
def test_a_bad_setting_is_named(name: str, value: str) -> None:
    """A setting out of range ends the start with one sentence that names it."""
    done = _start(**{name: value})
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert name in done.stderr


def test_a_damaged_database_is_named(tmp_path: Path) -> None:
    """A file that is no database ends the start with one sentence and is left as it is."""
    (tmp_path / "playbyplay.sqlite3").write_bytes(b"not a database, and long enough to be looked at" * 100)
    (tmp_path / "shop.sqlite3").touch()
    done = _start(
        PLAYBYPLAY_DATA=str(tmp_path),
        PLAYBYPLAY_PORT=str(free_port()),
        PLAYBYPLAY_DATABASE=str(tmp_path / "shop.sqlite3"),
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "cannot open the database" in done.stderr


async def test_the_log_holds_no_text(tmp_path: Path, shop: Path) -> None:
    """Neither the message nor the answer is in the log."""
    word = "zebra-4711"
    async with (
        server_process(tmp_path, PLAYBYPLAY_DATABASE=str(shop)) as server,
        websockets.connect(server.url) as connection,
    ):
        await connection.send(json.dumps({"type": "agent_message", "content": f"{PROMPT} {word}"}))
        await read_until(connection, "final_response")
        async with asyncio.timeout(10):
            while "run_settled" not in (log := (tmp_path / "playbyplay.log").read_text()):  # noqa: ASYNC110 - a file
                await asyncio.sleep(0.01)
    assert word not in log
    assert "slow queries" not in log
    with sqlite3.connect(tmp_path / "playbyplay.sqlite3") as database:
        stored = database.execute("SELECT group_concat(entries) FROM journal").fetchone()[0]
    database.close()
    assert word in stored


def _start(**env: str) -> subprocess.CompletedProcess[str]:
    kept = {"PATH": "/usr/bin:/bin"}
    return subprocess.run(
        [sys.executable, "-m", "local"],
        cwd=ROOT,
        env=kept | env,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
