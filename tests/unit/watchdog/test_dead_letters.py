"""Dead letters: each leads to a look at its run; none is lost, none fails another, and none is a verdict."""

import json
from typing import Any

import pytest

from playbyplay.adapters.sqs_run_queue import job_body
from playbyplay.ports import Job
from tests.fakes.faults import before, fail_before
from tests.fakes.ids import uuid
from tests.histories import USER, Story
from tests.house import House
from tests.unit.watchdog.kennel import Kennel, job_of, told


async def come_again(house: House, *bodies: str) -> list[str]:
    """Serve a batch; return the letters that come again. The first one is m0."""
    records: list[dict[str, Any]] = [
        {
            "messageId": f"m{number}",
            "receiptHandle": f"h{number}",
            "body": body,
            "attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": "1750000000000"},
            "eventSource": "aws:sqs",
        }
        for number, body in enumerate(bodies)
    ]
    answer = await Kennel(house).dead_letters({"Records": records})
    assert set(answer) == {"batchItemFailures"}
    return [one["itemIdentifier"] for one in answer["batchItemFailures"]]


async def test_a_letter_leads_to_a_look_at_its_run() -> None:
    """Each is done with, and the log tells what was found: a dead letter says nothing about its run."""
    house = House()
    sent = await told(house, Story())
    ended = await told(house, Story().starts(), cancel=True)
    settled = await told(house, Story().starts().fails())
    held = await told(house, Story(), owner="one", lease_until_ms=house.clock.now_ms() + 9_000)
    runs = [sent, ended, settled, held]
    letters = [*(job_body(job_of(run)) for run in runs), job_body(Job(USER, uuid(404)))]
    assert await come_again(house, *letters) == []
    findings = {fields["run_id"]: fields["finding"] for fields in house.log.of("dead_letter")}
    assert findings == {
        sent.run_id: "sent",
        ended.run_id: "ended",
        settled.run_id: "settled",
        held.run_id: "held",
        uuid(404): "unknown",
    }


async def test_the_job_of_a_letter_is_sent_as_it_was() -> None:
    """How often it was handed on is not forgotten: that has an end."""
    house = House()
    run = await told(house, Story())
    job = Job(run.user, run.run_id, hops=7)
    assert await come_again(house, job_body(job)) == []
    assert house.queue.sent == [job]


@pytest.mark.parametrize("body", ["", "{}", "no JSON", json.dumps({"v": 2, "user": USER, "run_id": uuid(1)})])
async def test_a_letter_that_is_no_job_is_dropped(body: str) -> None:
    """It would be no better the next time; the log holds nothing of it, and the others of its batch are served."""
    house = House()
    run = await told(house, Story())
    assert await come_again(house, body, job_body(job_of(run))) == []
    assert house.log.of("dead_letter") == [{"finding": "malformed"}, {"run_id": run.run_id, "finding": "sent"}]


@pytest.mark.parametrize(
    "fault", [fail_before(), before(ZeroDivisionError("a SECRET"))], ids=["store down", "a bug of ours"]
)
async def test_a_letter_whose_look_fails_comes_again(*, fault: Any) -> None:
    """It alone of its batch; the log names the type of what it met."""
    house = House()
    one, two = await told(house, Story()), await told(house, Story())
    house.faults.plan("runs.get", fault)
    assert await come_again(house, job_body(job_of(one)), job_body(job_of(two))) == ["m0"]
    expected = [{"run_id": one.run_id, "reason": type(fault.error).__name__}]
    assert house.log.of("run_retried") == expected
    assert house.log.of("dead_letter") == [{"run_id": two.run_id, "finding": "sent"}]
    assert house.queue.sent == [job_of(two)]
    assert await come_again(house, job_body(job_of(one))) == []


async def test_letters_of_one_run_end_it_once() -> None:
    """Two copies of a job may both have become letters."""
    house = House()
    run = await told(house, Story().starts(), cancel=True)
    assert await come_again(house, job_body(job_of(run)), job_body(job_of(run))) == []
    assert house.events(run) == ["agent_started", "error"]
    assert [fields["finding"] for fields in house.log.of("dead_letter")] == ["ended", "over"]
