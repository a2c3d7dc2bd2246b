"""`playbyplay audit` against servers that answer as planned: what is asked, printed and said, and the exit code."""

import asyncio
import json
from typing import Any

import pytest

from playbyplay_client.cli import FAILED, NO_SERVER, OK, main
from tests.unit.playbyplay_client.answering import Answering

WELL = {"audited": 12, "open": 3, "complete": True, "unread": 0, "absence": {}, "findings": [], "audited_ms": 1}
RUN = "01890000-0000-7000-8000-000000000001"
FINDING = {
    "run_id": RUN,
    "absence": "RunsWithoutTerminal",
    "waits_ms": 7449,
    "runbook": "operations.md#runwithoutterminal",
}


class Auditor(Answering):
    """Answers `/ops/audit`."""

    def __init__(self, status: int, body: Any) -> None:
        super().__init__("/ops/audit", status, body)


async def command(auditor: Auditor, *words: str) -> int:
    async with auditor.serving() as url:
        return await asyncio.to_thread(main, ["audit", *words, "--url", url])


async def test_nothing_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    """A summary, and exit code 0."""
    auditor = Auditor(200, WELL)
    assert await command(auditor) == OK
    assert auditor.asked == [("POST", "")]
    assert capsys.readouterr().out == "Nothing is missing: 12 runs looked at, 3 open.\n"


async def test_something_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    """A line for each finding, the summary last, and exit code 1."""
    other = {**FINDING, "absence": "SomethingNew", "waits_ms": 100, "runbook": "operations.md#new"}
    assert await command(Auditor(200, {**WELL, "audited": 1, "findings": [FINDING, other]})) == FAILED
    assert capsys.readouterr().out.splitlines() == [
        f"{RUN}  RunsWithoutTerminal  its end is not there, for 7.4 s  (docs/operations.md#runwithoutterminal)",
        f"{RUN}  SomethingNew  is missing, for 0.1 s  (docs/operations.md#new)",
        "2 findings: 1 run looked at, 3 open.",
    ]


@pytest.mark.parametrize(
    ("changes", "code", "summary"),
    [
        ({"complete": False}, OK, "Nothing is missing: 12 runs looked at, 3 open; there are more."),
        ({"unread": 2}, FAILED, "Nothing is missing: 12 runs looked at, 3 open; 2 runs could not be read."),
        (
            {"unread": 1, "findings": [FINDING]},
            FAILED,
            "1 finding: 12 runs looked at, 3 open; 1 run could not be read.",
        ),
    ],
)
async def test_what_was_not_looked_at_is_said(
    changes: dict[str, Any], code: int, summary: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """And a run that could not be read is no good news."""
    assert await command(Auditor(200, {**WELL, **changes})) == code
    assert capsys.readouterr().out.splitlines()[-1] == summary


async def test_a_program_gets_json(capsys: pytest.CaptureFixture[str]) -> None:
    """One line, as the auditor said it, and the same exit code."""
    assert await command(Auditor(200, {**WELL, "findings": [FINDING]}), "--json") == FAILED
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert json.loads(out) == {**WELL, "findings": [FINDING]}


@pytest.mark.parametrize("words", [(), ("--json",)])
async def test_what_a_server_says_is_shown_and_not_obeyed(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """No control goes to the terminal, and no line is begun by the server."""
    hostile = {**FINDING, "run_id": "\x1b[2J\nNothing is missing.", "runbook": "operations.md#\u202e"}
    await command(Auditor(200, {**WELL, "findings": [hostile]}), *words)
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "\u202e" not in out
    assert out.count("\n") == (1 if words else 2)


@pytest.mark.parametrize(
    ("status", "body", "sentence"),
    [
        (404, "404: Not Found", "There is no auditor at {url}/ops/audit: that server is older, or another one."),
        (403, {"message": "This host is not allowed."}, "No audit at {url}/ops/audit: This host is not allowed."),
        (503, {"message": "The store does not answer."}, "No audit at {url}/ops/audit: The store does not answer."),
        (503, "busy", "What answers at {url}/ops/audit is no auditor (HTTP 503)."),
        (500, WELL, "What answers at {url}/ops/audit is no auditor (HTTP 500)."),
        (302, "", "What answers at {url}/ops/audit is no auditor (HTTP 302)."),
        (200, "<html>", "What answers at {url}/ops/audit is no auditor (HTTP 200)."),
        (200, [], "What answers at {url}/ops/audit is no auditor (HTTP 200)."),
        (200, {"findings": []}, "What answers at {url}/ops/audit is no auditor (HTTP 200)."),
        (200, {**WELL, "findings": [{"run_id": "r"}]}, "What answers at {url}/ops/audit is no auditor (HTTP 200)."),
        (200, {**WELL, "findings": None}, "What answers at {url}/ops/audit is no auditor (HTTP 200)."),
        (200, {**WELL, "audited": "many"}, "What answers at {url}/ops/audit is no auditor (HTTP 200)."),
    ],
)
async def test_what_is_no_audit_is_one_sentence(
    status: int, body: Any, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """No auditor, one that could not look, or something else altogether: nothing on standard output, exit code 2."""
    auditor = Auditor(status, body)
    async with auditor.serving() as url:
        assert await asyncio.to_thread(main, ["audit", "--url", url]) == NO_SERVER
    told = capsys.readouterr()
    assert (told.out, told.err) == ("", sentence.format(url=url) + "\n")


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "ws://127.0.0.1:1/ws"])
async def test_where_nobody_listens(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The sentence names the place that was tried."""
    assert await asyncio.to_thread(main, ["audit", "--url", url]) == NO_SERVER
    assert capsys.readouterr().err.startswith("Cannot reach http://127.0.0.1:1/ops/audit: Connect")


def test_an_address_that_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    """A sentence, and no trace of Python."""
    assert main(["audit", "--url", "nowhere"]) == NO_SERVER
    assert capsys.readouterr().err.count("\n") == 1
