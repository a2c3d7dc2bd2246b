"""Deltas: streamed text gathered to frames, the newest draft told from older ones, nobody waiting for them."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from agent_runner.deltas import Deltas
from playbyplay.errors import ConnectionGone, PostFailed
from playbyplay.protocol.base import MAX_EVENT_BYTES
from tests.fakes.faults import fail_before
from tests.histories import RUN, THREAD, Story, call
from tests.house import QUICK, House
from tests.unit.agent_runner.desk import until

NOW_AND_THEN = 0.002


def deltas(house: House, story: Story | None = None) -> Deltas:
    history = (story or Story().starts()).history
    return Deltas(history, house.notifier, replace(QUICK, delta_s=NOW_AND_THEN))


async def settle() -> None:
    """Let what waits be sent."""
    await asyncio.sleep(NOW_AND_THEN * 5)
    for _ in range(100):  # on a busy machine the timer of a frame has only just rung
        await asyncio.sleep(0)


async def frames(house: House) -> list[dict[str, Any]]:
    await settle()
    return house.gateway.frames(house.seen)


async def watched() -> House:
    house = House()
    await house.watch()
    return house


async def test_pieces_of_one_moment_are_one_frame() -> None:
    """Hundreds of tokens are not hundreds of frames."""
    house = await watched()
    stream = deltas(house)
    for piece in ("It ", "is ", "slow."):
        await stream.on_text(1, piece)
    assert house.gateway.frames(house.seen) == []
    (frame,) = await frames(house)
    draft = frame.pop("draft")
    assert frame == {"type": "response_delta", "run_id": RUN, "thread_id": THREAD, "index": 0, "text": "It is slow."}
    assert draft > 0
    await stream.close()


async def test_frames_are_numbered_and_add_up() -> None:
    """Indexes rise by one, the text is the model's."""
    house = await watched()
    stream = deltas(house)
    for piece in ("It ", "is ", "slow."):
        await stream.on_text(1, piece)
        await settle()
    sent = await frames(house)
    assert [(frame["index"], frame["text"]) for frame in sent] == [(0, "It "), (1, "is "), (2, "slow.")]
    assert len({frame["draft"] for frame in sent}) == 1
    await stream.close()


async def test_a_higher_attempt_starts_over() -> None:
    """A higher draft from index 0; what waited of the one before is not sent."""
    house = await watched()
    stream = deltas(house)
    await stream.on_text(1, "It was")
    await settle()
    await stream.on_text(1, " not")
    await stream.on_text(2, "It is")
    first, second = await frames(house)
    assert (first["text"], second["text"], second["index"]) == ("It was", "It is", 0)
    assert second["draft"] > first["draft"]
    await stream.close()


async def test_a_later_call_a_later_owner_and_a_later_attempt_have_a_higher_draft() -> None:
    """So that a page always knows which text is the newest, whatever comes late."""
    base = Story().starts()
    later_call = Story.again(base).asks(call(1)).returns("c1")
    later_owner = Story.again(base).taken_over()
    drafts: list[int] = []
    for story, attempt in ((base, 1), (base, 2), (base, 63), (later_call, 1), (later_call, 40), (later_owner, 1)):
        house = await watched()
        stream = deltas(house, Story.again(story))
        await stream.on_text(attempt, "x")
        drafts += [frame["draft"] for frame in await frames(house)]
        await stream.close()
    assert drafts == sorted(set(drafts))
    assert len(drafts) == 6
    assert drafts[-1] < 2**53


@pytest.mark.parametrize(
    "piece", ["x" * 100_000, "€" * 40_000, '"\\' * 20_000, "\n" * 50_000], ids=lambda piece: piece[:1]
)
async def test_a_long_piece_is_several_frames_that_fit(piece: str) -> None:
    """None above 24 KiB, and together they are the piece."""
    house = await watched()
    stream = deltas(house)
    await stream.on_text(1, piece)
    await settle()
    sent = await frames(house)
    assert "".join(frame["text"] for frame in sent) == piece
    assert [frame["index"] for frame in sent] == list(range(len(sent)))
    assert all(len(text.encode()) <= MAX_EVENT_BYTES for text in house.gateway.texts[house.seen])
    await stream.close()


async def test_hostile_text_is_clean_before_it_is_sent() -> None:
    """Controls and lone surrogates are replaced, and an empty piece is no frame."""
    house = await watched()
    stream = deltas(house)
    for piece in ("a\x00\ud800b", ""):
        await stream.on_text(1, piece)
    assert [frame["text"] for frame in await frames(house)] == ["a\ufffd\ufffdb"]
    await stream.on_text(1, "")
    assert len(await frames(house)) == 1
    await stream.close()


async def test_nothing_is_sent_after_the_end() -> None:
    """The event that supersedes the text follows at once."""
    house = await watched()
    stream = deltas(house)
    await stream.on_text(1, "It is")
    await stream.close()
    assert await frames(house) == []
    unused = deltas(house)
    await unused.close()


@pytest.mark.parametrize("before", ["", "It is"], ids=["silent", "talking"])
async def test_a_model_that_talks_on_after_the_end_is_not_heard(before: str) -> None:
    """A step that ignores its end cannot show text behind the terminal."""
    house = await watched()
    stream = deltas(house)
    if before:
        await stream.on_text(1, before)
    await stream.close()
    await stream.on_text(1, " late")
    assert await frames(house) == []


async def test_the_end_waits_for_the_frame_on_its_way() -> None:
    """So that no delta comes after the event that supersedes it."""
    house = await watched()
    gate = asyncio.Event()
    house.gateway.plan(house.seen, gate)
    stream = deltas(house)
    await stream.on_text(1, "It is")
    await settle()
    closing = asyncio.ensure_future(stream.close())
    await settle()
    assert not closing.done()
    gate.set()
    await closing
    assert [frame["text"] for frame in house.gateway.frames(house.seen)] == ["It is"]


async def test_a_slow_reader_gets_larger_frames_in_order() -> None:
    """While one frame is on its way the rest is gathered; the model is not held up."""
    house = await watched()
    gate = asyncio.Event()
    house.gateway.plan(house.seen, gate)
    stream = deltas(house)
    for number in range(5):
        await asyncio.wait_for(stream.on_text(1, f"{number}"), 0.1)
        await settle()
    assert house.faults.count("gateway.post") == 1
    gate.set()
    assert [(frame["index"], frame["text"]) for frame in await frames(house)] == [(0, "0"), (1, "1234")]
    await stream.close()


async def test_what_comes_during_a_post_waits_for_its_own_moment() -> None:
    """A post as slow as a token must not make every token a frame: each frame costs."""
    house = await watched()
    gate = asyncio.Event()
    house.gateway.plan(house.seen, gate)
    stream = Deltas(Story().starts().history, house.notifier, replace(QUICK, delta_s=0.2))
    await stream.on_text(1, "It ")
    await until(lambda: house.faults.count("gateway.post") == 1)
    await stream.on_text(1, "is")
    gate.set()
    for _ in range(20):
        await asyncio.sleep(0)
    assert house.faults.count("gateway.post") == 1
    await stream.close()


def _gone_and_not_removed(house: House) -> None:
    house.gateway.always(house.seen, ConnectionGone())
    house.faults.plan("connections.remove", fail_before())


TROUBLES: dict[str, Callable[[House], None]] = {
    "gone": lambda house: house.gateway.always(house.seen, ConnectionGone()),
    "slow": lambda house: house.gateway.plan(house.seen, PostFailed("slow"), PostFailed("slow")),
    "unreadable": lambda house: house.faults.plan("connections.subscribers", fail_before()),
    "gone and not removed": _gone_and_not_removed,
}


@pytest.mark.parametrize("trouble", TROUBLES.values(), ids=TROUBLES.keys())
async def test_no_trouble_with_a_connection_reaches_the_model(trouble: Callable[[House], None]) -> None:
    """Deltas are hints: whatever happens to them, the model goes on and is ended."""
    house = await watched()
    trouble(house)
    stream = deltas(house)
    await stream.on_text(1, "It ")
    await settle()
    await stream.on_text(1, "is")
    await stream.close()


async def test_what_is_still_gathered_behind_a_slow_post_is_not_sent_after_the_end() -> None:
    """The frame on its way gets through; the text gathered behind it would stand after the terminal."""
    house = await watched()
    stream = deltas(house)
    await stream.on_text(1, "x" * 20_000)
    stream._start_flush()
    closing = asyncio.ensure_future(stream.close())
    await closing
    assert len(await frames(house)) <= 1
