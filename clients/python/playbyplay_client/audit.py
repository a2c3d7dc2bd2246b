"""`playbyplay audit`: has a server's auditor look at once, and tells what is missing."""

import argparse
import json
from dataclasses import dataclass
from typing import Any, Final

from playbyplay_client.endpoint import Reply, ask
from playbyplay_client.errors import ClientError

_OK: Final = 200
_REFUSED: Final = frozenset({403, 503})
_WORDS: Final = {
    "AcceptedWithoutAgentStarted": "accepted, and nobody began it",
    "ToolExecutingWithoutToolCompleted": "a tool began, and its end is not there",
    "RunsWithoutTerminal": "its end is not there",
    "PostedWithoutReceipt": "its client has not what it was sent",
    "JournalViolations": "its journal breaks the contract",
    "AbandonedWhileRunning": "its user is gone",
}


class NoAuditor(ClientError):
    """The server has no auditor, or it could not look; one sentence says why."""


@dataclass(frozen=True, slots=True)
class Audited:
    """What an audit came to.

    Attributes:
        lines: to print.
        missing: whether anything is, or may be where a run could not be read.
    """

    lines: list[str]
    missing: bool


def add_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", url: str) -> None:
    """Add the command to a parser's; `url` is the server's where none is named."""
    command = commands.add_parser(
        "audit",
        help="look for what is missing at a server",
        description="Have the auditor of a server look now: at open runs, and at those that ended lately. "
        "Exit code: 0 nothing is missing, 1 something is, or could not be read, 2 no server or no auditor.",
    )
    command.add_argument("--url", default=url, help="the server (%(default)s)")
    command.add_argument("--json", action="store_true", help="print what the auditor says as JSON, on one line")
    command.set_defaults(command="audit")


async def work(options: argparse.Namespace) -> Audited:
    """Ask for an audit.

    Raises:
        ClientError: one sentence says why there is none.
    """
    return _told(await ask(options.url, "/ops/audit", method="POST"), as_json=options.json)


def _told(reply: Reply, *, as_json: bool) -> Audited:
    if reply.status == 404:  # noqa: PLR2004 - HTTP's own word
        raise NoAuditor(f"There is no auditor at {reply.address}: that server is older, or another one.")
    try:
        said: dict[str, Any] = json.loads(reply.body)
        if reply.status in _REFUSED:
            raise NoAuditor(f"No audit at {reply.address}: {said['message']}")
        if reply.status != _OK:
            raise ValueError  # noqa: TRY301 - the one place that says so
        findings = [_finding(one) for one in said["findings"]]
        summary = _summary(said, len(findings))
    except (ValueError, LookupError, TypeError, AttributeError):
        raise NoAuditor(f"What answers at {reply.address} is no auditor (HTTP {reply.status}).") from None
    return Audited([json.dumps(said)] if as_json else [*findings, summary], missing=bool(findings or said["unread"]))


def _finding(one: dict[str, Any]) -> str:
    absence = str(one["absence"])
    words = _WORDS.get(absence, "is missing")
    return f"{one['run_id']}  {absence}  {words}, for {one['waits_ms'] / 1000:.1f} s  (docs/{one['runbook']})"


def _summary(said: dict[str, Any], findings: int) -> str:
    looked = f"{_several(said['audited'], 'run')} looked at, {int(said['open'])} open"
    unread = f"; {_several(said['unread'], 'run')} could not be read" if said["unread"] else ""
    more = "" if said["complete"] else "; there are more"
    return f"{_several(findings, 'finding') if findings else 'Nothing is missing'}: {looked}{unread}{more}."


def _several(number: int, one: str) -> str:
    return f"{int(number)} {one}{'' if number == 1 else 's'}"
