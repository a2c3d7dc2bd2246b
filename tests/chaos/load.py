"""What the users do: a message each second whatever becomes of the others, some sent twice, some cancelled."""

import asyncio
import random
import uuid
from collections import Counter, defaultdict
from collections.abc import Coroutine, Sequence
from typing import Any

from playbyplay_client.errors import ClientError
from playbyplay_client.run import Run
from tests.chaos import play
from tests.chaos.device import Device

_TWICE, _RESENT, _CANCELLED, _SAME_THREAD = 0.15, 0.15, 0.15, 0.4
_CANCEL_S, _RESEND_S = 2.0, 5.0


class Load:
    """Sends messages.

    Args:
        devices: who is there.
        chance: draws everything.

    Attributes:
        done: what was done, by kind.
        failures: what a device could not do, in sentences: there should be none.
        accepted: the runs there are, by user.
    """

    def __init__(self, devices: Sequence[Device], chance: random.Random) -> None:
        self._chance = chance
        self._of: dict[str, list[Device]] = defaultdict(list)
        for device in devices:
            self._of[device.user].append(device)
        self._threads: dict[str, list[str]] = defaultdict(list)
        self._tasks: set[asyncio.Task[None]] = set()
        self.done: Counter[str] = Counter()
        self.failures: list[str] = []
        self.accepted: dict[str, set[str]] = defaultdict(set)

    def begin(self) -> None:
        """Let a user send a message, and maybe do more with it."""
        chance = self._chance
        user = chance.choice(sorted(self._of))
        devices = chance.sample(self._of[user], len(self._of[user]))
        threads = self._threads[user]
        thread_id = chance.choice(threads) if threads and chance.random() < _SAME_THREAD else None
        message_id = str(uuid.UUID(int=chance.getrandbits(128), version=4))
        senders = devices[: 2 if chance.random() < _TWICE else 1]
        resend_s = chance.uniform(0, _RESEND_S) if chance.random() < _RESENT else None
        cancel_s = chance.uniform(0, _CANCEL_S) if chance.random() < _CANCELLED else None
        content = play.message(chance)
        self._start(self._one(senders, devices[-1], content, thread_id, message_id, resend_s, cancel_s))

    async def end(self, timeout_s: float) -> None:
        """Wait for what was begun; what takes longer is a failure."""
        if self._tasks:
            _done, late = await asyncio.wait(self._tasks, timeout=timeout_s)
            self.failures += ["A command had no answer when everything had long been whole." for _ in late]
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def _start(self, doing: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(doing)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _one(
        self,
        senders: Sequence[Device],
        other: Device,
        content: str,
        thread_id: str | None,
        message_id: str,
        resend_s: float | None,
        cancel_s: float | None,
    ) -> None:
        self.done["message"] += 1
        self.done["message sent on two connections"] += len(senders) > 1
        sent = await asyncio.gather(*(self._send(device, content, thread_id, message_id) for device in senders))
        runs = {run.run_id: run for run in sent if run is not None}
        if len(runs) > 1:
            self.failures.append(f"Message {message_id} made {len(runs)} runs.")
        if not runs:
            return
        run = next(iter(runs.values()))
        self.accepted[other.user].add(run.run_id)
        if run.thread_id is not None and run.thread_id not in self._threads[other.user]:
            self._threads[other.user].append(run.thread_id)
        if cancel_s is not None:
            self._start(self._cancel(other, senders[0], run.run_id, cancel_s))
        if resend_s is not None:
            await asyncio.sleep(resend_s)
            self.done["message sent again"] += 1
            again = await self._send(other, content, thread_id, message_id)
            if again is not None and again.run_id != run.run_id:
                self.failures.append(f"Message {message_id} sent again made another run.")

    async def _send(self, device: Device, content: str, thread_id: str | None, message_id: str) -> Run | None:
        try:
            return await device.client.send(content, thread_id, message_id)
        except ClientError as error:
            self.failures.append(f"{device.name} could not send {message_id}: {error}")
            return None

    async def _cancel(self, other: Device, sender: Device, run_id: str, after_s: float) -> None:
        await asyncio.sleep(after_s)
        device = other if run_id in other.known else sender  # nobody cancels what they do not see
        self.done["cancel"] += 1
        try:
            await device.client.ask("cancel", run_id)
        except ClientError as error:
            self.failures.append(f"{device.name} could not cancel {run_id}: {error}")
