"""The contract holds whatever order things go wrong in: Hypothesis looks for the order in which it does not."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from playbyplay.domain.journal import History
from tests.simulation.campaign import finish, hit, open_devices
from tests.simulation.checker import check
from tests.simulation.devices import Act, Device
from tests.simulation.faulty_ports import Plan, modes_of
from tests.simulation.schedule import PROGRAMS, Blow
from tests.simulation.virtual_time import VirtualLoop
from tests.simulation.world import Laws, World

T = TypeVar("T")
_SITES = (
    "message.runs.accept",
    "message.queue.send",
    "message.journal.read",
    "message.connections.add",
    "runner.runs.acquire",
    "runner.runs.renew",
    "runner.runs.settle",
    "runner.journal.append",
    "runner.journal.read",
    "runner.connections.subscribers",
    "runner.gateway.post",
    "runner.queue.send",
    "runner.tool.call",
    "runner.model.call",
    "watchdog.queue.send",
    "watchdog.overdue.first",
)


class Contract(RuleBasedStateMachine):
    """Two users, three devices, two runners; whoever drives it breaks one thing after the other."""

    @initialize(policy=st.sampled_from(("queue", "interrupt")))
    def begin(self, policy: Any) -> None:
        self.runner = asyncio.Runner(loop_factory=VirtualLoop)
        self.plan = Plan()
        self.doing: list[asyncio.Future[None]] = []
        self.messages = 0

        async def begin() -> tuple[World, list[Device]]:
            world = World(Laws(seed=0, plan=self.plan, double_text=policy))
            world.start()
            return world, await open_devices(world, (0, 0, 1))

        self.world, self.devices = self._do(begin())

    @rule(device=st.integers(0, 2), program=st.sampled_from(PROGRAMS), thread=st.sampled_from((None, 0, 1)))
    def send(self, device: int, program: str, thread: int | None) -> None:
        self.messages += 1
        self._act(Act(0.0, device, "send", program, thread, self.messages))

    @rule(device=st.integers(0, 2), deed=st.sampled_from(("cancel", "cut", "reload")))
    def act(self, device: int, deed: Any) -> None:
        self._act(Act(0.0, device, deed))

    @rule(device=st.integers(0, 2), seconds=st.floats(1, 60))
    def black_hole(self, device: int, seconds: float) -> None:
        self._act(Act(0.0, device, "black hole", seconds=seconds))

    @rule(site=st.sampled_from(_SITES), which=st.integers(0, 20))
    def break_next(self, site: str, which: int) -> None:
        modes = modes_of(site)
        self.plan.strike_next(site, modes[which % len(modes)])

    @rule()
    def runner_falls(self) -> None:
        self._do(self._hit(Blow(0.0, "runner falls")))

    @rule(seconds=st.floats(1, 90))
    def runner_stands_still(self, seconds: float) -> None:
        self._do(self._hit(Blow(0.0, "runner stands still", seconds)))

    @rule(seconds=st.floats(0.01, 50))
    def time_passes(self, seconds: float) -> None:
        self._do(asyncio.sleep(seconds))

    @invariant()
    def every_journal_follows_the_grammar(self) -> None:
        if hasattr(self, "world"):
            for user, run_id in list(self.world.journal.slots):
                History.of(user, run_id, self.world.journal.records(user, run_id))

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        try:
            self.plan.heal()
            evidence = self._do(finish(self.world, self.devices, self.doing))
            report = check(evidence)
            assert report.verdict == ("valid" if evidence.runs else "unknown"), report.violations[:5]
        finally:
            self.runner.close()

    def _act(self, act: Act) -> None:
        async def begin() -> None:
            self.doing.append(asyncio.ensure_future(self.devices[act.device].do(act)))

        self._do(begin())

    async def _hit(self, blow: Blow) -> None:
        for process in list(self.world.at_work):
            hit(self.world, process, blow)

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)


Contract.TestCase.settings = settings(
    max_examples=40, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)
TestContract = Contract.TestCase
