"""What calls the auditor: the schedule or a person, each with a sweep, whose answer says what it found."""

import json
import traceback

import pytest

from playbyplay.errors import StoreUnavailable
from tests.fakes.faults import before
from tests.house import House
from tests.unit.auditor.office import Office, told

SCHEDULED = {"version": "0", "detail-type": "Scheduled Event", "source": "aws.events", "detail": {}}


@pytest.mark.parametrize("event", [SCHEDULED, {}], ids=["schedule", "by hand"])
async def test_the_answer_is_what_the_sweep_found(event: dict[str, object]) -> None:
    """As JSON, with the runs it found it of and not a word of what they are about."""
    house = House()
    run = await told(house)
    house.clock.advance(11)
    answer = await Office(house).route(event)
    assert json.loads(json.dumps(answer)) == {
        "audited": 1,
        "open": 1,
        "complete": True,
        "missing": {"agent_started": 1},
        "unread": 0,
        "found": [{"run_id": run.run_id, "absence": "agent_started", "waits_ms": 11_000, "rules": []}],
    }


async def test_a_house_in_good_order_has_nothing_to_answer() -> None:
    """Every number is there all the same."""
    answer = await Office(House()).route(SCHEDULED)
    assert answer == {"audited": 0, "open": 0, "complete": True, "missing": {}, "unread": 0, "found": []}


async def test_what_goes_wrong_is_told_by_its_type_alone() -> None:
    """Lambda logs the text of what is raised."""
    house = House()
    house.faults.plan("overdue.first", before(StoreUnavailable("secret-word")))
    with pytest.raises(RuntimeError) as crash:
        await Office(house).route(SCHEDULED)
    assert str(crash.value) == "StoreUnavailable"
    assert "secret-word" not in "".join(traceback.format_exception(crash.value))
    assert house.log.events == [("audit_failed", {"error": "StoreUnavailable"})]
