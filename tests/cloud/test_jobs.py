"""Jobs that go wrong: a runner is killed, a job comes twice, is lost, is a dead letter, or is no job at all."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from infra.local_cloud_stack import Deployment
from playbyplay.adapters.sqs_run_queue import job_body
from playbyplay.ports import Job
from tests.cloud.fall import RECOVERY_S, Fall
from tests.cloud.people import Person, audit, eventually, full_name, journal, queue_is_empty, sweep
from tests.mission_critical.test_websocket_agent_events_suite import violations

Newcomer = Callable[[], Person]
MINUTE_S = 75.0  # with air
FIRST_CHECK_S = 61.0  # of a run that nobody took; a second of air
SCHEDULED = "EventBridge → Lambda Playbyplay-FunctionsWatchdog"


@dataclass(frozen=True, slots=True)
class Lost:
    """A run whose job was lost before anybody took it."""

    person: Person
    run_id: str
    accepted_s: float


@pytest.fixture(scope="session")  # like the fall, which is to come after it
def lost(deployed: Deployment) -> Lost:
    """Lose a job; the other cases pass the minute in which nobody is to hear of its run."""

    async def lose() -> Lost:
        person = Person(deployed, "lost@example.com")
        async with person.device() as device:
            with no_runner(deployed):
                run_id = await device.say()
                accepted_s = time.monotonic()
                assert run_id in take_job(deployed)
        return Lost(person, run_id, accepted_s)

    return asyncio.run(lose())


@pytest.mark.usefixtures("lost")
def test_a_killed_runner_costs_time_and_nothing_else(fallen: Fall) -> None:
    """A runner that is killed inside a tool is followed by another: every event once, one terminal, in time."""
    assert not {"tool_completed", "final_response"} & {event["type"] for event in fallen.held}
    assert fallen.recovered_s < RECOVERY_S
    assert violations(fallen.events) == []
    assert fallen.events[-1]["type"] == "final_response"
    assert fallen.last_seq == len(fallen.events)


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
    assert queue_is_empty(deployed, "DeadLetterQueueUrl")


@contextlib.contextmanager
def no_runner(deployed: Deployment) -> Iterator[None]:
    """Let no job reach a runner for a while."""
    functions = deployed.cloud.client("lambda")
    (source,) = functions.list_event_source_mappings(FunctionName=full_name(deployed, "Runner"))["EventSourceMappings"]
    functions.update_event_source_mapping(UUID=source["UUID"], Enabled=False)
    try:
        yield
    finally:
        functions.update_event_source_mapping(UUID=source["UUID"], Enabled=True)


def take_job(deployed: Deployment) -> str:
    """Take a job out of the queue, and return its body."""
    queue, where = deployed.cloud.client("sqs"), deployed.outputs["QueueUrl"]
    (taken,) = queue.receive_message(QueueUrl=where, WaitTimeSeconds=5)["Messages"]
    queue.delete_message(QueueUrl=where, ReceiptHandle=taken["ReceiptHandle"])
    return str(taken["Body"])


async def test_a_dead_letter_of_an_open_run_brings_it_through(deployed: Deployment, newcomer: Newcomer) -> None:
    """Its consumer sends the job again: the run completes, and the letter is gone."""
    async with newcomer().device() as device:
        with no_runner(deployed):
            run_id = await device.say()
            letter = take_job(deployed)
        assert run_id in letter
        deployed.cloud.client("sqs").send_message(QueueUrl=deployed.outputs["DeadLetterQueueUrl"], MessageBody=letter)
        await device.ended(run_id)
    assert violations(device.events(run_id)) == []
    assert device.events(run_id)[-1]["type"] == "final_response"
    eventually(lambda: queue_is_empty(deployed, "DeadLetterQueueUrl"), "the letter is dropped")


def test_a_poisoned_letter_is_dropped(deployed: Deployment) -> None:
    """It leaves the queue of dead letters, and brings no job."""
    queue = deployed.cloud.client("sqs")
    queue.send_message(QueueUrl=deployed.outputs["DeadLetterQueueUrl"], MessageBody="no json")
    eventually(lambda: queue_is_empty(deployed, "DeadLetterQueueUrl"), "the letter is dropped")
    assert queue_is_empty(deployed)


async def test_a_lost_job_is_sent_again_and_the_schedule_comes_each_minute(deployed: Deployment, lost: Lost) -> None:
    """A run that nobody was heard of for a minute is sent by a sweep; meanwhile the schedule called without our doing.

    The sweep is called by hand then, as the schedule's next one may be a minute off.
    """
    await asyncio.to_thread(
        eventually, lambda: SCHEDULED in deployed.cloud.log.read_text(), "the schedule has called it", MINUTE_S
    )
    await asyncio.sleep(max(0.0, lost.accepted_s + FIRST_CHECK_S - time.monotonic()))
    async with lost.person.device() as device:
        assert await asyncio.to_thread(sweep, deployed)
        await device.send(type="resume", run_id=lost.run_id, after_seq=0)
        await device.ended(lost.run_id)
    async with lost.person.device() as device:
        await device.send(type="resume", run_id=lost.run_id, after_seq=0)
        await device.until("replay_complete")
    events = [
        {name: value for name, value in event.items() if name != "replay"}
        for event in device.events(lost.run_id, replayed=True)
    ]
    assert violations(events) == []
    assert events[-1]["type"] == "final_response"


def test_the_watchdog_looks_and_finds_nothing(deployed: Deployment) -> None:
    """A sweep with nothing to do ends well."""
    eventually(lambda: queue_is_empty(deployed), "no run is at work")
    assert sweep(deployed) == {"overdue": 0, "astray": 0, "findings": {}, "failed": 0, "closed": 0}


def test_the_auditor_reads_every_run_and_misses_no_end(deployed: Deployment) -> None:
    """With its own rights and no others; what the devices of these tests hold is their own business."""
    eventually(lambda: queue_is_empty(deployed), "no run is at work")
    answer = audit(deployed)
    assert (answer["open"], answer["complete"], answer["unread"]) == (0, True, 0)
    assert set(answer["missing"]) <= {"receipt"}
