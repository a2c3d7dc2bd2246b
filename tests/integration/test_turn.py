"""A turn through all functions: from the ticket to the last event, and what may come between."""

import json

import pytest

from bench.canonical import PROMPT, TYPES
from playbyplay.errors import RunError
from tests.fakes.ids import uuid
from tests.fakes.model import FakeModel
from tests.histories import MESSAGE, OTHER, USER
from tests.integration.cloud_house import CloudHouse
from tests.unit.playbyplay.adapters.recording_aws import refusal

ME, OTHERS = "mine=", "theirs="


async def test_a_message_is_answered_by_seven_events_in_order(house: CloudHouse) -> None:
    """From the handshake to the settled run; every frame on the wire is the stored one."""
    me = await house.client(ME, USER)
    accepted = await me.send(type="agent_message", content=PROMPT, client_message_id=MESSAGE)
    assert accepted == {
        "type": "message_accepted",
        "client_message_id": MESSAGE,
        "run_id": accepted["run_id"],
        "thread_id": accepted["thread_id"],
        "turn": 1,
        "duplicate": False,
        "position": 0,
    }
    assert await house.deliver() == 1
    frames = me.frames()
    assert [frame["type"] for frame in frames if frame["type"] != "response_delta"] == list(TYPES)
    assert [frame["seq"] for frame in frames if "seq" in frame] == list(range(1, 8))
    heads = (await me.send(type="ping", cursors={accepted["run_id"]: 0}))["heads"]
    assert heads == {accepted["run_id"]: {"last_seq": 7, "status": "completed"}}
    assert await house.received() == []
    assert house.log.of("run_settled")[0]["status"] == "completed"
    assert house.log.of("aws_failed") == []


async def test_a_resend_is_a_duplicate_while_running_and_after(house: CloudHouse) -> None:
    """From another container and on another connection too; other content is a conflict."""
    me, again = await house.client(ME, USER), await house.client("again=", USER)
    frame = {"type": "agent_message", "content": PROMPT, "client_message_id": MESSAGE}
    first = await me.send(**frame)
    for client in (me, again):
        assert await client.send(**frame) == {**first, "duplicate": True}
    await house.deliver()
    assert await again.send(**frame) == {**first, "duplicate": True}
    assert (await me.send(**frame | {"content": "Another."}))["code"] == "conflict"
    assert len(me.frames("final_response")) == 1
    assert await house.received() == []


async def test_a_resume_replays_the_run(house: CloudHouse) -> None:
    """On a connection that was not there: the message, then every event, flagged; then the head."""
    accepted = await (await house.client(ME, USER)).send(type="agent_message", content=PROMPT)
    await house.deliver()
    late = await house.client("late=", USER)
    reply = await late.send(type="resume", run_id=accepted["run_id"], after_seq=0)
    assert [frame["type"] for frame in late.frames()] == ["run_input", *TYPES]
    assert all(frame["replay"] for frame in late.frames())
    assert (reply["type"], reply["last_seq"], reply["status"]) == ("replay_complete", 7, "completed")
    await late.send(type="resume", thread_id=accepted["thread_id"], after={"turn": 1, "seq": 5})
    assert [frame["seq"] for frame in late.frames()[8:]] == [6, 7]


async def test_a_run_nobody_owns_is_cancelled_at_once(house: CloudHouse) -> None:
    """By the function that took the cancel; its job, delivered later, finds nothing to do."""
    me = await house.client(ME, USER)
    accepted = await me.send(type="agent_message", content=PROMPT)
    assert (await me.send(type="cancel", run_id=accepted["run_id"]))["type"] == "cancel_accepted"
    assert [(frame["type"], frame["code"]) for frame in me.frames()] == [("error", "cancelled")]
    assert await house.deliver() == 1
    assert len(me.frames()) == 1
    assert house.log.of("job_dropped") == [{"run_id": accepted["run_id"], "reason": "closed"}]


async def test_the_next_turn_waits_and_is_sent_by_who_settles_the_one_before(house: CloudHouse) -> None:
    """One job at a time for a thread."""
    me = await house.client(ME, USER)
    first = await me.send(type="agent_message", content=PROMPT)
    second = await me.send(type="agent_message", content=PROMPT, thread_id=first["thread_id"])
    assert (second["turn"], second["position"]) == (2, 1)
    serve = house.runner()
    assert [await house.deliver(serve) for _ in range(3)] == [1, 1, 0]
    assert [frame["run_id"] for frame in me.frames("final_response")] == [first["run_id"], second["run_id"]]


async def test_the_users_other_connections_see_the_message_and_the_run(house: CloudHouse) -> None:
    """And another user's connection sees neither."""
    me, mine_too, theirs = [await house.client(name, user) for name, user in
                            ((ME, USER), ("mine too=", USER), (OTHERS, OTHER))]  # fmt: skip
    await me.send(type="agent_message", content=PROMPT)
    await house.deliver()
    live = [frame["type"] for frame in mine_too.frames() if frame["type"] != "response_delta"]
    assert live == ["run_input", *TYPES]
    assert me.frames("run_input") == []
    assert theirs.frames() == []


async def test_a_foreign_run_is_an_absent_one(house: CloudHouse) -> None:
    """For every command, to the letter, before and after its end."""
    mine = await (await house.client(ME, USER)).send(type="agent_message", content=PROMPT)
    them = await house.client(OTHERS, OTHER)
    for _ in range(2):
        for frame in (
            {"type": "cancel", "run_id": mine["run_id"]},
            {"type": "resume", "run_id": mine["run_id"], "after_seq": 0},
            {"type": "answer", "run_id": mine["run_id"], "offset": 0},
        ):
            foreign = await them.send(**frame)
            absent = await them.send(**frame | {"run_id": uuid(404)})
            assert foreign["code"] == "not_found"
            assert json.dumps(foreign).replace(mine["run_id"], "") == json.dumps(absent).replace(uuid(404), "")
        assert (await them.send(type="ping", cursors={mine["run_id"]: 0}))["heads"] == {}
        threads = {"type": "agent_message", "content": "Hi.", "thread_id": mine["thread_id"]}
        assert (await them.send(**threads))["code"] == "not_found"
        await house.deliver()
    assert them.frames() == []


async def test_a_job_that_is_delivered_again_does_nothing(house: CloudHouse) -> None:
    """The queue delivers at least once: after the end there is nothing to append, post or ask."""
    me = await house.client(ME, USER)
    await me.send(type="agent_message", content=PROMPT)
    records = await house.received()
    assert await house.runner()({"Records": records}) == {"batchItemFailures": []}
    before = me.frames()
    model = FakeModel()
    assert await house.runner(model=model)({"Records": records}) == {"batchItemFailures": []}
    assert model.requests == []
    assert me.frames() == before


async def test_a_job_delivered_twice_at_once_is_done_once(house: CloudHouse) -> None:
    """The second one finds the run held and comes again."""
    me = await house.client(ME, USER)
    await me.send(type="agent_message", content=PROMPT)
    (record,) = await house.received()
    twin = {**record, "messageId": "twin"}
    answer = await house.runner()({"Records": [record, twin]})
    assert len(answer["batchItemFailures"]) == 1
    assert [frame["seq"] for frame in me.frames() if "seq" in frame] == list(range(1, 8))


async def test_a_job_that_met_a_bug_comes_again_in_five_seconds(house: CloudHouse) -> None:
    """And is done then; so is one whose store was down."""
    me = await house.client(ME, USER)
    await me.send(type="agent_message", content=PROMPT)
    (record,) = await house.received()
    again = {"batchItemFailures": [{"itemIdentifier": record["messageId"]}]}
    serve = house.runner()
    house.aws.fail("update_item", ZeroDivisionError("a bug"))
    assert await serve({"Records": [record]}) == again
    house.aws.fail("update_item", *[refusal("ThrottlingException")] * 3)
    assert await serve({"Records": [record]}) == again
    hidden = [params["VisibilityTimeout"] for name, params in house.aws.calls if name == "change_message_visibility"]
    assert hidden == [45, 5, 45, 5]
    assert [fields["reason"] for fields in house.log.of("run_retried")] == ["ZeroDivisionError", "StoreUnavailable"]
    assert await serve({"Records": [record]}) == {"batchItemFailures": []}
    assert [frame["seq"] for frame in me.frames() if "seq" in frame] == list(range(1, 8))


async def test_a_malformed_body_is_dropped_beside_a_good_one(house: CloudHouse) -> None:
    """It is told by its reason and does not come again."""
    me = await house.client(ME, USER)
    sent = {"QueueUrl": house.stored.queue_url, "MessageBody": '{"run":"away"}'}
    await house.aws.call("sqs", "send_message", sent)
    await me.send(type="agent_message", content=PROMPT)
    assert await house.deliver() == 2
    assert house.log.of("job_dropped") == [{"reason": "malformed"}]
    assert len(me.frames("final_response")) == 1


@pytest.mark.parametrize(("user", "absent"), [(USER, True), (OTHER, False)], ids=["unknown run", "foreign user"])
async def test_a_job_of_no_run_of_its_user_is_dropped(house: CloudHouse, user: str, *, absent: bool) -> None:
    """It does not come again, and the run of that id goes on as if it had not been."""
    me = await house.client(ME, USER)
    mine = (await me.send(type="agent_message", content=PROMPT))["run_id"]
    body = json.dumps({"v": 1, "user": user, "run_id": uuid(404) if absent else mine})
    attributes = {"ApproximateReceiveCount": "1", "SentTimestamp": "1750000000000"}
    stray = {"messageId": "stray", "receiptHandle": "stray", "body": body, "attributes": attributes}
    assert await house.runner()({"Records": [stray]}) == {"batchItemFailures": []}
    assert [one["reason"] for one in house.log.of("job_dropped")] == ["unknown"]
    assert me.frames() == []
    await house.deliver()
    assert len(me.frames("final_response")) == 1


async def test_a_run_without_its_secret_ends_in_a_safe_sentence(house: CloudHouse) -> None:
    """The secret is not there any more: the user reads that the model is away, and of no secret."""
    me = await house.client(ME, USER)
    await me.send(type="agent_message", content=PROMPT)
    assert await house.deliver(house.runner(model_secret="the-key")) == 1  # noqa: S106 - a name
    (failed,) = me.frames("error")
    assert (failed["code"], failed["retryable"]) == ("model_unavailable", True)
    assert "the-key" not in json.dumps(me.frames())


async def test_a_model_that_refuses_ends_the_run(house: CloudHouse) -> None:
    """In one terminal; the job is done with."""
    me = await house.client(ME, USER)
    await me.send(type="agent_message", content=PROMPT)
    serve = house.runner(model=FakeModel(RunError("model_refused", "The model declined to answer this.")))
    assert await house.deliver(serve) == 1
    assert [frame["type"] for frame in me.frames()] == ["agent_started", "error"]
    assert await house.received() == []


async def test_a_run_that_nobody_took_is_seen_by_the_watchdog(house: CloudHouse) -> None:
    """Until it is settled."""
    me = await house.client(ME, USER)
    await me.send(type="agent_message", content=PROMPT)
    assert (await house.sweep())["overdue"] == 0
    house.clock.advance(61)
    assert (await house.sweep())["overdue"] == 1
    await house.deliver()
    house.clock.advance(600)
    assert (await house.sweep())["overdue"] == 0
    assert [fields["overdue"] for fields in house.log.of("watchdog_swept")] == [0, 1, 0]
