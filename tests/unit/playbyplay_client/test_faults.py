"""`playbyplay faults` against servers that answer as planned: what is sent, printed and said, and the exit code."""

import asyncio
import json
from typing import Any

import pytest

from playbyplay_client.cli import NO_SERVER, OK, main
from tests.unit.playbyplay_client.answering import Answering

STANDING = {
    "faults": [{"name": "drop_post", "title": "Drop a post", "does": "It is lost.", "see": "It is found."}],
    "armed": {"freeze_model": "The model is frozen."},
    "fired": [{"fault": "cut_socket", "time": "2025-01-01T00:00:00.000Z", "says": "1 connection was cut."}],
}


class Switch(Answering):
    """Answers `/faults`."""

    def __init__(self, status: int, body: Any) -> None:
        super().__init__("/faults", status, body)

    @property
    def orders(self) -> list[tuple[str, Any]]:
        """Method and order of each request; None for no order."""
        return [(method, json.loads(text) if text else None) for method, text in self.asked]


async def command(switch: Switch, *words: str) -> int:
    async with switch.serving() as url:
        return await asyncio.to_thread(main, ["faults", *words, "--url", url])


async def test_without_a_fault_they_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    """What there is, as one types it; what is armed; what happened."""
    switch = Switch(200, STANDING)
    assert await command(switch) == OK
    assert switch.orders == [("GET", None)]
    assert capsys.readouterr().out.splitlines() == [
        "drop-post      It is lost.",
        "               It is found.",
        "armed          The model is frozen.",
        "happened       2025-01-01T00:00:00.000Z  1 connection was cut.",
    ]


@pytest.mark.parametrize(
    ("words", "order"),
    [
        (["kill-runner"], {"fault": "kill_runner"}),
        (["kill-runner", "--when", "now"], {"fault": "kill_runner", "when": "now"}),
        (
            ["drop-post", "--count", "3", "--event", "final_response", "--user", "ann"],
            {"fault": "drop_post", "count": 3, "event": "final_response", "user": "ann"},
        ),
        (["duplicate-job", "--when", "each"], {"fault": "duplicate_job", "when": "each"}),
        (["freeze-model", "--seconds", "1.5"], {"fault": "freeze_model", "seconds": 1.5}),
        (["thaw-model"], {"fault": "thaw_model"}),
        (["cut-socket"], {"fault": "cut_socket"}),
        (["clear"], {"fault": "clear"}),
    ],
)
async def test_a_fault_is_ordered(words: list[str], order: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Every fault there is, with the fields that were given and no other; what the server says is printed."""
    switch = Switch(200, {"says": "So be it.", **STANDING})
    assert await command(switch, *words) == OK
    assert switch.orders == [("POST", order)]
    assert capsys.readouterr().out == "So be it.\n"


async def test_the_url_of_the_socket_is_good_as_well() -> None:
    """One URL serves both commands."""
    switch = Switch(200, STANDING)
    async with switch.serving() as url:
        assert await asyncio.to_thread(main, ["faults", "--url", f"{url}/ws".replace("http", "ws")]) == OK


@pytest.mark.parametrize(
    ("status", "body", "sentence"),
    [
        (404, "404: Not Found", "There is no fault switch at {url}/faults. Begin the server with: make run FAULTS=1"),
        (400, {"message": "count is a number."}, "count is a number."),
        (409, {"message": "No run is at work."}, "No run is at work."),
        (500, "Oh dear", "What answers at {url}/faults is no fault switch (HTTP 500)."),
        (200, "<html>", "What answers at {url}/faults is no fault switch (HTTP 200)."),
        (200, [], "What answers at {url}/faults is no fault switch (HTTP 200)."),
        (200, {"armed": []}, "What answers at {url}/faults is no fault switch (HTTP 200)."),
        (302, "", "What answers at {url}/faults is no fault switch (HTTP 302)."),
    ],
)
async def test_what_a_server_refuses_is_one_sentence(
    status: int, body: Any, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """No switch, a refusal, or something else altogether: a line on standard error, and exit code 2."""
    switch = Switch(status, body)
    async with switch.serving() as url:
        assert await asyncio.to_thread(main, ["faults", "cut-socket", "--url", url]) == NO_SERVER
    told = capsys.readouterr()
    assert (told.out, told.err) == ("", sentence.format(url=url) + "\n")


def test_no_server_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    """It names the address and the reason."""
    assert main(["faults", "--url", "http://127.0.0.1:1"]) == NO_SERVER
    assert capsys.readouterr().err == (
        "Cannot reach http://127.0.0.1:1/faults: Connection refused. Is the server running?\n"
    )
    assert main(["faults", "--url", "chess"]) == NO_SERVER
    assert capsys.readouterr().err.startswith("Not the URL of a server: 'chess'.")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["earthquake"], "invalid choice: 'earthquake' (choose from"),
        (["kill_runner"], "invalid choice"),
        (["drop-post", "--count", "many"], "invalid int value"),
        (["--count", "2"], "--count says more of a fault, and none is named."),
    ],
)
def test_a_wrong_command_is_refused_before_anybody_is_asked(
    words: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, and what was wrong."""
    assert main(["faults", *words, "--url", "http://127.0.0.1:1"]) == NO_SERVER
    assert complaint in capsys.readouterr().err


async def test_what_a_terminal_would_obey_is_written_out(capsys: pytest.CaptureFixture[str]) -> None:
    """A server's words are shown, never executed, a line each."""
    assert await command(Switch(200, {"says": "a\x1b[2Jb\nc", **STANDING}), "clear") == OK
    assert capsys.readouterr().out == "a\\u001b[2Jb c\n"
