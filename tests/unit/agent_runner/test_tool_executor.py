"""The tool executor: whatever a tool does, a report comes back."""

import asyncio
import contextvars
import gc
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError as FutureCancelledError
from typing import Annotated, Any

import pytest
from pydantic import AfterValidator, BaseModel

from agent_runner.agent import Tool, ToolContext, ToolFailure, ToolOutput, tool
from agent_runner.tool_executor import MAX_CONTENT_BYTES, MAX_SUMMARY_BYTES, ToolExecutor, ToolReport
from playbyplay.domain.journal import ToolCall
from tests.fakes.clock import FakeClock
from tests.fakes.ids import uuid
from tests.fakes.log import FakeLog
from tests.histories import RUN, USER

SECRET = "SECRET-TEXT"  # noqa: S105 - a word to look for
pure = tool(semantics="pure", running="Doing it", timeout_s=1)
hasty = tool(semantics="pure", running="Doing it", timeout_s=0.03)


class Executor:
    """A tool executor on fakes."""

    def __init__(self, **resources: str) -> None:
        self.clock, self.log = FakeClock(), FakeLog()
        self.executor = ToolExecutor(resources=resources, clock=self.clock, log=self.log)

    async def call(self, called: Tool | None, arguments: str = "{}", call_id: str = "c1") -> ToolReport:
        call = ToolCall(call_id=call_id, tool_name="it", arguments=arguments)
        return await asyncio.wait_for(self.executor.execute(USER, RUN, call, called), 2)


class Weather(BaseModel):
    city: str
    sunny: bool


def returning(value: Any) -> Tool:
    @pure
    def give() -> Any:
        """Give it."""
        return value

    return give


def raising(error: BaseException, *, by_coroutine: bool) -> Tool:
    if by_coroutine:

        @pure
        async def fail() -> None:
            """Fail."""
            await asyncio.sleep(0)
            raise error
    else:

        @pure
        def fail() -> None:
            """Fail."""
            raise error

    return fail


@pytest.mark.parametrize(
    ("value", "content"),
    [
        ("Found it.", "Found it."),
        (7, "7"),
        (1.5, "1.5"),
        (True, "true"),
        (None, "null"),
        ({"a": [1, "é"]}, '{"a": [1, "é"]}'),
        ([], "[]"),
        (Weather(city="Bonn", sunny=True), '{"city":"Bonn","sunny":true}'),
    ],
    ids=repr,
)
async def test_a_result_of_any_kind_becomes_text(value: Any, content: str) -> None:
    """For the model as it is, for the person in short."""
    report = await Executor().call(returning(value))
    assert (report.status, report.content, report.summary) == ("ok", content, content)


async def test_a_tool_may_say_both_itself() -> None:
    """A summary for the person and the whole for the model."""
    report = await Executor().call(returning(ToolOutput("Found 3 slow queries", "# All of it")))
    assert (report.status, report.summary, report.content) == ("ok", "Found 3 slow queries", "# All of it")


@pytest.mark.parametrize("text", ["x" * 1_000_000, "€" * 100_000, "\x00\ud800" * 20_000, " \n" * 50_000, ""], ids=len)
async def test_a_result_is_made_fit(text: str) -> None:
    """Never empty, clean, at most 16 KiB for the model and 1 KiB for the person."""
    for value in (text, ToolOutput(text, text)):
        report = await Executor().call(returning(value))
        assert report.status == "ok"
        for part, limit in ((report.content, MAX_CONTENT_BYTES), (report.summary, MAX_SUMMARY_BYTES)):
            assert 0 < len(part.encode()) <= limit
            assert "\x00" not in part
    assert (MAX_CONTENT_BYTES, MAX_SUMMARY_BYTES) == (16_384, 1_024)


async def test_a_tool_the_agent_does_not_hold_is_denied() -> None:
    """By code, whatever the model was talked into."""
    report = await Executor().call(None)
    assert report.status == "denied"
    assert report.summary


@pytest.mark.parametrize(
    "arguments",
    [
        "", "{", "[]", "null", '"x"', "{}", '{"city":7,"days":1}', '{"city":"Bonn","days":"many"}', '{"days":1}',
        '{"city":"Bonn","days":1,"user":"bob"}', '{"city":"Bonn","days":NaN}', "\ud800", "[" * 9_000,
    ],
    ids=ascii,
)  # fmt: skip
async def test_wrong_arguments_are_no_call(arguments: str) -> None:
    """The tool is not called; the model is told what to mend, without what it sent."""
    called = []

    @pure
    def forecast(city: str, days: int) -> str:
        """Forecast."""
        called.append((city, days))
        return city

    report = await Executor().call(forecast, arguments)
    assert report.status == "failed"
    assert report.content.startswith("Not called, the arguments are wrong.")
    assert called == []


async def test_wrong_arguments_are_not_repeated() -> None:
    """Neither to the model nor to the person."""

    @pure
    def forecast(city: int) -> str:
        """Forecast."""
        return str(city)

    report = await Executor().call(forecast, f'{{"city":"{SECRET}"}}')
    assert SECRET not in repr(report)
    assert "city" in report.content


async def test_arguments_arrive_as_their_types() -> None:
    """Nested models are models, defaults are filled in."""
    seen: list[Any] = []

    @pure
    def note(weather: Weather, days: int = 3) -> str:
        """Note it."""
        seen.extend([weather, days])
        return "noted"

    report = await Executor().call(note, '{"weather":{"city":"Bonn","sunny":true}}')
    assert report.status == "ok"
    assert seen == [Weather(city="Bonn", sunny=True), 3]


@pytest.mark.parametrize("by_coroutine", [False, True], ids=["function", "coroutine"])
async def test_a_tool_learns_whose_call_it_serves(by_coroutine: bool) -> None:  # noqa: FBT001
    """The user is the run's, the key names run and call, the resources are the home's."""
    seen: list[ToolContext] = []

    @pure
    def look(context: ToolContext) -> str:
        """Look."""
        seen.append(context)
        return "seen"

    @pure
    async def look_later(about: ToolContext) -> str:
        """Look."""
        await asyncio.sleep(0)
        seen.append(about)
        return "seen"

    executor = Executor(database="shop.db")
    for _ in range(2):
        await executor.call(look_later if by_coroutine else look, '{"context":1}', "c7")
        await executor.call(look_later if by_coroutine else look, "", "c7")
    assert seen == [ToolContext(USER, RUN, "c7", f"{RUN}:c7", {"database": "shop.db"})] * 2


@pytest.mark.parametrize("by_coroutine", [False, True], ids=["function", "coroutine"])
async def test_a_tool_fails_in_its_own_words(by_coroutine: bool) -> None:  # noqa: FBT001
    """A ToolFailure is safe to show, and is not a bug to log."""
    executor = Executor()
    report = await executor.call(raising(ToolFailure("There is no table of that name."), by_coroutine=by_coroutine))
    assert (report.status, report.summary, report.content) == (
        "failed",
        "There is no table of that name.",
        "There is no table of that name.",
    )
    assert executor.log.events == []


ERRORS = [
    ValueError(SECRET),
    RecursionError(),
    StopIteration(SECRET),
    MemoryError(),
    FutureCancelledError(),
    KeyError(),
]


@pytest.mark.parametrize("by_coroutine", [False, True], ids=["function", "coroutine"])
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
async def test_a_crash_of_a_tool_is_a_failed_call(error: BaseException, by_coroutine: bool) -> None:  # noqa: FBT001
    """What it said is told to nobody; the log knows the kind of error."""
    executor = Executor()
    report = await executor.call(raising(error, by_coroutine=by_coroutine))
    assert report.status == "failed"
    assert SECRET not in repr(report)
    ((name, fields),) = executor.log.events
    assert (name, fields["run_id"], fields["tool"]) == ("tool_failed", RUN, "fail")
    assert SECRET not in repr(fields)


@pytest.mark.parametrize("by_coroutine", [False, True], ids=["function", "coroutine"])
async def test_a_tool_that_cancels_itself_has_failed(by_coroutine: bool) -> None:  # noqa: FBT001
    """Only who asked for a call can cancel it: a task of the tool's own that was cancelled fails this call alone."""
    report = await Executor().call(raising(asyncio.CancelledError(), by_coroutine=by_coroutine))
    assert report.status == "failed"


@pytest.mark.parametrize("by_coroutine", [False, True], ids=["function", "coroutine"])
def test_a_tool_that_exits_has_failed(by_coroutine: bool) -> None:  # noqa: FBT001
    """`sys.exit` in a tool ends no server."""

    @pure
    def leave() -> None:
        """Leave."""
        sys.exit(3)

    @pure
    async def leave_later() -> None:
        """Leave."""
        await asyncio.sleep(0)
        sys.exit(3)

    reports: list[ToolReport] = []

    async def calls() -> None:
        reports.append(await Executor().call(leave_later if by_coroutine else leave))

    try:
        asyncio.run(calls())
    except SystemExit:
        reports.clear()  # the process would have ended
    gc.collect()
    assert [report.status for report in reports] == ["failed"]


async def test_a_tool_that_takes_too_long_is_timed_out() -> None:
    """A coroutine is cancelled, a function left to itself; both reports say so in time."""
    ended = threading.Event()
    cancelled = []

    @hasty
    def block() -> str:
        """Block."""
        ended.wait(1)
        return "late"

    @hasty
    async def wait() -> str:
        """Wait."""
        try:
            await asyncio.sleep(1)
        except asyncio.CancelledError:
            cancelled.append(1)
            raise
        return "late"

    began = time.monotonic()
    for slow in (block, wait):
        report = await Executor().call(slow)
        assert report.status == "timeout"
        assert "0.03 s" in report.summary
    assert time.monotonic() - began < 0.5
    assert cancelled == [1]
    ended.set()
    await asyncio.sleep(0.01)


async def test_a_time_out_inside_a_tool_is_its_own_failure() -> None:
    """A tool whose own request timed out did not take longer than it may."""
    for by_coroutine in (False, True):
        report = await Executor().call(raising(TimeoutError(), by_coroutine=by_coroutine))
        assert "took longer than" not in report.summary


async def test_a_stubborn_coroutine_is_not_waited_for() -> None:
    """A tool that ignores its cancelling is timed out all the same."""
    release = asyncio.Event()

    @hasty
    async def stay() -> str:
        """Stay."""
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue
        return "late"

    running = asyncio.ensure_future(Executor().call(stay))
    done, _pending = await asyncio.wait({running}, timeout=0.2)
    release.set()
    report = await running
    assert done
    assert report.status == "timeout"


async def test_a_function_blocks_nobody() -> None:
    """It runs in a thread of its own, with the context variables of its caller."""
    flag = contextvars.ContextVar("flag", default="unset")
    flag.set("set")
    gate = threading.Event()

    @pure
    def block() -> str:
        """Block."""
        gate.wait(1)
        return flag.get()

    running = asyncio.ensure_future(Executor().call(block))
    await asyncio.sleep(0.01)
    assert not running.done()
    gate.set()
    assert (await running).content == "set"


async def test_a_cancelled_call_is_given_up() -> None:
    """The one who asked goes on at once; what the function returns later is heard by nobody."""
    gate = threading.Event()

    @pure
    def block() -> str:
        """Block."""
        gate.wait(1)
        return "late"

    running = asyncio.ensure_future(Executor().call(block))
    await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    gate.set()
    await asyncio.sleep(0.01)


async def test_a_call_is_timed_by_the_clock() -> None:
    """In milliseconds, never negative."""
    executor = Executor()
    durations = []
    steps: list[Callable[[], None]] = [
        lambda: executor.clock.advance(1.5),
        lambda: executor.clock.advance(-5),
        lambda: None,
    ]
    for step in steps:

        @pure
        async def take_time(then: str = "") -> str:
            """Take time."""
            await asyncio.sleep(0)
            step()  # noqa: B023 - called before the next one is made
            return then or "done"

        durations.append((await executor.call(take_time)).duration_ms)
    assert durations == [1_500, 0, 0]


async def test_what_cannot_be_written_as_json_is_written_as_text() -> None:
    """A value in a result that JSON does not know, or a circle, fails no run."""
    circle: list[Any] = []
    circle.append(circle)
    assert (await Executor().call(returning({"id": uuid}))).status == "ok"
    assert (await Executor().call(returning(circle))).status == "failed"


async def test_an_output_that_holds_no_text_fails_the_call_alone() -> None:
    """A tool's own mistake in what it returns is no trouble of the run."""
    report = await Executor().call(returning(ToolOutput(None, "x")))  # type: ignore[arg-type]
    assert report.status == "failed"


def _odd(value: str) -> str:
    raise TypeError(value)


async def test_a_validator_of_the_tools_own_fails_the_call_alone() -> None:
    """Whatever it raises, the tool is not called and the call has failed."""

    @pure
    def take(text: Annotated[str, AfterValidator(_odd)]) -> str:
        """Take it."""
        raise AssertionError(text)

    report = await Executor().call(take, '{"text": "x"}')
    assert report.status == "failed"
    assert "arguments" in report.summary
