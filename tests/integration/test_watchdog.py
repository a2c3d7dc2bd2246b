"""The watchdog on AWS: jobs that are lost, dead letters, and how far the runners are behind."""

from typing import Any

import pytest

from bench.canonical import PROMPT, TYPES
from playbyplay.adapters.aws import Answer, Params
from playbyplay.adapters.cloud import Cloud
from playbyplay.adapters.sqs_run_queue import job_body
from playbyplay.domain.connection import SESSION_S
from playbyplay.domain.timing import CLOUD
from playbyplay.ports import Acquired, Job, Limits
from playbyplay.settings import RunnerSettings
from tests.fakes.faults import Crash
from tests.fakes.ids import uuid
from tests.histories import MESSAGE, OTHER, USER
from tests.integration.cloud_house import CALLBACK, Client, CloudHouse
from tests.unit.playbyplay.adapters.recording_aws import RecordingAws, refusal

DONE: Answer = {"batchItemFailures": []}
LETTER = "letter"


class Mortal(RecordingAws):
    """The door of a process that dies, and does nothing more.

    Attributes:
        dies_at: the operation that it dies before.
        dead: whether it has.
    """

    def __init__(self, house: CloudHouse, dies_at: str = "") -> None:
        super().__init__(house.log, {"apigatewaymanagementapi": CALLBACK})
        self.dies_at = dies_at
        self.dead = False

    async def call(self, service: str, operation: str, params: Params) -> Answer:
        if self.dead or operation == self.dies_at:
            self.dead = True
            raise Crash
        return await super().call(service, operation, params)


async def accepted(me: Client, **fields: str) -> dict[str, Any]:
    """Send the canonical message."""
    return await me.send(type="agent_message", content=PROMPT, **fields)


async def lose_jobs(house: CloudHouse) -> int:
    """Take from the queue what it shows; return how much that was."""
    records = await house.received()
    for record in records:
        gone = {"QueueUrl": house.stored.queue_url, "ReceiptHandle": record["receiptHandle"]}
        await house.aws.call("sqs", "delete_message", gone)
    return len(records)


async def fall(house: CloudHouse, *, at_post_of: str = "", before: str = "") -> None:
    """Let a runner take the job and fall; the job is lost with it."""
    aws = Mortal(house, before)

    def hear(_connection_id: str, frame: dict[str, Any]) -> None:
        aws.dead |= frame["type"] == at_post_of

    house.gateway.on_post = hear
    (record,) = await house.received()
    try:
        with pytest.raises(Crash):
            await house.runner(aws=aws)({"Records": [record]})
    finally:
        house.gateway.on_post = None
        aws.close()
    gone = {"QueueUrl": house.stored.queue_url, "ReceiptHandle": record["receiptHandle"]}
    await house.aws.call("sqs", "delete_message", gone)


async def look(house: CloudHouse, *bodies: str) -> Answer:
    """Give the watchdog a batch of dead letters."""
    records = [
        {
            "messageId": f"{LETTER}{number}",
            "receiptHandle": "handle",
            "body": body,
            "attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": "1750000000000"},
            "eventSource": "aws:sqs",
        }
        for number, body in enumerate(bodies)
    ]
    return await house.watchdog()({"Records": records})


def events(client: Client) -> list[str]:
    """Return the types of the events a client got, in order."""
    return [frame["type"] for frame in client.frames() if "seq" in frame]


def findings(house: CloudHouse) -> list[object]:
    """Return what was found of dead letters."""
    return [fields["finding"] for fields in house.log.of("dead_letter")]


async def test_a_job_that_was_never_sent_is_sent_by_a_sweep(house: CloudHouse) -> None:
    """A minute after the accept, and not before; the run completes and is looked at no more."""
    me = await house.client("mine=", USER)
    house.aws.fail("send_message", *[refusal("ThrottlingException")] * 3)
    await accepted(me)
    assert await house.deliver() == 0
    house.clock.advance(CLOUD.first_check_s)
    assert (await house.sweep())["overdue"] == 0
    house.clock.advance(0.001)
    assert await house.sweep() == {"overdue": 1, "astray": 1, "findings": {"sent": 1}, "failed": 0, "closed": 0}
    assert await house.deliver() == 1
    assert events(me) == list(TYPES)
    house.clock.advance(CLOUD.queue_s)
    assert (await house.sweep())["overdue"] == 0


async def test_a_run_whose_owner_fell_and_whose_job_was_lost_is_finished(house: CloudHouse) -> None:
    """Half a minute after its lease; what was told is not told again, and each number comes once."""
    me = await house.client("mine=", USER)
    await accepted(me)
    await fall(house, at_post_of="tool_executing")
    house.clock.advance(CLOUD.lease_s + CLOUD.after_lease_s)
    assert (await house.sweep())["overdue"] == 0
    house.clock.advance(1)
    assert (await house.sweep())["findings"] == {"sent": 1}
    assert await house.deliver() == 1
    assert events(me) == list(TYPES)
    assert [frame["seq"] for frame in me.frames() if "seq" in frame] == list(range(1, 8))


async def test_a_run_that_is_at_work_is_left_alone(house: CloudHouse) -> None:
    """A dead letter of a run that somebody owns brings no second job."""
    me = await house.client("mine=", USER)
    run_id = (await accepted(me))["run_id"]
    await fall(house, at_post_of="tool_executing")
    assert await look(house, job_body(Job(USER, run_id))) == DONE
    assert findings(house) == ["held"]
    assert await house.received() == []


async def test_a_run_that_nobody_settled_is_settled(house: CloudHouse) -> None:
    """Its last event is told; the store learns of it from the journal, and no runner is asked for."""
    me = await house.client("mine=", USER)
    run_id = (await accepted(me))["run_id"]
    await fall(house, at_post_of="final_response")
    house.clock.advance(CLOUD.lease_s + CLOUD.after_lease_s + 1)
    assert (await house.sweep())["findings"] == {"settled": 1}
    assert await house.received() == []
    assert events(me) == list(TYPES)
    heads = (await me.send(type="ping", cursors={run_id: 0}))["heads"]
    assert heads == {run_id: {"last_seq": 7, "status": "completed"}}


async def test_a_turn_whose_predecessors_settler_fell_before_the_send_is_sent(house: CloudHouse) -> None:
    """A minute after the turn before it was settled, however far off its next look was by then."""
    me = await house.client("mine=", USER)
    first = await accepted(me)
    second = await accepted(me, thread_id=first["thread_id"])
    house.clock.advance(CLOUD.first_check_s * 10)
    assert (await house.sweep())["findings"] == {"sent": 1, "waits": 1}
    assert await lose_jobs(house) == 2
    await house.aws.call(
        "sqs",
        "send_message",
        {"QueueUrl": house.stored.queue_url, "MessageBody": job_body(Job(USER, first["run_id"]))},
    )
    await fall(house, before="send_message")
    assert [frame["run_id"] for frame in me.frames("final_response")] == [first["run_id"]]
    assert await house.received() == []
    house.clock.advance(CLOUD.first_check_s)
    assert (await house.sweep())["overdue"] == 0
    house.clock.advance(1)
    assert (await house.sweep())["findings"] == {"sent": 1}
    assert await house.deliver() == 1
    assert [frame["run_id"] for frame in me.frames("final_response")] == [first["run_id"], second["run_id"]]


async def test_a_dead_letter_of_a_finished_run_is_dropped(house: CloudHouse) -> None:
    """So is one of a run that does not exist: there is nothing to do."""
    me = await house.client("mine=", USER)
    run_id = (await accepted(me))["run_id"]
    await house.deliver()
    told = me.frames()
    assert await look(house, job_body(Job(USER, run_id)), job_body(Job(USER, uuid(404)))) == DONE
    assert findings(house) == ["over", "unknown"]
    assert await house.received() == []
    assert me.frames() == told


async def test_a_dead_letter_of_an_open_run_is_sent_again(house: CloudHouse) -> None:
    """It was no verdict: the run completes."""
    me = await house.client("mine=", USER)
    run_id = (await accepted(me))["run_id"]
    assert await lose_jobs(house) == 1
    assert await look(house, job_body(Job(USER, run_id))) == DONE
    assert findings(house) == ["sent"]
    assert await house.deliver() == 1
    assert events(me) == list(TYPES)


async def test_a_dead_letter_of_a_run_that_was_tried_too_often_ends_it(house: CloudHouse) -> None:
    """Its user hears that the open call came to nothing, then that the run did; the store and the queue agree."""
    me = await house.client("mine=", USER)
    run_id = (await accepted(me))["run_id"]
    await fall(house, at_post_of="tool_executing")
    stores = Cloud.of(RunnerSettings(**house.names), house.log, {"aws": house.aws, "clock": house.clock})
    for attempt in range(CLOUD.max_attempts * 2 - 1):  # twice, for the first got on
        house.clock.advance(CLOUD.lease_s + 1)
        now_ms = house.clock.now_ms()
        until_ms = now_ms + int(CLOUD.lease_s * 1000)
        taken = await stores.runs.acquire(USER, run_id, f"fell {attempt}", now_ms=now_ms, lease_until_ms=until_ms)
        assert isinstance(taken, Acquired)
    house.clock.advance(CLOUD.lease_s + 1)
    assert await look(house, job_body(Job(USER, run_id))) == DONE
    assert findings(house) == ["ended"]
    told = [frame for frame in me.frames() if "seq" in frame]
    assert [frame["type"] for frame in told] == [*TYPES[:3], "tool_completed", "error"]
    assert [frame["seq"] for frame in told] == [1, 2, 3, 4, 5]
    assert told[3]["call_id"] == told[2]["call_id"]
    assert told[3]["status"] == "cancelled"
    assert told[4]["code"] == "attempts_exhausted"
    heads = (await me.send(type="ping", cursors={run_id: 0}))["heads"]
    assert heads == {run_id: {"last_seq": 5, "status": "failed"}}
    assert await house.received() == []


async def test_a_poisoned_letter_is_dropped_and_told(house: CloudHouse) -> None:
    """Beside a good one, which is served; its body is told nowhere."""
    me = await house.client("mine=", USER)
    run_id = (await accepted(me))["run_id"]
    await lose_jobs(house)
    assert await look(house, '{"secret-word":', job_body(Job(USER, run_id))) == DONE
    assert house.log.of("dead_letter") == [{"finding": "malformed"}, {"run_id": run_id, "finding": "sent"}]
    assert "secret-word" not in repr(house.log.events)
    assert await house.deliver() == 1
    assert events(me) == list(TYPES)


async def test_a_letter_that_cannot_be_looked_at_comes_again(house: CloudHouse) -> None:
    """And only that one."""
    me = await house.client("mine=", USER)
    ids = [(await accepted(me))["run_id"] for _ in range(2)]
    await lose_jobs(house)
    house.aws.fail("get_item", *[refusal("ThrottlingException")] * 3)
    answer = await look(house, *(job_body(Job(USER, run_id)) for run_id in ids))
    assert answer == {"batchItemFailures": [{"itemIdentifier": f"{LETTER}0"}]}
    assert house.log.of("dead_letter") == [{"run_id": ids[1], "finding": "sent"}]
    assert await house.deliver() == 1


async def test_messages_are_refused_while_the_runners_are_ten_minutes_behind(house: CloudHouse) -> None:
    """By what the last sweep noted; what was accepted is known all the while, and all is well once they caught up."""
    me, serve = await house.client("mine=", USER), house.message()
    run_id = (await accepted(me, client_message_id=MESSAGE))["run_id"]
    for user in ("ben", "cleo"):
        await accepted(await house.client(f"{user}=", user))
    house.clock.advance(CLOUD.backlog_s + 1)
    await house.sweep()
    await me.send(serve, type="agent_message", content=PROMPT)  # of a new container the first one asks
    refused = await me.send(serve, type="agent_message", content=PROMPT)
    assert (refused["type"], refused["code"], refused["retryable"]) == ("message_rejected", "overloaded", True)
    again = await me.send(serve, type="agent_message", content=PROMPT, client_message_id=MESSAGE)
    assert (again["type"], again["run_id"], again["duplicate"]) == ("message_accepted", run_id, True)
    while await house.deliver():
        pass
    await house.sweep()
    house.clock.advance(CLOUD.sweep_s)
    await me.send(serve, type="agent_message", content=PROMPT)
    assert (await me.send(serve, type="agent_message", content=PROMPT))["type"] == "message_accepted"


async def test_one_users_backlog_refuses_nobody(house: CloudHouse) -> None:
    """Who has as many runs open as allowed is `rate_limited`; others are accepted, however long those wait."""
    greedy, ann = await house.client("greedy=", USER), await house.client("ann=", OTHER)
    for _ in range(Limits().open_runs):
        assert (await accepted(greedy))["type"] == "message_accepted"
    house.clock.advance(CLOUD.backlog_s + 1)
    await house.sweep()
    assert (await accepted(greedy))["code"] == "rate_limited"
    serve = house.message()
    for _ in range(3):  # the first one asks how far the runners are behind
        assert (await ann.send(serve, type="agent_message", content=PROMPT))["type"] == "message_accepted"


async def test_a_sweep_ends_connections_whose_session_is_over(house: CloudHouse) -> None:
    """They are closed and forgotten; those of others stay."""
    await house.client("old=", USER)
    house.clock.advance(SESSION_S - 1)
    await house.client("new=", USER)
    house.clock.advance(2)
    assert (await house.sweep())["closed"] == 1
    assert house.gateway.closed == ["old="]
    assert (await house.sweep())["closed"] == 0


async def test_a_sweep_that_cannot_see_fails_without_a_word(house: CloudHouse) -> None:
    """Lambda counts an error, and logs the type's name alone."""
    house.aws.fail("query", *[refusal("ThrottlingException")] * 3 * 24)  # of what comes first, too
    with pytest.raises(RuntimeError, match=r"^StoreUnavailable$") as crash:
        await house.sweep()
    assert crash.value.__suppress_context__
    assert house.log.of("watchdog_swept") == []
