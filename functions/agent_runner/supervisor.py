"""Owns a run from the job to its terminal: lease, fence, deadline, cancel, handing it on, and settling once.

One coroutine appends; steps run beside it as tasks. So an append is never cut off by a cancel, and
a heartbeat never overtakes an event.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable

from agent_runner.deltas import Deltas
from agent_runner.engine import UNCERTAIN, Engine, activity, delegation_report
from agent_runner.memory import Memory, recall
from agent_runner.model import ModelClient, ModelResponse
from agent_runner.owned import Owned, Pulse, TimeLimit, Work, Working
from agent_runner.tool_executor import ToolExecutor, ToolReport
from playbyplay.domain.derivation import (
    AskModel,
    CloseDelegation,
    Finish,
)
from playbyplay.domain.ending import started_ms
from playbyplay.domain.journal import Entry, History
from playbyplay.domain.thread import Run
from playbyplay.domain.timing import Timing, milliseconds
from playbyplay.domain.verdict import cancelled, is_late, too_late, verdict
from playbyplay.errors import Demoted, OutcomeUnknown, RunError, StoreUnavailable, Unreadable
from playbyplay.notifier import Notifier
from playbyplay.ports import Acquired, CancelWatch, Clock, Ids, Job, Journal, Log, NotAcquired, Receipt, RunStore
from playbyplay.protocol.replies import Heartbeat
from playbyplay.settlement import Settlement

STOP_S = 0.05  # how long a step that was told to end is waited for


class Supervisor:
    """Runs jobs.

    Args:
        monotonic: the time in seconds, from any start; everything else names itself.
    """

    def __init__(
        self,
        *,
        runs: RunStore,
        journal: Journal,
        notifier: Notifier,
        settlement: Settlement,
        cancels: CancelWatch,
        engine: Engine,
        tools: ToolExecutor,
        model: ModelClient,
        clock: Clock,
        ids: Ids,
        log: Log,
        timing: Timing,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._runs = runs
        self._journal = journal
        self._notifier = notifier
        self._settlement = settlement
        self._cancels = cancels
        self._engine = engine
        self._tools = tools
        self._model = model
        self._clock = clock
        self._ids = ids
        self._log = log
        self._timing = timing
        self._monotonic = monotonic

    async def run(self, job: Job, receipt: Receipt, *, ends_s: float | None = None) -> float | None:
        """Bring a run to its terminal or hand it on, or find that there is nothing to do.

        Args:
            job: the run's.
            receipt: of the job.
            ends_s: the monotonic second by which the run must be let go; None for never.

        Returns:
            None when the job is done with; else the seconds after which it should come again.
        """
        limit = TimeLimit(ends_s, job, self._timing, self._monotonic)
        try:
            if not limit.is_near():
                return await self._run(job, receipt, limit)
            reason = "time"
        except Demoted:
            reason = "demoted"
        except (StoreUnavailable, OutcomeUnknown) as trouble:
            reason = type(trouble).__name__
        except Unreadable as trouble:  # not so soon: until a later version has it, each try writes a fence
            self._log.event("run_retried", run_id=job.run_id, reason=type(trouble).__name__)
            return self._timing.held_s
        self._log.event("run_retried", run_id=job.run_id, reason=reason)
        return self._timing.retry_s

    async def _run(self, job: Job, receipt: Receipt, limit: TimeLimit) -> float | None:
        owner, now_ms = self._ids.uuid(), self._clock.now_ms()
        # Beside the lease: what to go on from, and a job that comes back soon should this runner fall at once.
        reading = asyncio.ensure_future(self._journal.read(job.user, job.run_id))
        hiding = asyncio.ensure_future(self._hide(receipt))
        beside = asyncio.gather(reading, hiding, return_exceptions=True)
        try:
            try:
                acquired = await self._runs.acquire(
                    job.user, job.run_id, owner, now_ms=now_ms, lease_until_ms=now_ms + int(self._timing.lease_s * 1000)
                )
            finally:
                await beside
            if isinstance(acquired, NotAcquired):
                return await self._not_acquired(job, acquired)
            history = History.of(job.user, job.run_id, reading.result())
        except Exception:
            await self._release(job, owner)  # nobody fell; and what cannot be read may be of a later version
            raise
        try:
            await self._acquired(job, acquired, Owned(acquired.run, owner, history, receipt, limit))
        except (Demoted, StoreUnavailable, OutcomeUnknown, Unreadable):
            await self._release(job, owner)  # nobody fell: the next try has the run at once, and it counts as none
            raise
        return None

    async def _acquired(self, job: Job, acquired: Acquired, owned: Owned) -> None:
        """Bring a leased run to its terminal or hand it on, unless it has to wait for another."""
        run, history = owned.run, owned.history
        if history.state.phase != "ended":
            if acquired.may_wait and await self._waits_for_another(run):
                return await self._leave(run, owned.owner)
            self._log.event("run_acquired", run_id=run.run_id, epoch=history.epoch + 1, attempts=run.attempts)
            ends = verdict(run, history, now_ms=self._clock.now_ms(), timing=self._timing)
            if ends is not None:
                await self._settlement.take_and_fail(history, ends)
            elif not await self._speak_for(owned):
                return await self._hand_on(job, owned)
        return await self._settlement.settle(run, history)

    async def _speak_for(self, owned: Owned) -> bool:
        """Own a run, and tell how long it was silent at the most; False if the time was up before its end."""
        run, history = owned.run, owned.history
        owned.last_renewal_s = self._monotonic()
        # Whose owner fell was silent at the most since its last event; whose owner let it go was not silent.
        silent_ms = 0
        if run.attempts > 1 and history.events:
            silent_ms = self._clock.now_ms() - milliseconds(history.events[-1].timestamp)
        owned.last_frame_s = owned.last_renewal_s - max(0, silent_ms) / 1000
        try:
            ended = await self._own(owned)
            if ended:
                owned.spoke(self._monotonic())
            return ended
        finally:
            self._log.event("run_let_go", run_id=run.run_id, silence_ms=round(owned.longest_silence_s * 1000))

    async def _not_acquired(self, job: Job, refusal: NotAcquired) -> float | None:
        if refusal.reason == "held":
            return self._timing.held_s
        self._log.event("job_dropped", run_id=job.run_id, reason=refusal.reason)
        run = await self._runs.get(job.user, job.run_id)
        if run is not None:
            await self._settlement.send_head(run)
        return None

    async def _leave(self, run: Run, owner: str) -> None:
        """Drop the job of a turn that has to wait; the turn before it is sent, should its own job be lost."""
        await self._runs.release(run.user, run.run_id, owner)
        self._log.event("job_dropped", run_id=run.run_id, reason="predecessor")
        await self._settlement.send_head(run)

    async def _waits_for_another(self, run: Run) -> bool:
        """Whether an earlier turn of the thread is open: whoever settles it sends this one."""
        head = await self._runs.head(run.user, run.thread_id)
        return head is not None and head.turn < run.turn

    async def _hand_on(self, job: Job, owned: Owned) -> None:
        """Let the next runner have the run, which goes on from the journal.

        Raises:
            StoreUnavailable: the job was not sent; this one comes again in its place.
        """
        await self._release(job, owned.owner)
        # A crash here loses nothing: this job is still hidden, not deleted, and is shown again in its time.
        await self._settlement.hand_on(job)

    async def _own(self, owned: Owned) -> bool:
        """Fence, work, and end in exactly one terminal; False if the time was up before.

        Raises:
            Demoted: another owner took the run.
            StoreUnavailable: the journal does not confirm; the job comes again.
            Unreadable: a later version wrote an earlier turn of the thread; the job comes again.
        """
        history, run = owned.history, owned.run
        if history.progressed and run.attempts > 1:  # before the fence, after which nobody sees that it got on
            await self._renew(owned, reset_attempts=True)
        begins = history.state.last_seq == 0
        seen_ms = await self._append(owned, self._engine.started(history, self._clock.now_ms()))  # ours from now on
        try:
            memory = await recall(self._runs, self._journal, run)
            owned.earlier = memory.said
            if begins:
                self._tell_beginning(history, memory, seen_ms)
            return await self._work(owned)
        except RunError as error:
            await self._stop(owned)
            await self._settlement.end(history, error)
        except (Demoted, StoreUnavailable, OutcomeUnknown, Unreadable):
            raise
        except Exception as error:  # noqa: BLE001 - a bug of ours must end in a terminal, not in silence
            self._log.event("run_crashed", run_id=run.run_id, error=type(error).__name__)
            await self._stop(owned)
            await self._settlement.end(history, RunError("internal", "Something went wrong on our side."))
        finally:
            await self._stop(owned)
        return True

    async def _work(self, owned: Owned) -> bool:
        """Perform steps until the run has ended, or the time is up; all appends happen here, one after the other."""
        history = owned.history
        self._watch(owned)
        pulse = Pulse(self._timing.heartbeat_s / 4, owned.news)
        try:
            while True:
                if is_late(history, self._clock.now_ms(), self._timing):
                    raise too_late()
                steps = self._engine.steps(history)
                for step in steps:
                    if isinstance(step, Finish):
                        await self._settlement.finish(history)
                        return True
                    if step.key not in owned.working and owned.limit.allows(step):
                        task = asyncio.create_task(self._perform(owned, step))
                        task.add_done_callback(owned.wake)
                        owned.working[step.key] = Working(step, task)
                if owned.limit.is_up(owned.working.values()):
                    return False
                await self._beat(owned)
                await owned.news.wait()
                owned.news.clear()
                if owned.is_cancelled():
                    raise cancelled()
                await self._collect(owned)
                if history.state.phase == "ended":
                    return True
        finally:
            pulse.stop()
            owned.unwatch()

    def _watch(self, owned: Owned) -> None:
        """Watch for a cancel; a watch that failed is renewed with the lease."""
        if owned.cancelled is None or owned.cancelled.done():
            history = owned.history
            owned.cancelled = asyncio.ensure_future(self._cancels.requested(history.user, history.run_id))
            owned.cancelled.add_done_callback(owned.wake)

    async def _perform(self, owned: Owned, step: Work) -> ModelResponse | ToolReport:
        """Take one step and return what came of it; nothing is written here."""
        history = owned.history
        if isinstance(step, AskModel):
            response = await self._ask(owned, step)
            used = response.usage
            self._log.event("model_answered", tokens_in=used.input_tokens, tokens_out=used.output_tokens)
            return response
        if isinstance(step, CloseDelegation):
            return delegation_report(history, step, self._clock.now_ms())
        if self._engine.must_not_repeat(step):
            return UNCERTAIN
        tool = self._engine.tool(step.delegation, step.call)
        report = await self._tools.execute(history.user, history.run_id, step.call, tool)
        self._log.event("tool_ended", elapsed_ms=report.duration_ms)
        return report

    async def _ask(self, owned: Owned, step: AskModel) -> ModelResponse:
        request = self._engine.request(owned.history, step, owned.earlier)
        if step.delegation is not None:  # a sub-agent speaks to its supervisor, not to the user
            return await self._model.respond(request, _unheard)
        deltas = Deltas(owned.history, self._notifier, self._timing)

        async def on_text(attempt: int, text: str) -> None:
            if text:
                owned.spoke(self._monotonic())
                await deltas.on_text(attempt, text)

        try:
            return await self._model.respond(request, on_text)
        finally:
            await deltas.close()

    async def _collect(self, owned: Owned) -> None:
        """Append what finished steps found out."""
        for key, working in list(owned.working.items()):
            if working.task.done():
                del owned.working[key]
                if working.task.cancelled():
                    raise RuntimeError("a step cancelled itself")
                entries = self._engine.outcome(owned.history, working.step, working.task.result(), self._clock.now_ms())
                await self._append(owned, entries)

    async def _append(self, owned: Owned, entries: list[Entry]) -> int | None:
        seen_ms = await self._notifier.append(owned.history, entries)
        if owned.history.records[-1].frames:  # a fence alone breaks no silence
            owned.spoke(self._monotonic())
        if owned.history.progressed and owned.run.attempts > 1 and not owned.got_on:
            owned.got_on = True  # said at once: the fence of a later owner hides it
            await self._renew(owned, reset_attempts=True)
        return seen_ms

    def _tell_beginning(self, history: History, memory: Memory, seen_ms: int | None) -> None:
        """Log how long its user waited for the agent, from when it was this turn's."""
        ready_ms = max(milliseconds(history.input.timestamp), memory.ended_ms)
        self._log.event(
            "run_began",
            run_id=history.run_id,
            after_ms=milliseconds(history.events[0].timestamp) - ready_ms,
            visible_ms=None if seen_ms is None else seen_ms - ready_ms,
        )
        if memory.after_error:
            self._log.event("returned_after_error", run_id=history.run_id)

    async def _beat(self, owned: Owned) -> None:
        """Break a silence, and keep what is ours."""
        now_s, history = self._monotonic(), owned.history
        if now_s - owned.last_frame_s >= self._timing.heartbeat_s:
            owned.spoke(now_s)
            frame = Heartbeat(
                run_id=history.run_id,
                last_seq=history.state.last_seq,
                elapsed_ms=max(0, self._clock.now_ms() - started_ms(history)),
                activity=activity(history),
            )
            await self._notifier.tell(history.user, history.run_id, frame, last_seq=history.state.last_seq)
        if now_s - owned.last_renewal_s >= self._timing.renew_s:
            self._watch(owned)
            hiding = asyncio.ensure_future(self._hide(owned.receipt))
            try:
                await self._renew(owned, reset_attempts=False)
            finally:
                await hiding

    async def _hide(self, receipt: Receipt) -> None:
        """Keep the job from other runners; where that fails it may come again and finds the run held."""
        with contextlib.suppress(StoreUnavailable, OutcomeUnknown):
            await receipt.extend(self._timing.visibility_s)

    async def _renew(self, owned: Owned, *, reset_attempts: bool) -> None:
        """Prolong the lease. A renewal that fails loses nothing: the journal alone decides who writes."""
        owned.last_renewal_s = self._monotonic()
        lease_until_ms = self._clock.now_ms() + int(self._timing.lease_s * 1000)
        try:
            kept = await self._runs.renew(
                owned.run.user,
                owned.run.run_id,
                owned.owner,
                lease_until_ms=lease_until_ms,
                reset_attempts=reset_attempts,
            )
        except (StoreUnavailable, OutcomeUnknown):
            return
        if not kept:
            raise Demoted("the lease is another owner's")

    async def _release(self, job: Job, owner: str) -> None:
        """Give a lease back, if it is ours; one that cannot be given back ends by itself."""
        with contextlib.suppress(StoreUnavailable, OutcomeUnknown):
            await self._runs.release(job.user, job.run_id, owner)

    async def _stop(self, owned: Owned) -> None:
        """End the steps that are still at work; a tool that cannot be stopped goes on unheard."""
        tasks = [working.task for working in owned.working.values()]
        owned.working.clear()
        for task in tasks:
            task.cancel()
            task.add_done_callback(_hear)
        if tasks:
            await asyncio.wait(tasks, timeout=STOP_S)


def _hear(task: asyncio.Task[ModelResponse | ToolReport]) -> None:
    """Take note of how a stopped step ended; it matters no more."""
    if not task.cancelled():
        task.exception()


async def _unheard(_attempt: int, _text: str) -> None:
    return
