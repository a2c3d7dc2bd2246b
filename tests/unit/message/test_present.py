"""Presence: whoever speaks has a row, and who has to give way for it is closed."""

import asyncio

import pytest

from playbyplay.domain.connection import Session, Subscriber
from playbyplay.errors import PostFailed, Refused
from playbyplay.protocol.replies import MessageRejected
from tests.fakes.connection_store import FakeConnectionStore
from tests.fakes.faults import before
from tests.histories import USER
from tests.house import House

ME = "speaking="


class OldestCaller(FakeConnectionStore):
    """A store in which whoever is added is the oldest of too many, with `others` before it."""

    others: tuple[str, ...] = ()

    async def add(self, connection_id: str, session: Session, *, now_ms: int) -> list[str]:
        return [*self.others, connection_id]


def full_house() -> House:
    """Return a house whose caller is the oldest of too many connections."""
    house = House()
    house.connections = OldestCaller(house.faults)
    return house


async def test_a_caller_without_a_row_gets_one() -> None:
    """Once; nobody is closed for it."""
    house = House()
    for _ in range(2):
        await house.present(house.caller(ME))
    assert list(house.connections.rows) == [ME]
    assert house.gateway.closed == []


async def test_the_oldest_of_too_many_is_closed() -> None:
    """And only that one: it gives way to the caller, whose row was missing."""
    house = House()
    for number in range(10):
        house.clock.advance(1)
        await house.watch(f"{number}=")
    await house.present(house.caller(ME))
    assert house.gateway.closed == ["0="]
    assert ME in house.connections.rows


async def test_a_caller_that_gave_way_is_refused_and_left_open() -> None:
    """As a session that is over, which names no run; closed, it would not get the answer to connect again."""
    house = full_house()
    with pytest.raises(Refused) as refusal:
        await house.present(house.caller(ME))
    assert (refusal.value.code, refusal.value.run_id) == ("expired", None)
    assert house.faults.count("gateway.close") == 0


@pytest.mark.parametrize(
    "frame",
    ['{"type":"ping"}', '{"type":"resume","run_id":"0197f3a2-0000-7000-8000-000000000001","after_seq":0}'],
)
async def test_a_caller_that_gave_way_is_served_no_more(frame: str) -> None:
    """Neither its heads nor a replay, and nothing is read for it."""
    house = full_house()
    reply = await house.dispatch(house.caller(ME), frame)
    assert isinstance(reply, MessageRejected)
    assert (reply.code, reply.run_id) == ("expired", None)
    assert [call for call in house.faults.calls if call.startswith(("runs.", "journal."))] == []
    assert house.gateway.texts == {}


async def test_a_close_that_fails_does_not_fail_the_command() -> None:
    """The row of the caller stands, and the others are closed all the same."""
    house = House()
    for number in range(12):
        house.connections.rows[f"{number:02}="] = USER, Subscriber(f"{number:02}=", number)
    house.faults.plan("gateway.close", before(PostFailed("throttled")))
    await house.present(house.caller(ME))
    assert house.faults.count("gateway.close") == 3
    assert house.gateway.closed == ["01=", "02="]
    assert ME in house.connections.rows


async def test_those_who_give_way_are_closed_side_by_side() -> None:
    """A close that takes its time holds up no other."""
    house = full_house()
    assert isinstance(house.connections, OldestCaller)
    house.connections.others = ("slow=", "quick=", "last=")
    slow, closed = asyncio.Event(), list[str]()

    class Gateway:
        async def post(self, connection_id: str, text: str) -> None:
            raise AssertionError

        async def close(self, connection_id: str) -> None:
            if connection_id == "slow=":
                await slow.wait()
            closed.append(connection_id)
            if connection_id == "last=":
                slow.set()

    house.gateway = Gateway()  # type: ignore[assignment]  # a gateway of its own
    with pytest.raises(Refused):
        await asyncio.wait_for(house.present(house.caller(ME)), 5)
    assert closed == ["quick=", "last=", "slow="]
