"""What operators see of a real server: each fault by name, counted, and its recovery; and nothing of what users say."""

import asyncio
import contextlib
import json
import re
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from agent_runner.agent import tool
from agent_runner.registry import Registry
from local.run_queue import LocalRunQueue, QueuedJob
from playbyplay.domain.timing import ONE_MACHINE
from playbyplay.ports import Job
from playbyplay_client.cli import FAILED, NO_SERVER, OK, main
from playbyplay_client.client import PlaybyplayClient
from playbyplay_client.pace import Pace
from tests.e2e.home import Frame, Member, RunningHome, plain_agent, running_home
from tests.e2e.raw_socket import HttpAnswer, exchange, request

QUICK = Pace(tick_s=0.01, first_wait_s=0.02, last_wait_s=0.1, attempts=100, ping_factor=0.05)
METER = "Read the meter of somebody-private."
SEEN_S = 5.0
"""What is missing is seen so long after it is, at the most."""
KEEN = replace(
    ONE_MACHINE,
    lease_s=1,
    renew_s=0.3,
    visibility_s=8,
    first_check_s=60,
    after_lease_s=60,
    start_s=0.5,
    receipt_s=0.5,
    away_s=0.5,
    recovery_s=2,
)
"""An auditor that misses things soon, and a recovery that comes late: it looks as often as ever."""
OVERVIEW, RUNS, AUDIT = "/ops/overview.json", "/ops/runs.json", "/ops/audit"


def meter() -> Registry:
    """Return an agent with one tool, which takes a moment."""

    @tool(semantics="pure", running="Reading the meter")
    async def meter_reader() -> str:
        """Read the meter."""
        await asyncio.sleep(0.1)
        return "The meter shows 42."

    return Registry((), root=plain_agent(tools=(meter_reader,)))


class LosingQueue(LocalRunQueue):
    """Loses what is sent, while it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.loses = False

    async def send(self, job: Job) -> None:
        if not self.loses:
            await super().send(job)

    def show_when_due(self, queued: QueuedJob) -> None:
        if not self.loses:
            super().show_when_due(queued)


class Operator:
    """Somebody in front of the ops page.

    Attributes:
        overview: what they saw last.
    """

    def __init__(self, home: RunningHome, http: aiohttp.ClientSession) -> None:
        self._home = home
        self._http = http
        self.overview: dict[str, Any] = {}

    async def look(self) -> dict[str, Any]:
        async with self._http.get(f"{self._home.origin}{OVERVIEW}?minutes=1") as answer:
            assert answer.status == 200
            self.overview = await answer.json()
        return self.overview

    async def runs(self) -> list[dict[str, Any]]:
        async with self._http.get(f"{self._home.origin}{RUNS}") as answer:
            assert answer.status == 200
            told = await answer.json()
        runs: list[dict[str, Any]] = told["runs"]
        return runs

    async def order(self, fault: str, **fields: Any) -> None:
        """Let a fault happen."""
        async with self._http.post(f"{self._home.origin}/faults", json={"fault": fault, **fields}) as answer:
            assert answer.status == 200, await answer.text()

    async def until(self, sees: Callable[[dict[str, Any]], bool], *, seconds: float = 15.0) -> float:
        """Look until it is there to be seen; return how many seconds that took."""
        began_s = time.monotonic()
        while not sees(await self.look()):
            waited_s = time.monotonic() - began_s
            assert waited_s < seconds, {name: self.overview[name] for name in ("totals", "absence", "faults")}
            await asyncio.sleep(0.05)
        return time.monotonic() - began_s

    async def until_missing(self, absence: str, *, due_s: float) -> dict[str, Any]:
        """Look until this is missing, in time; return the finding."""
        await self.until(lambda told: told["absence"][absence] == 1, seconds=due_s + SEEN_S)
        (finding,) = [one for one in self.overview["findings"] if one["absence"] == absence]
        assert finding["runbook"].startswith("operations.md#")
        return dict(finding)

    async def until_well(self) -> None:
        """Look until nothing is missing."""
        await self.until(lambda told: not told["findings"] and not any(told["absence"].values()), seconds=20.0)

    async def happened(self, fault: str) -> None:
        """Look until a fault is there by its name, once, counted and with a runbook that there is."""
        await self.until(lambda told: [one["fault"] for one in told["faults"]] == [fault])
        (kind,) = self.overview["fault_kinds"]
        assert (kind["fault"], kind["times"]) == (fault, 1)
        async with self._http.get(f"{self._home.origin}/ops/{kind['runbook'].partition('#')[0]}") as answer:
            headings = re.findall(r"^### (\w+)$", await answer.text(), re.MULTILINE)
        assert kind["runbook"].partition("#")[2] in {heading.lower() for heading in headings}

    def total(self, series: str) -> float:
        return float(self.overview["totals"].get(series, 0))


@contextlib.asynccontextmanager
async def operated(data: Path, **options: Any) -> AsyncIterator[tuple[RunningHome, Operator]]:
    """Serve a home with a fault switch, and somebody who watches it."""
    async with (
        running_home(data, registry=meter(), faults=True, **options) as home,
        aiohttp.ClientSession() as http,
    ):
        yield home, Operator(home, http)


async def whole(client: PlaybyplayClient) -> str:
    """Have the meter read; return the run once it has its answer."""
    run = await client.send(METER)
    async with asyncio.timeout(20):
        await run.result()
    return run.run_id


def counted(series: str, least: float = 1) -> Callable[[dict[str, Any]], bool]:
    return lambda told: told["totals"].get(series, 0) >= least


async def begun(member: Member, *kinds: str) -> Frame:
    """Send a message; return the first event of one of these types."""
    member.begin(METER)
    return (await member.until(*kinds))[-1]


# The faults of the switch.


async def test_a_killed_runner_is_seen(tmp_path: Path) -> None:
    """By its name, as a take-over and as a silence; the run's end is its recovery."""
    async with operated(tmp_path) as (home, operator), PlaybyplayClient(home.origin, pace=QUICK) as client:
        await operator.order("kill_runner")
        run_id = await whole(client)
        await operator.happened("kill_runner")
        assert operator.overview["faults"][0]["run_id"] == run_id
        await operator.until(counted("TerminalReached.completed"))
        assert operator.total("Takeovers") == 1
        assert operator.total("RunRetried") == 1
        assert operator.total("SilenceMax") > 2000
        (row,) = await operator.runs()
        assert (row["run_id"], row["status"], row["last_event"]) == (run_id, "completed", "final_response")
        await operator.until_well()


async def test_a_runner_that_nobody_follows_is_missed(tmp_path: Path) -> None:
    """First the end of its tool is missing, then the run's; the silence grows; then it is taken over and well."""
    async with operated(tmp_path, timing=KEEN) as (home, operator):
        member = await home.join()
        await operator.order("kill_runner")
        run_id = (await begun(member, "tool_executing"))["run_id"]
        fallen_s = time.monotonic()
        finding = await operator.until_missing("ToolExecutingWithoutToolCompleted", due_s=KEEN.lease_s + KEEN.renew_s)
        assert finding["run_id"] == run_id
        assert finding["waits_ms"] > 1000
        (row,) = await operator.runs()
        assert (row["last_event"], row["owned"]) == ("tool_executing", False)
        assert row["absences"] == ["ToolExecutingWithoutToolCompleted"]
        assert row["silence_ms"] > 1000
        await operator.until_missing("RunsWithoutTerminal", due_s=KEEN.lease_s + KEEN.recovery_s)
        assert time.monotonic() - fallen_s < KEEN.visibility_s
        await member.until("final_response")
        await operator.until_well()
        assert operator.total("Takeovers") == 1
        assert max(operator.overview["series"]["RunsWithoutTerminal"]["v"]) == 1


async def test_a_lost_post_is_seen(tmp_path: Path) -> None:
    """By its name, and as what the client asked for again."""
    async with operated(tmp_path) as (home, operator), PlaybyplayClient(home.origin, pace=QUICK) as client:
        await operator.order("drop_post", event="tool_executing")
        await whole(client)
        await operator.happened("drop_post")
        await operator.until(counted("Replays"))
        assert operator.total("TerminalReached.completed") == 1
        await operator.until_well()


async def test_a_post_that_nobody_asks_for_is_missed(tmp_path: Path) -> None:
    """A client that says what it holds, and lacks an event: until it has it."""
    async with operated(tmp_path, timing=KEEN) as (home, operator):
        member = await home.join()
        await operator.order("freeze_model")
        await operator.order("drop_post", user=member.user)
        run_id = (await begun(member, "heartbeat"))["run_id"]
        async with asyncio.timeout(SEEN_S + 1), asyncio.TaskGroup() as tasks:
            pinging = tasks.create_task(_pings(member, {run_id: 0}))
            finding = await operator.until_missing("PostedWithoutReceipt", due_s=KEEN.receipt_s)
            pinging.cancel()
        assert finding["run_id"] == run_id
        member.socket.ask(type="ping", cursors={run_id: 1})
        await operator.until(lambda told: told["absence"]["PostedWithoutReceipt"] == 0)
        await operator.order("thaw_model")
        await member.until("final_response")


async def _pings(member: Member, cursors: dict[str, int]) -> None:
    while True:
        member.socket.ask(type="ping", cursors=cursors)
        await asyncio.sleep(0.2)


async def test_a_doubled_job_is_seen(tmp_path: Path) -> None:
    """By its name, and as a job of no use; the run is one."""
    async with operated(tmp_path) as (home, operator), PlaybyplayClient(home.origin, pace=QUICK) as client:
        await operator.order("duplicate_job")
        await whole(client)
        await operator.happened("duplicate_job")
        await operator.until(counted("JobDropped.needless"))
        assert operator.total("TerminalReached.completed") == operator.total("MessageAccepted") == 1
        assert sum(operator.overview["series"]["JobAge"]["n"]) >= 2
        await operator.until_well()


async def test_a_frozen_model_is_seen(tmp_path: Path) -> None:
    """By its name, as an open run that is owned and silent; thawed, as its end."""
    async with operated(tmp_path) as (home, operator):
        await operator.order("freeze_model")
        member = await home.join()
        run_id = (await begun(member, "agent_started"))["run_id"]
        await operator.happened("freeze_model")
        assert (operator.overview["open_runs"], operator.overview["connections"]) == (1, 1)
        await asyncio.sleep(0.5)
        (row,) = await operator.runs()
        assert (row["run_id"], row["last_event"], row["owned"]) == (run_id, "agent_started", True)
        assert row["silence_ms"] >= 500
        assert row["ended_ms"] is None
        await operator.order("thaw_model")
        await member.until("final_response")
        await operator.until(counted("TerminalReached.completed"))
        assert operator.overview["open_runs"] == 0


async def test_a_cut_socket_is_seen(tmp_path: Path) -> None:
    """By its name, and as a user who has no connection any more; who comes back is missed no longer."""
    async with operated(tmp_path, timing=KEEN) as (home, operator):
        member = await home.join()
        await operator.order("freeze_model")
        run_id = (await begun(member, "agent_started"))["run_id"]
        await operator.order("cut_socket", user=member.user)
        await operator.until(lambda told: told["faults"][0]["fault"] == "cut_socket" and told["connections"] == 0)
        assert {kind["fault"]: kind["times"] for kind in operator.overview["fault_kinds"]}["cut_socket"] == 1
        finding = await operator.until_missing("AbandonedWhileRunning", due_s=KEEN.away_s)
        assert finding["run_id"] == run_id
        await home.join(member.user)
        await operator.until_well()
        assert operator.overview["connections"] == 1


async def test_a_message_that_nobody_begins_is_missed(tmp_path: Path) -> None:
    """A lost job is no error anywhere: it is seen because something is not there."""
    queue = LosingQueue()
    timing = replace(KEEN, first_check_s=5, check_again_s=2)
    async with operated(tmp_path, timing=timing, queue=queue) as (home, operator):
        member = await home.join()
        queue.loses = True
        member.begin(METER)
        run_id = (await member.until("message_accepted"))[0]["run_id"]
        finding = await operator.until_missing("AcceptedWithoutAgentStarted", due_s=KEEN.start_s)
        assert finding["run_id"] == run_id
        queue.loses = False
        await member.until("final_response")
        await operator.until_well()
        assert operator.total("JobSentAgain") >= 1


# The auditor by hand.


async def test_the_auditor_is_asked_from_a_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It looks at once: 0 where nothing is missing, 1 and a line for each finding where something is."""
    queue = LosingQueue()
    async with operated(tmp_path, timing=replace(KEEN, audit_s=3600, start_s=0.2), queue=queue) as (home, _operator):
        assert await asyncio.to_thread(main, ["audit", "--url", home.origin]) == OK
        assert capsys.readouterr().out == "Nothing is missing: 0 runs looked at, 0 open.\n"
        member = await home.join()
        queue.loses = True
        member.begin(METER)
        run_id = (await member.until("message_accepted"))[0]["run_id"]
        await asyncio.sleep(0.3)
        assert await asyncio.to_thread(main, ["audit", "--url", f"{home.origin}/ws".replace("http", "ws")]) == FAILED
        finding, summary = capsys.readouterr().out.splitlines()
        assert finding.startswith(f"{run_id}  AcceptedWithoutAgentStarted  accepted, and nobody began it, for ")
        assert finding.endswith("(docs/operations.md#messagewithoutagentstarted)")
        assert summary == "1 finding: 1 run looked at, 1 open."
        assert await asyncio.to_thread(main, ["audit", "--json", "--url", home.origin]) == FAILED
        assert json.loads(capsys.readouterr().out)["findings"][0]["run_id"] == run_id


async def test_an_audit_that_finds_nothing_has_no_line(tmp_path: Path) -> None:
    """It is counted; the log stays quiet."""
    async with operated(tmp_path, timing=replace(ONE_MACHINE, audit_s=0.05)) as (home, operator):
        await operator.until(lambda told: told["audited_ms"] is not None and "OpenRuns" in told["totals"])
        assert set(operator.overview["series"]["RunsWithoutTerminal"]["v"]) == {0}
        assert "audit_swept" not in home.log.names


async def test_without_a_server_there_is_no_audit(capsys: pytest.CaptureFixture[str]) -> None:
    """One sentence, and exit code 2."""
    assert await asyncio.to_thread(main, ["audit", "--url", "http://127.0.0.1:1"]) == NO_SERVER
    assert capsys.readouterr().err.startswith("Cannot reach http://127.0.0.1:1/ops/audit: ")


# Who may look.


async def ask(home: RunningHome, target: str, *headers: tuple[str, str], method: str = "GET") -> HttpAnswer:
    return await exchange(home.port, request(method, target, headers))


def hosts(port: int) -> dict[str, list[str]]:
    return {
        "foreign": ["evil.example"],
        "foreign, our port": [f"evil.example:{port}"],
        "suffix": [f"127.0.0.1.evil.example:{port}"],
        "prefix": [f"evil-localhost:{port}"],
        "no port": ["127.0.0.1"],
        "other port": [f"127.0.0.1:{port + 1}"],
        "zero": [f"0.0.0.0:{port}"],
        "short": [f"127.1:{port}"],
        "IPv6": [f"[::1]:{port}"],
        "trailing dot": [f"localhost.:{port}"],
        "userinfo": [f"localhost:{port}@evil.example"],
        "upper case": [f"LOCALHOST:{port}"],
        "empty": [""],
        "none": [],
    }


@pytest.mark.parametrize("case", hosts(0))
async def test_a_name_that_is_not_ours_is_refused(tmp_path: Path, case: str) -> None:
    """A foreign name that was made to stand for this machine brings nobody in: not to the page, nor to its numbers."""
    async with running_home(tmp_path) as home:
        headers = [("Host", host) for host in hosts(home.port)[case]]
        for method, target in (("GET", "/ops"), ("GET", OVERVIEW), ("GET", RUNS), ("POST", AUDIT)):
            answer = await ask(home, target, *headers, method=method)
            assert answer.status in {400, 403}, (target, answer)
            assert b"run_id" not in answer.body
        assert "audit_swept" not in home.log.names


async def test_our_names_are_let_in(tmp_path: Path) -> None:
    """Both of them."""
    async with running_home(tmp_path) as home:
        for host in (f"127.0.0.1:{home.port}", f"localhost:{home.port}"):
            assert (await ask(home, OVERVIEW, ("Host", host))).status == 200


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "", "{own}/", "https://localhost:{port}"])
async def test_a_foreign_page_neither_reads_nor_asks(tmp_path: Path, origin: str) -> None:
    """Its origin is refused, and no answer invites another."""
    async with running_home(tmp_path) as home:
        given = origin.format(own=home.origin, port=home.port)
        headers = [("Host", f"127.0.0.1:{home.port}"), ("Origin", given)]
        for method, target in (("GET", OVERVIEW), ("GET", RUNS), ("POST", AUDIT)):
            answer = await ask(home, target, *headers, method=method)
            assert answer.status == 403
            assert answer.json() == {"message": "This origin is not allowed."}
            assert not [name for name in answer.headers if name.startswith("access-control")]


async def test_our_own_page_may_ask(tmp_path: Path) -> None:
    """With its own origin; what it gets is kept nowhere and is locked down like the chat's page."""
    async with running_home(tmp_path) as home:
        headers = [("Host", f"127.0.0.1:{home.port}"), ("Origin", home.origin)]
        for method, target in (("GET", OVERVIEW), ("GET", RUNS), ("POST", AUDIT)):
            answer = await ask(home, target, *headers, method=method)
            assert answer.status == 200
            assert answer.headers["cache-control"] == "no-store"
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert "default-src 'none'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    "query",
    [
        "minutes=0",
        "minutes=-1",
        "minutes=1441",
        "minutes=99999999999999999999999",
        "minutes=1.5",
        "minutes=1e2",
        "minutes=",
        "minutes",
        "minutes=%20",
        "minutes=ten",
        "minutes=%D9%A1",  # a digit, and none of ours
        "minutes=15&minutes=15",
        "minutes=15&hours=1",
        "hours=1",
        "Minutes=15",
        "minutes=1;DROP%20TABLE%20counted",
        "minutes=%00",
        "minutes=%ff",
    ],
)
async def test_minutes_that_are_none_are_refused(tmp_path: Path, query: str) -> None:
    """With a sentence that says what they may be."""
    async with running_home(tmp_path) as home:
        answer = await ask(home, f"{OVERVIEW}?{query}", ("Host", f"localhost:{home.port}"))
        assert answer.status == 400
        assert answer.json() == {"message": "minutes is a whole number from 1 to 1440."}


async def test_minutes_that_are_good(tmp_path: Path) -> None:
    """From one to a day; a quarter of an hour where nobody says."""
    async with running_home(tmp_path) as home:
        for query, minutes in (("", 15), ("?minutes=1", 1), ("?minutes=1440", 1440)):
            told = (await ask(home, f"{OVERVIEW}{query}", ("Host", f"localhost:{home.port}"))).json()
            assert abs(told["now"] - told["from"] - minutes * 60_000) <= told["bucket_s"] * 1000


@pytest.mark.parametrize(
    ("method", "target"), [("POST", "/ops"), ("POST", OVERVIEW), ("DELETE", RUNS), ("GET", AUDIT), ("OPTIONS", AUDIT)]
)
async def test_other_methods_are_405(tmp_path: Path, method: str, target: str) -> None:
    """What is got is got, and an audit is posted for."""
    async with running_home(tmp_path) as home:
        assert (await ask(home, target, ("Host", f"localhost:{home.port}"), method=method)).status == 405


async def test_nothing_is_told_of_users(tmp_path: Path) -> None:
    """Neither what they say, nor what they get, nor who they are."""
    async with running_home(tmp_path, registry=meter()) as home:
        member = await home.join("somebody-known")
        await member.turn(METER)
        for target in (OVERVIEW, RUNS):
            body = (await ask(home, target, ("Host", f"localhost:{home.port}"))).body.decode()
            for word in ("somebody-known", "somebody-private", "shows 42", "meter_reader"):
                assert word not in body, word


async def test_what_was_counted_outlives_the_server(tmp_path: Path) -> None:
    """The next one goes on with the numbers of the last."""
    async with running_home(tmp_path) as home:
        await (await home.join()).turn()
    async with operated(tmp_path) as (home, operator):
        await (await home.join()).turn()
        await operator.until(counted("AgentStarted", 2))


@pytest.mark.parametrize("spoilt", ["a directory", "no database"])
async def test_numbers_that_cannot_be_kept_cost_no_run(tmp_path: Path, spoilt: str) -> None:
    """Turns go on, the auditor looks, the page has what is there without them, and the log says so once."""
    path = tmp_path / "ops.sqlite3"
    if spoilt == "a directory":
        path.mkdir()
    else:
        path.write_bytes(b"This is no database." * 100)
    async with operated(tmp_path) as (home, operator):
        member = await home.join()
        for _ in range(2):
            assert (await member.turn())[-1]["type"] == "final_response"
            await operator.look()
        await operator.until(lambda told: told["audited_ms"] is not None)
        assert (operator.overview["series"], operator.overview["connections"]) == ({}, 1)
        assert len(await operator.runs()) == 2
        assert len(home.log.of("metrics_lost")) == 1
