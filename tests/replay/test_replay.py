"""Recorded journals: this version makes of every prefix what the version that wrote it made of it.

A deploy changes the code under runs that are at work. What differs here, a deploy would change in them.
"""

import difflib
import json
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from agent_runner.jobs import Jobs
from agent_runner.memory import recall
from agent_runner.tool_executor import ToolExecutor
from playbyplay.adapters.sqs_run_queue import job_body
from playbyplay.domain.derivation import CallTool, next_steps
from playbyplay.domain.journal import History
from playbyplay.domain.thread import Run
from playbyplay.protocol.events import TERMINAL_TYPES
from tests.fakes.model import says
from tests.fakes.run_queue import FakeReceipt
from tests.house import perform
from tests.replay.account import Reader, said
from tests.replay.kept import stage_of, with_entry, with_field
from tests.replay.plays import PLAYS
from tests.replay.recording import JOURNALS, VERSION, Recording, Stored, newest, recordings
from tests.replay.stage import Stage
from tests.unit.watchdog.kennel import Kennel, job_of

ALL = recordings()
NEWEST = newest(ALL)
SECRET = "SECRET-TEXT"  # noqa: S105 - a word to look for
each = pytest.mark.parametrize("recording", ALL, ids=lambda one: f"{one.version}-{one.name}")
each_new = pytest.mark.parametrize("recording", [one for one in ALL if one.version == NEWEST], ids=lambda one: one.name)
TOLD_BY = ("type", "seq", "call_id", "parent_call_id", "status", "code", "retryable", "finish_reason", "full_bytes")
"""What of a frame a program goes by; the rest is words for a person."""


def test_every_run_is_recorded() -> None:
    """In the newest version, and each file is small enough to be read."""
    assert NEWEST == VERSION
    assert {one.name for one in ALL if one.version == NEWEST} == set(PLAYS)
    assert all(path.stat().st_size < 40_000 for path in JOURNALS.glob("*/*.json"))


# What is made of a prefix.


@each
async def test_every_prefix_leads_to_the_same_next_steps(recording: Recording) -> None:
    """The same steps in the same order, for the owner and for who takes over."""
    await compare(recording, lambda told: {name: told[name] for name in ("steps", "once_taken")})


@each
async def test_a_model_would_be_told_the_same(recording: Recording) -> None:
    """Every word of it, in the same order, the earlier turns of the thread included."""
    await compare(recording, lambda told: told["asked"])
    assert said(await recalled(recording)) == recording.recalled


@each
async def test_every_prefix_is_judged_the_same(recording: Recording) -> None:
    """Where the run stands, and when it must end."""
    await compare(recording, lambda told: {name: told[name] for name in ("state", "verdicts")})


@each
async def test_every_prefix_would_end_in_the_same_events(recording: Recording) -> None:
    """The same ones in the same order, with the same status and code; the words may be new ones."""
    await compare(recording, lambda told: {case: by_program(frames) for case, frames in told["ends"].items()})


@each_new
async def test_every_prefix_would_end_in_the_same_words(recording: Recording) -> None:
    """In the version that is current: whoever changes a sentence on purpose records a new version."""
    await compare(recording, lambda told: told["ends"])


def by_program(frames: list[str]) -> list[dict[str, Any]]:
    """Return frames without the words that only a person reads."""
    return [{name: json.loads(frame).get(name) for name in TOLD_BY} for frame in frames]


async def compare(recording: Recording, part: Callable[[dict[str, Any]], Any]) -> None:
    """Fail if a part of the account differs anywhere, and show where."""
    reader = await reader_of(recording)
    records = [stored.record() for stored in recording.turn.records]
    assert [told["records"] for told in recording.prefixes] == list(range(1, len(records) + 1))
    wrong = []
    for told in recording.prefixes:
        run, count = recording.turn.run, told["records"]
        now = reader.account(History.of(run.user, run.run_id, records[:count]))
        if part(now) != part(told):
            wrong.append(f"{of_prefix(recording, count)}\n{difference(part(told), part(now))}")
    if wrong:
        pytest.fail("\n\n".join(wrong), pytrace=False)


def of_prefix(recording: Recording, count: int) -> str:
    """Return what to call a prefix: its length, and what is the last that happened in it."""
    last = ", ".join(recording.turn.records[count - 1].kinds)
    return f"{recording.version}/{recording.name}: after {count} of {len(recording.turn.records)} records ({last})"


def difference(recorded: Any, now: Any) -> str:
    """Return what was recorded and is so no more, and what is so instead."""
    before, after = (json.dumps(side, indent=1, ensure_ascii=False).splitlines() for side in (recorded, now))
    return "\n".join(difflib.unified_diff(before, after, "recorded", "now", lineterm="", n=8))


async def recalled(recording: Recording) -> Any:
    """Return what was said in the turns before, as it is read today."""
    stage, journal = stage_of(recording, recording.turn.records)
    return (await recall(stage.house.runs, journal, recording.turn.run)).said


async def reader_of(recording: Recording) -> Reader:
    stage = Stage()
    earlier = await recalled(recording)
    return Reader(stage.engine, stage.house.timing, recording.turn.run, earlier, recording.read_ms)


def test_a_difference_is_shown_with_its_place() -> None:
    """Which recording, which prefix, and the lines that differ."""
    recording = next(one for one in ALL if one.name == "canonical")
    assert of_prefix(recording, 2) == f"{recording.version}/canonical: after 2 of 5 records (fence, agent_started)"
    assert difference({"made": True}, {"made": False}).splitlines()[-3:] == ['- "made": true', '+ "made": false', " }"]


# What is stored.


@each
def test_what_is_stored_is_read_and_written_the_same(recording: Recording) -> None:
    """Byte by byte: a frame that is sent again is the frame that was sent."""
    for stored in (one for turn in (recording.turn, *recording.earlier) for one in turn.records):
        again = Stored.of(stored.record())
        assert again == stored
        frames = stored.record().frames
        assert all(f'{{"kind":"event","event":{frame}}}' in stored.entries for frame in frames)
        assert len(frames) == sum("event" in entry for entry in json.loads(stored.entries))


@each
async def test_an_open_call_is_made_again_under_the_same_key(recording: Recording) -> None:
    """The tool that stored under a key knows it again, whichever version asks."""
    stage, _ = stage_of(recording, ())
    tools = ToolExecutor(resources={}, clock=stage.house.clock, log=stage.house.log)
    run, records = recording.turn.run, [stored.record() for stored in recording.turn.records]
    results = History.of(run.user, run.run_id, records).results
    for count in range(1, len(records) + 1):
        steps = next_steps(History.of(run.user, run.run_id, records[:count]))
        for call in [step.call for step in steps if isinstance(step, CallTool) and step.call.tool_name == "store"]:
            tool = next(one for one in stage.tools if one.name == "store")
            report = await tools.execute(run.user, run.run_id, call, tool)
            assert report.content == results[call.call_id]


@each
async def test_a_run_can_be_taken_over_at_every_prefix(recording: Recording) -> None:
    """It ends once, what was stored stays as it is, and what may have taken effect is not done again."""
    for count in range(1, len(recording.turn.records) + 1):
        stored, run = list(recording.turn.records[:count]), recording.turn.run
        stage, journal = stage_of(recording, stored)
        before = History.of(run.user, run.run_id, [one.record() for one in stored])
        assert await perform(stage.supervisor(says("So it is."), repeats=True), run) is None
        history = stage.house.history(run)
        assert journal.kept[run.user, run.run_id][:count] == stored, of_prefix(recording, count)
        assert [event.type in TERMINAL_TYPES for event in history.events].count(True) == 1
        assert stage.house.run(run.run_id).status == history.state.status
        assert not before.unsafe.intersection(before.state.open_calls) or "pay" not in stage.called


# What a later version stored.

LATER: dict[str, Callable[[Stored], Stored]] = {
    "a kind of entry": lambda stored: with_entry(stored, kind="whisper", content=SECRET),
    "a field": lambda stored: with_field(stored, mood=SECRET),
    "an event": lambda stored: with_entry(stored, kind="event", event={"type": "agent_paused", "reason": SECRET}),
    "a later wire": lambda stored: with_field(stored, v=2),
}


async def comes_again(stage: Stage, run: Run) -> bool:
    """Let a runner have the job of a run; say whether the queue is to show it again."""
    log, attributes = stage.house.log, {"ApproximateReceiveCount": "1", "SentTimestamp": "1750000000000"}
    jobs = Jobs(
        supervisor=stage.supervisor(), receipts=lambda _: FakeReceipt(), clock=stage.house.clock, log=log, retry_s=5
    )
    message = {"messageId": "m", "receiptHandle": "h", "body": job_body(job_of(run)), "attributes": attributes}
    answer = await jobs({"Records": [message | {"eventSource": "aws:sqs"}]})
    return answer == {"batchItemFailures": [{"itemIdentifier": "m"}]}


@pytest.mark.parametrize("later", LATER.values(), ids=LATER.keys())
@each
async def test_what_a_later_version_wrote_is_left_to_it(
    recording: Recording, later: Callable[[Stored], Stored]
) -> None:
    """The job comes again, nothing is written or told or counted, and not a word of it is in the log."""
    for count in range(1, len(recording.turn.records) + 1):
        *earlier, last = recording.turn.records[:count]
        records, run = [*earlier, later(last)], recording.turn.run
        with pytest.raises(ValidationError):
            records[-1].record()
        stage, journal = stage_of(recording, records)
        house = stage.house
        await house.watch()
        stood = house.run(run.run_id)
        assert await comes_again(stage, run), of_prefix(recording, count)
        assert await Kennel(house).look(job_of(run)) == "unreadable"
        assert journal.kept[run.user, run.run_id] == records
        assert (house.run(run.run_id).attempts, house.run(run.run_id).status) == (stood.attempts, "running")
        assert (house.run(run.run_id).owner, house.queue.sent, stage.called) == (None, [], [])
        assert house.gateway.frames(house.seen) == []
        assert SECRET not in repr(house.log.events)


async def test_an_earlier_turn_that_a_later_version_wrote_ends_no_run() -> None:
    """What was said before is part of the question: a runner that cannot read it leaves the run to one that can."""
    recording = next(one for one in ALL if one.earlier)
    stage, journal = stage_of(recording, recording.turn.records[:1])
    house, run, earlier = stage.house, recording.turn.run, recording.earlier[-1]
    await house.watch()
    journal.keep(earlier, [*earlier.records[:-1], with_entry(earlier.records[-1], kind="sealed", by="a later version")])
    assert await comes_again(stage, run)
    kept = house.run(run.run_id)
    assert (kept.owner, kept.is_open) == (None, True)
    assert house.events(run) == ["agent_started"]
    assert [model.requests for model in stage.models] == [[]]
    journal.keep(earlier, earlier.records)
    await stage.plays(run, says("Later."))
    assert house.events(run)[-1] == "final_response"
