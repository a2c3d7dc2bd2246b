"""What calls the watchdog: the schedule's event is a sweep, a batch of the queue is a look at each letter."""

import json
import traceback

import pytest

from playbyplay.adapters.sqs_run_queue import job_body
from playbyplay.errors import StoreUnavailable
from tests.fakes.faults import before
from tests.house import House
from tests.unit.watchdog.kennel import Kennel, job_of
from watchdog.route import Route
from watchdog.sweep import Sweep

SCHEDULED = {"version": "0", "detail-type": "Scheduled Event", "source": "aws.events", "detail": {}}


def route(house: House) -> Route:
    kennel = Kennel(house)
    return Route(sweep=kennel.sweep, dead_letters=kennel.dead_letters, log=house.log)


async def test_the_schedule_asks_for_a_sweep() -> None:
    """Its answer is what the sweep found, as JSON; a letter's run is not among it."""
    house = House()
    await house.say()
    house.clock.advance(house.timing.first_check_s + 1)
    answer = await route(house)(SCHEDULED)
    found = {"overdue": 1, "astray": 1, "findings": {"sent": 1}, "failed": 0, "closed": 0}
    assert json.loads(json.dumps(answer)) == found
    assert house.log.of("dead_letter") == []


async def test_a_batch_of_the_queue_is_looked_at() -> None:
    """And nothing is swept; the answer names what is to come again, as Lambda wants it."""
    house = House()
    runs = [await house.say(user=user) for user in ("ann", "bob")]
    house.queue.sent.clear()
    house.faults.plan("runs.get", before(StoreUnavailable("by order of the test")))
    records = [
        {
            "messageId": run.user,
            "receiptHandle": "handle",
            "body": job_body(job_of(run)),
            "attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": "1750000000000"},
        }
        for run in runs
    ]
    answer = await route(house)({"Records": records})
    assert answer == {"batchItemFailures": [{"itemIdentifier": "ann"}]}
    assert house.queue.sent == [job_of(runs[1])]
    assert house.log.of("watchdog_swept") == []


@pytest.mark.parametrize("event", [SCHEDULED, {"Records": [{"body": "secret-word"}]}], ids=["sweep", "letters"])
async def test_what_goes_wrong_is_told_by_its_type_alone(event: dict[str, object]) -> None:
    """Lambda logs the text of what is raised."""
    house = House()
    house.faults.plan("overdue.first", before(StoreUnavailable("secret-word")))
    with pytest.raises(RuntimeError) as crash:
        await route(house)(event)
    assert str(crash.value) in {"StoreUnavailable", "ValidationError"}
    assert "secret-word" not in "".join(traceback.format_exception(crash.value))
    assert house.log.of("sweep_failed") == [{"error": str(crash.value)}]


async def test_a_sweep_begins_with_a_note_of_how_far_the_runners_are_behind() -> None:
    """Before the looks, which may take all its time; a home whose queue knows by itself has none."""
    house = House()
    await house.say()
    house.queue.sent.clear()
    house.clock.advance(house.timing.first_check_s + 1)
    sent: list[int] = []

    async def behind() -> None:
        sent.append(len(house.queue.sent))

    sweep = Sweep(
        overdue=house.runs,
        look=Kennel(house).look,
        connections=house.connections,
        gateway=house.gateway,
        clock=house.clock,
        log=house.log,
        behind=behind,
    )
    await sweep()
    assert sent == [0]
