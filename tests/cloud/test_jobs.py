"""Jobs that go wrong: a runner that is killed, a job that comes twice, a message that is no job."""

import time
from collections.abc import Callable

import pytest

from infra.local_cloud_stack import Deployment
from playbyplay.adapters.sqs_run_queue import job_body
from playbyplay.ports import Job
from tests.cloud.people import Person, eventually, journal, queue_is_empty, workers
from tests.mission_critical.test_websocket_agent_events_suite import violations

Newcomer = Callable[[], Person]
MINUTE_S = 75.0  # with air
RECOVERY_S = 75.0  # C8: the job is hidden for 45 s of them


async def test_a_killed_runner_costs_time_and_nothing_else(deployed: Deployment, newcomer: Newcomer) -> None:
    """A runner that is killed inside a tool is followed by another: every event once, one terminal, in time."""
    async with newcomer().device() as device:
        run_id = await device.say("Analyze my database performance")
        while not any(event.get("tool_name") == "database_analyzer" for event in device.events(run_id)):
            await device.until("tool_executing", run_id=run_id)
        killed_s = time.monotonic()
        runners = workers(deployed, "Runner")
        for runner in runners:
            runner.kill()
        assert runners
        assert not {"tool_completed", "final_response"} & {event["type"] for event in device.events(run_id)}
        await device.ended(run_id, RECOVERY_S)
        assert time.monotonic() - killed_s < RECOVERY_S
        await device.send(type="ping", cursors={run_id: 0})
        pong = await device.until("pong")
    events = device.events(run_id)
    assert violations(events) == []
    assert events[-1]["type"] == "final_response"
    assert pong["heads"][run_id]["last_seq"] == len(events)


async def test_a_job_that_comes_again_changes_nothing(deployed: Deployment, newcomer: Newcomer) -> None:
    """The job of a run that has ended is taken, looked at and dropped."""
    person = newcomer()
    async with person.device() as device:
        run_id = await device.turn()
        eventually(lambda: queue_is_empty(deployed), "the first job is done")
        before = journal(deployed, person, run_id)
        body = job_body(Job(person.user, run_id))
        for _ in range(2):
            deployed.cloud.client("sqs").send_message(QueueUrl=deployed.outputs["QueueUrl"], MessageBody=body)
        eventually(lambda: queue_is_empty(deployed), "the repeats are dropped")
        heard = len(device.frames)
        await device.send(type="ping")
        await device.until("pong")
    assert journal(deployed, person, run_id) == before != []
    assert [frame["type"] for frame in device.frames[heard:]] == ["pong"]


@pytest.mark.parametrize(
    "body", ["no json", "{}", '{"v":1,"user":"u","run_id":"01a203d5-8dd0-781d-abb1-0112d6082869"}']
)
async def test_what_is_no_job_is_dropped(deployed: Deployment, newcomer: Newcomer, body: str) -> None:
    """A body that cannot be read, or names no run, is not tried again and delays nobody."""
    deployed.cloud.client("sqs").send_message(QueueUrl=deployed.outputs["QueueUrl"], MessageBody=body)
    async with newcomer().device() as device:
        run_id = await device.turn()
    assert violations(device.events(run_id)) == []
    eventually(lambda: queue_is_empty(deployed), "it is dropped")
    dead = deployed.cloud.client("sqs").get_queue_attributes(
        QueueUrl=deployed.outputs["DeadLetterQueueUrl"], AttributeNames=["ApproximateNumberOfMessages"]
    )
    assert dead["Attributes"]["ApproximateNumberOfMessages"] == "0"


def test_the_watchdog_comes_each_minute(deployed: Deployment) -> None:
    """The schedule calls it without anybody's doing."""
    eventually(
        lambda: "EventBridge → Lambda Playbyplay-FunctionsWatchdog" in deployed.cloud.log.read_text(),
        "the schedule has called it",
        MINUTE_S,
    )


def test_the_watchdog_looks_and_finds_nothing(deployed: Deployment) -> None:
    """A sweep by hand with nothing to do ends well."""
    functions = deployed.cloud.client("lambda")
    named = [
        one["FunctionName"]
        for one in functions.list_functions()["Functions"]
        if "FunctionsWatchdog" in one["FunctionName"]
    ]
    answer = functions.invoke(FunctionName=named[0], Payload=b"{}")
    assert "FunctionError" not in answer, answer["Payload"].read()
