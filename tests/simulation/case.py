"""The evidence, arranged so that rules can look things up; each frame is read once, and none that is as stored.

It only arranges: whatever is missing, doubled or out of order stays so for the rules to find.
"""

import functools
import json
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import ValidationError

from playbyplay.protocol.events import EVENT_TYPES
from playbyplay.protocol.replies import REPLY, MessageRejected, Pong, ReplayComplete, Reply
from tests.simulation.chronicle import Chronicle, RunKey, Stored
from tests.simulation.evidence import Evidence, Frame, Put
from tests.simulation.terms import Terms
from tests.simulation.weather import Weather

Wire = tuple[str, str]
"""A client and a connection."""


class Heard(NamedTuple):
    """A frame that came to a client.

    Attributes:
        kind: its type, "" for none.
        stored: the event it equals, if any.
        body: what it says, of an event no journal holds and of a frame that is none of the contract's.
        reply: what it says, of any other frame.
    """

    frame: Frame
    user: str
    kind: str
    stored: Stored | None = None
    body: Mapping[str, Any] | None = None
    reply: Reply | None = None

    @property
    def wire(self) -> Wire:
        """Where it came."""
        return self.frame.client, self.frame.connection


class Said(NamedTuple):
    """A command of a client, as far as it is JSON."""

    frame: Frame
    user: str
    body: Mapping[str, Any]

    @property
    def wire(self) -> Wire:
        """Where it went."""
        return self.frame.client, self.frame.connection


class Case:
    """Everything rules look up.

    Attributes:
        users: of each client.
        owner: of each run, by its id.
        heard, said: the frames, in order.
        repeats: whether the network was made to repeat frames.
    """

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence
        self.bounds = evidence.bounds
        self.weather = Weather(evidence.faults)
        self.users = {client.name: client.user for client in evidence.clients}
        self.runs = {(run.user, run.run_id): run for run in evidence.runs}
        puts: dict[RunKey, list[Put]] = defaultdict(list)
        for put in evidence.puts:
            puts[put.user, put.run_id].append(put)
        self.chronicles = {
            run: Chronicle(run, list(evidence.journals.get(run, ())), puts[run])
            for run in dict.fromkeys([*self.runs, *evidence.journals, *puts])
        }
        self.owner = {run_id: user for user, run_id in self.chronicles}
        self.repeats = any(fault.mode == "dup" for fault in evidence.faults)
        self.heard: list[Heard] = []
        self.said: list[Said] = []
        self._read_frames()
        self.answers = self._answers()

    def chronicle(self, user: str, run_id: str | None) -> Chronicle | None:
        """Return the journal of a run of this user."""
        return None if run_id is None else self.chronicles.get((user, run_id))

    @property
    def terms(self) -> Terms:
        """What the product is held to where nothing is broken; rules that ask need `terms` witnessed."""
        assert self.evidence.terms is not None
        return self.evidence.terms

    def spans_of(self, user: str) -> Sequence[tuple[Wire, float, float]]:
        """Return the connections of a user, each from when to when it was open."""
        return self._spans_by_user.get(user, ())

    def is_served(self, wire: Wire, from_ms: float, to_ms: float) -> bool:
        """Whether a connection gets what is live in a time: nothing is broken, and since it last was, it resumed."""
        weather = self.weather.of(wire[0])
        if weather.breaks(from_ms, to_ms):
            return False
        broken_ms = weather.whole_again_ms(from_ms)
        whole = self._whole.get(wire, ())
        here = bisect_right(whole, (from_ms, from_ms))
        return broken_ms < self._opened[wire] or any(asked_ms > broken_ms for _, asked_ms in whole[:here][-1:])

    @functools.cached_property
    def _opened(self) -> Mapping[Wire, float]:
        return {wire: at_ms for wire, at_ms, _ in self.spans}

    @functools.cached_property
    def _spans_by_user(self) -> Mapping[str, list[tuple[Wire, float, float]]]:
        spans: dict[str, list[tuple[Wire, float, float]]] = defaultdict(list)
        for span in self.spans:
            spans[self.users[span[0][0]]].append(span)
        return spans

    @functools.cached_property
    def came(self) -> Mapping[tuple[Wire, str, int], float]:
        """When each event first came on each connection."""
        came: dict[tuple[Wire, str, int], float] = {}
        for heard in self.heard:
            if heard.stored is not None:
                came.setdefault((heard.wire, heard.stored.run[1], heard.stored.seq), heard.frame.at_ms)
        return came

    @functools.cached_property
    def replays(self) -> Sequence[tuple[Wire, str, float, float]]:
        """Each replay of a run that was completed: where, of which, when it was asked for, and when it was done."""
        said_at: dict[tuple[Wire, object], list[float]] = defaultdict(list)
        for said in self.said:
            if said.body.get("type") == "resume":
                said_at[said.wire, said.body.get("run_id")].append(said.frame.at_ms)
        replays: list[tuple[Wire, str, float, float]] = []
        for heard in self.heard:
            if isinstance(heard.reply, ReplayComplete) and heard.reply.run_id is not None:
                times = said_at[heard.wire, heard.reply.run_id]
                here = bisect_left(times, heard.frame.at_ms)
                if here:
                    replays.append((heard.wire, heard.reply.run_id, times[here - 1], heard.frame.at_ms))
        return replays

    @functools.cached_property
    def _whole(self) -> Mapping[Wire, list[tuple[float, float]]]:
        """When each connection was told that a replay was complete, and when it had asked for that."""
        whole: dict[Wire, list[tuple[float, float]]] = defaultdict(list)
        for wire, _, asked_ms, done_ms in self.replays:
            whole[wire].append((done_ms, asked_ms))
        return whole

    @functools.cached_property
    def spans(self) -> Sequence[tuple[Wire, float, float]]:
        """Each connection, from when to when it was open."""
        opened: dict[Wire, float] = {}
        closed: dict[Wire, float] = {}
        for link in self.evidence.links:
            times = opened if link.change == "opened" else closed
            times.setdefault((link.client, link.connection), link.at_ms)
        unseen: dict[Wire, float] = {}
        for frame in self.evidence.frames:
            wire = frame.client, frame.connection
            if wire not in opened or wire in unseen:
                opened.setdefault(wire, frame.at_ms)
                unseen[wire] = frame.at_ms
        ends = {wire: closed.get(wire, unseen.get(wire, self.evidence.ended_ms)) for wire in opened}
        return [(wire, at_ms, ends[wire]) for wire, at_ms in opened.items()]

    @functools.cached_property
    def known_runs(self) -> Mapping[str, set[RunKey]]:
        """Which runs each client that stays must be whole of: not those it was told are no longer kept."""
        stays = {client.name for client in self.evidence.clients if client.stays}
        made = {(run.user, run.client_message_id): run.run_id for run in self.evidence.runs if run.client_message_id}
        known = {(one.frame.client, one.user, run_id) for one in self.heard for run_id in runs_named(one)}
        for said in self.said:
            message = said.body.get("client_message_id")
            if isinstance(message, str) and (said.user, message) in made:
                known.add((said.frame.client, said.user, made[said.user, message]))
        for one in self.heard:
            if isinstance(one.reply, MessageRejected) and one.reply.code == "expired":
                known.discard((one.frame.client, one.user, one.reply.run_id or ""))
        runs: dict[str, set[RunKey]] = defaultdict(set)
        for client, user, run_id in known:
            if client in stays and (user, run_id) in self.chronicles:
                runs[client].add((user, run_id))
        return runs

    def _answers(self) -> list[Heard]:
        """Return the answers to messages; one that the network repeated counts once."""
        found = [one for one in self.heard if one.kind in ("message_accepted", "message_rejected")]
        if not self.repeats:
            return found
        return list({(one.wire, one.frame.text): one for one in reversed(found)}.values())[::-1]

    def _read_frames(self) -> None:
        known: dict[str, Stored] = {}
        for chronicle in self.chronicles.values():
            texts = [text for record in chronicle.records for text in record.frames]
            for one, text in zip(chronicle.events, texts, strict=True):
                known[text] = one
                # As a replay is written; one that is written otherwise is read like any other frame.
                time = f'"timestamp":"{one.event.timestamp}"'
                known[text.replace(time, f'{time},"replay":true', 1)] = one
        for frame in self.evidence.frames:
            user = self.users[frame.client]
            if frame.way == "sent":
                body = _json(frame.text)
                if body is not None:
                    self.said.append(Said(frame, user, body))
            elif (stored := known.get(frame.text)) is not None:
                self.heard.append(Heard(frame, user, stored.event.type, stored))
            else:
                self.heard.append(self._read(frame, user))

    def _read(self, frame: Frame, user: str) -> Heard:
        try:
            reply: Reply = REPLY.validator.validate_json(frame.text)  # the adapter's own method costs as much again
        except ValidationError:
            body = _json(frame.text) or {}
            kind = body.get("type")
            kind = kind if isinstance(kind, str) else ""
            return Heard(frame, user, kind, self._same(user, body) if kind in EVENT_TYPES else None, body)
        return Heard(frame, user, reply.type, reply=reply)

    def _same(self, user: str, body: Mapping[str, Any]) -> Stored | None:
        """Return the stored event that says the same in another spelling."""
        run_id = body.get("run_id")
        chronicle = self.chronicle(user, run_id if isinstance(run_id, str) else None)
        told = _canonical({name: value for name, value in body.items() if name != "replay"})
        events = chronicle.events if chronicle is not None else ()
        alike = (one for one in events if one.seq == body.get("seq"))
        return next((one for one in alike if _canonical(json.loads(one.event.to_json())) == told), None)


def runs_named(heard: Heard) -> tuple[str, ...]:
    """Return the runs a frame tells its client of; a refusal and the end of a replay tell of none."""
    if heard.stored is not None:
        return (heard.stored.run[1],)
    reply = heard.reply
    if reply is None or isinstance(reply, MessageRejected | ReplayComplete):
        return ()
    return tuple(reply.heads) if isinstance(reply, Pong) else (reply.run_id,)


def _json(text: str) -> Mapping[str, Any] | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
