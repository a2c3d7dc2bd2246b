"""The fault switch: what is armed waits for its moment, happens as often as ordered, and is told and logged."""

import asyncio
from typing import Any

import pytest

from local.fault_order import Order
from local.fault_switch import MID_TOOL_S, FaultSwitch, NothingToHit
from playbyplay.domain.connection import Session
from tests.fakes.clock import FakeClock
from tests.fakes.connection_store import FakeConnectionStore
from tests.fakes.leaps import Leaps
from tests.fakes.log import FakeLog

RUN = "0192a000-0000-7000-8000-00000000000a"
OTHER = "0192a000-0000-7000-8000-00000000000b"


class Runners:
    """Who is at work; killed ones are no more."""

    def __init__(self, *at_work: str) -> None:
        self.at_work = list(at_work)

    def kill(self, run_id: str | None = None) -> list[str]:
        killed = [one for one in self.at_work if run_id in {None, one}]
        self.at_work = [one for one in self.at_work if one not in killed]
        return killed


class Sockets:
    """Connections that can be cut, once each."""

    def __init__(self, *there: str) -> None:
        self.there = set(there)

    def cut(self, connection_id: str) -> bool:
        was_there = connection_id in self.there
        self.there.discard(connection_id)
        return was_there


class Scene:
    """A switch between fakes; Ann has two connections, Bob has one."""

    def __init__(self, *at_work: str) -> None:
        self.log = FakeLog()
        self.runners = Runners(*at_work)
        self.sockets = Sockets("ann-1", "ann-2", "bob-1")
        self.connections = FakeConnectionStore()
        self.switch = FaultSwitch(connections=self.connections, sockets=self.sockets, clock=FakeClock(), log=self.log)
        self.switch.command(self.runners)

    async def connect(self) -> "Scene":
        for connection_id in ("ann-1", "ann-2", "bob-1"):
            await self.connections.add(connection_id, Session(connection_id[:3], 10**15), now_ms=0)
        return self

    async def order(self, name: Any, **fields: Any) -> str:
        return await self.switch.obey(Order(name=name, **{"user": "ann", **fields}))

    @property
    def fired(self) -> list[str]:
        """What happened, as the switch tells it; the log tells the same."""
        assert [one.fault for one in self.switch.fired] == [fields["fault"] for fields in self.log.of("fault_injected")]
        return [one.says for one in self.switch.fired]


async def test_nothing_is_armed_at_first() -> None:
    """A switch nobody touched lets everything pass."""
    scene = await Scene(RUN).connect()
    assert not await scene.switch.drops("ann-1", "agent_started")
    assert not scene.switch.doubles(RUN)
    assert not scene.switch.tool_begins(RUN, "dice")
    await scene.switch.thawed()
    assert (scene.switch.armed, scene.fired) == ({}, [])


# A runner.


async def test_a_runner_falls_in_its_next_tool(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kill waits for a tool, and then until the tool is well begun; it happens once."""
    scene, leap = Scene(RUN, OTHER), Leaps(monkeypatch)
    assert await scene.order("kill_runner", when="tool") == "The next tool at work loses its runner."
    assert scene.switch.tool_begins(RUN, "dice")
    assert scene.switch.armed == {}
    assert not scene.switch.tool_begins(OTHER, "dice")
    assert scene.fired == []
    await leap(MID_TOOL_S)
    assert scene.runners.at_work == [OTHER]
    assert scene.fired == ["A runner was killed in the middle of dice."]
    assert scene.log.of("fault_injected") == [{"fault": "kill_runner", "run_id": RUN}]


async def test_a_kill_whose_run_is_gone_takes_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """A runner that left between the beginning of its tool and the kill leaves the fault armed."""
    scene, leap = Scene(OTHER), Leaps(monkeypatch)
    await scene.order("kill_runner", when="tool")
    assert scene.switch.tool_begins(RUN, "dice")
    await leap(MID_TOOL_S)
    assert (scene.fired, list(scene.switch.armed)) == ([], ["kill_runner"])


async def test_a_runner_whose_tool_is_at_work_falls_at_once() -> None:
    """Nothing is armed then."""
    scene = Scene(RUN, OTHER)
    scene.switch.tool_begins(OTHER, "dice")
    assert await scene.order("kill_runner", when="tool") == "A runner was killed in the middle of a tool."
    assert (scene.runners.at_work, scene.switch.armed) == ([RUN], {})


async def test_a_tool_that_has_ended_is_not_at_work() -> None:
    """Of two calls of a run both have to end."""
    scene = Scene(RUN)
    scene.switch.tool_begins(RUN, "dice")
    scene.switch.tool_begins(RUN, "dice")
    scene.switch.tool_ends(RUN)
    scene.switch.tool_ends(RUN)
    await scene.order("kill_runner", when="tool")
    assert (scene.runners.at_work, list(scene.switch.armed)) == ([RUN], ["kill_runner"])


async def test_all_runners_fall_now() -> None:
    """`now` hits whoever is at work, and nobody where nobody is."""
    scene = Scene(RUN, OTHER)
    assert await scene.order("kill_runner", when="now") == "A runner was killed."
    assert len(scene.fired) == 2
    with pytest.raises(NothingToHit, match="No run is at work"):
        await scene.order("kill_runner", when="now")
    assert scene.switch.armed == {}


async def test_what_a_kill_did_is_told_though_another_is_armed() -> None:
    """The armed one stays: `now` and a tool at work are not what it waits for."""
    scene = Scene(RUN, OTHER)
    await scene.order("kill_runner", when="tool")
    assert await scene.order("kill_runner", when="now") == "A runner was killed."
    assert list(scene.switch.armed) == ["kill_runner"]
    scene.runners.at_work = [RUN]
    scene.switch._tools[RUN] += 1
    assert await scene.order("kill_runner", when="tool") == "A runner was killed in the middle of a tool."
    assert list(scene.switch.armed) == ["kill_runner"]


# Posts.


async def test_so_many_posts_are_lost() -> None:
    """Each post counts, to any connection of the user; then they pass again."""
    scene = await Scene().connect()
    assert await scene.order("drop_post", count=2) == "To be lost: 2 event posts."
    assert [await scene.switch.drops(one, "agent_started") for one in ("ann-1", "ann-2", "ann-1")] == [
        True,
        True,
        False,
    ]
    assert scene.fired == ["A post of agent_started was lost."] * 2
    assert scene.switch.armed == {}


async def test_posts_of_others_and_of_other_types_pass() -> None:
    """What is armed waits for its user, and its type of event."""
    scene = await Scene().connect()
    assert await scene.order("drop_post", event="tool_completed") == "To be lost: 1 tool_completed post."
    assert not await scene.switch.drops("bob-1", "tool_completed")
    assert not await scene.switch.drops("ann-1", "agent_started")
    assert await scene.switch.drops("ann-1", "tool_completed")


# Jobs.


async def test_the_next_job_is_doubled_once() -> None:
    """`next` is used up, `each` is not."""
    scene = Scene()
    assert await scene.order("duplicate_job", when="next") == "The next job is delivered twice."
    assert [scene.switch.doubles(RUN), scene.switch.doubles(OTHER)] == [True, False]
    assert await scene.order("duplicate_job", when="each") == "Every job is delivered twice."
    assert [scene.switch.doubles(RUN), scene.switch.doubles(OTHER)] == [True, True]
    assert scene.fired == ["A job was delivered twice."] * 3


# The model.


async def test_a_frozen_model_waits_for_its_thaw(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long it takes."""
    scene, leap = Scene(), Leaps(monkeypatch)
    assert await scene.order("freeze_model") == "The model is frozen."
    waiting = asyncio.ensure_future(scene.switch.thawed())
    await leap(10_000)
    assert not waiting.done()
    assert await scene.order("thaw_model") == "The model answers again."
    await leap.settle()
    assert waiting.done()
    assert scene.fired == ["An answer of the model was held back."]


async def test_a_freeze_of_a_time_ends_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second freeze takes the place of the first, with its own time."""
    scene, leap = Scene(), Leaps(monkeypatch)
    await scene.order("freeze_model", seconds=1.0)
    await scene.order("freeze_model", seconds=5.0)
    await leap(4.9)
    assert list(scene.switch.armed) == ["freeze_model"]
    await leap(0.2)
    assert scene.switch.armed == {}


# Sockets, and taking back.


async def test_all_connections_of_a_user_are_cut() -> None:
    """Those of others stay; where there is none the order says so."""
    scene = await Scene().connect()
    assert await scene.order("cut_socket") == "2 connections were cut."
    assert scene.sockets.there == {"bob-1"}
    with pytest.raises(NothingToHit, match="There is no open connection"):
        await scene.order("cut_socket")
    assert scene.fired == ["2 connections were cut."]


async def test_clear_takes_back_what_is_armed() -> None:
    """Nothing of it happens any more; what happened stays told."""
    scene = await Scene(RUN).connect()
    await scene.order("cut_socket", user="bob")
    for name, fields in (("kill_runner", {"when": "tool"}), ("drop_post", {}), ("freeze_model", {})):
        await scene.order(name, **fields)
    await scene.order("duplicate_job", when="each")
    assert list(scene.switch.armed) == ["kill_runner", "drop_post", "duplicate_job", "freeze_model"]
    assert await scene.order("clear") == "Nothing is armed any more."
    assert scene.switch.armed == {}
    assert not await scene.switch.drops("ann-1", "agent_started")
    assert not scene.switch.doubles(RUN)
    assert not scene.switch.tool_begins(RUN, "dice")
    await scene.switch.thawed()
    assert scene.fired == ["1 connection was cut."]


async def test_of_what_happened_the_last_is_remembered() -> None:
    """The list does not grow for ever, and times are as the contract writes them."""
    scene = Scene()
    await scene.order("duplicate_job", when="each")
    for _ in range(60):
        scene.switch.doubles(RUN)
    assert len(scene.switch.fired) == 50
    assert scene.switch.fired[0].time.endswith("Z")
