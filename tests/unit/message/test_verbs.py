"""The verbs on the ports of AWS: each gets its own, and the settings reach those they are for."""

from dataclasses import replace

import pytest

from message.verbs import dispatch_on
from playbyplay.adapters.aws import Aws
from playbyplay.adapters.cloud import Cloud
from playbyplay.adapters.container_quota import PER_MINUTE
from playbyplay.protocol import commands
from playbyplay.protocol.base import Frame
from playbyplay.protocol.replies import CancelAccepted, MessageAccepted, MessageRejected, Pong, ReplayComplete, Reply
from playbyplay.settings import MessageSettings
from tests.fakes.ids import uuid
from tests.histories import MESSAGE
from tests.house import House

SETTINGS = MessageSettings(
    runs_table="runs", journal_table="journal", connections_table="connections", queue_url="q", callback_url="https://c"
)


async def answered(house: House, command: Frame, settings: MessageSettings = SETTINGS) -> Reply:
    """Have a command answered on these ports; no call to AWS is made."""
    return (await answers(house, [command], settings))[0]


async def answers(house: House, sent: list[Frame], settings: MessageSettings = SETTINGS) -> list[Reply]:
    on = Cloud(
        aws=Aws(house.log),
        clock=house.clock,
        ids=house.ids,
        log=house.log,
        timing=house.timing,
        runs=house.runs,
        journal=house.journal,
        queue=house.queue,
        backlog=house.backlog,  # type: ignore[arg-type]  # what the watchdog writes is of no use here
        connections=house.connections,
        gateway=house.gateway,
        notifier=house.notifier,
        settlement=house.settlement,
    )
    dispatch = dispatch_on(on, settings)
    return [await dispatch(house.caller("sending="), command.to_json()) for command in sent]


async def test_every_verb_is_there() -> None:
    """A message, its resume, its heads, its answer, its end."""
    house = House()
    accepted = await answered(house, commands.AgentMessage(content="Why?"))
    assert isinstance(accepted, MessageAccepted)
    run_id = accepted.run_id
    assert len(house.queue.sent) == 1
    assert isinstance(await answered(house, commands.Resume(run_id=run_id, after_seq=0)), ReplayComplete)
    pong = await answered(house, commands.Ping(cursors={run_id: 0}))
    assert isinstance(pong, Pong)
    assert set(pong.heads) == {run_id}
    assert house.connections.rows["sending="][1].receipts == {run_id: 0}
    no_answer = await answered(house, commands.Answer(run_id=run_id, offset=0))
    assert isinstance(no_answer, MessageRejected)
    assert no_answer.code == "not_found"
    assert await answered(house, commands.Cancel(run_id=run_id)) == CancelAccepted(run_id=run_id)
    assert house.run(run_id).status == "cancelled"


@pytest.mark.parametrize(
    "settings",
    [replace(SETTINGS, open_runs=1), replace(SETTINGS, messages_per_minute=1)],
    ids=["open runs", "messages a minute"],
)
async def test_the_limits_are_the_deployments(settings: MessageSettings) -> None:
    """Either of them."""
    house = House()
    await answered(house, commands.AgentMessage(content="One."), settings)
    refused = await answered(house, commands.AgentMessage(content="Two."), settings)
    assert isinstance(refused, MessageRejected)
    assert refused.code == "rate_limited"


async def test_the_policy_is_the_deployments() -> None:
    """A message behind an open turn waits, is refused, or ends it."""
    house = House()
    first = await house.say("One.")
    behind = commands.AgentMessage(content="Two.", thread_id=first.thread_id, client_message_id=MESSAGE)
    refused = await answered(house, behind, replace(SETTINGS, double_text="reject"))
    assert isinstance(refused, MessageRejected)
    assert refused.code == "thread_busy"
    waits = await answered(house, behind)
    assert isinstance(waits, MessageAccepted)
    assert waits.position == 1
    assert house.run(first.run_id).is_open
    ends = await answered(house, behind, replace(SETTINGS, double_text="interrupt"))
    assert isinstance(ends, MessageAccepted)
    assert house.run(first.run_id).status == "cancelled"


async def test_messages_are_refused_while_the_runners_are_far_behind() -> None:
    """By the backlog of the deployment."""
    house = House()
    house.backlog.seconds = house.timing.backlog_s + 1
    one, two = await answers(house, [commands.AgentMessage(content=text) for text in ("One.", "Two.")])
    assert isinstance(one, MessageAccepted)
    assert isinstance(two, MessageRejected)
    assert two.code == "overloaded"


async def test_a_connection_that_asks_too_often_is_told_to_wait() -> None:
    """As often as a container remembers."""
    command = commands.Resume(run_id=uuid(404), after_seq=0)
    replies = await answers(House(), [command] * (PER_MINUTE["resume"] + 1))
    codes = [reply.code for reply in replies if isinstance(reply, MessageRejected)]
    assert codes == ["not_found"] * PER_MINUTE["resume"] + ["rate_limited"]
