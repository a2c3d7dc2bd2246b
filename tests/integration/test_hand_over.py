"""A run that outlives its runner's time: handed on through the queue, finished by the next invocation."""

import asyncio
import time

from agent_runner.jobs import Jobs
from agent_runner.model import ModelRequest, ModelResponse, OnText
from agent_runner.scripted_model import ScriptedModel
from bench.canonical import PROMPT, TYPES
from playbyplay.adapters.sqs_run_queue import read_job
from playbyplay.domain.timing import CLOUD
from playbyplay.ports import Job
from tests.histories import USER
from tests.integration.cloud_house import CloudHouse

AIR_S = 1.0  # for a runner to begin before its end is near


class Slow(ScriptedModel):
    """Answers when the end of its runner is so near."""

    def __init__(self, ends_s: float, left_s: float) -> None:
        super().__init__()
        self.asked = 0
        self._from_s = ends_s - left_s

    async def respond(self, request: ModelRequest, on_text: OnText) -> ModelResponse:
        self.asked += 1
        while time.monotonic() < self._from_s:  # noqa: ASYNC110 - there is nothing but the time to wait for
            await asyncio.sleep(0.01)
        return await super().respond(request, on_text)


async def accepted(house: CloudHouse) -> str:
    """Accept a message somebody watches; return its run."""
    me = await house.client("mine=", USER)
    return str((await me.send(type="agent_message", content=PROMPT))["run_id"])


async def test_a_runner_with_little_time_hands_on_and_the_next_one_finishes(house: CloudHouse) -> None:
    """The model's answer is recorded, its calls are left to the next one; the seven events are told once, in order."""
    run_id = await accepted(house)
    ends_s = time.monotonic() + CLOUD.no_new_step_s + AIR_S
    model = Slow(ends_s, CLOUD.no_new_step_s)
    jobs = house.runner(model=model)
    assert isinstance(jobs, Jobs)
    assert await house.deliver(jobs.until(ends_s)) == 1
    assert model.asked == 1
    (handed_on,) = await house.received()
    assert read_job(handed_on["body"]) == Job(USER, run_id, hops=1)
    assert await house.runner()({"Records": [handed_on]}) == {"batchItemFailures": []}
    frames = [one for one in house.gateway.frames("mine=") if one["type"] not in {"response_delta", "heartbeat"}]
    assert [frame["type"] for frame in frames] == list(TYPES)
    assert [frame["seq"] for frame in frames] == list(range(1, 8))
    assert house.gateway.frames("mine=", "heartbeat") == []
    assert [(one["epoch"], one["attempts"]) for one in house.log.of("run_acquired")] == [(1, 1), (2, 1)]
    assert house.log.of("run_handed_on") == [{"run_id": run_id, "hops": 1}]
    assert house.log.of("run_settled")[0]["status"] == "completed"
    assert house.log.of("run_retried") == house.log.of("aws_failed") == []
    assert await house.received() == []


async def test_a_run_that_ends_near_the_end_is_not_handed_on(house: CloudHouse) -> None:
    """A runner with time enough settles it and sends nothing."""
    run_id = await accepted(house)
    jobs = house.runner()
    assert isinstance(jobs, Jobs)
    assert await house.deliver(jobs.until(time.monotonic() + CLOUD.run_s)) == 1
    assert house.log.of("run_settled")[0]["run_id"] == run_id
    assert house.log.of("run_handed_on") == []
    assert await house.received() == []


async def test_a_job_that_comes_when_there_is_no_time_comes_again(house: CloudHouse) -> None:
    """In five seconds, to whoever has more; no call but that is made."""
    run_id = await accepted(house)
    records = await house.received()
    house.aws.calls.clear()
    jobs = house.runner()
    assert isinstance(jobs, Jobs)
    answer = await jobs.until(time.monotonic() + CLOUD.no_new_step_s - 1)({"Records": records})
    assert answer == {"batchItemFailures": [{"itemIdentifier": records[0]["messageId"]}]}
    assert [(name, params["VisibilityTimeout"]) for name, params in house.aws.calls] == [
        ("change_message_visibility", CLOUD.retry_s)
    ]
    assert house.log.of("run_retried") == [{"run_id": run_id, "reason": "time"}]
