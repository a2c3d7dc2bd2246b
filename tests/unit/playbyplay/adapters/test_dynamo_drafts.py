"""An accept as a transaction: what its user may still ask for, and what a cancelled one tells."""

from dataclasses import replace
from typing import Any

import pytest

from playbyplay.adapters.aws import ConditionFailed
from playbyplay.adapters.dynamo_drafts import CONFLICT, FAILED, UNTOUCHED, Draft, Expiry, Use
from playbyplay.adapters.dynamo_items import item, plain
from playbyplay.adapters.dynamo_run_items import Thread
from playbyplay.ports import Acceptance, Limits
from tests.contract.test_run_store import NOW, acceptance
from tests.fakes.ids import uuid
from tests.histories import MESSAGE

MINUTE = NOW // 60_000


def draft(wanted: Acceptance | None = None, thread: Thread | None = None, use: Use | None = None) -> Draft:
    return Draft(wanted or acceptance(message=MESSAGE), thread, use or Use(), Expiry(NOW // 1000))


def failed(**codes: str) -> ConditionFailed:
    """Return how a transaction was cancelled, by the names of its places."""
    places = [UNTOUCHED] * 6
    for name, code in codes.items():
        places[getattr(Draft, name)] = code
    return ConditionFailed([None] * 6, places)


def keys(operations: list[dict[str, Any]]) -> list[str]:
    """Return the sort key of each operation."""
    found = [(one["Put"]["Item"] if "Put" in one else one["Update"]["Key"])["sk"]["S"] for one in operations]
    return [sk.partition("#")[0] for sk in found]


@pytest.mark.parametrize("thread", [None, Thread(8, {7: uuid(7)}, 3)])
def test_the_places_are_those_of_the_operations(thread: Thread | None) -> None:
    """Also without a message id, whose operation is the last."""
    for message in (MESSAGE, None):
        operations = draft(acceptance(message=message, new_thread=thread is None), thread).operations("runs", "journal")
        names = dict(enumerate(keys(operations)))
        assert (names[Draft.THREAD], names[Draft.RUN], names[Draft.RATE]) == ("THREAD", "RUN", "RATE")
        assert names.get(Draft.MESSAGE) == ("MSG" if message else None)


def test_a_run_takes_the_next_turn_of_its_thread() -> None:
    """Behind the open ones; a new thread begins with turn 1."""
    assert (draft().run.turn, draft().position) == (1, 0)
    behind = draft(thread=Thread(8, {5: uuid(5), 7: uuid(7)}, 3))
    assert (behind.run.turn, behind.position) == (8, 2)


@pytest.mark.parametrize(
    ("use", "most"),
    [
        (Use(), 5),  # nobody was seen: all that this minute accepts may be open
        (Use(open_runs=3), 2),
        (Use(accepted=6, open_runs=0), 9),  # those six were counted, and have ended
        (Use(accepted=6, open_runs=4), 7),
        (Use(accepted=8, open_runs=1), 9),
    ],
)
def test_a_minute_leaves_room_for_what_the_count_may_have_missed(use: Use, most: int) -> None:
    """Up to the limit of messages; of open runs those that came after the count take a place each."""
    limits = Limits(open_runs=5, messages_per_minute=9)
    assert use.most(limits) == most
    update = draft(replace(acceptance(), limits=limits), use=use).operations("runs", "journal")[Draft.RATE]["Update"]
    assert update["Key"] == item({"pk": "U#ann", "sk": f"RATE#{MINUTE}"})
    assert update["ConditionExpression"] == "attribute_not_exists(#accepted) OR #accepted < :most"
    values = plain(update["ExpressionAttributeValues"])
    assert values == {":one": 1, ":most": most, ":expires": (MINUTE + 1) * 60 + 3600}


def test_a_run_or_a_message_that_is_there_was_made() -> None:
    """A thread that moved, a full minute or a conflict says nothing of that."""
    assert draft().was_made(failed(RUN=FAILED))
    assert draft().was_made(failed(MESSAGE=FAILED, RATE=FAILED))
    assert not draft().was_made(failed(THREAD=FAILED, RATE=FAILED))
    assert not draft().was_made(failed(RUN=CONFLICT, MESSAGE=CONFLICT))
    without = ConditionFailed([None] * 5, [UNTOUCHED] * 5)
    assert not draft(acceptance()).was_made(without)


def test_a_full_minute_is_told_unless_the_message_is_just_being_made() -> None:
    """Then the message may be the one that filled it."""
    assert draft().was_too_much(failed(RATE=FAILED))
    assert draft().was_too_much(failed(RATE=FAILED, THREAD=CONFLICT))
    assert not draft().was_too_much(failed(RATE=CONFLICT))
    for place in ("RUN", "MESSAGE"):
        assert not draft().was_too_much(failed(RATE=FAILED, **{place: CONFLICT}))


def test_how_many_were_accepted_is_taken_from_the_refusal() -> None:
    """It brings the count as it stands; one that brings none is no count."""
    told = failed(RATE=FAILED)
    assert draft().accepted(told) == 0
    told.items[Draft.RATE] = item({"accepted": 7})
    assert draft().accepted(told) == 7
