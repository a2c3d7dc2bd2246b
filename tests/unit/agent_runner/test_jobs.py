"""Jobs of the queue: what is run, what is dropped, and what is told to come again."""

from collections.abc import Callable
from typing import Any

import pytest

from agent_runner.jobs import Jobs
from agent_runner.supervisor import Supervisor
from playbyplay.adapters.sqs_run_queue import job_body
from playbyplay.domain.thread import Run
from playbyplay.errors import StoreUnavailable
from playbyplay.ports import Job, Receipt
from tests.fakes.clock import FakeClock
from tests.fakes.faults import fail_before
from tests.fakes.ids import uuid
from tests.fakes.log import FakeLog
from tests.fakes.model import FakeModel, says
from tests.fakes.run_queue import FakeReceipt
from tests.histories import OTHER, USER
from tests.house import House

RETRY_S = 5.0


class Dock:
    """Jobs on fakes, with a receipt for each handle, in the millisecond in which they were sent."""

    def __init__(self, supervisor: Supervisor, log: FakeLog) -> None:
        self.receipts: dict[str, FakeReceipt] = {}
        self.clock = FakeClock()
        self.jobs = Jobs(supervisor=supervisor, receipts=self._receipt, clock=self.clock, log=log, retry_s=RETRY_S)

    def _receipt(self, handle: str) -> Receipt:
        return self.receipts.setdefault(handle, FakeReceipt())

    def record(self, number: int, body: str) -> dict[str, Any]:
        """Return a message as the queue hands it over."""
        return {
            "messageId": f"m{number}",
            "receiptHandle": f"h{number}",
            "body": body,
            "attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": "1750000000000"},
            "eventSource": "aws:sqs",
        }

    async def failures(self, *bodies: str) -> list[str]:
        """Serve a batch; return the messages that come again. The first one is m0, its handle h0."""
        records = [self.record(number, body) for number, body in enumerate(bodies)]
        answer = await self.jobs({"Records": records})
        assert set(answer) == {"batchItemFailures"}
        return [one["itemIdentifier"] for one in answer["batchItemFailures"]]


class Broken(Supervisor):
    """A supervisor that falls over some runs, and wants others again."""

    def __init__(self, outcomes: dict[str, Callable[[], float | None]]) -> None:
        self.outcomes = outcomes
        self.ran: list[Job] = []
        self.ends_s: list[float | None] = []

    async def run(self, job: Job, receipt: Receipt, *, ends_s: float | None = None) -> float | None:
        self.ran.append(job)
        self.ends_s.append(ends_s)
        return self.outcomes[job.run_id]()


def fails() -> float:
    raise ZeroDivisionError("a bug with a SECRET in it")


def body(run: Run | int, user: str = USER) -> str:
    return job_body(Job(user, uuid(run) if isinstance(run, int) else run.run_id))


async def test_a_job_brings_its_run_to_the_end() -> None:
    """And does not come again."""
    house = House()
    run = await house.say()
    dock = Dock(house.supervisor(FakeModel(says("So."))), house.log)
    assert await dock.failures(body(run)) == []
    assert house.events(run)[-1] == "final_response"
    assert dock.receipts["h0"].extended == [house.timing.visibility_s]


async def test_several_jobs_are_run_side_by_side() -> None:
    """Each in its own right."""
    house = House()
    runs = [await house.say(f"Number {number}.") for number in range(3)]
    dock = Dock(house.supervisor(FakeModel(says("So."), repeats=True)), house.log)
    assert await dock.failures(*map(body, runs)) == []
    assert [house.events(run)[-1] for run in runs] == ["final_response"] * 3


@pytest.mark.parametrize(
    "bad", ["", "nonsense", "{}", "[]", '{"v":1,"user":"ann"}', '{"v":2,"user":"ann","run_id":"' + uuid(1) + '"}']
)
async def test_a_body_that_is_no_job_is_dropped(bad: str) -> None:
    """It would be no better the next time; it is told, without what it holds, and the next one is run."""
    log, supervisor = FakeLog(), Broken({uuid(1): lambda: None})
    dock = Dock(supervisor, log)
    assert await dock.failures(bad, body(1)) == []
    assert log.events == [("job_dropped", {"reason": "malformed"}), ("job_taken", {"age_ms": 0})]
    assert supervisor.ran == [Job(USER, uuid(1))]
    assert "h0" not in dock.receipts


async def test_a_job_that_is_wanted_again_comes_when_it_was_asked_for() -> None:
    """Hidden so long, then delivered."""
    dock = Dock(Broken({uuid(1): lambda: 7.5, uuid(2): lambda: None}), FakeLog())
    assert await dock.failures(body(1), body(2)) == ["m0"]
    assert dock.receipts["h0"].extended == [7.5]
    assert dock.receipts["h1"].extended == []


async def test_every_job_of_a_batch_is_told_when_it_must_be_let_go() -> None:
    """By the second the whole batch must be done; without one none is told any."""
    supervisor = Broken({uuid(1): lambda: None, uuid(2): lambda: None})
    dock = Dock(supervisor, FakeLog())
    records = {"Records": [dock.record(number, body(number)) for number in (1, 2)]}
    assert await dock.jobs.until(987.5)(records) == {"batchItemFailures": []}
    assert await dock.jobs(records) == {"batchItemFailures": []}
    assert supervisor.ends_s == [987.5, 987.5, None, None]


async def test_a_job_that_fails_comes_again_and_harms_no_other() -> None:
    """The log names the run and the error's type, and nothing the error said."""
    log = FakeLog()
    dock = Dock(Broken({uuid(1): lambda: None, uuid(2): fails, uuid(3): lambda: None}), log)
    assert await dock.failures(body(1), body(2), body(3)) == ["m1"]
    assert dock.receipts["h1"].extended == [RETRY_S]
    assert sorted(log.names) == ["job_taken"] * 3 + ["run_retried"]
    assert log.of("run_retried") == [{"run_id": uuid(2), "reason": "ZeroDivisionError"}]


@pytest.mark.parametrize(("later_s", "age_ms"), [(0, 0), (0.25, 250), (90, 90_000), (-3, 0)])
async def test_the_log_tells_how_old_a_job_is_that_is_taken(later_s: float, age_ms: int) -> None:
    """Since it was sent, before anything is done about it; a clock that is behind makes none younger than new."""
    log = FakeLog()
    dock = Dock(Broken({uuid(1): fails}), log)
    dock.clock.advance(later_s)
    assert await dock.failures(body(1)) == ["m0"]
    assert log.events[0] == ("job_taken", {"age_ms": age_ms})
    assert log.names == ["job_taken", "run_retried"]


async def test_the_age_of_a_job_that_comes_again_is_not_told() -> None:
    """It was taken in time: what made it come again is told by itself."""
    log = FakeLog()
    dock = Dock(Broken({uuid(1): fails}), log)
    record = dock.record(0, body(1))
    record["attributes"] = {**record["attributes"], "ApproximateReceiveCount": "2"}
    await dock.jobs({"Records": [record]})
    assert log.names == ["run_retried"]


async def test_a_job_that_cannot_be_hidden_comes_again_all_the_same() -> None:
    """When the time it was hidden for is over."""
    dock = Dock(Broken({uuid(1): lambda: 5.0}), FakeLog())
    receipt = dock.receipts["h0"] = FakeReceipt()
    receipt.faults.plan("receipt.extend", fail_before())
    assert await dock.failures(body(1)) == ["m0"]
    assert receipt.extended == []


async def test_a_job_of_no_run_of_its_user_is_dropped() -> None:
    """Whether the run is unknown or another's; it does not come again."""
    house = House()
    run = await house.say()
    dock = Dock(house.supervisor(FakeModel()), house.log)
    assert await dock.failures(body(404), body(run, OTHER)) == []
    assert house.log.of("job_dropped") == [
        {"run_id": uuid(404), "reason": "unknown"},
        {"run_id": run.run_id, "reason": "unknown"},
    ]


async def test_a_store_that_is_down_lets_the_job_come_again() -> None:
    """Nothing is lost with it."""
    house = House()
    run = await house.say()
    house.faults.plan("runs.acquire", fail_before())
    dock = Dock(house.supervisor(FakeModel(says("So."))), house.log)
    assert await dock.failures(body(run)) == ["m0"]
    assert house.log.of("run_retried") == [{"run_id": run.run_id, "reason": StoreUnavailable.__name__}]
    assert await dock.failures(body(run)) == []
    assert house.events(run)[-1] == "final_response"


async def test_what_is_no_batch_fails() -> None:
    """The queue's own shape is not ours to mend: Lambda takes the whole batch as failed."""
    dock = Dock(Broken({}), FakeLog())
    event: dict[str, Any] = {"Records": [{"messageId": "m0"}]}
    with pytest.raises(ValueError, match="body"):
        await dock.jobs(event)
