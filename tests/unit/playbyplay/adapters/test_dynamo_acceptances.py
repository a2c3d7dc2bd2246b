"""An accept as one transaction: what it writes, and what becomes of one that is cancelled."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from playbyplay.adapters.aws import Params
from playbyplay.adapters.dynamo_acceptances import MAX_OPEN
from playbyplay.adapters.dynamo_items import plain
from playbyplay.errors import OutcomeUnknown, Refused, StoreRefused, StoreUnavailable
from playbyplay.ports import Acceptance, Limits
from tests.contract.aws_homes import AwsHome, moto_home
from tests.contract.test_run_store import acceptance, accepted_turns
from tests.fakes.ids import uuid
from tests.histories import MESSAGE, RUN, THREAD, USER
from tests.unit.playbyplay.adapters.recording_aws import refusal

NOW_S = 1_750_000_000
DAY_S = 86_400


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[AwsHome]:
    async with moto_home(tmp_path) as opened:
        yield opened


def operations(home: AwsHome) -> list[str]:
    return [operation for operation, _params in home.aws.calls]


def transactions(home: AwsHome) -> list[Params]:
    return [params for operation, params in home.aws.calls if operation == "transact_write_items"]


def cancelled(*codes: str) -> Any:
    """Return a cancelled transaction, by its reasons."""
    error = refusal("TransactionCanceledException")
    error.response["CancellationReasons"] = [{"Code": code} for code in codes]
    return error


async def test_a_new_thread_costs_two_calls(home: AwsHome) -> None:
    """The user's open runs are counted, strongly consistent and no further than matters; then all is written at once.

    Five items, each on the condition that its key is free, with days to go: what names a run goes before it.
    """
    home.aws.calls.clear()
    wanted = acceptance(message=MESSAGE)
    await home.runs.accept(wanted)
    assert operations(home) == ["query", "transact_write_items"]
    counting = home.aws.calls[0][1]
    assert (counting["IndexName"], counting["Select"]) == ("open_by_age", "COUNT")
    assert counting["Limit"] == wanted.limits.open_runs
    assert counting["ConsistentRead"]
    puts = [one["Put"] for one in transactions(home)[0]["TransactItems"] if "Put" in one]
    assert all(put["ConditionExpression"] == "attribute_not_exists(pk)" for put in puts)
    items = {put["Item"]["sk"]["S"]: plain(put["Item"]) for put in puts}
    run_id = uuid(100)
    assert set(items) == {
        f"MSG#{MESSAGE}",
        f"THREAD#{THREAD}",
        f"TURN#{THREAD}#0000000001",
        f"RUN#{run_id}",
        "0000000000",
    }
    thread = items[f"THREAD#{THREAD}"]
    assert (thread["next_turn"], thread["open"], thread["rev"]) == (2, {"1": run_id}, 1)
    assert items[f"MSG#{MESSAGE}"]["run_id"] == items[f"TURN#{THREAD}#0000000001"]["run_id"] == run_id
    assert items[f"MSG#{MESSAGE}"]["thread_id"] == THREAD
    kept = {sk: one["expires"] - NOW_S for sk, one in items.items()}
    assert kept.pop("0000000000") == 30 * DAY_S
    assert kept.pop(f"RUN#{run_id}") == 44 * DAY_S
    assert set(kept.values()) == {37 * DAY_S}


async def test_a_thread_there_is_costs_a_read_more(home: AwsHome) -> None:
    """It is read strongly consistent, beside the count, and written on the condition that it has not moved."""
    await accepted_turns(home, 1)
    home.aws.calls.clear()
    made = await home.runs.accept(acceptance(1, new_thread=False))
    assert operations(home) == ["get_item", "query", "transact_write_items"]
    assert home.aws.calls[0][1]["ConsistentRead"]
    update = transactions(home)[0]["TransactItems"][0]["Update"]
    assert update["ConditionExpression"] == "#rev = :read"
    assert (made.run.turn, made.position) == (2, 1)
    assert (
        plain(await item(home, f"THREAD#{THREAD}")).items()
        >= {
            "next_turn": 3,
            "rev": 2,
            "open": {"1": uuid(100), "2": uuid(101)},
        }.items()
    )


async def item(home: AwsHome, sk: str) -> dict[str, Any]:
    """Return an item of the user's in the runs table."""
    get = {"TableName": home.stored.runs, "Key": {"pk": {"S": f"U#{USER}"}, "sk": {"S": sk}}, "ConsistentRead": True}
    found: dict[str, Any] = (await home.aws.call("dynamodb", "get_item", get))["Item"]
    return found


async def test_a_turn_settled_between_the_read_and_the_write_is_counted_out(home: AwsHome) -> None:
    """The accept that read it as open is refused by `rev`, and made again with nothing ahead: its job is sent."""
    (before,) = await accepted_turns(home, 1)
    home.aws.plan(None, None, lambda: home.runs.settle(before, "completed"))
    made = await home.runs.accept(acceptance(1, new_thread=False))
    assert (made.run.turn, made.position, made.duplicate) == (2, 0, False)
    assert "waits" not in await item(home, f"RUN#{uuid(101)}")
    assert await home.runs.head(USER, THREAD) == made.run


async def test_a_thread_that_moved_is_taken_from_the_refusal(home: AwsHome) -> None:
    """The transaction brings the thread as it stands, so no read is needed to try again."""
    await accepted_turns(home, 1)
    home.aws.plan(None, None, lambda: home.runs.accept(acceptance(5, new_thread=False)))
    home.aws.calls.clear()
    made = await home.runs.accept(acceptance(1, new_thread=False))
    assert (made.run.turn, made.position) == (3, 2)
    assert operations(home).count("get_item") == 2  # one for each accept


async def test_an_accept_in_conflict_is_made_again(home: AwsHome) -> None:
    """Another transaction on one of its items is no reason to fail: nothing was written."""
    home.aws.plan(None, cancelled("TransactionConflict", *["None"] * 4))
    assert (await home.runs.accept(acceptance())).run.turn == 1
    home.aws.plan(None, None, cancelled("TransactionConflict", *["None"] * 4))
    assert (await home.runs.accept(acceptance(1, new_thread=False))).position == 1


async def test_an_accept_beside_another_of_its_user_is_made_again(home: AwsHome) -> None:
    """Both count in one item; the thread did not move, so it is not read again, and nothing is counted twice."""
    await accepted_turns(home, 1)
    home.aws.calls.clear()
    home.aws.plan(None, None, cancelled(*["None"] * 4, "TransactionConflict"))
    assert (await home.runs.accept(acceptance(1, new_thread=False))).position == 1
    assert operations(home) == ["get_item", "query", "transact_write_items", "transact_write_items"]
    assert await accepted_in_minute(home) == 2


async def test_a_thread_that_never_rests_is_given_up(home: AwsHome, monkeypatch: pytest.MonkeyPatch) -> None:
    """After many tries the accept says that nothing was written."""
    monkeypatch.setattr("playbyplay.adapters.dynamo_acceptances._PAUSE_S", 0)
    home.aws.plan(None, *(cancelled("TransactionConflict", *["None"] * 4) for _ in range(60)))
    with pytest.raises(StoreUnavailable):
        await home.runs.accept(acceptance())
    assert await home.runs.get(USER, uuid(100)) is None


async def test_a_thread_is_kept_as_long_as_its_last_turn(home: AwsHome) -> None:
    """Each accept begins its 37 days anew."""
    await accepted_turns(home, 1)
    home.clock.advance(36 * DAY_S)
    await home.runs.accept(acceptance(1, new_thread=False))
    for sk in (f"THREAD#{THREAD}", f"TURN#{THREAD}#0000000002"):
        assert plain(await item(home, sk))["expires"] - NOW_S == (36 + 37) * DAY_S


@pytest.mark.parametrize("code", ["ThrottlingError", "ProvisionedThroughputExceeded"])
async def test_a_transaction_that_was_throttled_is_not_made_again_here(home: AwsHome, code: str) -> None:
    """It is unavailable: who accepts tries again later."""
    home.aws.plan(None, cancelled("None", "None", code, "None", "None"))
    with pytest.raises(StoreUnavailable):
        await home.runs.accept(acceptance())
    assert len(transactions(home)) == 1


@pytest.mark.parametrize("code", ["ValidationError", "ItemCollectionSizeLimitExceeded"])
async def test_a_transaction_that_can_never_be_is_refused(home: AwsHome, code: str) -> None:
    """An item too large is one: no repeat makes it smaller."""
    home.aws.plan(None, cancelled("None", "None", code, "None", "None"))
    with pytest.raises(StoreRefused):
        await home.runs.accept(acceptance())
    assert len(transactions(home)) == 1


@pytest.mark.parametrize("new_thread", [True, False])
async def test_a_message_whose_run_is_gone_is_expired(home: AwsHome, *, new_thread: bool) -> None:
    """At once, naming the run, whether its thread is there or not; nothing is written."""
    first = await home.runs.accept(acceptance(0, message=MESSAGE))
    await remove(home, f"RUN#{first.run.run_id}")
    home.clock.advance(44 * DAY_S)
    home.aws.calls.clear()
    again = acceptance(1, message=MESSAGE, thread_id=uuid(9), new_thread=new_thread)
    with pytest.raises(Refused) as refused:
        await home.runs.accept(again)
    assert (refused.value.code, refused.value.run_id) == ("expired", first.run.run_id)
    assert len(transactions(home)) == (1 if new_thread else 0)
    assert await home.runs.find(USER, MESSAGE) is None


async def test_a_message_whose_run_is_not_seen_yet_is_asked_for_again(home: AwsHome) -> None:
    """The transaction that made it may be half applied: a moment later the run is there."""
    first = await home.runs.accept(acceptance(0, message=MESSAGE))
    kept = await item(home, f"RUN#{first.run.run_id}")
    await remove(home, f"RUN#{first.run.run_id}")

    async def appears() -> None:
        await home.aws.call("dynamodb", "put_item", {"TableName": home.stored.runs, "Item": kept})

    # The count, the transaction, the message, the run (not there), and the transaction again.
    home.aws.plan(None, None, None, None, appears)
    again = await home.runs.accept(acceptance(1, message=MESSAGE, thread_id=uuid(9)))
    assert (again.run, again.duplicate) == (first.run, True)


async def accepted_in_minute(home: AwsHome) -> int:
    """Return how many messages of the user were accepted in the minute of the tests."""
    return int(plain(await item(home, f"RATE#{NOW_S // 60}"))["accepted"])


async def remove(home: AwsHome, sk: str) -> None:
    """Remove an item of the user's, as the table does in time."""
    key = {"pk": {"S": f"U#{USER}"}, "sk": {"S": sk}}
    await home.aws.call("dynamodb", "delete_item", {"TableName": home.stored.runs, "Key": key})


async def test_a_thread_with_too_many_open_turns_takes_no_more(home: AwsHome) -> None:
    """Up to 1,000; then a message is refused for now, one it holds is found, and a settled turn makes room."""
    first = await home.runs.accept(acceptance(0, message=MESSAGE))
    thread = await item(home, f"THREAD#{THREAD}")
    others = {str(turn): {"S": uuid(10_000 + turn)} for turn in range(2, MAX_OPEN)}
    thread |= {"open": {"M": {"1": {"S": first.run.run_id}, **others}}, "next_turn": {"N": str(MAX_OPEN)}}
    await home.aws.call("dynamodb", "put_item", {"TableName": home.stored.runs, "Item": thread})
    last = await home.runs.accept(acceptance(1, new_thread=False))
    assert (last.run.turn, last.position) == (MAX_OPEN, MAX_OPEN - 1)
    home.aws.calls.clear()
    with pytest.raises(Refused) as refused:
        await home.runs.accept(acceptance(2, message=RUN, new_thread=False))
    assert (refused.value.code, refused.value.retryable) == ("overloaded", True)
    assert (refused.value.retry_after_ms or 0) > 0
    assert transactions(home) == []
    again = await home.runs.accept(acceptance(3, message=MESSAGE, new_thread=False))
    assert (again.run, again.duplicate) == (first.run, True)
    assert (await home.runs.accept(acceptance(1, new_thread=False))).duplicate is False  # whose answer was lost
    await home.runs.settle(last.run, "completed")
    assert (await home.runs.accept(acceptance(2, message=RUN, new_thread=False))).run.turn == MAX_OPEN + 1


async def test_an_accept_is_written_once(home: AwsHome) -> None:
    """An outcome nobody knows is raised as such; who accepts reads it back."""
    home.aws.plan(None, "unanswered")
    with pytest.raises(OutcomeUnknown):
        await home.runs.accept(acceptance())
    assert len(transactions(home)) == 1
    assert await home.runs.get(USER, uuid(100)) is not None


@pytest.mark.parametrize("message", [MESSAGE, None])
async def test_an_accept_that_had_taken_effect_finds_its_own_run(home: AwsHome, message: str | None) -> None:
    """Made again it returns the run as it is by now, as no duplicate, also in a thread that has moved."""
    first = await home.runs.accept(acceptance(0))
    wanted = acceptance(1, message=message, new_thread=False)
    home.aws.plan(None, None, "unanswered")
    with pytest.raises(OutcomeUnknown):
        await home.runs.accept(wanted)
    await home.runs.settle(first.run, "completed")
    again = await home.runs.accept(wanted)
    assert (again.run.run_id, again.run.turn, again.duplicate, again.position) == (uuid(101), 2, False, 0)
    assert len(await home.runs.turns(USER, THREAD, from_turn=1)) == 2


async def test_a_known_message_is_found_though_its_thread_is_not(home: AwsHome) -> None:
    """A repeat that names an absent thread is a duplicate; a message nobody knows is refused."""
    first = await home.runs.accept(acceptance(0, message=MESSAGE))
    again = await home.runs.accept(acceptance(1, message=MESSAGE, thread_id=uuid(404), new_thread=False))
    assert (again.run, again.duplicate) == (first.run, True)
    with pytest.raises(Refused):
        await home.runs.accept(acceptance(2, message=RUN, thread_id=uuid(404), new_thread=False))


def under(number: int, *, message: str | None = None, **limits: int) -> Acceptance:
    """Return an accept of a thread of its own under limits."""
    wanted = acceptance(number, message=message, thread_id=uuid(900 + number))
    return replace(wanted, limits=Limits(**limits))


async def test_a_minute_is_counted_in_the_transaction(home: AwsHome) -> None:
    """By the minute of the accept's own time, in an item that goes an hour later; a refused accept adds nothing."""
    for number in range(2):
        await home.runs.accept(under(number, messages_per_minute=2))
    with pytest.raises(Refused) as refused:
        await home.runs.accept(under(2, messages_per_minute=2))
    assert refused.value.code == "rate_limited"
    assert (refused.value.retry_after_ms, refused.value.retryable) == (20_000 - 2, True)
    assert await accepted_in_minute(home) == 2
    kept = plain(await item(home, f"RATE#{NOW_S // 60}"))
    assert kept["expires"] == (NOW_S // 60 + 1) * 60 + 3600


async def test_a_full_minute_costs_no_look_before_it(home: AwsHome) -> None:
    """The transaction tells, and what is asked after that is whether the message is known."""
    await home.runs.accept(under(0, messages_per_minute=1))
    home.aws.calls.clear()
    with pytest.raises(Refused):
        await home.runs.accept(under(1, message=MESSAGE, messages_per_minute=1))
    assert operations(home) == ["query", "transact_write_items", "get_item"]


async def test_who_sends_more_a_minute_than_may_be_open_is_counted_once_more(home: AwsHome) -> None:
    """The minute may hold open runs that the count missed; counted after it, there is room."""
    for number in range(2):
        settled = await home.runs.accept(under(number, open_runs=2))
        await home.runs.settle(settled.run, "completed")
    home.aws.calls.clear()
    assert not (await home.runs.accept(under(2, open_runs=2))).duplicate
    assert operations(home) == ["query", "transact_write_items", "query", "transact_write_items"]


async def test_accepts_between_the_count_and_the_write_are_counted(home: AwsHome) -> None:
    """Each that came in between takes its place, so the limit of open runs holds."""
    await home.runs.accept(under(0, open_runs=2))
    home.aws.plan(None, lambda: home.runs.accept(under(1, open_runs=2)))
    with pytest.raises(Refused) as refused:
        await home.runs.accept(under(2, open_runs=2))
    assert (refused.value.code, refused.value.retry_after_ms) == ("rate_limited", 1000)
    assert len(await home.runs.open_runs(USER, limit=10)) == 2


async def test_two_minutes_of_the_clock_let_twice_as_many_open_at_the_most(home: AwsHome) -> None:
    """What was accepted in the other minute since the count is not seen: two for each, and not one more."""

    def late(number: int) -> Acceptance:
        """Return an accept whose message came a moment before the others', in the minute before theirs."""
        wanted = under(number, open_runs=2)
        return replace(wanted, run=replace(wanted.run, created_ms=NOW_S // 60 * 60_000 - 1))

    async def outcome(wanted: Acceptance) -> str:
        try:
            await home.runs.accept(wanted)
        except Refused as refused:
            return refused.code
        return "accepted"

    outcomes: list[str] = []

    async def count_all_before_any_write(left: list[Acceptance]) -> None:
        if left:
            home.aws.plan(None, lambda: count_all_before_any_write(left[1:]))
            outcomes.append(await outcome(left[0]))

    await count_all_before_any_write([*map(late, range(3)), *(under(number, open_runs=2) for number in range(3, 6))])
    assert sorted(outcomes) == ["accepted"] * 4 + ["rate_limited"] * 2
    assert [await outcome(late(6)), await outcome(under(7, open_runs=2))] == ["rate_limited"] * 2
    assert len(await home.runs.open_runs(USER, limit=10)) == 4


async def test_a_message_that_is_just_being_made_is_not_refused(home: AwsHome) -> None:
    """A full minute beside a conflict over the message itself: the next try finds what the other one made."""
    wanted = under(1, message=MESSAGE, messages_per_minute=1)
    other = under(0, message=MESSAGE, messages_per_minute=1)
    full = cancelled(*["None"] * 4, "ConditionalCheckFailed", "TransactionConflict")
    full.response["CancellationReasons"][4]["Item"] = {"accepted": {"N": "1"}}
    still = cancelled(*["None"] * 5, "TransactionConflict")
    home.aws.plan(None, full, still, lambda: home.runs.accept(other))
    made = await home.runs.accept(wanted)
    assert (made.run.run_id, made.duplicate) == (other.run.run_id, True)


async def test_a_message_whose_run_is_not_seen_yet_is_not_refused(home: AwsHome) -> None:
    """It made a run, so no limit is a reason: the store is asked again later."""
    first = await home.runs.accept(under(0, message=MESSAGE))
    await home.runs.accept(under(1))
    await remove(home, f"RUN#{first.run.run_id}")
    with pytest.raises(StoreUnavailable):
        await home.runs.accept(under(2, message=MESSAGE, open_runs=1))


async def test_a_thread_whose_turns_only_look_open_is_idle(home: AwsHome) -> None:
    """A settle that broke off, or a run that is gone, must not keep a thread busy for ever."""
    first, second = await accepted_turns(home, 2)
    for run in (first, second):
        closed = await item(home, f"RUN#{run.run_id}") | {"status": {"S": "failed"}}
        await home.aws.call("dynamodb", "put_item", {"TableName": home.stored.runs, "Item": closed})
    made = await home.runs.accept(replace(acceptance(2, new_thread=False), only_if_idle=True))
    assert (made.run.turn, made.position) == (3, 0)


async def test_a_thread_that_becomes_busy_meanwhile_is_busy(home: AwsHome) -> None:
    """The write that finds the thread moved looks again before it is tried again."""
    (first,) = await accepted_turns(home, 1)
    await home.runs.settle(first, "completed")
    home.aws.plan(None, None, lambda: home.runs.accept(acceptance(1, new_thread=False)))
    with pytest.raises(Refused) as refused:
        await home.runs.accept(replace(acceptance(2, new_thread=False), only_if_idle=True))
    assert (refused.value.code, refused.value.retry_after_ms) == ("thread_busy", 1000)
    assert await home.runs.get(USER, uuid(102)) is None
