"""`answer`: the rest of a long answer, part by part, cut between characters."""

import pytest

from playbyplay.domain.ending import completed
from playbyplay.domain.thread import Run
from playbyplay.errors import Refused
from playbyplay.protocol.base import MAX_ANSWER_BYTES, MAX_EVENT_BYTES
from playbyplay.protocol.commands import Answer
from playbyplay.protocol.events import FinalResponse
from playbyplay.protocol.replies import AnswerPart
from tests.fakes.ids import uuid
from tests.histories import OTHER, Story, call
from tests.house import House

ANSWERS = {
    "short": "It is slow.",
    "ascii": "word " * 20_000,
    "euros": "€" * 40_000,
    "faces": "😀" * 30_000,
    "quotes": '"\\\n' * 20_000,
    "mixed": "aé€😀\n" * 10_000,
    "the longest": "x" * MAX_ANSWER_BYTES,
}


async def answered(house: House, text: str) -> Run:
    """Return a run that ended with an answer."""
    run = await house.say()
    story = Story().starts().answers(text)
    story.history.extend(story.history.record("token", completed(story.history, house.clock.now_ms())))
    for record in story.records[1:]:
        house.journal.put(run.user, run.run_id, record)
    return run


async def part(house: House, run: Run, offset: int) -> AnswerPart:
    return await house.answer(house.caller(), Answer(run_id=run.run_id, offset=offset))


@pytest.mark.parametrize("text", ANSWERS.values(), ids=ANSWERS.keys())
async def test_the_parts_of_an_answer_are_the_answer(text: str) -> None:
    """Each fits into a frame and begins where the one before ended; together they are every byte."""
    house = House()
    run = await answered(house, text)
    read, full_bytes = "", len(text.encode())
    while len(read.encode()) < full_bytes:
        one = await part(house, run, len(read.encode()))
        assert one.text
        assert one.full_bytes == full_bytes
        assert len(one.to_json().encode()) <= MAX_EVENT_BYTES
        read += one.text
    assert read == text


async def test_the_final_response_goes_on_with_its_parts() -> None:
    """Where the event was cut, the first part begins."""
    house = House()
    text = "aé€😀\n" * 10_000
    run = await answered(house, text)
    final = house.history(run).events[-1]
    assert isinstance(final, FinalResponse)
    offset = len(final.content.encode())
    assert text.encode()[offset:].startswith((await part(house, run, offset)).text.encode())


async def test_the_end_of_an_answer_is_an_empty_part() -> None:
    """Exactly at the end there is nothing more; beyond it is no place."""
    house = House()
    run = await answered(house, "€uro")
    assert await part(house, run, 6) == AnswerPart(run_id=run.run_id, offset=6, text="", full_bytes=6)
    for offset in (7, 2**53):
        with pytest.raises(Refused) as refused:
            await part(house, run, offset)
        assert (refused.value.code, refused.value.run_id) == ("bad_value", run.run_id)


@pytest.mark.parametrize("offset", [1, 2, 4, 5, 6])
async def test_an_offset_inside_a_character_is_a_bad_value(offset: int) -> None:
    """Offsets stand between characters."""
    house = House()
    run = await answered(house, "€😀")
    with pytest.raises(Refused) as refused:
        await part(house, run, offset)
    assert refused.value.code == "bad_value"


async def test_a_run_without_an_answer_is_not_found() -> None:
    """Queued, at work, failed, absent or another's: all alike."""
    house = House()
    queued, working, failed = [await house.say(text) for text in ("One.", "Two.", "Three.")]
    mine = await answered(house, "Secret.")
    stories = {
        working.run_id: Story().starts().answers("Not yet."),
        failed.run_id: Story().starts().asks(call(1)).returns("c1").fails(),
    }
    for run_id, story in stories.items():
        for record in story.records[1:]:
            house.journal.put("ann", run_id, record)
    cases = [(run_id, "ann") for run_id in (queued.run_id, working.run_id, failed.run_id, uuid(404))]
    cases.append((mine.run_id, OTHER))
    for run_id, user in cases:
        with pytest.raises(Refused) as refused:
            await house.answer(house.caller(user=user), Answer(run_id=run_id, offset=0))
        assert (refused.value.code, refused.value.message) == ("not_found", "There is no such answer.")
