"""`agent_message`: one message one run, told only when it is durable, sent only when it is its turn."""

import asyncio
from collections.abc import Callable
from typing import Literal

import pytest

from playbyplay.domain.thread import digest
from playbyplay.domain.timing import CLOUD
from playbyplay.errors import ConnectionGone, PlaybyplayError, PostFailed, Refused, StoreRefused, StoreUnavailable
from playbyplay.ports import Job, Limits
from playbyplay.protocol.replies import MessageAccepted
from tests.fakes.faults import Fault, Faults, before, fail_after, fail_before, lost
from tests.fakes.ids import uuid
from tests.fakes.leaps import Leaps
from tests.histories import MESSAGE, OTHER, USER
from tests.house import QUICK, House


async def refused(
    house: House, content: str = "Hi.", *, thread_id: str | None = None, message: str = MESSAGE
) -> Refused:
    with pytest.raises(Refused) as refusal:
        await house.send(content, thread_id=thread_id, message=message)
    return refusal.value


async def test_a_message_becomes_a_run() -> None:
    """The reply names it; the store, the journal and the queue hold it."""
    house = House()
    reply = await house.send("Why?", message=MESSAGE)
    run = house.run(reply.run_id)
    assert reply == MessageAccepted(
        client_message_id=MESSAGE, run_id=run.run_id, thread_id=run.thread_id, turn=1, duplicate=False, position=0
    )
    assert (run.status, run.content_digest, run.created_ms) == ("queued", digest("Why?"), house.clock.now_ms())
    assert run.deadline_ms == run.created_ms + 7_200_000
    assert house.history(run).input.content == "Why?"
    assert house.history(run).input.client_message_id == MESSAGE
    assert house.queue.sent == [Job(USER, run.run_id)]
    assert house.log.of("message_accepted") == [
        {"run_id": run.run_id, "duplicate": False, "position": 0, "elapsed_ms": 0, "resent": None}
    ]


async def test_a_message_with_only_content_gets_ids_of_the_server() -> None:
    """And the reply does not invent a client_message_id; sent again it is another message."""
    house = House()
    one, two = await house.send("Why?"), await house.send("Why?")
    assert one.client_message_id is None
    assert "client_message_id" not in one.to_json()
    assert len({one.run_id, two.run_id, one.thread_id, two.thread_id}) == 4


async def test_the_run_is_durable_before_anything_else_happens() -> None:
    """First the accept, alone; then the queue, how far it is behind, and the user's other connections."""
    house = House()
    await house.watch()
    house.faults.calls.clear()
    gate = asyncio.Event()
    house.faults.plan("runs.accept", Fault("after", gate=gate))
    sending = asyncio.ensure_future(house.send("Why?", message=MESSAGE))
    await asyncio.sleep(0.005)
    assert house.faults.calls == ["runs.accept"]
    gate.set()
    await sending
    assert house.faults.calls[0] == "runs.accept"
    after = ["backlog.refresh", "connections.subscribers", "gateway.post", "queue.send"]
    assert sorted(house.faults.calls[1:]) == after


@pytest.mark.parametrize("slow", ["queue.send", "backlog.refresh", "connections.subscribers", "gateway.post"])
async def test_the_queue_and_the_other_connections_do_not_wait_for_each_other(slow: str) -> None:
    """Either may take its time; the reply comes when both are done, as a function sleeps once it has replied."""
    house = House()
    await house.watch()
    gate = asyncio.Event()
    house.faults.plan(slow, Fault("before", gate=gate))
    sending = asyncio.ensure_future(house.send("Why?", message=MESSAGE))
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(house.queue.sent) == (0 if slow == "queue.send" else 1)
    assert len(house.gateway.frames(house.seen, "run_input")) == (1 if slow in ("queue.send", "backlog.refresh") else 0)
    assert not sending.done()
    gate.set()
    reply = await sending
    assert house.queue.sent == [Job(USER, reply.run_id)]
    assert len(house.gateway.frames(house.seen, "run_input")) == 1


async def test_the_log_tells_how_long_the_commit_took() -> None:
    """From the message's frame, for a repeat too; what follows the commit does not count."""
    house = House()
    for duplicate in (False, True):
        commit, sent = asyncio.Event(), asyncio.Event()
        house.faults.plan("runs.accept", Fault("after", gate=commit))
        house.faults.plan("queue.send", Fault("before", gate=sent))
        sending = asyncio.ensure_future(house.send("Why?", message=MESSAGE))
        for gate, seconds in ((commit, 0.3), (sent, 9)):
            for _ in range(20):
                await asyncio.sleep(0)
            house.clock.advance(seconds)
            gate.set()
        reply = await sending
        assert house.log.of("message_accepted")[-1] == {
            "run_id": reply.run_id,
            "duplicate": duplicate,
            "position": 0,
            "elapsed_ms": 300,
            "resent": None,
        }


async def test_a_refused_message_is_not_told_as_accepted() -> None:
    """Whether the store refused it or did not answer."""
    house = House()
    await refused(house, thread_id=uuid(404))
    house.faults.plan("runs.accept", *[fail_before() for _ in range(20)])
    await refused(house)
    assert house.log.events == []


async def test_a_repeat_gets_the_same_ids() -> None:
    """While the run is open and after it; nothing is written and nobody is told again."""
    house = House()
    await house.watch()
    first = await house.send("Why?", message=MESSAGE)
    again = await house.send("Why?", message=MESSAGE)
    assert again == first.model_copy(update={"duplicate": True})
    await house.runs.settle(house.run(first.run_id), "completed")
    house.queue.sent.clear()
    assert await house.send("Why?", message=MESSAGE) == again
    assert house.queue.sent == []
    assert len(house.runs.runs) == 1
    assert len(house.gateway.frames(house.seen, "run_input")) == 1


async def test_a_repeat_may_name_its_thread() -> None:
    """A client that learned the thread from the first reply sends the same message with it."""
    house = House()
    first = await house.send("Why?", message=MESSAGE)
    again = await house.send("Why?", message=MESSAGE, thread_id=first.thread_id)
    assert again.duplicate
    assert again.run_id == first.run_id


async def test_a_repeat_sends_a_job_that_may_have_been_lost() -> None:
    """A crash between the accept and the queue is healed by the client's own resend."""
    house = House()
    first = await house.send("Why?", message=MESSAGE)
    house.queue.sent.clear()
    await house.send("Why?", message=MESSAGE)
    assert house.queue.sent == [Job(USER, first.run_id)]


@pytest.mark.parametrize("different", ["content", "thread"])
async def test_another_message_under_the_same_id_is_a_conflict(different: str) -> None:
    """Nothing changes, and the refusal names the id."""
    house = House()
    first = await house.send("Why?", message=MESSAGE)
    other = await house.send("Hello.")
    before_it = dict(house.runs.runs)
    refusal = await refused(
        house,
        "What?" if different == "content" else "Why?",
        thread_id=other.thread_id if different == "thread" else None,
    )
    assert (refusal.code, refusal.client_message_id, refusal.retryable) == ("conflict", MESSAGE, False)
    assert house.runs.runs == before_it
    assert house.history(house.run(first.run_id)).input.content == "Why?"


async def test_a_message_of_a_thread_is_its_next_turn() -> None:
    """It waits behind the open turns, and only the first of them was sent to the queue."""
    house = House()
    first = await house.send("One.")
    second = await house.send("Two.", thread_id=first.thread_id)
    third = await house.send("Three.", thread_id=first.thread_id)
    assert [(one.turn, one.position) for one in (first, second, third)] == [(1, 0), (2, 1), (3, 2)]
    assert house.queue.sent == [Job(USER, first.run_id)]


async def test_a_turn_without_open_ones_before_it_is_sent() -> None:
    """A later message of a quiet thread starts at once."""
    house = House()
    first = await house.send("One.")
    await house.runs.settle(house.run(first.run_id), "completed")
    second = await house.send("Two.", thread_id=first.thread_id)
    assert (second.turn, second.position) == (2, 0)
    assert house.queue.sent[-1] == Job(USER, second.run_id)


@pytest.mark.parametrize("kind", ["absent", "foreign"])
async def test_a_thread_of_nobody_or_somebody_else_is_not_found(kind: str) -> None:
    """In the same words; the id of the message is named and not burnt."""
    house = House()
    theirs = await house.send("Mine.", user=OTHER)
    refusal = await refused(house, thread_id=theirs.thread_id if kind == "foreign" else uuid(404))
    assert (refusal.code, refusal.message, refusal.client_message_id) == (
        "not_found",
        "There is no such thread.",
        MESSAGE,
    )
    assert not (await house.send("Hi.", message=MESSAGE)).duplicate


async def test_one_id_of_two_users_is_two_messages() -> None:
    """They know nothing of each other."""
    house = House()
    mine = await house.send("Why?", message=MESSAGE)
    theirs = await house.send("What?", message=MESSAGE, user=OTHER)
    assert not theirs.duplicate
    assert mine.run_id != theirs.run_id
    assert mine.thread_id != theirs.thread_id


async def test_concurrent_sends_of_one_message_make_one_run() -> None:
    """A client that sends on two sockets at once gets one run twice."""
    house = House()
    replies = await asyncio.gather(*(house.send("Why?", message=MESSAGE) for _ in range(10)))
    assert len({reply.run_id for reply in replies}) == 1
    assert sorted(reply.duplicate for reply in replies) == [False] + [True] * 9
    assert len(house.runs.runs) == 1


async def test_the_users_other_connections_see_the_message() -> None:
    """As `run_input`, the one it came from and other users excepted."""
    house = House()
    for name in ("sending=", "other="):
        await house.watch(name)
    await house.watch("theirs=", OTHER)
    reply = await house.send("Why?", message=MESSAGE)
    assert house.gateway.frames("other=") == [
        {
            "type": "run_input",
            "run_id": reply.run_id,
            "thread_id": reply.thread_id,
            "turn": 1,
            "content": "Why?",
            "timestamp": house.history(house.run(reply.run_id)).input.timestamp,
        }
    ]
    assert house.gateway.frames("sending=") == house.gateway.frames("theirs=") == []


AMBIGUOUS: dict[str, Callable[[], Fault]] = {"written": fail_after, "not written": lost, "unavailable": fail_before}


@pytest.mark.parametrize("message", [MESSAGE, None], ids=["with an id", "without"])
@pytest.mark.parametrize("fault", AMBIGUOUS.values(), ids=AMBIGUOUS.keys())
async def test_an_unknown_outcome_is_read_back(fault: Callable[[], Fault], message: str | None) -> None:
    """Written or not, the client gets one run, which is no duplicate; it is sent, and there is no second."""
    house = House()
    house.faults.plan("runs.accept", fault())
    reply = await house.send("Why?", message=message)
    assert not reply.duplicate
    assert (reply.turn, reply.position) == (1, 0)
    assert list(house.runs.runs) == [(USER, reply.run_id)]
    assert house.queue.sent == [Job(USER, reply.run_id)]
    assert house.faults.count("runs.turns") == 0  # there is none before it: no store need be asked for no turns


async def test_an_unknown_outcome_behind_an_earlier_send_is_a_duplicate() -> None:
    """Reading back finds the run that the first send made."""
    house = House()
    first = await house.send("Why?", message=MESSAGE)
    house.faults.plan("runs.accept", lost())
    again = await house.send("Why?", message=MESSAGE)
    assert (again.run_id, again.duplicate) == (first.run_id, True)


async def test_an_unknown_outcome_behind_another_message_is_a_conflict() -> None:
    """Reading back checks the content as well."""
    house = House()
    await house.send("Why?", message=MESSAGE)
    house.faults.plan("runs.accept", lost())
    assert (await refused(house, "What?")).code == "conflict"


async def test_a_position_that_was_read_back_counts_open_turns_only() -> None:
    """As it would have been told without the doubt: a cancelled turn in between is not ahead."""
    house = House()
    first = await house.send("One.")
    second = await house.send("Two.", thread_id=first.thread_id)
    await house.runs.settle(house.run(second.run_id), "cancelled")
    house.faults.plan("runs.accept", fail_after())
    third = await house.send("Three.", thread_id=first.thread_id)
    assert (third.turn, third.position) == (3, 1)


@pytest.mark.parametrize("fault", [fail_before, lost], ids=["unavailable", "unknown"])
async def test_a_store_that_stays_away_is_overload(fault: Callable[[], Fault]) -> None:
    """After a few tries the message is refused, to be sent again; nothing was written or sent."""
    house = House()
    house.faults.plan("runs.accept", *[fault() for _ in range(20)])
    refusal = await refused(house)
    assert (refusal.code, refusal.client_message_id, refusal.retryable) == ("overloaded", MESSAGE, True)
    assert (refusal.retry_after_ms or 0) > 0
    assert house.runs.runs == {}
    assert house.queue.sent == []
    assert 1 < house.faults.count("runs.accept") < 20


async def test_an_overload_that_was_written_is_healed_by_the_resend() -> None:
    """Neither the write nor the reading back was confirmed: the client sends again and gets that run."""
    house = House()
    house.faults.plan("runs.accept", fail_after(), *[fail_before() for _ in range(20)])
    for operation in ("runs.get", "runs.find"):
        house.faults.plan(operation, *[fail_before() for _ in range(20)])
    assert (await refused(house)).code == "overloaded"
    house.runs.faults = Faults()
    again = await house.send("Hi.", message=MESSAGE)
    assert again.duplicate
    assert list(house.runs.runs) == [(USER, again.run_id)]


@pytest.mark.parametrize("error", [StoreUnavailable("down"), StoreRefused("a bug of ours")])
async def test_a_queue_that_fails_does_not_take_the_acceptance_back(error: Exception) -> None:
    """The run is durable: the client is told so, its other devices too, and a later look at the open runs sends it."""
    house = House()
    await house.watch()
    house.faults.plan("queue.send", before(error))
    reply = await house.send("Why?", message=MESSAGE)
    assert house.run(reply.run_id).status == "queued"
    assert [frame["run_id"] for frame in house.gateway.frames(house.seen, "run_input")] == [reply.run_id]
    assert house.log.of("run_retried") == [{"run_id": reply.run_id, "reason": "queue"}]


@pytest.mark.parametrize("operation", ["connections.subscribers", "connections.remove"])
async def test_a_failure_behind_the_acceptance_does_not_take_it_back(operation: str) -> None:
    """What happens on the way to the other connections is theirs to heal; the run is sent all the same."""
    house = House()
    await house.watch()
    house.gateway.always(house.seen, ConnectionGone())
    house.faults.plan(operation, fail_before())
    reply = await house.send("Why?", message=MESSAGE)
    assert house.run(reply.run_id).status == "queued"
    assert house.queue.sent == [Job(USER, reply.run_id)]


@pytest.mark.parametrize("fault", [fail_before, lost], ids=["unavailable", "unknown"])
@pytest.mark.parametrize(("chance", "pauses_s"), [(0.0, (0.1, 0.4)), (0.5, (0.15, 0.6))])
async def test_a_store_is_given_time_between_the_tries(
    fault: Callable[[], Fault], chance: float, pauses_s: tuple[float, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Longer each time, and not for all senders the same."""
    house, leap = House(timing=CLOUD), Leaps(monkeypatch)
    house.ids.chance = chance
    house.faults.plan("runs.accept", fault(), fault())
    sending = asyncio.ensure_future(house.send("Why?", message=MESSAGE))
    for tries, pause_s in enumerate(pauses_s, start=1):
        await leap(pause_s - 0.05)
        assert house.faults.count("runs.accept") == tries
        await leap(0.1)
        assert house.faults.count("runs.accept") == tries + 1
    assert (await sending).run_id in {run_id for _user, run_id in house.runs.runs}


@pytest.mark.parametrize(("when", "written"), [("before", False), ("after", True)], ids=["before", "after"])
async def test_a_message_whose_time_is_up_can_be_sent_again(
    when: Literal["before", "after"],
    written: bool,  # noqa: FBT001
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Cut off before the commit or behind it: it is refused, and its resend makes one run, which is sent."""
    house, leap = House(), Leaps(monkeypatch)
    house.faults.plan("runs.accept", Fault(when, gate=asyncio.Event()))
    refusing = asyncio.ensure_future(refused(house))
    await leap(4.9)
    assert not refusing.done()
    await leap(0.2)
    assert refusing.done()
    refusal = await refusing
    assert (refusal.code, refusal.client_message_id, refusal.retry_after_ms) == ("overloaded", MESSAGE, 1000)
    assert len(house.runs.runs) == written
    assert house.queue.sent == []
    again = await house.send("Hi.", message=MESSAGE)
    assert again.duplicate == written
    assert list(house.runs.runs) == [(USER, again.run_id)]
    assert house.queue.sent == [Job(USER, again.run_id)]


async def test_reading_back_is_within_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that does not say what became of the message has five seconds in all."""
    house, leap = House(), Leaps(monkeypatch)
    house.faults.plan("runs.accept", lost())
    house.faults.plan("runs.get", Fault("before", gate=asyncio.Event()))
    refusing = asyncio.ensure_future(refused(house))
    await leap(5.1)
    assert refusing.done()
    assert (await refusing).code == "overloaded"


async def test_the_send_has_time_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """The commit took almost all of the store's time, and the queue takes longer than what was left: it is sent."""
    house, leap = House(), Leaps(monkeypatch)
    commit, send = asyncio.Event(), asyncio.Event()
    house.faults.plan("runs.accept", Fault("after", gate=commit))
    house.faults.plan("queue.send", Fault("before", gate=send))
    sending = asyncio.ensure_future(house.send("Why?", message=MESSAGE))
    await leap(4.9)
    commit.set()
    await leap(9.8)
    assert not sending.done()
    send.set()
    reply = await sending
    assert house.queue.sent == [Job(USER, reply.run_id)]
    assert house.log.of("run_retried") == []


async def test_a_queue_that_hangs_does_not_hold_the_reply_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """The run is durable, and is told so while the function still can."""
    house, leap = House(), Leaps(monkeypatch)
    house.faults.plan("queue.send", Fault("before", gate=asyncio.Event()))
    sending = asyncio.ensure_future(house.send("Why?", message=MESSAGE))
    await leap(9.9)
    assert not sending.done()
    await leap(0.2)
    assert sending.done()
    reply = await sending
    assert house.log.of("run_retried") == [{"run_id": reply.run_id, "reason": "queue"}]
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize("hint", [None, PostFailed("slow"), "hangs"], ids=["hinted", "not hinted", "hangs"])
async def test_the_reply_waits_a_second_at_most_for_another_device(
    hint: PostFailed | str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that does not take the message lags from then on, and is told so if it can be; the others have it."""
    house, leap = House(), Leaps(monkeypatch)
    await house.watch("hanging=")
    await house.watch("good=")
    house.gateway.plan("hanging=", asyncio.Event(), asyncio.Event() if hint == "hangs" else hint)
    sending = asyncio.ensure_future(house.send("Why?", message=MESSAGE))
    await leap(0.4)
    assert not sending.done()
    assert len(house.gateway.frames("good=", "run_input")) == 1
    await leap(0.2)
    await leap(0.5)
    assert sending.done()
    reply = await sending
    lagging = {one.connection_id: one.lagging for one in await house.connections.subscribers(USER)}
    assert lagging == {"hanging=": True, "good=": False}
    hints = [] if hint else [{"type": "lagging", "run_id": reply.run_id, "last_seq": 0}]
    assert house.gateway.frames("hanging=") == hints
    assert {fields["reason"] for fields in house.log.of("post_failed")} == {"timeout"}
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_the_reply_does_not_wait_for_a_store_that_hides_the_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    """They hear of the run by its events, or when they ask for heads."""
    house, leap = House(), Leaps(monkeypatch)
    await house.watch()
    house.faults.plan("connections.subscribers", Fault("before", gate=asyncio.Event()))
    sending = asyncio.ensure_future(house.send("Why?", message=MESSAGE))
    await leap(0.9)
    assert not sending.done()
    await leap(0.2)
    assert sending.done()
    assert house.queue.sent == [Job(USER, (await sending).run_id)]


async def test_a_refusal_of_the_store_reaches_the_client_whole() -> None:
    """`expired` without its run would read as the end of the session, `overloaded` without its pause as a wall."""
    house = House()
    house.faults.plan("runs.accept", before(Refused("expired", "Gone.", run_id=OTHER, retry_after_ms=7)))
    refusal = await refused(house)
    assert (refusal.code, refusal.message, refusal.run_id, refusal.retry_after_ms, refusal.client_message_id) == (
        "expired",
        "Gone.",
        OTHER,
        7,
        MESSAGE,
    )


@pytest.mark.parametrize(
    "limits", [Limits(open_runs=2), Limits(messages_per_minute=2)], ids=["open runs", "messages a minute"]
)
async def test_a_user_has_limits(limits: Limits) -> None:
    """What is beyond them is refused, with a time to come again; repeats and other users are not."""
    house = House(limits=limits)
    first = await house.send("One.", message=uuid(1))
    await house.send("Two.")
    refusal = await refused(house, "Three.")
    assert (refusal.code, refusal.client_message_id, refusal.retryable) == ("rate_limited", MESSAGE, True)
    assert (refusal.retry_after_ms or 0) > 0
    assert len(house.runs.runs) == 2
    assert (await house.send("One.", message=uuid(1))).run_id == first.run_id
    assert not (await house.send("Three.", message=MESSAGE, user=OTHER)).duplicate


async def behind(seconds: float) -> House:
    """Return a house whose oldest job is known to have waited so long."""
    house = House()
    house.backlog.seconds = seconds
    await house.backlog.refresh()
    return house


async def test_a_message_is_refused_while_the_runners_are_far_behind() -> None:
    """Before anything is stored or sent, with a time to come again."""
    house = await behind(QUICK.backlog_s + 0.1)
    refusal = await refused(house)
    assert (refusal.code, refusal.client_message_id, refusal.retry_after_ms) == ("overloaded", MESSAGE, 10_000)
    with pytest.raises(Refused, match="overloaded"):
        await house.send("Without an id.")
    assert house.runs.runs == {}
    assert house.queue.sent == []
    assert house.faults.count("runs.accept") == 0


async def test_a_message_is_accepted_while_the_runners_are_as_far_behind_as_they_may_be() -> None:
    """The limit itself is not beyond it."""
    house = await behind(QUICK.backlog_s)
    assert (await house.send("Why?")).turn == 1


async def test_a_message_that_made_a_run_is_told_so_though_the_runners_are_behind() -> None:
    """Accepted means accepted, before the end of the run and after it; a job that may be lost is sent again."""
    house = House()
    first = await house.send("Why?", message=MESSAGE)
    house.backlog.seconds = QUICK.backlog_s + 1
    await house.backlog.refresh()
    house.queue.sent.clear()
    again = await house.send("Why?", message=MESSAGE)
    assert again == first.model_copy(update={"duplicate": True})
    assert house.queue.sent == [Job(USER, first.run_id)]
    await house.runs.settle(house.run(first.run_id), "completed")
    assert await house.send("Why?", message=MESSAGE) == again


async def test_another_message_under_the_same_id_is_a_conflict_though_the_runners_are_behind() -> None:
    """It would be one later as well."""
    house = House()
    await house.send("Why?", message=MESSAGE)
    house.backlog.seconds = QUICK.backlog_s + 1
    await house.backlog.refresh()
    assert (await refused(house, "What?")).code == "conflict"


async def test_a_refused_message_learns_for_the_next_that_the_runners_have_caught_up() -> None:
    """Else a home that accepts nothing would never ask again."""
    house = await behind(QUICK.backlog_s + 1)
    house.backlog.seconds = 0
    await refused(house)
    assert not (await house.send("Hi.", message=MESSAGE)).duplicate


@pytest.mark.parametrize("fault", [fail_before, lost], ids=["unavailable", "unknown"])
async def test_a_store_that_fails_while_the_runners_are_behind_is_overload(fault: Callable[[], Fault]) -> None:
    """The message may have made a run: sent again later, it is told."""
    house = await behind(QUICK.backlog_s + 1)
    house.faults.plan("runs.find", fault())
    refusal = await refused(house)
    assert (refusal.code, refusal.client_message_id, refusal.retryable) == ("overloaded", MESSAGE, True)


async def test_a_store_that_hangs_while_the_runners_are_behind_is_overload(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has as long as for an accept."""
    house, leap = await behind(QUICK.backlog_s + 1), Leaps(monkeypatch)
    house.faults.plan("runs.find", Fault("before", gate=asyncio.Event()))
    refusing = asyncio.ensure_future(refused(house))
    await leap(4.9)
    assert not refusing.done()
    await leap(0.2)
    assert refusing.done()
    assert (await refusing).code == "overloaded"


async def test_a_backlog_that_hangs_does_not_hold_the_reply(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two seconds at the most, on AWS of a function that has nothing else to wait for."""
    house, leap = House(), Leaps(monkeypatch)
    house.faults.plan("backlog.refresh", Fault("before", gate=asyncio.Event()))
    sending = asyncio.ensure_future(house.send("Why?", message=MESSAGE))
    await leap(1.9)
    assert not sending.done()
    await leap(0.2)
    assert sending.done()
    assert (await sending).turn == 1


@pytest.mark.parametrize("trouble", [StoreUnavailable("away"), StoreRefused("a bug")], ids=["away", "a bug of ours"])
async def test_a_backlog_that_fails_does_not_cost_the_reply(trouble: PlaybyplayError) -> None:
    """Not that of a committed message, not that of its repeat, and not the refusal of one that made no run."""
    house = House()
    house.faults.plan("backlog.refresh", before(trouble), before(trouble), None, before(trouble))
    first = await house.send("Why?", message=MESSAGE)
    again = await house.send("Why?", message=MESSAGE)
    assert (again.run_id, again.duplicate) == (first.run_id, True)
    house.backlog.seconds = QUICK.backlog_s + 1
    await house.backlog.refresh()
    assert (await refused(house, message=uuid(1))).code == "overloaded"
    assert house.faults.count("backlog.refresh") == 4
