"""Dispatch: a frame in, a reply out, and a refusal is a reply too."""

import asyncio
import json
from typing import Any

import pytest

from message.caller import Caller
from playbyplay.domain.connection import Session
from playbyplay.protocol.replies import (
    AnswerPart,
    CancelAccepted,
    MessageAccepted,
    MessageRejected,
    Pong,
    ReplayComplete,
    Reply,
)
from tests.fakes.faults import Fault, before, fail_before
from tests.fakes.ids import uuid
from tests.fakes.leaps import Leaps
from tests.histories import MESSAGE, OTHER, USER, Story
from tests.house import House

SECRET = "SECRET-TEXT"  # noqa: S105 - a word to look for


async def sent(house: House, frame: dict[str, Any] | str | bytes, *, user: str = USER) -> Reply:
    text = json.dumps(frame) if isinstance(frame, dict) else frame
    return await house.dispatch(house.caller("dispatching=", user), text)


async def test_every_command_is_answered_by_its_verb() -> None:
    """A whole conversation, frame by frame; each answer is counted."""
    house = House()
    accepted = await sent(house, {"type": "agent_message", "content": "Hi.", "client_message_id": MESSAGE})
    assert isinstance(accepted, MessageAccepted)
    run_id = accepted.run_id
    assert isinstance(await sent(house, {"type": "ping", "cursors": {run_id: 0}}), Pong)
    assert isinstance(await sent(house, {"type": "resume", "run_id": run_id, "after_seq": 0}), ReplayComplete)
    for record in Story().starts().answers("Yes.").completes("Yes.").records[1:]:
        house.journal.put(USER, run_id, record)
    assert isinstance(await sent(house, {"type": "answer", "run_id": run_id, "offset": 1}), AnswerPart)
    assert isinstance(await sent(house, {"type": "cancel", "run_id": run_id}), CancelAccepted)
    thread = {"type": "resume", "thread_id": accepted.thread_id, "after": {"turn": 0, "seq": 0}}
    assert isinstance(await sent(house, thread), ReplayComplete)
    assert house.log.of("frame_rejected") == []
    answered = ["agent_message", "ping", "resume", "answer", "cancel", "resume"]
    assert [fields["type"] for fields in house.log.of("frame_answered")] == answered


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ("", "bad_json"),
        (b"\xff", "bad_encoding"),
        ('{"type":"agent_started"}', "unknown_type"),
        ({"type": "agent_message", "content": "Hi.", "user": "bob"}, "unknown_field"),
        ({"type": "agent_message", "content": "Hi.", "thread_id": uuid(404)}, "not_found"),
        ({"type": "cancel", "run_id": uuid(404)}, "not_found"),
        ({"type": "answer", "run_id": uuid(404), "offset": 0}, "not_found"),
        ({"type": "resume", "run_id": uuid(404), "after_seq": 0}, "not_found"),
    ],
)
async def test_a_refusal_is_a_reply(frame: dict[str, Any] | str | bytes, code: str) -> None:
    """With its code; nothing is stored, and the log knows the connection and the code alone."""
    house = House()
    reply = await sent(house, frame)
    assert isinstance(reply, MessageRejected)
    assert reply.code == code
    assert house.runs.runs == {}
    assert house.queue.sent == []
    assert house.log.events == [("frame_rejected", {"connection_id": "dispatching=", "code": code})]


async def test_a_refusal_is_no_answer_to_count() -> None:
    """Neither for the session or the quota, nor for a store that is away; a bug of ours is none at all."""
    house = House()
    house.quota.waits = {"cancel": 1.5}
    await house.dispatch(Caller("dispatching=", Session(USER, 0)), '{"type":"ping"}')
    await sent(house, {"type": "cancel", "run_id": uuid(1)})
    house.faults.plan("connections.add", fail_before(), before(ZeroDivisionError("a bug")))
    assert isinstance(await sent(house, {"type": "ping"}), MessageRejected)
    with pytest.raises(ZeroDivisionError):
        await sent(house, {"type": "ping"})
    assert house.log.names == ["frame_rejected"] * 3


async def test_the_next_frame_after_a_refusal_is_served() -> None:
    """A refusal changes nothing."""
    house = House()
    await sent(house, "nonsense")
    assert isinstance(await sent(house, {"type": "agent_message", "content": "Hi."}), MessageAccepted)


@pytest.mark.parametrize(
    "frame",
    [
        {"type": "agent_message", "content": SECRET, "client_message_id": "x"},
        {"type": "cancel", "run_id": SECRET},
        {"type": SECRET},
        {"type": "ping", SECRET: 1},
        SECRET,
    ],
)
async def test_a_refusal_echoes_nothing(frame: dict[str, Any] | str) -> None:
    """Neither to the client nor to the log."""
    house = House()
    reply = await sent(house, frame)
    assert isinstance(reply, MessageRejected)
    assert SECRET not in reply.to_json()
    assert SECRET not in repr(house.log.events)


async def test_the_user_is_the_sessions() -> None:
    """The same frame of two users is two different things."""
    house = House()
    accepted = await sent(house, {"type": "agent_message", "content": "Hi.", "client_message_id": MESSAGE})
    assert isinstance(accepted, MessageAccepted)
    theirs = await sent(house, {"type": "cancel", "run_id": accepted.run_id}, user=OTHER)
    absent = await sent(house, {"type": "cancel", "run_id": uuid(404)}, user=OTHER)
    assert isinstance(theirs, MessageRejected)
    assert theirs.to_json().replace(accepted.run_id, "") == absent.to_json().replace(uuid(404), "")


@pytest.mark.parametrize(("left_ms", "served"), [(1, True), (0, False), (-1, False)])
async def test_a_session_that_is_over_is_served_no_more(left_ms: int, served: bool) -> None:  # noqa: FBT001
    """From its last millisecond on every frame is `expired`, and has no effect."""
    house = House()
    caller = Caller("dispatching=", Session(USER, house.clock.now_ms() + left_ms))
    for frame in ('{"type":"agent_message","content":"Hi."}', '{"type":"ping"}'):
        reply = await house.dispatch(caller, frame)
        assert isinstance(reply, MessageRejected) != served
        if isinstance(reply, MessageRejected):
            assert (reply.code, reply.retryable) == ("expired", False)
    assert bool(house.runs.runs) == served
    assert bool(house.connections.rows) == served


async def test_a_command_beyond_the_quota_is_told_how_long_to_wait() -> None:
    """It has no effect and names what it was; commands of another type are served."""
    house = House()
    house.quota.waits = {"agent_message": 1.5}
    reply = await sent(house, {"type": "agent_message", "content": "Hi.", "client_message_id": MESSAGE})
    assert isinstance(reply, MessageRejected)
    assert (reply.code, reply.retryable, reply.client_message_id) == ("rate_limited", True, MESSAGE)
    assert (reply.retry_after_ms or 0) >= 1_500
    assert house.runs.runs == {}
    assert isinstance(await sent(house, {"type": "ping"}), Pong)
    assert house.quota.asked == [(USER, "dispatching=", "agent_message"), (USER, "dispatching=", "ping")]


async def test_what_is_no_command_is_no_part_of_the_quota() -> None:
    """A refused frame is a violation, which is counted elsewhere; so is a frame of a session that is over."""
    house = House()
    await sent(house, "nonsense")
    await house.dispatch(Caller("dispatching=", Session(USER, 0)), '{"type":"ping"}')
    assert house.quota.asked == []


async def test_a_frame_is_read_before_the_session_is_checked() -> None:
    """A frame that is none is told so, on any session."""
    house = House()
    reply = await house.dispatch(Caller("dispatching=", Session(USER, 0)), "nonsense")
    assert isinstance(reply, MessageRejected)
    assert reply.code == "bad_json"


async def test_a_refusal_for_the_session_names_the_message() -> None:
    """So that the client knows which to send again; it names no run, whose events are kept all the same."""
    house = House()
    caller = Caller("dispatching=", Session(USER, 0))
    reply = await house.dispatch(
        caller, json.dumps({"type": "agent_message", "content": "Hi.", "client_message_id": MESSAGE})
    )
    assert isinstance(reply, MessageRejected)
    assert reply.client_message_id == MESSAGE
    reply = await house.dispatch(caller, json.dumps({"type": "resume", "run_id": uuid(1), "after_seq": 0}))
    assert isinstance(reply, MessageRejected)
    assert reply.run_id is None


async def test_a_store_that_does_not_answer_is_overload_and_names_the_frame() -> None:
    """Whatever was asked: the client is told what to ask again, and nothing is logged as a crash."""
    house = House()
    accepted = await sent(house, {"type": "agent_message", "content": "Hi."})
    assert isinstance(accepted, MessageAccepted)
    for frame in (
        {"type": "resume", "run_id": accepted.run_id, "after_seq": 0},
        {"type": "answer", "run_id": accepted.run_id, "offset": 0},
    ):
        house.faults.plan("journal.read", fail_before())
        reply = await sent(house, frame)
        assert isinstance(reply, MessageRejected)
        assert (reply.code, reply.retryable, reply.run_id) == ("overloaded", True, accepted.run_id)


LIMITS = {
    "ping": ({"type": "ping"}, "connections.add", 5.0),
    "answer": ({"type": "answer", "offset": 0}, "journal.read", 5.0),
    "cancel": ({"type": "cancel"}, "runs.request_cancel", 5.0),
    "agent_message": ({"type": "agent_message", "content": "Hi.", "client_message_id": MESSAGE}, "runs.accept", 5.0),
    "resume": ({"type": "resume", "after_seq": 0}, "journal.read", 20.0),
}


@pytest.mark.parametrize(("frame", "operation", "limit_s"), LIMITS.values(), ids=LIMITS.keys())
async def test_a_store_that_hangs_is_overload_in_time(
    frame: dict[str, Any], operation: str, limit_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not sooner, and well before the function's own end; the refusal names the frame and when to ask again."""
    house, leap = House(), Leaps(monkeypatch)
    run = await house.say()
    if "client_message_id" not in frame and frame["type"] != "ping":
        frame = {**frame, "run_id": run.run_id}
    house.faults.plan(operation, Fault("before", gate=asyncio.Event()))
    asking = asyncio.ensure_future(sent(house, frame))
    await leap(limit_s - 0.1)
    assert not asking.done()
    await leap(0.2)
    assert asking.done()
    reply = await asking
    assert isinstance(reply, MessageRejected)
    assert (reply.code, reply.retryable, reply.retry_after_ms) == ("overloaded", True, 1000)
    assert (reply.run_id, reply.client_message_id) == (frame.get("run_id"), frame.get("client_message_id"))
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_what_follows_a_commit_is_not_cut_off_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The store's time is over when the queue answers: the run is sent, and the message accepted."""
    house, leap = House(), Leaps(monkeypatch)
    commit, send = asyncio.Event(), asyncio.Event()
    house.faults.plan("runs.accept", Fault("after", gate=commit))
    house.faults.plan("queue.send", Fault("before", gate=send))
    asking = asyncio.ensure_future(sent(house, {"type": "agent_message", "content": "Hi."}))
    await leap(4.9)
    commit.set()
    await leap(0.2)
    send.set()
    assert isinstance(await asking, MessageAccepted)
    assert [job.run_id for job in house.queue.sent] == [run_id for _user, run_id in house.runs.runs]


async def test_a_cancelled_run_is_settled_though_a_connection_is_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits behind it starts: a bad connection holds back nobody's next turn."""
    house, leap = House(), Leaps(monkeypatch)
    run = await house.say()
    after_it = await house.say(thread_id=run.thread_id)
    await house.watch()
    gate = asyncio.Event()
    house.gateway.plan(house.seen, gate)
    asking = asyncio.ensure_future(sent(house, {"type": "cancel", "run_id": run.run_id}))
    await leap(6)
    gate.set()
    assert isinstance(await asking, CancelAccepted)
    assert house.queue.sent[-1].run_id == after_it.run_id
