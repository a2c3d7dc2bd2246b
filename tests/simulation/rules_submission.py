"""What the contract says of messages (C1, C2, C17): at most one run each, and an accepted one ends."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from playbyplay.domain.journal import InputEntry
from playbyplay.domain.thread import Run, digest
from playbyplay.protocol.replies import MessageAccepted, MessageRejected
from tests.simulation.case import Case, Heard, Said, Wire
from tests.simulation.rule import Finding, rule

# These leave open whether a run was made: by this message before, or in spite of the refusal.
_UNCERTAIN = frozenset({"overloaded", "expired"})
MessageKey = tuple[str, str]
"""A user and a client_message_id."""


@rule("submission.one_run")
def one_run(case: Case) -> Iterator[Finding]:
    """One user and one client_message_id make at most one run (C1)."""
    made: dict[MessageKey, set[str]] = defaultdict(set)
    for run in case.evidence.runs:
        if run.client_message_id is not None:
            made[run.user, run.client_message_id].add(run.run_id)
    for (user, run_id), chronicle in case.chronicles.items():
        if chronicle.input is not None and chronicle.input.client_message_id is not None:
            made[user, chronicle.input.client_message_id].add(run_id)
    for (_, message), runs in made.items():
        if len(runs) > 1:
            yield Finding(min(runs), f"message {message} made {len(runs)} runs: {', '.join(sorted(runs))}")


@rule("submission.durable")
def durable(case: Case) -> Iterator[Finding]:
    """Every run whose acceptance a client received is in the store, with its journal (C2)."""
    for heard, accepted in _accepted(case):
        chronicle = case.chronicle(heard.user, accepted.run_id)
        if (heard.user, accepted.run_id) not in case.runs or chronicle is None or not chronicle.records:
            yield Finding(accepted.run_id, f"{heard.frame.client} was told of it, and the store holds it not")


@rule("submission.as_sent")
def as_sent(case: Case) -> Iterator[Finding]:
    """An accepted run is of the message its client sent: id, thread, turn and content (C1)."""
    sent = _sent_by(case)
    for heard, accepted in _accepted(case):
        chronicle = case.chronicle(heard.user, accepted.run_id)
        stored = chronicle.input if chronicle is not None else None
        if stored is None:
            continue
        told = accepted.client_message_id, accepted.thread_id, accepted.turn
        if told != (stored.client_message_id, stored.thread_id, stored.turn):
            yield Finding(accepted.run_id, f"the acceptance to {heard.frame.client} names another id, thread or turn")
        mine = sent[heard.frame.client, accepted.client_message_id]
        if not any(_is_of(body, stored) for body in mine):
            yield Finding(accepted.run_id, f"its content or thread is not what {heard.frame.client} sent")


@rule("submission.sent")
def was_sent(case: Case) -> Iterator[Finding]:
    """No run comes from nowhere: a client of its user sent its message."""
    sent: dict[tuple[str, str | None], list[Mapping[str, Any]]] = defaultdict(list)
    for said in _messages(case):
        sent[said.user, _id_of(said)].append(said.body)
    for (user, run_id), chronicle in case.chronicles.items():
        stored = chronicle.input
        if stored is not None and not any(_is_of(body, stored) for body in sent[user, stored.client_message_id]):
            yield Finding(run_id, "no client of its user sent this message")


@rule("submission.same_run")
def same_run(case: Case) -> Iterator[Finding]:
    """Every acceptance of one client_message_id names the same run (C1)."""
    named: dict[MessageKey, set[str]] = defaultdict(set)
    for heard, accepted in _accepted(case):
        if accepted.client_message_id is not None:
            named[heard.user, accepted.client_message_id].add(accepted.run_id)
    for (_, message), runs in named.items():
        if len(runs) > 1:
            yield Finding(min(runs), f"message {message} was accepted as {', '.join(sorted(runs))}")


@rule("submission.conflict")
def conflict(case: Case) -> Iterator[Finding]:
    """Other content under the same client_message_id is refused, not taken for a repeat (C1)."""
    stored = {(run.user, run.client_message_id): run.content_digest for run in case.evidence.runs}
    asked: dict[tuple[Wire, str], list[str]] = defaultdict(list)
    happened: list[Said | Heard] = [*_messages(case), *case.answers]
    for one in sorted(happened, key=lambda one: one.frame.at_ms):
        if isinstance(one, Said):
            asked[one.wire, _id_of(one) or ""].append(digest(str(one.body.get("content"))))
        elif isinstance(one.reply, MessageAccepted | MessageRejected) and (message := one.reply.client_message_id):
            sent = asked.pop((one.wire, message), [])
            if sent and isinstance(one.reply, MessageAccepted) and stored.get((one.user, message)) not in {None, *sent}:
                yield Finding(one.reply.run_id, f"{one.frame.client} sent other content, and it was accepted")


@rule("submission.duplicate")
def duplicate(case: Case) -> Iterator[Finding]:
    """At most one acceptance of a client_message_id is the first; every other says duplicate (C1)."""
    first: dict[MessageKey, list[str]] = defaultdict(list)
    for heard, accepted in _accepted(case):
        if accepted.client_message_id is not None and not accepted.duplicate:
            first[heard.user, accepted.client_message_id].append(heard.frame.client)
    for (_, message), clients in first.items():
        if len(clients) > 1:
            yield Finding(clients[-1], f"message {message} was accepted as new {len(clients)} times")


@rule("submission.turns")
def turns(case: Case) -> Iterator[Finding]:
    """The runs of a thread are its turns 1 to n (C3)."""
    threads: dict[tuple[str, str], list[Run]] = defaultdict(list)
    for run in case.evidence.runs:
        threads[run.user, run.thread_id].append(run)
    for runs in threads.values():
        found = sorted(run.turn for run in runs)
        if found != list(range(1, len(runs) + 1)):
            yield Finding(runs[-1].run_id, f"the turns of its thread are {found}")


@rule("submission.turn_by_turn", "puts")
def turn_by_turn(case: Case) -> Iterator[Finding]:
    """A turn starts when the turn before it has ended, not before (C17)."""
    turn = {(run.user, run.thread_id, run.turn): run.run_id for run in case.evidence.runs}
    for run in case.evidence.runs:
        before = turn.get((run.user, run.thread_id, run.turn - 1))
        mine, other = case.chronicle(run.user, run.run_id), case.chronicle(run.user, before)
        if mine is None or other is None or not mine.events or mine.events[0].event.type != "agent_started":
            continue
        started_ms, ended_ms = mine.seq_ms.get(1), other.ended_ms
        if started_ms is not None and (ended_ms is None or started_ms < ended_ms):
            yield Finding(run.run_id, f"turn {run.turn} started before turn {run.turn - 1} had ended")


@rule("submission.rejected")
def rejected(case: Case) -> Iterator[Finding]:
    """A message all of whose sends were refused for good made no run: a refused frame changes nothing."""
    sends: dict[MessageKey, int] = defaultdict(int)
    refusals: dict[MessageKey, int] = defaultdict(int)
    for said in _messages(case):
        if (message := _id_of(said)) is not None:
            sends[said.user, message] += 1
    for heard in case.answers:
        reply = heard.reply
        if isinstance(reply, MessageRejected) and reply.client_message_id and reply.code not in _UNCERTAIN:
            refusals[heard.user, reply.client_message_id] += 1
    for run in case.evidence.runs:
        key = run.user, run.client_message_id or ""
        if 0 < sends[key] <= refusals[key]:
            yield Finding(run.run_id, f"message {run.client_message_id} was refused each time and made it all the same")


@rule("submission.answered", "terms")
def answered(case: Case) -> Iterator[Finding]:
    """A client that stays sends its message until it has an answer: none is lost with a connection (C1)."""
    stays = {client.name for client in case.evidence.clients if client.stays}
    known = {(one.client, one.run_id) for one in case.evidence.delivered}
    made = {(run.user, run.client_message_id): run.run_id for run in case.evidence.runs}
    told = {
        (heard.frame.client, getattr(heard.reply, "client_message_id", None))
        for heard in case.answers
        if heard.reply is not None
    }
    for said in _messages(case):
        client, message = said.frame.client, _id_of(said)
        heard_of = (client, made.get((said.user, message), "")) in known
        if client in stays and message is not None and (client, message) not in told and not heard_of:
            yield Finding(client, f"its message {message} of {said.frame.at_ms:g} ms was never answered")


@rule("submission.second", "puts", "terms")
def second(case: Case) -> Iterator[Finding]:
    """A second message waits, is refused, or cancels what is ahead of it: as the deployment has it (C17)."""
    policy = case.terms.double_text
    for heard in case.answers:
        told = heard.reply
        if isinstance(told, MessageRejected) and told.code == "thread_busy" and policy != "reject":
            yield Finding(heard.frame.client, f"its message {told.client_message_id} was refused by {policy}")
        if not isinstance(told, MessageAccepted) or not told.position or told.duplicate:
            continue
        mine = case.chronicle(heard.user, told.run_id)
        at_ms = mine.put_ms.get(0) if mine is not None else None
        if policy == "reject":
            yield Finding(told.run_id, f"it was accepted behind {told.position} turns")
        elif policy == "interrupt" and at_ms is not None and not case.weather.breaks(at_ms - 5_000, at_ms + 15_000):
            for run in case.evidence.runs:
                ahead = (run.user, run.thread_id) == (heard.user, told.thread_id) and run.turn < told.turn
                ended_ms = case.chronicles[run.user, run.run_id].ended_ms
                if ahead and not run.cancel and (ended_ms is None or ended_ms > at_ms + 5_000):
                    yield Finding(run.run_id, f"turn {told.turn} did not cancel turn {run.turn}")


@rule("submission.head_only", "puts", "terms")
def head_only(case: Case) -> Iterator[Finding]:
    """Only the first open turn of a thread is sent to the queue (C17)."""
    runs = {run.run_id: run for run in case.evidence.runs}
    turn = {(run.user, run.thread_id, run.turn): run.run_id for run in case.evidence.runs}
    for sent in case.evidence.jobs:
        run = runs.get(sent.run_id)
        before = case.chronicle(run.user, turn.get((run.user, run.thread_id, run.turn - 1))) if run else None
        if before is not None and (before.ended_ms is None or sent.at_ms < before.ended_ms):
            yield Finding(sent.run_id, f"its job was sent at {sent.at_ms:g} ms, when it was not its turn")


@rule("submission.whole_accept")
def whole_accept(case: Case) -> Iterator[Finding]:
    """A run and record 0 of its journal are accepted together, and say the same."""
    for key, chronicle in case.chronicles.items():
        run, stored = case.runs.get(key), chronicle.input
        if run is None or stored is None:
            yield Finding(key[1], "the store holds " + ("no run" if run is None else "no input") + " of it")
            continue
        told = stored.thread_id, stored.turn, stored.client_message_id, digest(stored.content)
        if told != (run.thread_id, run.turn, run.client_message_id, run.content_digest):
            yield Finding(run.run_id, "its record 0 and the run store do not say the same")


@rule("submission.ends")
def ends(case: Case) -> Iterator[Finding]:
    """Every accepted run reaches a terminal, whatever crashes (C2)."""
    for chronicle in case.chronicles.values():
        if chronicle.terminal is None:
            yield Finding(chronicle.run_id, f"it never ended; its last seq is {chronicle.head}")


@rule("submission.status")
def status(case: Case) -> Iterator[Finding]:
    """In the end the run store's status, a cache, says what the journal says."""
    for run in case.evidence.runs:
        chronicle = case.chronicles[run.user, run.run_id]
        if chronicle.outcome is not None and run.status != chronicle.outcome:
            yield Finding(run.run_id, f"the store says {run.status}, its journal {chronicle.outcome}")


def _accepted(case: Case) -> Iterator[tuple[Heard, MessageAccepted]]:
    return ((heard, heard.reply) for heard in case.answers if isinstance(heard.reply, MessageAccepted))


def _messages(case: Case) -> Iterator[Said]:
    return (said for said in case.said if said.body.get("type") == "agent_message")


def _sent_by(case: Case) -> dict[tuple[str, str | None], list[Mapping[str, Any]]]:
    """Return the messages each client sent, by their id."""
    sent: dict[tuple[str, str | None], list[Mapping[str, Any]]] = defaultdict(list)
    for said in _messages(case):
        sent[said.frame.client, _id_of(said)].append(said.body)
    return sent


def _id_of(said: Said) -> str | None:
    message = said.body.get("client_message_id")
    return message if isinstance(message, str) else None


def _is_of(body: Mapping[str, Any], stored: InputEntry) -> bool:
    return body.get("content") == stored.content and body.get("thread_id") in (None, stored.thread_id)
