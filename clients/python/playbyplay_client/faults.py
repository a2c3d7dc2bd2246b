"""`playbyplay faults`: asks a server's fault switch how it stands, or moves it."""

import argparse
import json
from typing import Any, Final

from playbyplay_client import endpoint
from playbyplay_client.errors import ClientError

_FAULTS: Final = {
    "kill-runner": "the runner falls in the middle of a tool",
    "drop-post": "an event is lost on its way",
    "duplicate-job": "a job reaches two runners",
    "freeze-model": "the model holds back its answers",
    "thaw-model": "it answers again",
    "cut-socket": "the connections are torn off",
    "clear": "take back what is armed, and thaw the model",
}
_FIELDS: Final = ("when", "count", "event", "seconds", "user")


class NoSwitch(ClientError):
    """The server has no fault switch, or did not obey; one sentence says why."""


def add_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", url: str) -> None:
    """Add the command to a parser's; `url` is the server's where none is named."""
    listed = "\n".join(f"  {name:<14} {does}" for name, does in _FAULTS.items())
    command = commands.add_parser(
        "faults",
        help="break something at a server with a fault switch",
        description="List the faults of a server, or let one happen. It needs a server begun with FAULTS=1.",
        epilog=f"faults:\n{listed}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("fault", metavar="FAULT", nargs="?", choices=[*_FAULTS], help="without it they are listed")
    command.add_argument("--url", default=url, help="the server (%(default)s)")
    command.add_argument("--when", help="kill-runner: tool (usual) or now; duplicate-job: next (usual) or each")
    command.add_argument("--count", type=int, metavar="N", help="drop-post: how many")
    command.add_argument("--event", metavar="TYPE", help="drop-post: only events of this type")
    command.add_argument("--seconds", type=float, metavar="S", help="freeze-model: thaw it after so long")
    command.add_argument("--user", metavar="NAME", help="drop-post, cut-socket: whose connections")
    command.set_defaults(command="faults")


async def work(options: argparse.Namespace) -> list[str]:
    """Do what the command asks; return the lines to print.

    Raises:
        ClientError: one sentence says why not.
    """
    return await ask(options.url, _order(options))


def _order(options: argparse.Namespace) -> dict[str, Any] | None:
    fields = {name: value for name in _FIELDS if (value := getattr(options, name)) is not None}
    if options.fault is None:
        if fields:
            raise NoSwitch(f"--{next(iter(fields))} says more of a fault, and none is named.")
        return None
    return {"fault": options.fault.replace("-", "_"), **fields}


async def ask(url: str, order: dict[str, Any] | None) -> list[str]:
    """Move the switch, or ask how it stands; return lines that tell it.

    Args:
        url: of the server's socket or page.
        order: a fault and its fields; None to ask.

    Raises:
        CannotConnect: there is no server.
        NoSwitch: it has no switch, or refused the order.
    """
    reply = await endpoint.ask(url, "/faults", method="GET" if order is None else "POST", json=order)
    return _told(reply.address, reply.status, reply.body, listed=order is None)


def _told(switch: str, status: int, body: str, *, listed: bool) -> list[str]:
    if status == 404:  # noqa: PLR2004 - HTTP's own word
        raise NoSwitch(f"There is no fault switch at {switch}. Begin the server with: make run FAULTS=1")
    try:
        standing = json.loads(body)
        if status != 200:  # noqa: PLR2004 - HTTP's own word
            raise NoSwitch(str(standing["message"]))
        return _list(standing) if listed else [str(standing["says"])]
    except (ValueError, LookupError, TypeError, AttributeError):
        raise NoSwitch(f"What answers at {switch} is no fault switch (HTTP {status}).") from None


def _list(standing: dict[str, Any]) -> list[str]:
    lines: list[str] = []
    for fault in standing["faults"]:
        lines += [f"{fault['name'].replace('_', '-'):<14} {fault['does']}", f"{'':<14} {fault['see']}"]
    lines += [f"armed          {says}" for says in standing["armed"].values()]
    return lines + [f"happened       {fired['time']}  {fired['says']}" for fired in standing["fired"]]
