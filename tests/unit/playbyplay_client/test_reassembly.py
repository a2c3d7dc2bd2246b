"""Reassembly against the shared cases of `tests/vectors/reassembly.json`, and bad luck."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from playbyplay.protocol.base import MAX_REPLAYED
from playbyplay.protocol.codec import decode_server_frame
from playbyplay.protocol.events import Event
from playbyplay.protocol.replies import Reply
from playbyplay_client.reassembly import Action, AskResume, Deliver, Lost, Reassembly
from tests.properties import PROPERTY

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "reassembly.json").read_text(encoding="utf-8"))
FRAMES: dict[str, dict[str, Any]] = VECTORS["frames"]
RUN = FRAMES["A1"]["run_id"]


def frame(value: dict[str, Any]) -> Event | Reply:
    decoded = decode_server_frame(json.dumps(value))
    assert decoded is not None
    return decoded


def expand(name: str, seqs: list[int] | None) -> Iterator[Event | Reply]:
    """Return a named frame, once or for each seq."""
    if seqs is None:
        yield frame(FRAMES[name])
    else:
        yield from (frame({**FRAMES[name], "seq": seq}) for seq in range(seqs[0], seqs[1] + 1))


def act(reassembly: Reassembly, step: dict[str, Any]) -> list[Action]:
    now_s = step["at_s"]
    if "receive" in step:
        frames = expand(step["receive"], step.get("seqs"))
        return [action for one in frames for action in reassembly.receive(one, now_s)]
    if "follow" in step:
        return reassembly.follow(step["follow"]["run_id"], step["follow"]["after_seq"], now_s)
    return reassembly.reconnected(now_s) if "reconnect" in step else reassembly.tick(now_s)


def expected(step: dict[str, Any]) -> list[Action]:
    actions: list[Action] = []
    for one in step["expect"]:
        match one:
            case {"deliver": name}:
                actions += [Deliver(delivered) for delivered in expand(name, one.get("seqs"))]  # type: ignore[arg-type]
            case {"ask_resume": asked}:
                actions.append(AskResume(asked["run_id"], asked["after_seq"]))
            case {"lost": lost}:
                actions.append(Lost(lost["run_id"], lost["code"]))
            case _:
                pytest.fail(f"no such action: {one}")
    return actions


@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in VECTORS["cases"]])
def test_a_shared_case_holds(case: dict[str, Any]) -> None:
    """Every step of every shared case returns exactly what the case says."""
    reassembly = Reassembly()
    for number, step in enumerate(case["steps"], start=1):
        assert act(reassembly, step) == expected(step), f"step {number} of {case['name']}: {case['fact']}"
    assert reassembly.cursors() == case["cursors"]
    assert set(reassembly.open_runs) == set(case["cursors"])
    assert reassembly.ping_interval_s == case["ping_interval_s"]


def test_names_of_shared_cases_are_unique() -> None:
    """A case is found by its name."""
    names = [case["name"] for case in VECTORS["cases"]]
    assert len(names) == len(set(names))


def test_cursors_are_sixteen_at_most_and_the_quietest_first() -> None:
    """With more open runs than a ping may name, those not heard of for longest are asked about."""
    reassembly = Reassembly()
    runs = [f"0192a000-0000-7000-8000-{number:012x}" for number in range(20)]
    for second, run_id in enumerate(runs):
        reassembly.receive(frame({**FRAMES["B1"], "run_id": run_id}), float(second))
    assert list(reassembly.cursors()) == runs[:16]
    reassembly.receive(frame({**FRAMES["B2"], "run_id": runs[0]}), 30.0)
    reassembly.receive(frame({**FRAMES["A2"], "run_id": runs[1]}), 31.0)
    assert list(reassembly.cursors()) == runs[2:18]
    assert len(reassembly.open_runs) == 19


def test_a_forgotten_run_is_as_new() -> None:
    """What was let go of is not remembered."""
    reassembly = Reassembly()
    reassembly.receive(frame(FRAMES["A1"]), 0.0)
    reassembly.forget(RUN)
    reassembly.forget(RUN)
    assert reassembly.open_runs == ()
    assert reassembly.receive(frame(FRAMES["A1"]), 1.0) == [Deliver(frame(FRAMES["A1"]))]  # type: ignore[arg-type]


def long_run(length: int) -> list[Event]:
    """Return a run of so many events."""
    thoughts = [{**FRAMES["A2"], "seq": seq} for seq in range(2, length - 1)]
    ending = [{**FRAMES["A6"], "seq": length - 1}, {**FRAMES["A7"], "seq": length}]
    return [frame(one) for one in (FRAMES["A1"], *thoughts, *ending)]  # type: ignore[misc]


class UnluckyWire:
    """A server with the whole run in its journal, and a wire that loses, doubles and delays frames at will."""

    def __init__(self, events: list[Event], luck: st.DataObject) -> None:
        self.events = events
        self.reassembly = Reassembly()
        self.delivered: list[int] = []
        self.asked = 0
        self._luck = luck
        self._under_way: list[tuple[float, Event | Reply]] = []

    def run(self) -> None:
        """Send everything live, then tick and ping every five seconds until the wire is at peace for a while."""
        for event in self.events:
            self._send(0.0, event)
        now_s = 0.0
        while now_s < 300.0 and self.reassembly.open_runs + (() if self.delivered else (RUN,)):
            now_s = round(now_s + 0.25, 2)
            due = [one for at_s, one in self._under_way if at_s <= now_s]
            self._under_way = [(at_s, one) for at_s, one in self._under_way if at_s > now_s]
            for one in due:
                self._obey(self.reassembly.receive(one, now_s), now_s)
            self._obey(self.reassembly.tick(now_s), now_s)
            if now_s % 5 == 0:
                heads = {RUN: {"last_seq": len(self.events), "status": "completed"}}
                self._send(now_s, frame({"type": "pong", "heads": heads}))

    def _send(self, now_s: float, one: Event | Reply) -> None:
        # After two minutes the wire is sound: who is then not whole never will be.
        delays = self._luck.draw(st.lists(st.sampled_from([0.0, 0.5, 3.0]), max_size=2)) if now_s < 120 else [0.0]
        self._under_way += [(now_s + delay_s, one) for delay_s in delays]

    def _obey(self, actions: list[Action], now_s: float) -> None:
        for action in actions:
            if isinstance(action, AskResume):
                self.asked += 1
                replayed = self.events[action.after_seq : action.after_seq + MAX_REPLAYED]
                for one in replayed:
                    self._send(now_s, one)
                complete = {"run_id": RUN, "after_seq": action.after_seq, "last_seq": len(self.events)}
                self._send(now_s, frame({"type": "replay_complete", **complete, "status": "completed"}))
            else:
                assert isinstance(action, Deliver)
                self.delivered.append(action.frame.seq)  # type: ignore[union-attr]


@given(luck=st.data(), length=st.integers(3, 12))
@settings(PROPERTY, max_examples=100)
def test_whatever_the_wire_does_each_event_is_delivered_once_and_in_order(luck: st.DataObject, length: int) -> None:
    """Loss, doubling and delay of any frame lead to the whole run, and to no storm of resumes."""
    wire = UnluckyWire(long_run(length), luck)
    wire.run()
    assert wire.delivered == list(range(1, length + 1))
    assert wire.asked < 60
