"""Coming in, being there, and going: ticket, authorizer, `$connect`, `$disconnect`, presence."""

import pytest

from bench.canonical import PROMPT
from playbyplay.domain.connection import MAX_PER_USER
from tests.histories import USER
from tests.integration.cloud_house import Client, CloudHouse

ME = "mine="


async def test_a_ticket_opens_one_connection(house: CloudHouse) -> None:
    """The second handshake with it is unauthorized; so is one after half a minute."""
    shown = await house.ticket(USER)
    assert (await house.authorize(shown, ME))["context"]["user"] == USER
    with pytest.raises(Exception, match=r"^Unauthorized$"):
        await house.authorize(shown, "second=")
    late = await house.ticket(USER)
    house.clock.advance(30)
    with pytest.raises(Exception, match=r"^Unauthorized$"):
        await house.authorize(late, "late=")


async def test_a_ticket_of_another_page_is_denied(house: CloudHouse) -> None:
    """And stays good for its own."""
    shown = await house.ticket(USER)
    denied = await house.authorize(shown, ME, origin="https://evil.example.com")
    assert denied["policyDocument"]["Statement"][0]["Effect"] == "Deny"
    assert "context" in await house.authorize(shown, ME)


async def test_a_session_ends_half_a_day_after_its_ticket(house: CloudHouse) -> None:
    """A connection that outlives it is served no more."""
    me = await house.client(ME, USER)
    house.clock.advance(43_199)
    assert (await me.send(type="ping"))["type"] == "pong"
    house.clock.advance(1)
    assert (await me.send(type="agent_message", content=PROMPT))["code"] == "expired"
    assert await house.received() == []


async def test_a_disconnect_may_come_twice(house: CloudHouse) -> None:
    """After it the connection gets no frames, and its user's others do."""
    me, other = await house.client(ME, USER), await house.client("other=", USER)
    for _ in range(2):
        assert await me.disconnect(disconnectStatusCode=1001) == {"statusCode": 200}
    await other.send(type="agent_message", content=PROMPT)
    await house.deliver()
    assert me.frames() == []
    assert len(other.frames("final_response")) == 1


async def test_a_disconnect_may_come_for_a_connection_that_was_never_let_in(house: CloudHouse) -> None:
    """Without a row, an authorizer or a code."""
    stranger = Client(house, "stranger=", {})
    assert await stranger.disconnect() == {"statusCode": 200}


async def test_a_missing_row_is_put_back_by_a_ping(house: CloudHouse) -> None:
    """A `$disconnect` that came for a connection that lives is healed."""
    me = await house.client(ME, USER)
    await me.disconnect()
    await me.send(type="ping")
    await me.send(type="agent_message", content=PROMPT)
    await house.deliver()
    assert len(me.frames("final_response")) == 1


async def test_a_connection_that_gave_way_is_told_so_when_it_speaks(house: CloudHouse) -> None:
    """However often: it does not come back as the newest, nobody gives way to it, and it is open for the answer."""
    clients = []
    for number in range(MAX_PER_USER + 1):
        house.clock.advance(1)
        clients.append(await house.client(f"{number}=", USER))
    house.clock.advance(60)
    for _ in range(2):
        for frame in (
            {"type": "ping"},
            {"type": "resume", "run_id": "0" * 8 + "-0000-7000-8000-" + "0" * 12, "after_seq": 0},
        ):
            refused = await clients[0].send(**frame)
            assert (refused["type"], refused["code"]) == ("message_rejected", "expired")
            assert "run_id" not in refused
    for client in clients[1:]:
        assert (await client.send(type="ping"))["type"] == "pong"
    assert house.gateway.closed == []
