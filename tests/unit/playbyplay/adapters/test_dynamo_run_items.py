"""Runs and threads as items."""

from dataclasses import replace

from playbyplay.adapters.dynamo_items import plain
from playbyplay.adapters.dynamo_run_items import Thread, may_be_gone, run_item, run_of
from playbyplay.adapters.tables import SHARDS
from playbyplay.domain.thread import Run
from tests.fakes.ids import uuid
from tests.histories import THREAD, USER

RUN = Run(USER, uuid(1), THREAD, 7, uuid(3), "digest", 1_750_000_000_000, 1_750_000_007_000)


def test_a_run_comes_back_from_its_item() -> None:
    """Every field, those with a value and those without."""
    full = replace(RUN, status="running", owner="one", lease_until_ms=9, attempts=2, cancel=True)
    for run in (RUN, full, replace(RUN, client_message_id=None)):
        assert run_of(run_item(run, waits=False, expires_s=1)) == run


def test_an_open_run_stands_in_both_indexes() -> None:
    """Ordered by age among its user's, and by when to look at it in one of eight shards, which never changes."""
    kept = plain(run_item(RUN, waits=False, expires_s=5))
    assert (kept["pk"], kept["sk"], kept["expires"]) == (f"U#{USER}", f"RUN#{RUN.run_id}", 5)
    assert kept["open_since"] == f"1750000000000#{RUN.run_id}"
    assert kept["next_check_ms"] == RUN.created_ms + 60_000
    shards = {
        plain(run_item(replace(RUN, run_id=uuid(number)), waits=False, expires_s=5))["open_shard"]
        for number in range(200)
    }
    assert shards == {str(shard) for shard in range(SHARDS)}


def test_a_run_may_be_gone_a_week_after_what_names_it() -> None:
    """37 days and 7 after its making, which its id tells, and not before."""
    made_ms = 0x0197_0000_0007
    gone_ms = made_ms + 44 * 86_400_000
    assert not may_be_gone(uuid(7), gone_ms)
    assert may_be_gone(uuid(7), gone_ms + 1)


def test_only_a_run_that_waits_says_so() -> None:
    """A run with nothing ahead of it carries no mark."""
    assert "waits" in run_item(RUN, waits=True, expires_s=5)
    assert "waits" not in run_item(RUN, waits=False, expires_s=5)


def test_a_thread_counts_the_open_turns_ahead() -> None:
    """Turns are numbers, whatever the order of their keys as text."""
    thread = Thread.of(
        {"next_turn": {"N": "12"}, "rev": {"N": "3"}, "open": {"M": {"10": {"S": "a"}, "9": {"S": "b"}}}}
    )
    assert thread == Thread(12, {9: "b", 10: "a"}, 3)
    assert [thread.ahead(turn) for turn in (9, 10, 11)] == [0, 1, 2]
    assert Thread.of(None) is None
