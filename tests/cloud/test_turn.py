"""Turns on the deployed stack: strangers to our code see them whole, everywhere, and nobody else does."""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from infra import toolchain
from infra.local_cloud_stack import Deployment
from tests.cloud.people import TURN_S, Person
from tests.mission_critical.test_websocket_agent_events_suite import SEVEN, violations

ROOT = Path(__file__).resolve().parents[2]
SUITE = ROOT / "tests" / "mission_critical" / "test_websocket_agent_events_suite.py"
Newcomer = Callable[[], Person]
ANALYSIS = "Analyze my database performance"


def script(*command: str, token: str, seconds: float = TURN_S) -> "subprocess.CompletedProcess[str]":
    """Run Python with a token in the environment and return what came of it."""
    env = {**os.environ, "PLAYBYPLAY_TOKEN": token}
    return subprocess.run(  # noqa: S603 - our own programs
        [sys.executable, *command], env=env, capture_output=True, text=True, timeout=seconds, check=False
    )


def test_the_mission_critical_suite_passes(deployed: Deployment, newcomer: Newcomer) -> None:
    """All seven events, strictly in order, checked by a script that shares no code with the stack."""
    where = ("--url", deployed.socket_url, "--ticket-url", deployed.ticket_url)
    done = script(str(SUITE), *where, token=newcomer().token, seconds=2 * TURN_S)
    assert done.returncode == 0, done.stderr
    assert [line.split()[1] for line in done.stdout.splitlines() if line.startswith("✓")] == list(SEVEN)


def test_the_mission_critical_suite_fails_without_a_token(deployed: Deployment) -> None:
    """Let in by nobody, the script says so and shows no tick."""
    done = script(
        str(SUITE),
        "--url",
        deployed.socket_url,
        "--ticket-url",
        deployed.ticket_url,
        token="nobody",  # noqa: S106 - none
    )
    assert done.returncode == 1
    assert done.stderr.startswith("FAILED: ")
    assert "✓" not in done.stdout


def test_wscat_sees_a_turn(deployed: Deployment, newcomer: Newcomer) -> None:
    """A client that knows nothing of us sees every event of a turn."""
    url = f"{deployed.socket_url}?ticket={newcomer().ticket()}"
    message = json.dumps({"type": "agent_message", "content": ANALYSIS})
    command = [*toolchain.wscat(), "-c", url, "-o", deployed.origin, "--no-color", "-x", message, "-w", f"{TURN_S:g}"]
    wscat = subprocess.Popen(  # noqa: S603 - the project's own
        command, env=toolchain.environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    frames = []
    try:
        assert wscat.stdout is not None
        for line in wscat.stdout:
            with contextlib.suppress(ValueError):
                frames.append(json.loads(line.decode().strip().removeprefix("< ").strip()))
            if frames and frames[-1].get("type") in {"final_response", "error"}:
                break
    finally:
        wscat.kill()
        wscat.communicate()
    events = [frame for frame in frames if frame["type"] in SEVEN]
    assert violations(events) == []
    assert {event["type"] for event in events} == set(SEVEN) - {"error"}


def test_our_command_sees_a_turn(deployed: Deployment, newcomer: Newcomer) -> None:
    """`playbyplay chat` gets its ticket with a bearer token and ends in success."""
    where = ("--url", deployed.socket_url, "--ticket-url", deployed.ticket_url, "--ticket-in-query")
    done = script("-m", "playbyplay_client.cli", "chat", ANALYSIS, "--json", *where, token=newcomer().token)
    assert done.returncode == 0, done.stderr
    assert violations([json.loads(line) for line in done.stdout.splitlines()]) == []


async def test_a_new_connection_gets_everything_again(newcomer: Newcomer) -> None:
    """After a reconnect, `resume` yields every event as it was, flagged as replayed."""
    person = newcomer()
    async with person.device() as before:
        run_id = await before.turn()
    async with person.device() as after:
        await after.send(type="resume", run_id=run_id, after_seq=0)
        done = await after.until("replay_complete")
    live, again = before.events(run_id), after.events(run_id, replayed=True)
    assert again == [{**event, "replay": True} for event in live]
    assert done["last_seq"] == len(live) > 0
    assert violations(live) == []


async def test_all_devices_of_a_user_see_a_run(newcomer: Newcomer) -> None:
    """Two connections of one user get the same events, the one that did not ask the question too."""
    person = newcomer()
    async with person.device() as one, person.device() as other:
        run_id = await one.turn()
        await other.ended(run_id)
        asked = [frame for frame in other.frames if frame["type"] == "run_input"]
    assert other.events(run_id) == one.events(run_id) != []
    assert [frame["content"] for frame in asked] == ["hello"]


async def test_nobody_else_hears_of_a_run(newcomer: Newcomer) -> None:
    """Another user gets no frame of a run, and cannot ask for one: it is as if it did not exist."""
    async with newcomer().device() as mine, newcomer().device() as stranger:
        run_id = await mine.turn()
        await stranger.send(type="resume", run_id=run_id, after_seq=0)
        refusal = await stranger.until("message_rejected", "replay_complete")
        await stranger.send(type="cancel", run_id=run_id)
        await stranger.until("message_rejected", "cancel_accepted")
        await stranger.send(type="ping", cursors={run_id: 0})
        pong = await stranger.until("pong")
    assert refusal["code"] == "not_found"
    assert [frame["type"] for frame in stranger.frames] == ["message_rejected", "message_rejected", "pong"]
    assert pong["heads"] == {}


async def test_turns_of_many_users_run_at_once(newcomer: Newcomer) -> None:
    """Four users who ask together all get whole turns."""
    people = await asyncio.gather(*(asyncio.to_thread(newcomer) for _ in range(4)))
    async with contextlib.AsyncExitStack() as stack:
        devices = [await stack.enter_async_context(person.device()) for person in people]
        runs = await asyncio.gather(*(device.turn() for device in devices))
        for device, run_id in zip(devices, runs, strict=True):
            assert violations(device.events(run_id)) == []
            assert {frame["run_id"] for frame in device.frames} == {run_id}
