"""The auditor on AWS: silent while all goes well, and each absence found, by reads alone."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from bench.canonical import PROMPT, TYPES
from playbyplay.adapters.aws import Answer, Params
from playbyplay.adapters.tables import journal_key
from playbyplay.domain.timing import CLOUD
from tests.fakes.faults import Crash
from tests.histories import OTHER, USER
from tests.integration.cloud_house import CALLBACK, Client, CloudHouse
from tests.unit.playbyplay.adapters.recording_aws import RecordingAws, refusal

READS = {"get_item", "batch_get_item", "query"}


class ReadOnly(RecordingAws):
    """The door of a role that may read."""

    async def call(self, service: str, operation: str, params: Params) -> Answer:
        if (service, operation) not in {("dynamodb", one) for one in READS}:
            raise refusal("AccessDeniedException")
        return await super().call(service, operation, params)


@pytest.fixture
async def eyes(house: CloudHouse) -> AsyncIterator[ReadOnly]:
    aws = ReadOnly(house.log)
    yield aws
    aws.close()


async def accepted(me: Client, **fields: str) -> dict[str, Any]:
    """Send the canonical message."""
    reply = await me.send(type="agent_message", content=PROMPT, **fields)
    assert reply["type"] == "message_accepted"
    return reply


async def fall(house: CloudHouse, *, at_post_of: str) -> None:
    """Let a runner take the job and fall when it tells of an event; the job stays hidden."""
    aws = RecordingAws(house.log, {"apigatewaymanagementapi": CALLBACK})

    def hear(_connection_id: str, frame: dict[str, Any]) -> None:
        if frame["type"] == at_post_of:
            house.gateway.on_post = None
            raise Crash

    house.gateway.on_post = hear
    (record,) = await house.received()
    with pytest.raises(Crash):
        await house.runner(aws=aws)({"Records": [record]})
    aws.close()


async def missing(house: CloudHouse, eyes: ReadOnly) -> dict[str, int]:
    """Return what the auditor finds missing; it could read all there is."""
    answer = await house.audit(eyes)
    assert (answer["complete"], answer["unread"]) == (True, 0)
    counts: dict[str, int] = answer["missing"]
    return counts


async def test_a_turn_that_goes_well_lacks_nothing(house: CloudHouse, eyes: ReadOnly) -> None:
    """From its accept to long after its end, with a client that has all of it and says so."""
    me = await house.client("mine=", USER)
    run_id = (await accepted(me))["run_id"]
    assert await missing(house, eyes) == {}
    assert await house.deliver() == 1
    await me.send(type="ping", cursors={run_id: len(TYPES)})
    for _ in range(4):
        house.clock.advance(61)
        assert await missing(house, eyes) == {}
    audited = [fields["audited"] for fields in house.log.of("audit_swept")]
    assert audited == [1, 1, 1, 1, 0]  # open; ended, from half a minute after its end on; not for ever
    assert house.log.of("aws_failed") == []


async def test_a_message_that_nobody_begins_is_found(house: CloudHouse, eyes: ReadOnly) -> None:
    """Its job was lost; the turn behind it waits, and that is no absence."""
    me = await house.client("mine=", USER)
    first = await accepted(me)
    await accepted(me, thread_id=first["thread_id"])
    house.clock.advance(CLOUD.start_s)
    assert await missing(house, eyes) == {}
    house.clock.advance(1)
    assert await missing(house, eyes) == {"agent_started": 1}
    assert house.log.of("absence_found") == [
        {"run_id": first["run_id"], "absence": "agent_started", "waits_ms": 11_000, "rules": None}
    ]


async def test_a_second_turn_is_due_from_the_end_of_the_first(house: CloudHouse, eyes: ReadOnly) -> None:
    """It was accepted long before; its job is lost by now."""
    me = await house.client("mine=", USER)
    first = await accepted(me)
    await accepted(me, thread_id=first["thread_id"])
    house.clock.advance(100)
    assert await house.deliver() == 1
    assert await house.received() != []
    house.clock.advance(10)
    assert await missing(house, eyes) == {}
    house.clock.advance(1)
    assert await missing(house, eyes) == {"agent_started": 1}


async def test_a_runner_that_falls_inside_a_call_is_found_and_its_successor_puts_it_right(
    house: CloudHouse, eyes: ReadOnly
) -> None:
    """Its call lacks an end once the lease is over; the run too, when nobody goes on with it."""
    me = await house.client("mine=", USER)
    await accepted(me)
    await fall(house, at_post_of="tool_executing")
    house.clock.advance(CLOUD.lease_s + 2)
    assert await missing(house, eyes) == {}
    house.clock.advance(1)
    assert await missing(house, eyes) == {"tool_completed": 1}
    house.clock.advance(CLOUD.recovery_s)
    assert await missing(house, eyes) == {"tool_completed": 1, "terminal": 1}
    assert (await house.sweep())["findings"] == {"sent": 1}
    assert await house.deliver() == 1
    assert await missing(house, eyes) == {}


async def test_a_run_that_is_over_without_an_end_is_found(house: CloudHouse, eyes: ReadOnly) -> None:
    """The store says that it ended, and the record with its terminal is not there."""
    me = await house.client("mine=", USER)
    run_id = (await accepted(me))["run_id"]
    assert await house.deliver() == 1
    await forget(house, run_id, last=True)
    house.clock.advance(31)
    assert await missing(house, eyes) == {"terminal": 1}


async def test_a_journal_with_a_hole_is_found(house: CloudHouse, eyes: ReadOnly) -> None:
    """With the name of the rule, and neither id nor word of its user."""
    me = await house.client("mine=", USER)
    run_id = (await accepted(me))["run_id"]
    assert await house.deliver() == 1
    await forget(house, run_id, last=False)
    house.clock.advance(31)
    assert await missing(house, eyes) == {"journal": 1}
    (told,) = house.log.of("absence_found")
    assert "journal.no_hole" in str(told["rules"])


async def records(house: CloudHouse, run_id: str) -> list[dict[str, Any]]:
    """Return the items of a journal."""
    whose = {":pk": {"S": journal_key(USER, run_id)}}
    query = {"KeyConditionExpression": "pk = :pk", "ExpressionAttributeValues": whose}
    answer = await house.aws.call("dynamodb", "query", {"TableName": house.stored.journal, **query})
    items: list[dict[str, Any]] = answer["Items"]
    return items


async def forget(house: CloudHouse, run_id: str, *, last: bool) -> None:
    """Take a record out of a journal behind everybody's back: the last one, or the second."""
    gone = (await records(house, run_id))[-1 if last else 1]
    key = {name: gone[name] for name in ("pk", "sk")}
    await house.aws.call("dynamodb", "delete_item", {"TableName": house.stored.journal, "Key": key})


async def test_a_client_that_pings_and_lacks_events_is_found(house: CloudHouse, eyes: ReadOnly) -> None:
    """Until it has them and says so; another user's client is judged by that user's runs."""
    me, other = await house.client("mine=", USER), await house.client("others=", OTHER)
    run_id = (await accepted(me))["run_id"]
    assert await house.deliver() == 1
    house.clock.advance(31)
    await me.send(type="ping", cursors={run_id: 2})
    await other.send(type="ping", cursors={run_id: 2})
    assert await missing(house, eyes) == {"receipt": 1}
    await me.send(type="ping", cursors={run_id: len(TYPES)})
    assert await missing(house, eyes) == {}


async def test_a_user_who_left_an_open_run_is_found(house: CloudHouse, eyes: ReadOnly) -> None:
    """Ten seconds after the last connection went; one who comes back is there."""
    me = await house.client("mine=", USER)
    await accepted(me)
    await fall(house, at_post_of="agent_started")
    await me.disconnect(disconnectStatusCode=1001)
    house.clock.advance(CLOUD.away_s)
    assert await missing(house, eyes) == {}
    house.clock.advance(1)
    assert await missing(house, eyes) == {"user": 1}
    await house.client("again=", USER)
    assert await missing(house, eyes) == {}


async def test_a_run_that_cannot_be_read_is_told_to_be_unread(house: CloudHouse, eyes: ReadOnly) -> None:
    """The other is judged."""
    for name in (USER, OTHER):
        await accepted(await house.client(f"{name}=", name))
    house.clock.advance(11)
    eyes.fail("get_item", refusal("AccessDeniedException"))
    answer = await house.audit(eyes)
    assert (answer["audited"], answer["unread"], answer["missing"]) == (1, 1, {"agent_started": 1})


async def test_a_journal_of_a_later_version_is_found(house: CloudHouse, eyes: ReadOnly) -> None:
    """Nobody here gets on with it; not a word of it is told."""
    me = await house.client("mine=", USER)
    run_id = (await accepted(me))["run_id"]
    (first,) = await records(house, run_id)
    later = {**first, "entries": {"S": '[{"kind":"song","words":"SECRET"}]'}}
    await house.aws.call("dynamodb", "put_item", {"TableName": house.stored.journal, "Item": later})
    answer = await house.audit(eyes)
    assert (answer["audited"], answer["unread"], answer["missing"]) == (1, 0, {"journal": 1})
    assert "SECRET" not in str(house.log.events)
