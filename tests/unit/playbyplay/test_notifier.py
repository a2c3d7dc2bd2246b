"""The notifier: commit, then post; and one bad connection is nobody else's trouble."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from playbyplay.domain.journal import Entry, FenceEntry, History, Record
from playbyplay.errors import (
    ConnectionGone,
    Demoted,
    GrammarError,
    OutcomeUnknown,
    PostFailed,
    StoreUnavailable,
)
from playbyplay.protocol.events import Event
from playbyplay.protocol.replies import Heartbeat, RunInput
from tests.fakes.faults import Faults, after, before, fail_after, fail_before, lost
from tests.fakes.journal import FakeJournal
from tests.fakes.leaps import Leaps
from tests.histories import OTHER, RUN, THREAD, TIME, USER, Story, call
from tests.house import QUICK, House

BEAT = Heartbeat(run_id=RUN, last_seq=1, elapsed_ms=5, activity="waiting for the model")
SLOW = PostFailed("slow")


def begun(house: House, user: str = USER) -> Story:
    """Return a run that has started, its records committed."""
    story = Story(user=user).starts()
    for record in story.records:
        house.journal.put(user, RUN, record)
    return story


def thought(story: Story, text: str = "Hm.") -> list[Entry]:
    return [story.event("agent_thinking", agent_id="root", thought=text)]


def posted(house: House, connection_id: str) -> list[str]:
    return [frame["type"] for frame in house.gateway.frames(connection_id)]


async def test_an_event_is_committed_then_posted_to_every_connection_of_the_user() -> None:
    """Each of them gets the frames of the record, in order, exactly as the journal holds them."""
    house = House()
    story = begun(house)
    for name in ("one", "two"):
        await house.watch(name)
    await house.watch("theirs", OTHER)
    entries = [*thought(story, "First."), *thought(story, "Second.")]
    await house.notifier.append(story.history, entries)
    stored = house.journal.records(USER, RUN)[2]
    texts = [event.to_json() for event in stored.events]
    assert house.gateway.texts["one"] == house.gateway.texts["two"] == texts
    assert len(texts) == 2
    assert house.gateway.texts["theirs"] == []
    assert story.history.records[-1] == stored


async def test_nothing_is_posted_before_the_commit() -> None:
    """When a frame is taken, the journal holds its event; the subscribers are read after the commit too."""
    house = House()
    story = begun(house)
    await house.watch()
    unwritten: list[dict[str, Any]] = []

    def look(_connection: str, frame: dict[str, Any]) -> None:
        committed = {event.seq for record in house.journal.records(USER, RUN) for event in record.events}
        if frame["seq"] not in committed:
            unwritten.append(frame)

    house.gateway.on_post = look
    for number in range(3):
        await house.notifier.append(story.history, thought(story, f"Thought {number}."))
    assert unwritten == []
    assert len(posted(house, house.seen)) == 3
    order = [one for one in house.faults.calls if one != "connections.add"]
    assert order == ["journal.append", "connections.subscribers", "gateway.post"] * 3


async def test_a_record_without_events_is_posted_to_nobody() -> None:
    """A fence is private."""
    house = House()
    story = begun(house)
    await house.watch()
    await house.notifier.append(story.history, [FenceEntry(epoch=2)])
    assert story.history.epoch == 2
    assert posted(house, house.seen) == []


async def test_what_may_not_follow_is_not_written() -> None:
    """A GrammarError leaves the journal and the history alone, and nothing is posted."""
    house = House()
    story = begun(house)
    await house.watch()
    with pytest.raises(GrammarError):
        await house.notifier.append(story.history, [*thought(story), FenceEntry(epoch=7)])
    assert house.faults.count("journal.append") == 0
    assert len(story.history.records) == 2
    assert posted(house, house.seen) == []


async def test_a_taken_slot_demotes_and_nothing_is_posted() -> None:
    """Another owner wrote there: stop, forget, post nothing."""
    house = House()
    story, rival = begun(house), Story().starts().taken_over()
    await house.watch()
    house.journal.put(USER, RUN, rival.records[2])
    with pytest.raises(Demoted):
        await house.notifier.append(story.history, thought(story))
    assert posted(house, house.seen) == []
    assert house.journal.records(USER, RUN)[2] == rival.records[2]
    assert len(story.history.records) == 2


@pytest.mark.parametrize("fault", [fail_after, lambda: after(StoreUnavailable("wrongly"))], ids=["unknown", "denied"])
async def test_a_record_found_to_be_ones_own_is_posted_once(fault: Callable[[], Any]) -> None:
    """The append took effect though the store did not say so: reading back finds the own token."""
    house = House()
    story = begun(house)
    await house.watch()
    house.faults.plan("journal.append", fault())
    await house.notifier.append(story.history, thought(story))
    assert posted(house, house.seen) == ["agent_thinking"]
    assert house.faults.count("journal.append") == 1
    assert len(house.journal.records(USER, RUN)) == 3
    assert house.log.names == ["append_in_doubt", "events_appended", "events_posted"]


@pytest.mark.parametrize("fault", [lost, fail_before], ids=["unknown", "unavailable"])
async def test_a_record_that_was_not_written_is_sent_again_under_its_token(fault: Callable[[], Any]) -> None:
    """The slot is empty: the same record goes out again, and is posted when it is committed."""
    house = House()
    story = begun(house)
    await house.watch()
    tokens: list[str] = []
    house.journal = _Recording(house.faults, house.journal, tokens)
    house.faults.plan("journal.append", fault(), fault())
    await house.notifier.append(story.history, thought(story))
    assert len(tokens) == 3
    assert len(set(tokens)) == 1
    assert house.journal.records(USER, RUN)[2].token == tokens[0]
    assert posted(house, house.seen) == ["agent_thinking"]


async def test_a_record_that_arrived_late_is_ones_own() -> None:
    """Sent again, it finds its slot taken by itself: that is no demotion."""
    house = House()
    story = begun(house)
    await house.watch()
    house.faults.plan("journal.append", fail_after())
    house.faults.plan("journal.read", fail_before())
    await house.notifier.append(story.history, thought(story))
    assert house.faults.count("journal.append") == 2
    assert len(house.journal.records(USER, RUN)) == 3
    assert posted(house, house.seen) == ["agent_thinking"]


async def test_an_unknown_outcome_that_was_anothers_demotes() -> None:
    """Reading back finds a foreign token: nothing is posted."""
    house = House()
    story, rival = begun(house), Story().starts().taken_over()
    await house.watch()
    house.journal.put(USER, RUN, rival.records[2])
    house.faults.plan("journal.append", lost())
    with pytest.raises(Demoted):
        await house.notifier.append(story.history, thought(story))
    assert posted(house, house.seen) == []


@pytest.mark.parametrize("operation", ["journal.append", "journal.read"])
async def test_a_store_that_confirms_nothing_in_time_is_given_up(operation: str) -> None:
    """After `store_s` the append raises StoreUnavailable; nothing was posted, the history is as before."""
    house = House(timing=replace(QUICK, store_s=0.02))
    story = begun(house)
    await house.watch()
    house.faults.plan("journal.append", *[lost() for _ in range(500)])
    house.faults.plan(operation, *[before(OutcomeUnknown("")) for _ in range(500)])
    with pytest.raises(StoreUnavailable):
        await house.notifier.append(story.history, thought(story))
    assert posted(house, house.seen) == []
    assert len(story.history.records) == 2


async def test_a_gone_connection_loses_its_row() -> None:
    """Its socket is closed: it gets no more frames."""
    house = House()
    story = begun(house)
    await house.watch(age_s=30)
    house.gateway.always(house.seen, ConnectionGone())
    await house.notifier.append(story.history, thought(story))
    assert house.connections.rows == {}


async def test_a_young_connection_that_seems_gone_keeps_its_row() -> None:
    """Inside its handshake a post fails as if it were gone; the next frame reaches it."""
    house = House()
    story = begun(house)
    await house.watch(age_s=29.9)
    house.gateway.plan(house.seen, ConnectionGone())
    await house.notifier.append(story.history, thought(story))
    await house.notifier.append(story.history, thought(story))
    assert [frame["seq"] for frame in house.gateway.frames(house.seen)] == [3]
    assert house.faults.count("gateway.post") == 2


async def test_a_failed_post_is_tried_once_more() -> None:
    """The second try succeeds: nobody lags."""
    house = House()
    story = begun(house)
    await house.watch()
    house.gateway.plan(house.seen, SLOW)
    await house.notifier.append(story.history, thought(story))
    assert posted(house, house.seen) == ["agent_thinking"]
    assert not house.connections.rows[house.seen][1].lagging


async def test_a_connection_that_fails_twice_lags_until_it_resumes() -> None:
    """It is told once that it lags, and how far the run has come; then it gets nothing more."""
    house = House()
    story = begun(house)
    await house.watch()
    house.gateway.plan(house.seen, SLOW, PostFailed("timeout"))
    await house.notifier.append(story.history, [*thought(story), *thought(story)])
    await house.notifier.append(story.history, thought(story))
    await house.notifier.tell(USER, RUN, BEAT, last_seq=4)
    assert house.gateway.frames(house.seen) == [{"type": "lagging", "run_id": RUN, "last_seq": 3}]
    assert house.connections.rows[house.seen][1].lagging
    assert house.log.of("post_failed") == [{"run_id": RUN, "reason": "timeout"}]
    await house.connections.mark_lagging(house.seen, lagging=False)
    await house.notifier.append(story.history, thought(story))
    assert [frame["seq"] for frame in house.gateway.frames(house.seen, "agent_thinking")] == [5]


async def test_a_bad_connection_does_not_hold_back_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """While one takes its time, the others have the frame already."""
    house, leap = House(), Leaps(monkeypatch)
    story = begun(house)
    gate = asyncio.Event()
    for name in ("slow", "good", "gone"):
        await house.watch(name)
    house.gateway.plan("slow", gate)
    house.gateway.always("gone", ConnectionGone())
    appending = asyncio.ensure_future(house.notifier.append(story.history, [*thought(story), *thought(story)]))
    await leap.settle()
    assert len(posted(house, "good")) == 2
    assert posted(house, "slow") == []
    gate.set()
    await appending
    assert len(posted(house, "slow")) == 2


async def test_frames_to_one_connection_go_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second waits for the first, and is not sent after one that failed."""
    house, leap = House(), Leaps(monkeypatch)
    story = begun(house)
    gate = asyncio.Event()
    await house.watch()
    house.gateway.plan(house.seen, gate)
    appending = asyncio.ensure_future(house.notifier.append(story.history, [*thought(story), *thought(story)]))
    await leap.settle()
    assert house.faults.count("gateway.post") == 1
    gate.set()
    await appending
    assert [frame["seq"] for frame in house.gateway.frames(house.seen)] == [2, 3]


TROUBLES: dict[str, Callable[[House], None]] = {
    "the subscribers cannot be read": lambda house: house.faults.plan("connections.subscribers", fail_before()),
    "the subscribers cannot be read for sure": lambda house: house.faults.plan("connections.subscribers", lost()),
    "a gone one cannot be removed": lambda house: _goes_wrong(house, ConnectionGone(), "connections.remove"),
    "a slow one cannot be marked": lambda house: _goes_wrong(house, SLOW, "connections.mark_lagging"),
    "the hint does not get through": lambda house: house.gateway.always(house.seen, SLOW),
}


def _goes_wrong(house: House, behaviour: ConnectionGone | PostFailed, operation: str) -> None:
    house.gateway.always(house.seen, behaviour)
    house.faults.plan(operation, fail_before())


@pytest.mark.parametrize("trouble", TROUBLES.values(), ids=TROUBLES.keys())
async def test_a_post_never_raises(trouble: Callable[[House], None]) -> None:
    """Whatever happens on the way to a connection, an append that was committed returns."""
    house = House()
    story = begun(house)
    await house.watch()
    await house.watch("other")
    trouble(house)
    await house.notifier.append(story.history, thought(story))
    assert len(house.journal.records(USER, RUN)) == len(story.history.records) == 3
    assert "post_failed" in house.log.names


@pytest.mark.parametrize("trouble", TROUBLES.values(), ids=TROUBLES.keys())
async def test_telling_never_raises(trouble: Callable[[House], None]) -> None:
    """The same for a hint that is no event."""
    house = House()
    await house.watch()
    trouble(house)
    await house.notifier.tell(USER, RUN, BEAT, last_seq=1)


async def test_a_hint_is_told_to_all_but_the_one_it_came_from() -> None:
    """A user's own message goes to the user's other connections."""
    house = House()
    for name in ("one", "two", "three"):
        await house.watch(name)
    frame = RunInput(run_id=RUN, thread_id=THREAD, turn=1, content="Hi.", timestamp=TIME)
    await house.notifier.tell_others(USER, RUN, frame, but="two")
    assert [posted(house, name) for name in ("one", "two", "three")] == [["run_input"], [], ["run_input"]]
    assert "replay" not in house.gateway.frames("one")[0]


async def test_a_replay_is_in_order_and_flagged() -> None:
    """Events and the input say that they are a replay; nobody else gets them; the stored event is unchanged."""
    house = House()
    story = begun(house).asks(call(1))
    await house.watch("other")
    first = RunInput(run_id=RUN, thread_id=THREAD, turn=1, content="Hi.", timestamp=TIME)
    await house.notifier.replay(house.seen, [first, *story.history.events])
    frames = house.gateway.frames(house.seen)
    assert [frame["type"] for frame in frames] == ["run_input", "agent_started", "agent_thinking", "tool_executing"]
    assert all(frame.pop("replay") is True for frame in frames)
    assert frames[1:] == [_plain(event) for event in story.history.events]
    assert posted(house, "other") == []
    assert all(event.replay is None for event in story.history.events)


async def test_a_replay_waits_for_a_slow_reader() -> None:
    """A connection that cannot take a frame now gets it a moment later, once, in its place."""
    house = House()
    story = begun(house).asks(call(1))
    house.gateway.plan(house.seen, None, SLOW, SLOW, None, SLOW)
    await house.notifier.replay(house.seen, story.history.events)
    assert [frame["seq"] for frame in house.gateway.frames(house.seen)] == [1, 2, 3]


async def test_a_replay_stops_at_a_connection_that_is_gone() -> None:
    """The rest is not tried."""
    house = House()
    story = begun(house).asks(call(1))
    house.gateway.plan(house.seen, None, ConnectionGone())
    with pytest.raises(ConnectionGone):
        await house.notifier.replay(house.seen, story.history.events)
    assert house.faults.count("gateway.post") == 2


async def test_a_crash_after_the_commit_posts_nothing_and_loses_nothing() -> None:
    """The event stands in the journal for whoever resumes; the writer learns only that it was cut off."""
    house = House()
    story = begun(house)
    await house.watch()
    house.faults.plan("journal.append", after(asyncio.CancelledError()))
    with pytest.raises(asyncio.CancelledError):
        await house.notifier.append(story.history, thought(story))
    assert posted(house, house.seen) == []
    assert History.of(USER, RUN, house.journal.records(USER, RUN)).state.last_seq == 2


def unbegun(house: House) -> Story:
    """Return a run that nobody has begun, its message committed."""
    story = Story()
    house.journal.put(USER, RUN, story.records[0])
    return story


def beginning(story: Story) -> list[Entry]:
    """Return its first record, whose event is 40 ms younger than the message."""
    started = story.event("agent_started", agent_id="root", message="Starting.", timestamp="2025-06-15T15:06:40.040Z")
    return [story.fence(), started]


async def test_who_appends_is_told_when_a_connection_had_it() -> None:
    """In milliseconds since the epoch; what shows nobody anything is seen by nobody."""
    house = House()
    story = unbegun(house)
    await house.watch()
    house.clock.advance(0.06)
    assert await house.notifier.append(story.history, beginning(story)) == house.clock.now_ms()
    assert await house.notifier.append(story.history, [story.fence()]) is None


UNSEEN: dict[str, Callable[[House], None]] = {
    "nobody is there": lambda house: house.connections.rows.clear(),
    "the only one lags": lambda house: house.gateway.always(house.seen, SLOW),
    "the only one is gone": lambda house: house.gateway.always(house.seen, ConnectionGone()),
    "nobody knows who is there": lambda house: house.faults.plan("connections.subscribers", fail_before()),
}


@pytest.mark.parametrize("unseen", UNSEEN.values(), ids=UNSEEN.keys())
async def test_what_nobody_took_was_seen_by_nobody(unseen: Callable[[House], None]) -> None:
    """The hint that somebody lags is no event, and no post is counted."""
    house = House()
    story = unbegun(house)
    await house.watch()
    unseen(house)
    assert await house.notifier.append(story.history, beginning(story)) is None
    assert house.log.of("events_posted") == [{"posts": 0}]


async def test_an_event_is_seen_when_the_first_connection_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever time another takes."""
    house, leap = House(), Leaps(monkeypatch)
    story, gate = unbegun(house), asyncio.Event()
    for name in ("slow", "good"):
        await house.watch(name)
    house.gateway.plan("slow", gate)
    house.clock.advance(0.06)
    seen_ms = house.clock.now_ms()
    appending = asyncio.ensure_future(house.notifier.append(story.history, beginning(story)))
    await leap.settle()
    assert (len(posted(house, "good")), len(posted(house, "slow"))) == (1, 0)
    house.clock.advance(9)
    gate.set()
    assert await appending == seen_ms
    assert house.log.of("events_posted") == [{"posts": 2}]


async def test_events_and_the_posts_of_them_are_counted() -> None:
    """A post is one frame that one connection took: who lags gets none, and who fails at the second got one."""
    house = House()
    story = begun(house)
    for name in ("one", "two", "failing", "lagging"):
        await house.watch(name)
    await house.watch("theirs", OTHER)
    await house.connections.mark_lagging("lagging", lagging=True)
    house.gateway.plan("failing", None, SLOW, SLOW)
    await house.notifier.append(story.history, [*thought(story), *thought(story)])
    assert house.log.of("events_appended") == [{"events": 2}]
    assert house.log.of("events_posted") == [{"posts": 2 + 2 + 1}]


async def test_what_is_no_event_is_not_counted() -> None:
    """Neither a fence, nor a heartbeat, nor a message told to other devices, nor a replay."""
    house = House()
    story = begun(house)
    await house.watch()
    await house.notifier.append(story.history, [story.fence()])
    await house.notifier.tell(USER, RUN, BEAT, last_seq=1)
    frame = RunInput(run_id=RUN, thread_id=THREAD, turn=1, content="Hi.", timestamp=TIME)
    await house.notifier.tell_others(USER, RUN, frame, but="me")
    await house.notifier.replay(house.seen, story.history.events)
    assert len(posted(house, house.seen)) == 3
    assert house.log.events == []


async def test_a_record_that_was_not_committed_is_not_counted() -> None:
    """Nor is its run told to have begun: that is its owner's to tell."""
    house = House()
    story, rival = unbegun(house), Story().starts()
    await house.watch()
    house.journal.put(USER, RUN, rival.records[1])
    with pytest.raises(Demoted):
        await house.notifier.append(story.history, beginning(story))
    assert house.log.names == ["append_in_doubt"]


def _plain(event: Event) -> dict[str, Any]:
    return event.model_dump(mode="json", exclude_none=True)


class _Recording(FakeJournal):
    """A journal that remembers the tokens it was sent."""

    def __init__(self, faults: Faults, before_it: FakeJournal, tokens: list[str]) -> None:
        super().__init__(faults)
        self.slots = before_it.slots
        self._tokens = tokens

    async def append(self, user: str, run_id: str, record: Record) -> None:
        self._tokens.append(record.token)
        await super().append(user, run_id, record)


async def test_each_record_has_a_token_of_its_own() -> None:
    """So that an own record is told from another's, and from one's own before."""
    house = House()
    story = begun(house)
    tokens: list[str] = []
    house.journal = _Recording(house.faults, house.journal, tokens)
    for _ in range(3):
        await house.notifier.append(story.history, thought(story))
    assert len(set(tokens)) == 3
    assert tokens == [record.token for record in house.journal.records(USER, RUN)[2:]]


async def test_a_replay_says_how_much_was_taken_in_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """It stops where it is told to, in the middle of a post if need be; without a limit it goes to the end."""
    house, leap = House(), Leaps(monkeypatch)
    story = begun(house).asks(call(1))
    until_s = asyncio.get_running_loop().time() + 3
    house.gateway.plan(house.seen, None, None, asyncio.Event())
    replaying = asyncio.ensure_future(house.notifier.replay(house.seen, story.history.events, until_s=until_s))
    await leap(2.9)
    assert not replaying.done()
    await leap(0.2)
    assert replaying.done()
    assert await replaying == 2
    assert [frame["seq"] for frame in house.gateway.frames(house.seen)] == [1, 2]
    assert await house.notifier.replay(house.seen, story.history.events) == 3


async def test_a_replay_whose_time_was_up_before_it_began_posts_nothing() -> None:
    """It does not say that anything was taken."""
    house = House()
    story = begun(house).asks(call(1))
    house.gateway.plan(house.seen, asyncio.Event())
    assert await house.notifier.replay(house.seen, story.history.events, until_s=0) == 0


async def test_an_event_has_more_time_than_a_hint_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's reply waits for it, so a slow connection gets it all the same, and does not lag."""
    house, leap = House(), Leaps(monkeypatch)
    story, gate = begun(house), asyncio.Event()
    await house.watch()
    house.gateway.plan(house.seen, gate)
    appending = asyncio.ensure_future(house.notifier.append(story.history, thought(story)))
    await leap(1.9)
    assert not appending.done()
    gate.set()
    await appending
    assert posted(house, house.seen) == ["agent_thinking"]
    assert not house.connections.rows[house.seen][1].lagging


async def test_a_hint_to_others_leaves_their_rows_right_when_its_time_is_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A gone one is removed and a slow one marked, though a third takes no hint."""
    house, leap = House(), Leaps(monkeypatch)
    for name in ("gone", "slow", "hanging", "good"):
        await house.watch(name)
    house.gateway.always("gone", ConnectionGone())
    house.gateway.always("slow", SLOW)
    house.gateway.always("hanging", asyncio.Event())
    frame = RunInput(run_id=RUN, thread_id=THREAD, turn=1, content="Hi.", timestamp=TIME)
    telling = asyncio.ensure_future(house.notifier.tell_others(USER, RUN, frame, but="me"))
    await leap(0.6)
    await leap(0.5)
    assert telling.done()
    await telling
    rows = {name: subscriber.lagging for name, (_user, subscriber) in house.connections.rows.items()}
    assert rows == {"slow": True, "hanging": True, "good": False}
    assert posted(house, "good") == ["run_input"]
    assert asyncio.all_tasks() == {asyncio.current_task()}
