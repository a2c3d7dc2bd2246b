"""The message function on bad days: a store that hangs, a record it does not know, a thread that is too old."""

import asyncio
import json
import traceback
from typing import Any

import pytest

from bench.canonical import PROMPT
from playbyplay.adapters.aws import Answer, Params
from tests.fakes.leaps import Leaps
from tests.histories import MESSAGE, USER
from tests.integration.cloud_house import Client, CloudHouse

SECRET = "SECRET-TEXT"  # noqa: S105 - a word to look for
UNKNOWN = "0197f3a2-0000-7000-8000-000000000404"


@pytest.mark.parametrize(
    ("frame", "limit_s"),
    [
        ({"type": "agent_message", "content": PROMPT, "client_message_id": MESSAGE}, 5),
        ({"type": "ping"}, 5),
        ({"type": "answer", "run_id": UNKNOWN, "offset": 0}, 5),
        ({"type": "cancel", "run_id": UNKNOWN}, 5),
        ({"type": "resume", "run_id": UNKNOWN, "after_seq": 0}, 20),
    ],
    ids=lambda value: value["type"] if isinstance(value, dict) else "",
)
async def test_a_store_that_answers_nothing_is_overload_in_time(
    house: CloudHouse, frame: dict[str, Any], limit_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not when Lambda or API Gateway gives up: the client hears of it and asks again."""
    me = await house.client("mine=", USER)

    async def call(_service: str, _operation: str, _params: Params) -> Answer:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(house.aws, "call", call)
    leap = Leaps(monkeypatch)
    asking = asyncio.ensure_future(me.send(**frame))
    await leap(limit_s - 0.1)
    assert not asking.done()
    await leap(0.2)
    assert asking.done()
    reply = await asking
    assert (reply["type"], reply["code"], reply["retryable"]) == ("message_rejected", "overloaded", True)
    assert (reply.get("run_id"), reply.get("client_message_id")) == (
        frame.get("run_id"),
        frame.get("client_message_id"),
    )
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize("verb", [{"type": "resume", "after_seq": 0}, {"type": "answer", "offset": 0}], ids=str)
async def test_a_record_of_a_later_version_leaves_no_word_of_it(house: CloudHouse, verb: dict[str, Any]) -> None:
    """The frame fails as a bug of ours, by a type's name; neither log nor Lambda gets what the user said."""
    me = await house.client("mine=", USER)
    accepted = await me.send(type="agent_message", content=SECRET)
    key = {"pk": {"S": f"U#{USER}#RUN#{accepted['run_id']}"}, "sk": {"S": "0000000000"}}
    table = {"TableName": house.stored.journal}
    found = (await house.aws.call("dynamodb", "get_item", {**table, "Key": key}))["Item"]
    entries = json.loads(found["entries"]["S"])
    entries[0]["mood"] = "of a later version"
    found["entries"]["S"] = json.dumps(entries)
    await house.aws.call("dynamodb", "put_item", {**table, "Item": found})
    with pytest.raises(RuntimeError) as crash:
        await me.send(run_id=accepted["run_id"], **verb)
    shown = str(crash.value) + "".join(traceback.format_exception(crash.value)) + repr(house.log.events)
    assert str(crash.value) == "ValidationError"
    assert SECRET not in shown
    assert "later version" not in shown
    assert house.log.of("frame_crashed") == [{"connection_id": "mine=", "error": "ValidationError"}]


async def drop(house: CloudHouse, table: str, name: str) -> None:
    """Delete every item that names something, as time to live does."""
    items = (await house.aws.call("dynamodb", "scan", {"TableName": table}))["Items"]
    for one in items:
        if name in one["pk"]["S"] + one["sk"]["S"]:
            key = {"pk": one["pk"], "sk": one["sk"]}
            await house.aws.call("dynamodb", "delete_item", {"TableName": table, "Key": key})


async def conversation(house: CloudHouse, client: Client, turns: int) -> tuple[str, list[str]]:
    """Return a thread of so many ended turns, and their runs."""
    thread: dict[str, str] = {}
    runs = []
    for _ in range(turns):
        accepted = await client.send(type="agent_message", content=PROMPT, **thread)
        thread = {"thread_id": accepted["thread_id"]}
        runs.append(accepted["run_id"])
        await house.deliver()
    return thread["thread_id"], runs


async def test_a_thread_whose_first_turn_is_gone_says_so(house: CloudHouse) -> None:
    """After 37 days nothing is left of it, and a replay from the beginning is `expired`, not complete."""
    thread_id, runs = await conversation(house, await house.client("mine=", USER), 3)
    for name in (f"RUN#{runs[0]}", f"TURN#{thread_id}#0000000001"):
        await drop(house, house.stored.runs, name)
    await drop(house, house.stored.journal, runs[0])
    late = await house.client("late=", USER)
    refused = await late.send(type="resume", thread_id=thread_id, after={"turn": 0, "seq": 0})
    assert (refused["code"], refused["run_id"]) == ("expired", runs[1])
    assert late.frames() == []
    complete = await late.send(type="resume", thread_id=thread_id, after={"turn": 2, "seq": 0})
    assert complete["through"] == {"turn": 3, "seq": 7}
    assert sorted({frame["turn"] for frame in late.frames()}) == [2, 3]


async def test_a_thread_whose_middle_turn_is_gone_says_so(house: CloudHouse) -> None:
    """It is told up to the hole."""
    thread_id, runs = await conversation(house, await house.client("mine=", USER), 3)
    for name in (f"RUN#{runs[1]}", f"TURN#{thread_id}#0000000002"):
        await drop(house, house.stored.runs, name)
    late = await house.client("late=", USER)
    refused = await late.send(type="resume", thread_id=thread_id, after={"turn": 0, "seq": 0})
    assert (refused["code"], refused["run_id"]) == ("expired", runs[2])
    assert sorted({frame["turn"] for frame in late.frames()}) == [1]
