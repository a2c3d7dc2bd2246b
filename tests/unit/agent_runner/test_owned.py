"""The time limit of an owner: what it may still begin, and when it must let go."""

import asyncio
import math

import pytest

from agent_runner.model import ModelResponse
from agent_runner.owned import TimeLimit, Work, Working
from playbyplay.domain.derivation import AskModel, CallTool, CloseDelegation
from playbyplay.domain.journal import ToolCall
from playbyplay.domain.timing import CLOUD
from playbyplay.errors import RunError
from playbyplay.ports import MAX_HOPS, Job
from tests.fakes.ids import uuid
from tests.fakes.model import says

CALL = ToolCall(call_id="c1", tool_name="look", arguments="{}")
ASK = AskModel(None, None, ())
LOOK = CallTool(CALL, None, None, taken_over=False)
CHARGE = CallTool(CALL.model_copy(update={"unsafe": True}), None, None, taken_over=False)
CLOSE = CloseDelegation(CALL, None, "So.")


def left(seconds: float, *, hops: int = 0) -> TimeLimit:
    """Return a limit that is so far away."""
    return TimeLimit(1_000 + seconds, Job("ann", uuid(1), hops), CLOUD, lambda: 1_000)


async def answers() -> ModelResponse:
    return says("So.")


async def forever() -> ModelResponse:
    await asyncio.Event().wait()
    return says("Never.")


@pytest.mark.parametrize("step", [ASK, LOOK, CHARGE, CLOSE], ids=["model", "pure", "unsafe", "delegation"])
@pytest.mark.parametrize("seconds", [math.inf, 900.0, CLOUD.no_new_step_s])
def test_far_from_the_end_everything_may_be_begun(step: Work, seconds: float) -> None:
    """To the second; where there is no end, always."""
    assert left(seconds).allows(step)
    assert TimeLimit(None, Job("ann", uuid(1)), CLOUD, lambda: 1e12).allows(step)
    assert not left(seconds).is_near()
    assert not left(seconds).is_up(())


@pytest.mark.parametrize("seconds", [CLOUD.no_new_step_s - 0.001, CLOUD.let_go_s])
def test_near_the_end_only_an_unsafe_call_may_be_begun(seconds: float) -> None:
    """The next owner could not make it; anything else it can."""
    assert [left(seconds).allows(step) for step in (ASK, LOOK, CHARGE, CLOSE)] == [False, False, True, False]


@pytest.mark.parametrize("seconds", [CLOUD.let_go_s - 0.001, 0.0, -1.0])
def test_at_the_end_nothing_may_be_begun(seconds: float) -> None:
    """An unsafe call would be cut off at once."""
    assert not any(left(seconds).allows(step) for step in (ASK, LOOK, CHARGE, CLOSE))


async def test_near_the_end_a_step_under_way_is_waited_for() -> None:
    """And where there is none there is nothing to wait for."""
    task = asyncio.create_task(answers())
    steps = [Working(ASK, task)]
    assert left(CLOUD.no_new_step_s - 0.001).is_up(())
    assert not left(CLOUD.let_go_s).is_up(steps)
    assert left(CLOUD.let_go_s - 0.001).is_up(steps)
    assert not left(CLOUD.no_new_step_s).is_up(steps)
    await task


async def test_what_a_step_found_out_is_recorded_first() -> None:
    """Whatever the time is."""
    ended, under_way = asyncio.create_task(answers()), asyncio.create_task(forever())
    await ended
    assert not left(0).is_up([Working(ASK, under_way), Working(ASK, ended)])
    under_way.cancel()


def test_a_run_may_be_handed_on_so_often_and_no_more() -> None:
    """The last owner ends it."""
    assert left(0, hops=MAX_HOPS - 1).is_up(())
    with pytest.raises(RunError) as ends:
        left(0, hops=MAX_HOPS).is_up(())
    assert ends.value.code == "deadline_exceeded"
    assert not left(CLOUD.no_new_step_s, hops=MAX_HOPS).is_up(())
