"""The product's auditor beside a campaign: it reads the world's stores as they are, and nothing it does is felt.

What it finds it finds as in production: from outside, while things happen.
"""

import asyncio
from dataclasses import dataclass, field

from auditor.audit import Audit
from auditor.sweep import Sweep, Swept
from playbyplay.domain.audit import Absence
from tests.fakes.faults import Faults
from tests.fakes.journal import FakeJournal
from tests.fakes.log import FakeLog
from tests.simulation.process import Process
from tests.simulation.world import BASE_MS, World

_EVERY_S = 5.0  # more often than in production: less escapes it


@dataclass(slots=True)
class Auditing:
    """A campaign's auditor.

    Attributes:
        sweeps: all of them, in order.
    """

    sweeps: list[Swept] = field(default_factory=list)

    async def __call__(self, world: World) -> None:
        """Sweep until the world ends."""
        sweep = _sweep(world)
        while True:
            await asyncio.sleep(_EVERY_S)
            self.sweeps.append(await sweep())

    @property
    def ever(self) -> set[Absence]:
        """What was missing at any time."""
        return {absence for swept in self.sweeps for absence in swept.missing}

    @property
    def at_the_end(self) -> set[Absence]:
        """What was missing at last."""
        return set(self.sweeps[-1].missing)


def _sweep(world: World) -> Sweep:
    clock = Process("auditor", base_ms=BASE_MS)
    journal = FakeJournal(Faults())  # without what a world writes down of its own, and without its delays
    journal.slots = world.journal.slots
    timing = world.laws.timing
    audit = Audit(runs=world.runs, journal=journal, connections=world.connections, clock=clock, timing=timing)
    return Sweep(
        open_runs=world.runs,
        ended_runs=world.runs,
        audit=audit,
        clock=clock,
        log=FakeLog(),
        timing=timing,
        monotonic=asyncio.get_running_loop().time,
    )
