"""One sweep of the auditor: a look at open runs, those due first, and at those that ended lately.

Its work is bounded, however many runs there are. What it finds of open runs is told at each sweep anew,
until it is there; at a run that ended it looks three times.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from auditor.audit import Audit
from playbyplay.domain.audit import Absence, Finding
from playbyplay.domain.timing import Timing
from playbyplay.errors import StoreUnavailable
from playbyplay.ports import Clock, EndedRuns, Job, Log, OverdueRuns

RUNS = 128  # of either kind, in one sweep
BUDGET_S = 40.0  # no round of looks begins later: the function has 55 s
_AT_A_TIME = 16
_LOOKS = 3  # at a run that ended
_AHEAD_MS = 366 * 86_400_000  # beyond any moment a run is to be looked at


class Found(NamedTuple):
    """Something that is missing, and of which run."""

    run_id: str
    finding: Finding


@dataclass(slots=True)
class Swept:
    """What a sweep found.

    Attributes:
        audited: the runs it judged.
        open: those of them that were open.
        complete: whether these were all there are.
        found: what is missing of them.
        unread: the runs that it could not read.
    """

    audited: int = 0
    open: int = 0
    complete: bool = True
    found: list[Found] = field(default_factory=list)
    unread: int = 0

    @property
    def missing(self) -> Counter[Absence]:
        """Of how many runs each is missing."""
        return Counter(found.finding.absence for found in self.found)


class Sweep:
    """Looks at the runs of everybody.

    Args:
        monotonic: the time in seconds, from any start; everything else names itself.
    """

    def __init__(
        self,
        *,
        open_runs: OverdueRuns,
        ended_runs: EndedRuns,
        audit: Audit,
        clock: Clock,
        log: Log,
        timing: Timing,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._open_runs = open_runs
        self._ended_runs = ended_runs
        self._audit = audit
        self._clock = clock
        self._log = log
        self._timing = timing
        self._monotonic = monotonic
        self._looked_to_ms: int | None = None  # of the runs that ended

    async def __call__(self) -> Swept:
        """Sweep once.

        Raises:
            StoreUnavailable: it could not see which runs there are, or read none of them: numbers would be no news.
        """
        until_s = self._monotonic() + BUDGET_S
        swept = Swept()
        to_ms = self._clock.now_ms() - round(self._timing.receipt_s * 1000)
        await self._look_at(await self._jobs(swept, to_ms), swept, until_s)
        if swept.unread and not swept.audited:
            raise StoreUnavailable("no run could be read")
        self._looked_to_ms = to_ms
        missing = swept.missing
        self._log.event(
            "audit_swept",
            audited=swept.audited,
            open=swept.open,
            complete=swept.complete,
            accepted_without_agent_started=missing["agent_started"],
            tool_executing_without_tool_completed=missing["tool_completed"],
            runs_without_terminal=missing["terminal"],
            posted_without_receipt=missing["receipt"],
            journal_violations=missing["journal"],
            abandoned=missing["user"],
            unread=swept.unread,
        )
        return swept

    async def _jobs(self, swept: Swept, to_ms: int) -> list[Job]:
        """Return the runs to look at, each once.

        One that ended is looked at from when its clients have had the time to say what they hold, in three sweeps: what
        is missing in one of them heals, and what is in two does not. However long ago the last sweep was, none is left
        out; and a little more is looked at, for an index is a moment old.

        Args:
            swept: hears whether these are all there are.
            to_ms: of runs that ended, those before.
        """
        beat_ms = round(self._timing.audit_s * 1000)
        looked_to_ms = to_ms if self._looked_to_ms is None else self._looked_to_ms
        from_ms = min(looked_to_ms, to_ms - _LOOKS * beat_ms) - beat_ms // 4
        opened, ended = await asyncio.gather(
            self._open_runs.first(now_ms=self._clock.now_ms() + _AHEAD_MS, limit=RUNS),
            self._ended_runs.between(from_ms=from_ms, to_ms=to_ms, limit=RUNS),
        )
        swept.complete = len(opened) < RUNS and len(ended) < RUNS
        return list({(job.user, job.run_id): job for job in (*opened, *ended)}.values())

    async def _look_at(self, jobs: list[Job], swept: Swept, until_s: float) -> None:
        for start in range(0, len(jobs), _AT_A_TIME):
            if self._monotonic() >= until_s:
                swept.complete = False
                return
            await asyncio.gather(*(self._one(job, swept) for job in jobs[start : start + _AT_A_TIME]))

    async def _one(self, job: Job, swept: Swept) -> None:
        """Look at one run; where that goes wrong, whatever it is, the others are looked at all the same."""
        try:
            audited = await self._audit(job)
        except Exception:  # noqa: BLE001 - counted; the store's own trouble is logged where it is met
            swept.unread += 1
            return
        if audited is None:
            return  # it is no longer kept
        run, findings = audited
        swept.audited += 1
        swept.open += run.is_open
        for finding in findings:
            swept.found.append(Found(run.run_id, finding))
            self._log.event(
                "absence_found",
                run_id=run.run_id,
                absence=finding.absence,
                waits_ms=finding.waits_ms,
                rules=" ".join(finding.rules) or None,
            )
