"""`resume`: every later event, in order, flagged; the row before the read, so that nothing falls between."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Literal

import pytest

from playbyplay.domain.thread import Run
from playbyplay.errors import ConnectionGone, Refused
from playbyplay.ports import MAX_TURNS, Job
from playbyplay.protocol.commands import Position, Resume
from playbyplay.protocol.replies import ReplayComplete
from tests.fakes.faults import Fault, fail_after, fail_before, lost
from tests.fakes.ids import uuid
from tests.fakes.leaps import Leaps
from tests.fakes.run_store import FakeRunStore
from tests.histories import CANONICAL, OTHER, Story, call
from tests.house import House

ME = "resuming="


async def told(house: House, story: Story, *, thread_id: str | None = None, noted: bool = True) -> Run:
    """Accept a message, let its journal go on as a story's does, and have the store note its end if it has one."""
    run = await house.say(story.history.input.content, thread_id=thread_id)
    retold = Story(story.history.input.content, run_id=run.run_id, turn=run.turn)
    retold.history.records[0] = house.journal.records(run.user, run.run_id)[0]
    for record in story.records[1:]:
        retold.add(*[_again(retold, entry, run) for entry in record.entries])
    house.journal.slots[run.user, run.run_id] = {record.pos: record for record in retold.records}
    if noted and retold.history.state.phase == "ended":
        await house.runs.settle(run, retold.history.state.status)
    return run


def _again(story: Story, entry: Any, run: Run) -> Any:
    """Return an entry as an entry of another run."""
    if entry.kind != "event":
        return entry
    event = entry.event.model_copy(update={"run_id": run.run_id, "thread_id": run.thread_id, "turn": run.turn})
    return entry.model_copy(update={"event": event})


def canonical() -> Story:
    return Story().starts().asks(call(1)).returns("c1").answers().completes()


def long(count: int) -> Story:
    """Return an open run of so many events."""
    story = Story().starts()
    while story.history.state.last_seq < count:
        story.add(story.event("agent_thinking", agent_id="root", thought="Hm."))
    return story


async def resumed(house: House, run: Run, after_seq: int, connection_id: str = ME) -> ReplayComplete:
    return await house.resume(house.caller(connection_id, run.user), Resume(run_id=run.run_id, after_seq=after_seq))


async def resumed_thread(house: House, run: Run, turn: int, seq: int) -> ReplayComplete:
    command = Resume(thread_id=run.thread_id, after=Position(turn=turn, seq=seq))
    return await house.resume(house.caller(ME), command)


def seqs(frames: Sequence[dict[str, Any]]) -> list[tuple[int, int]]:
    return [(frame["turn"], frame.get("seq", 0)) for frame in frames]


async def test_a_replay_from_the_beginning_is_the_whole_run() -> None:
    """First the user's own message, then every event, each flagged; then the head."""
    house = House()
    run = await told(house, canonical())
    reply = await resumed(house, run, 0)
    frames = house.gateway.frames(ME)
    assert [frame["type"] for frame in frames] == ["run_input", *CANONICAL]
    assert all(frame["replay"] is True for frame in frames)
    assert frames[0]["content"] == "Why is it slow?"
    assert [{**frame, "replay": None} for frame in frames[1:]] == [
        {**event.model_dump(exclude_none=True), "replay": None} for event in house.history(run).events
    ]
    assert reply == ReplayComplete(run_id=run.run_id, after_seq=0, last_seq=7, status="completed")


@pytest.mark.parametrize("after_seq", range(1, 8))
async def test_a_replay_goes_on_where_the_client_stands(after_seq: int) -> None:
    """Everything after its seq and nothing before; the message was shown already."""
    house = House()
    run = await told(house, canonical())
    reply = await resumed(house, run, after_seq)
    assert [frame["seq"] for frame in house.gateway.frames(ME)] == list(range(after_seq + 1, 8))
    assert (reply.after_seq, reply.last_seq) == (after_seq, 7)


async def test_a_replay_can_be_asked_for_any_number_of_times() -> None:
    """On any connection of the user, with the same frames."""
    house = House()
    run = await told(house, canonical())
    for name in ("one=", "two=", "three="):
        for _ in range(2):
            await resumed(house, run, 3, name)
        texts = house.gateway.texts[name]
        assert texts[:4] == texts[4:] == house.gateway.texts["one="][:4]


async def test_the_row_stands_before_the_journal_is_read() -> None:
    """From then on live frames come, so what is committed after the read is not missed."""
    house = House()
    run = await told(house, canonical())
    house.faults.calls.clear()
    await resumed(house, run, 5)
    assert house.faults.calls == [
        "connections.add",
        "connections.mark_lagging",
        "runs.get",
        "journal.read",
        "gateway.post",
        "gateway.post",
    ]


async def test_the_row_stands_before_the_journals_of_a_thread_are_read() -> None:
    """The same for the other form."""
    house = House()
    run = await told(house, canonical())
    house.faults.calls.clear()
    await resumed_thread(house, run, 0, 0)
    order = house.faults.calls
    assert order.index("connections.add") < order.index("connections.mark_lagging") < order.index("runs.turns")
    assert order.index("runs.turns") < order.index("journal.read") < order.index("gateway.post")


async def test_an_event_committed_during_the_replay_comes_live() -> None:
    """What the read did not see is posted to the row that stands, while the replay is still on its way."""
    house = House()
    run = await told(house, long(3))
    story = Story.again(long(3))
    story.history = house.history(run)
    gate = asyncio.Event()
    house.gateway.plan(ME, gate)
    replaying = asyncio.ensure_future(resumed(house, run, 0))
    await asyncio.sleep(0.005)
    late = _again(story, story.event("agent_thinking", agent_id="root", thought="Late."), run)
    await house.notifier.append(story.history, [late])
    gate.set()
    assert (await replaying).last_seq == 3
    frames = [frame for frame in house.gateway.frames(ME) if "seq" in frame]
    assert {(frame["seq"], frame.get("replay")) for frame in frames} == {(1, True), (2, True), (3, True), (4, None)}
    assert len(frames) == 4


async def test_a_resume_ends_the_lagging_and_puts_a_missing_row_back() -> None:
    """Whatever happened to the row, from here on the connection gets live frames."""
    house = House()
    run = await told(house, canonical())
    await house.watch("lagging=")
    await house.connections.mark_lagging("lagging=", lagging=True)
    await resumed(house, run, 7, "lagging=")
    await resumed(house, run, 7, "missing=")
    assert [one.lagging for one in await house.connections.subscribers(run.user)] == [False, False]


async def test_a_run_that_waits_has_only_its_message() -> None:
    """And says that it is queued."""
    house = House()
    run = await house.say()
    reply = await resumed(house, run, 0)
    assert [frame["type"] for frame in house.gateway.frames(ME)] == ["run_input"]
    assert (reply.last_seq, reply.status) == (0, "queued")


async def test_the_status_is_the_journals() -> None:
    """Though the store has not noted the end yet."""
    house = House()
    run = await told(house, canonical())
    house.change(run, status="running")
    assert (await resumed(house, run, 7)).status == "completed"


async def test_at_most_200_events_are_replayed_at_a_time() -> None:
    """A client below its head asks again, and in the end has every event once."""
    house = House()
    run = await told(house, long(450))
    held, asked = 0, 0
    while True:
        reply = await resumed(house, run, held)
        asked += 1
        held = house.gateway.frames(ME)[-1]["seq"]
        if held == reply.last_seq:
            break
    assert asked == 3
    assert reply.last_seq == 450
    assert [frame["seq"] for frame in house.gateway.frames(ME)[1:]] == list(range(1, 451))


@pytest.mark.parametrize("after_seq", [8, 9, 2**53])
async def test_a_position_above_the_head_is_a_bad_value(after_seq: int) -> None:
    """No such event was ever sent; nothing is replayed."""
    house = House()
    run = await told(house, canonical())
    with pytest.raises(Refused) as refused:
        await resumed(house, run, after_seq)
    assert (refused.value.code, refused.value.run_id) == ("bad_value", run.run_id)
    assert house.gateway.frames(ME) == []


async def test_an_absent_run_and_a_foreign_one_are_not_found() -> None:
    """In the same words, but for the id the frame named."""
    house = House()
    run = await told(house, canonical())
    refusals = []
    for run_id, user in ((run.run_id, OTHER), (uuid(404), OTHER)):
        with pytest.raises(Refused) as refused:
            await house.resume(house.caller(ME, user), Resume(run_id=run_id, after_seq=0))
        refusals.append((refused.value.code, refused.value.message))
        assert refused.value.run_id == run_id
    assert refusals == [("not_found", "There is no such run.")] * 2
    assert house.gateway.frames(ME) == []


async def test_an_absent_thread_and_a_foreign_one_are_not_found() -> None:
    """The same for the other form."""
    house = House()
    run = await told(house, canonical())
    for thread_id, user in ((run.thread_id, OTHER), (uuid(404), run.user)):
        command = Resume(thread_id=thread_id, after=Position(turn=0, seq=0))
        with pytest.raises(Refused) as refused:
            await house.resume(house.caller(ME, user), command)
        assert (refused.value.code, refused.value.message) == ("not_found", "There is no such thread.")


@pytest.mark.parametrize("kept", [0, 1, 3])
async def test_a_journal_that_is_no_longer_whole_is_expired(kept: int) -> None:
    """Records are dropped one by one after 30 days: what is left of a run is told honestly, not with holes."""
    house = House()
    run = await told(house, canonical())
    slots = house.journal.slots[run.user, run.run_id]
    for pos in sorted(slots)[: len(slots) - kept]:
        del slots[pos]
    with pytest.raises(Refused) as refused:
        await resumed(house, run, 0)
    assert (refused.value.code, refused.value.run_id) == ("expired", run.run_id)
    assert house.gateway.frames(ME) == []


async def test_a_journal_whose_end_is_gone_is_expired() -> None:
    """The store knows that the run has ended: what is left of its journal is not told as a run at work."""
    house = House()
    run = await told(house, canonical())
    slots = house.journal.slots[run.user, run.run_id]
    for pos in (3, 4, 5):
        del slots[pos]
    with pytest.raises(Refused) as refused:
        await resumed(house, run, 0)
    assert refused.value.code == "expired"


async def test_a_replay_that_does_not_get_through_is_overload() -> None:
    """The client asks again, from where it stands then."""
    house = House()
    run = await told(house, canonical())
    house.gateway.plan(ME, None, ConnectionGone())
    with pytest.raises(Refused) as refused:
        await resumed(house, run, 0)
    assert (refused.value.code, refused.value.run_id, refused.value.retryable) == ("overloaded", run.run_id, True)
    assert len(house.gateway.frames(ME)) == 1


async def test_a_thread_is_replayed_turn_by_turn() -> None:
    """Each turn begins with its message; the head is that of the last turn."""
    house = House()
    first = await told(house, canonical())
    await told(house, Story("Two.").starts().fails(), thread_id=first.thread_id)
    await told(house, long(2), thread_id=first.thread_id)
    reply = await resumed_thread(house, first, 0, 0)
    expected = [(1, seq) for seq in range(8)] + [(2, 0), (2, 1), (2, 2), (3, 0), (3, 1), (3, 2)]
    assert seqs(house.gateway.frames(ME)) == expected
    assert reply == ReplayComplete(thread_id=first.thread_id, through=Position(turn=3, seq=2))


@pytest.mark.parametrize(("turn", "seq"), [(1, 0), (1, 3), (1, 7), (2, 0), (2, 1), (2, 2)])
async def test_a_thread_is_replayed_from_a_position(turn: int, seq: int) -> None:
    """What comes after it in its turn, and the turns after that."""
    house = House()
    first = await told(house, canonical())
    await told(house, Story("Two.").starts().fails(), thread_id=first.thread_id)
    await resumed_thread(house, first, turn, seq)
    everything = [(1, number) for number in range(8)] + [(2, number) for number in range(3)]
    after = [one for one in everything if one > (turn, seq) or (seq == 0 and one == (turn, 0))]
    assert seqs(house.gateway.frames(ME)) == after


async def test_a_long_thread_is_replayed_in_parts() -> None:
    """Each part says how far it came; asked on from there, every event comes once, in order."""
    house = House()
    first = await told(house, long(150).fails())
    for count in (80, 30, 250):
        await told(house, long(count).fails(), thread_id=first.thread_id)
    position, parts = Position(turn=0, seq=0), 0
    while parts < 10:
        reply = await resumed_thread(house, first, position.turn, position.seq)
        parts += 1
        assert reply.through is not None
        if reply.through == position:
            break
        position = reply.through
    events = [(frame["turn"], frame["seq"]) for frame in house.gateway.frames(ME) if "seq" in frame]
    assert events == [
        (turn, seq) for turn, count in enumerate((151, 81, 31, 251), start=1) for seq in range(1, count + 1)
    ]
    assert parts == 4


async def test_asking_on_from_where_a_replay_ended_misses_nothing() -> None:
    """A client that lost its live frames resumes the thread from `through`: the rest of an open turn is in it."""
    house = House()
    first = await told(house, long(3))
    second = await house.say("Two.", thread_id=first.thread_id)
    reply = await resumed_thread(house, first, 0, 0)
    history = house.history(first)
    story = Story.again(long(3))
    story.history = history
    rest = [
        story.event("agent_thinking", agent_id="root", thought="Live."),
        story.event("error", code="internal", message="It failed.", retryable=True),
    ]
    await house.connections.remove(ME)
    for event in rest:
        await house.notifier.append(history, [_again(story, event, first)])
    await house.runs.settle(first, "failed")
    assert reply.through is not None
    await resumed_thread(house, first, reply.through.turn, reply.through.seq)
    assert [seq for turn, seq in seqs(house.gateway.frames(ME)) if turn == 1 and seq] == [1, 2, 3, 4, 5]
    assert second.turn == 2


@pytest.mark.parametrize(("turn", "seq"), [(1, 8), (2, 3), (9, 9)])
async def test_a_position_above_the_head_of_a_thread_is_a_bad_value(turn: int, seq: int) -> None:
    """A client that says it holds what was never sent is told so, in this form too."""
    house = House()
    first = await told(house, canonical())
    await told(house, Story("Two.").starts().fails(), thread_id=first.thread_id)
    with pytest.raises(Refused) as refused:
        await resumed_thread(house, first, turn, seq)
    assert refused.value.code == "bad_value"


class Slow(asyncio.Event):
    """What a slow connection waits for with each frame."""

    async def wait(self) -> Literal[True]:
        await asyncio.sleep(1.1)
        return True


async def slowly(house: House, leap: Leaps, asked: Coroutine[Any, Any, ReplayComplete]) -> ReplayComplete:
    """Return the answer to a resume of a slow connection."""
    house.gateway.always(ME, Slow())
    asking = asyncio.ensure_future(asked)
    for _ in range(14):
        await leap(1.1)
    assert asking.done()
    return await asking


async def test_a_slow_reader_gets_a_run_piece_by_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    """After 15 s it is told the head, asks on from where it stands, and in the end has every event once."""
    house, leap = House(), Leaps(monkeypatch)
    run = await told(house, long(40))
    held = [0]
    while held[-1] < 40 and len(held) < 10:
        reply = await slowly(house, leap, resumed(house, run, held[-1]))
        assert (reply.after_seq, reply.last_seq) == (held[-1], 40)
        held.append(house.gateway.frames(ME)[-1]["seq"])
    assert held == [0, 12, 25, 38, 40]
    assert [frame.get("seq", 0) for frame in house.gateway.frames(ME)] == list(range(41))


async def test_a_slow_reader_gets_a_thread_piece_by_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each answer says how far it came, in the middle of a turn too; nothing is left out on the way."""
    house, leap = House(), Leaps(monkeypatch)
    first = await told(house, canonical())
    for _ in range(4):
        await told(house, canonical(), thread_id=first.thread_id)
    parts = [(0, 0)]
    while len(parts) < 10:
        through = (await slowly(house, leap, resumed_thread(house, first, *parts[-1]))).through
        assert through is not None
        parts.append((through.turn, through.seq))
        if parts[-1] == parts[-2]:
            break
    assert parts == [(0, 0), (2, 4), (4, 1), (5, 6), (5, 7), (5, 7)]
    assert seqs(house.gateway.frames(ME)) == [(turn, seq) for turn in range(1, 6) for seq in range(8)]


@pytest.mark.parametrize("form", ["run", "thread"])
async def test_a_reader_that_takes_nothing_is_told_to_ask_again(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No answer says that it got as far as it stood already: that would be the end."""
    house, leap = House(), Leaps(monkeypatch)
    run = await told(house, canonical())
    house.gateway.always(ME, asyncio.Event())
    call_it = resumed(house, run, 3) if form == "run" else resumed_thread(house, run, 1, 3)
    asking = asyncio.ensure_future(call_it)
    await leap(14.9)
    assert not asking.done()
    await leap(0.2)
    assert asking.done()
    with pytest.raises(Refused) as refused:
        await asking
    assert (refused.value.code, refused.value.retryable) == ("overloaded", True)


@pytest.mark.parametrize("form", ["run", "thread"])
async def test_a_reader_that_took_only_the_message_is_told_to_ask_again(
    form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message has no seq: whoever has it stands where it stood."""
    house, leap = House(), Leaps(monkeypatch)
    run = await told(house, canonical())
    house.gateway.plan(ME, None)
    house.gateway.always(ME, asyncio.Event())
    call_it = resumed(house, run, 0) if form == "run" else resumed_thread(house, run, 1, 0)
    asking = asyncio.ensure_future(call_it)
    await leap(15.1)
    with pytest.raises(Refused) as refused:
        await asking
    assert refused.value.code == "overloaded"
    assert [frame["type"] for frame in house.gateway.frames(ME)] == ["run_input"]


async def test_the_time_of_a_replay_counts_what_came_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that took its time leaves less for the frames."""
    house, leap = House(), Leaps(monkeypatch)
    run = await told(house, canonical())
    gate = asyncio.Event()
    house.faults.plan("journal.read", Fault("before", gate=gate))
    house.gateway.plan(ME, None, None)
    house.gateway.always(ME, asyncio.Event())
    asking = asyncio.ensure_future(resumed(house, run, 3))
    await leap(10)
    gate.set()
    await leap(4.9)
    assert not asking.done()
    await leap(0.2)
    assert asking.done()
    assert [frame["seq"] for frame in house.gateway.frames(ME)] == [4, 5]
    assert (await asking).last_seq == 7


def forget(house: House, thread_id: str, *turns: int) -> None:
    """Let turns of a thread go, with all that was kept of them, as they do in time."""
    for key, run in list(house.runs.runs.items()):
        if run.thread_id == thread_id and run.turn in turns:
            del house.runs.runs[key]
            house.journal.slots.pop(key, None)


async def thread_of(house: House, turns: int) -> list[Run]:
    """Return the runs of a thread of so many ended turns."""
    runs = [await told(house, canonical())]
    while len(runs) < turns:
        runs.append(await told(house, canonical(), thread_id=runs[0].thread_id))
    return runs


@pytest.mark.parametrize(
    ("gone", "asked", "replayed", "named"),
    [
        ((1,), (0, 0), [], 2),
        ((1, 2), (0, 0), [], 3),
        ((1, 2), (1, 7), [], 3),
        ((1, 2), (2, 3), [], 3),
        ((3,), (0, 0), [1, 2], 4),
        ((3,), (2, 7), [], 4),
        ((2, 3), (1, 0), [1], 4),
    ],
)
async def test_turns_that_are_no_longer_kept_are_no_silent_hole(
    gone: tuple[int, ...], asked: tuple[int, int], replayed: list[int], named: int
) -> None:
    """What comes before the hole is replayed; then it is `expired`, and names the run behind the hole."""
    house = House()
    runs = await thread_of(house, 4)
    forget(house, runs[0].thread_id, *gone)
    with pytest.raises(Refused) as refused:
        await resumed_thread(house, runs[0], *asked)
    assert (refused.value.code, refused.value.retryable) == ("expired", False)
    assert refused.value.run_id == runs[named - 1].run_id
    assert sorted({frame["turn"] for frame in house.gateway.frames(ME)}) == replayed


async def test_asking_on_turn_by_turn_gets_what_is_kept() -> None:
    """As a page does that is told `expired`: it hears of every hole, and misses nothing else."""
    house = House()
    runs = await thread_of(house, 6)
    forget(house, runs[0].thread_id, 1, 2, 4)
    turn, seq, codes = 0, 0, set[str]()
    for _ in range(20):
        try:
            through = (await resumed_thread(house, runs[0], turn, seq)).through
        except Refused as refused:
            codes.add(refused.code)
            held = max([turn, 1, *(frame["turn"] for frame in house.gateway.frames(ME))])
            turn, seq = held + 1, 0
        else:
            assert through is not None
            if (through.turn, through.seq) == (turn, seq):
                break
            turn, seq = through.turn, through.seq
    assert codes == {"expired"}
    assert (turn, seq) == (6, 7)
    assert seqs(house.gateway.frames(ME)) == [(number, one) for number in (3, 5, 6) for one in range(8)]


async def test_a_turn_that_is_kept_is_replayed_though_those_before_it_are_gone() -> None:
    """Whoever holds a position behind the hole misses nothing."""
    house = House()
    runs = await thread_of(house, 3)
    forget(house, runs[0].thread_id, 1)
    reply = await resumed_thread(house, runs[0], 2, 5)
    assert seqs(house.gateway.frames(ME)) == [(2, 6), (2, 7), *((3, seq) for seq in range(8))]
    assert reply.through == Position(turn=3, seq=7)


class Windowed(FakeRunStore):
    """A store that reads a thread in pieces."""

    async def turns(self, user: str, thread_id: str, *, from_turn: int, to_turn: int | None = None) -> list[Run]:
        last = from_turn + MAX_TURNS - 1
        last = last if to_turn is None else min(last, to_turn)
        return await super().turns(user, thread_id, from_turn=from_turn, to_turn=last)


@pytest.mark.parametrize("turn", [300, 900])
@pytest.mark.parametrize("ended", [False, True], ids=["open", "ended"])
async def test_a_thread_whose_kept_turns_are_far_on_is_expired(turn: int, ended: bool) -> None:  # noqa: FBT001
    """Nothing is found where it was asked for, but the thread is there: by its open turn, or by a later one."""
    house = House()
    house.runs = Windowed(house.journal, house.faults)
    run = await told(house, long(2).fails() if ended else long(2))
    house.change(run, turn=turn)
    with pytest.raises(Refused) as refused:
        await resumed_thread(house, run, 0, 0)
    found = turn == 300 or not ended  # no port finds an ended turn wherever it is
    assert (refused.value.code, refused.value.run_id) == (("expired", run.run_id) if found else ("not_found", None))


@pytest.mark.parametrize("turn", [4, 2**53])
async def test_a_position_above_an_open_head_is_a_bad_value(turn: int) -> None:
    """Though the first turn is gone: who asks from behind the open one is wrong about the thread."""
    house = House()
    house.runs = Windowed(house.journal, house.faults)
    runs = await thread_of(house, 2)
    await told(house, long(2), thread_id=runs[0].thread_id)
    forget(house, runs[0].thread_id, 1)
    with pytest.raises(Refused) as refused:
        await resumed_thread(house, runs[0], turn, 0)
    assert refused.value.code == "bad_value"


@pytest.mark.parametrize(("gone", "turn"), [((1,), 9), ((), 9), ((), 2**53)])
async def test_a_position_above_the_head_of_a_thread_at_rest_is_a_bad_value(gone: tuple[int, ...], turn: int) -> None:
    """By whatever is kept of the thread: its first turn, or those before the position."""
    house = House()
    house.runs = Windowed(house.journal, house.faults)
    runs = await thread_of(house, 3)
    forget(house, runs[0].thread_id, *gone)
    with pytest.raises(Refused) as refused:
        await resumed_thread(house, runs[0], turn, 0)
    assert refused.value.code == "bad_value"


async def test_a_thread_of_which_nothing_is_kept_is_not_found() -> None:
    """As one that never was."""
    house = House()
    runs = await thread_of(house, 2)
    forget(house, runs[0].thread_id, 1, 2)
    with pytest.raises(Refused) as refused:
        await resumed_thread(house, runs[0], 0, 0)
    assert refused.value.code == "not_found"


async def ended_unnoticed(house: House, *, thread_id: str | None = None) -> Run:
    """Return a run whose owner wrote the end and fell before the store knew."""
    run = await told(house, canonical(), thread_id=thread_id, noted=False)
    return house.change(run, status="running", owner="fallen")


async def test_an_end_the_store_does_not_know_is_noted_by_who_reads_it() -> None:
    """After the replay, and the next turn of the thread is sent."""
    house = House()
    run = await ended_unnoticed(house)
    following = await house.say("And then?", thread_id=run.thread_id)
    house.queue.sent.clear()
    house.faults.calls.clear()
    reply = await resumed(house, run, 0)
    assert (reply.last_seq, reply.status) == (len(CANONICAL), "completed")
    assert house.run(run.run_id).status == "completed"
    assert house.queue.sent == [Job(run.user, following.run_id)]
    calls = house.faults.calls
    assert calls.index("runs.settle") > max(at for at, call in enumerate(calls) if call == "gateway.post")


async def test_every_end_of_a_thread_that_the_store_does_not_know_is_noted() -> None:
    """And those it knows are left alone, like the runs that go on."""
    house = House()
    known = await told(house, canonical())
    one, two = [await ended_unnoticed(house, thread_id=known.thread_id) for _ in range(2)]
    going = await told(house, long(3), thread_id=known.thread_id)
    house.faults.calls.clear()
    reply = await resumed_thread(house, known, 1, 0)
    assert reply.through == Position(turn=4, seq=3)
    assert [house.run(run.run_id).status for run in (one, two)] == ["completed", "completed"]
    assert house.run(going.run_id).is_open
    assert house.faults.count("runs.settle") == 2


async def test_a_run_that_is_settled_or_goes_on_is_not_settled_by_its_readers() -> None:
    """A resume writes nothing of a run then."""
    house = House()
    for run in (await told(house, canonical()), await told(house, long(3))):
        await resumed(house, run, 0)
    assert house.faults.count("runs.settle") == 1  # by the test itself


@pytest.mark.parametrize("fault", [fail_before, lost, fail_after], ids=["unavailable", "lost", "unknown"])
@pytest.mark.parametrize("operation", ["runs.settle", "queue.send"])
async def test_an_end_that_cannot_be_noted_does_not_cost_the_replay(operation: str, fault: Callable[[], Fault]) -> None:
    """It is left to the next reader."""
    house = House()
    run = await ended_unnoticed(house)
    await house.say("And then?", thread_id=run.thread_id)
    house.faults.plan(operation, fault())
    assert (await resumed(house, run, 0)).last_seq == len(CANONICAL)
    assert (await resumed_thread(house, run, 1, 0)).through == Position(turn=2, seq=0)
    assert house.run(run.run_id).status == "completed"


async def test_the_head_does_not_wait_for_an_end_to_be_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two seconds at the most, behind a replay that is all there."""
    house, leap = House(), Leaps(monkeypatch)
    run = await ended_unnoticed(house)
    house.faults.plan("runs.settle", Fault("before", gate=asyncio.Event()))
    resuming = asyncio.ensure_future(resumed(house, run, 0))
    await leap(1.9)
    assert not resuming.done()
    assert len(house.gateway.frames(ME)) == 1 + len(CANONICAL)
    await leap(0.2)
    assert resuming.done()
    assert (await resuming).status == "completed"


def replayed(house: House) -> list[tuple[object, object]]:
    """Return what the log tells of each replay: its frames, and whether a page was loaded anew."""
    return [(fields["frames"], fields["reloaded"]) for fields in house.log.of("replayed")]


QUEUED = Story


@pytest.mark.parametrize(
    ("story", "after_seq", "frames", "reloaded"),
    [
        (canonical, 0, 8, False),
        (canonical, 7, 0, False),
        (lambda: long(3), 0, 4, True),
        (lambda: long(3), 1, 2, False),
        (lambda: long(3), 3, 0, False),
        (QUEUED, 0, 1, False),
    ],
)
async def test_the_log_tells_of_a_page_that_was_loaded_anew_while_a_run_was_under_way(
    story: Callable[[], Story],
    after_seq: int,
    frames: int,
    reloaded: bool,  # noqa: FBT001
) -> None:
    """It asks from the beginning for what it was shown before: a run that has begun and has not ended."""
    house = House()
    await resumed(house, await told(house, story()), after_seq)
    assert replayed(house) == [(frames, reloaded)]


@pytest.mark.parametrize(
    ("stories", "after", "frames", "reloaded"),
    [
        ((canonical, lambda: long(2)), (0, 0), 8 + 3, True),
        ((canonical, lambda: long(2)), (1, 0), 8 + 3, True),
        ((canonical, lambda: long(2)), (1, 7), 3, False),
        ((canonical, lambda: long(2)), (2, 0), 3, False),
        ((canonical, lambda: long(2)), (2, 1), 1, False),
        ((lambda: long(2), QUEUED), (0, 0), 3 + 1, True),
        ((lambda: long(2), QUEUED), (1, 1), 1 + 1, False),
        ((canonical, canonical), (0, 0), 8 + 8, False),
        ((canonical, QUEUED), (0, 0), 8 + 1, False),
    ],
)
async def test_the_log_tells_of_a_page_that_was_loaded_anew_while_a_turn_was_under_way(
    stories: tuple[Callable[[], Story], ...],
    after: tuple[int, int],
    frames: int,
    reloaded: bool,  # noqa: FBT001
) -> None:
    """The same of a thread, once for all its turns: who holds a position in it was not loaded anew."""
    house = House()
    first = await told(house, stories[0]())
    for story in stories[1:]:
        await told(house, story(), thread_id=first.thread_id)
    await resumed_thread(house, first, *after)
    assert replayed(house) == [(frames, reloaded)]


async def test_the_log_tells_what_a_slow_reader_took(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not what there was for it."""
    house, leap = House(), Leaps(monkeypatch)
    run = await told(house, long(40))
    await slowly(house, leap, resumed(house, run, 0))
    await slowly(house, leap, resumed_thread(house, run, 1, 12))
    assert replayed(house) == [(13, True), (13, False)]


async def test_a_resume_that_is_refused_is_not_told_as_a_replay() -> None:
    """Though some of it was posted."""
    house = House()
    run = await told(house, canonical())
    house.gateway.plan(ME, None, ConnectionGone())
    asked = [resumed(house, run, 0), resumed(house, run, 8), resumed_thread(house, run, 1, 8)]
    for asking in asked:
        with pytest.raises(Refused):
            await asking
    assert house.gateway.frames(ME) != []
    assert house.log.of("replayed") == []
