"""What happens in the small campaign in which all is well; `sample` is how it is written down."""

from dataclasses import replace

from playbyplay.domain.journal import CheckpointEntry, FenceEntry, ToolCall
from playbyplay.protocol import commands, replies
from tests.fakes.ids import uuid
from tests.simulation.evidence import Evidence
from tests.simulation.sample import (
    CANCELLED,
    DESK,
    LAPTOP,
    LOST,
    PHONE,
    PLAIN,
    THREADS,
    Scene,
    answers,
    closes,
    opens,
    result,
    thought,
)

_STARTED = ("agent_started", {"agent_id": "root", "message": "Starting."})
_LETTER = ToolCall(call_id="c1", tool_name="send_letter", arguments="{}", unsafe=True)
_BOOK = ToolCall(call_id="c1", tool_name="book", arguments="{}")
_LOOK = ToolCall(call_id="c1", tool_name="look", arguments="{}")
_HAND = ToolCall(call_id="c2", tool_name="ask_reader", arguments="{}", delegate="reader")
REFUSED = uuid(304)


def valid() -> Evidence:
    """Return evidence against which no rule has anything."""
    scene = Scene()
    for client in (LAPTOP, PHONE, DESK):
        scene.connects(client)
    _loses_its_runner(scene)
    _is_cancelled(scene)
    _goes_well(scene)
    _says_other_things(scene)
    evidence = scene.evidence
    evidence.ended_ms = scene.passes(60_000)
    evidence.runs = [replace(run, status=scene.histories[run.run_id].state.status) for run in scene.runs]
    evidence.journals = {(one.user, one.run_id): list(one.records) for one in scene.histories.values()}
    return evidence


def _loses_its_runner(scene: Scene) -> None:
    """The runner falls inside an unsafe tool; a device is away meanwhile."""
    scene.sends(LAPTOP, LOST, 1)
    scene.puts(LOST, FenceEntry(epoch=1), _STARTED)
    scene.asks(LOST, None, 0)
    scene.drops(PHONE)
    scene.puts(LOST, CheckpointEntry(text="I send it.", calls=(_LETTER,)), thought(), opens(_LETTER))
    scene.enters(LOST, "c1", "send_letter", "unsafe")
    scene.breaks("runner", "crash_after", 20)
    scene.pings(LAPTOP, LOST)
    scene.passes(9_000)
    scene.puts(LOST, FenceEntry(epoch=2))
    scene.puts(LOST, result(_LETTER), closes(_LETTER, "outcome_unknown"))
    scene.connects(PHONE)
    scene.resumes(PHONE, LOST, 1)
    scene.resumes(LAPTOP, LOST, 4)
    scene.asks(LOST, None, 1)
    scene.puts(LOST, *answers("It may have been sent."))


def _is_cancelled(scene: Scene) -> None:
    """Its user ends it while a tool is at work."""
    scene.sends(PHONE, CANCELLED, 2, thread=True)
    scene.puts(CANCELLED, FenceEntry(epoch=1), _STARTED)
    scene.asks(CANCELLED, None, 0)
    scene.puts(CANCELLED, CheckpointEntry(text="I book it.", calls=(_BOOK,)), thought(), opens(_BOOK))
    scene.enters(CANCELLED, "c1", "book", "idempotent")
    scene.says(LAPTOP, commands.Cancel(run_id=CANCELLED))
    scene.hears(LAPTOP, replies.CancelAccepted(run_id=CANCELLED))
    ended = ("error", {"code": "cancelled", "message": "It was cancelled.", "retryable": True})
    scene.puts(CANCELLED, closes(_BOOK, "cancelled"), ended)


def _goes_well(scene: Scene) -> None:
    """A long look, a sub-agent, an answer that is streamed; the message is sent twice."""
    scene.sends(DESK, PLAIN, 1)
    scene.resumes(DESK, PLAIN, 0)
    scene.puts(PLAIN, FenceEntry(epoch=1), _STARTED)
    scene.asks(PLAIN, None, 0)
    calls = (_LOOK, _HAND)
    scene.puts(PLAIN, CheckpointEntry(text="I look.", calls=calls), thought(), *map(opens, calls))
    scene.enters(PLAIN, "c1", "look", "idempotent")
    for _ in range(2):
        scene.passes(9_000)
        beat = replies.Heartbeat(run_id=PLAIN, last_seq=4, elapsed_ms=9_000, activity="running look")
        scene.tells(PLAIN, beat)
    scene.puts(PLAIN, result(_LOOK), closes(_LOOK, "ok"))
    scene.asks(PLAIN, "c2", 0)
    scene.puts(PLAIN, CheckpointEntry(scope="c2", text="It is the index."), thought("c2", "reader"))
    scene.puts(PLAIN, result(_HAND), closes(_HAND, "ok"))
    scene.asks(PLAIN, None, 1)
    for draft, index in ((3, 0), (3, 1), (4, 0)):
        piece = replies.ResponseDelta(
            run_id=PLAIN, thread_id=THREADS["bob"], draft=draft, index=index, text="It is the index."
        )
        scene.tells(PLAIN, piece)
    scene.puts(PLAIN, *answers("It is the index."))


def _says_other_things(scene: Scene) -> None:
    """What is repeated, asked for again, and refused."""
    scene.says(DESK, scene.message(PLAIN))
    scene.hears(DESK, scene.accepted(PLAIN, duplicate=True))
    scene.resumes(DESK, PLAIN, 0)
    scene.pings(DESK, PLAIN)
    scene.says(DESK, scene.message(PLAIN, content="Something else."))
    _refuses(scene, "conflict", client_message_id=scene.message(PLAIN).client_message_id)
    scene.says(DESK, commands.AgentMessage(content="For nobody.", client_message_id=REFUSED, thread_id=uuid(999)))
    _refuses(scene, "not_found", client_message_id=REFUSED)
    scene.says(DESK, commands.Resume(run_id=LOST, after_seq=0))  # a foreign run, and one word for it
    _refuses(scene, "not_found", run_id=LOST)


def _refuses(scene: Scene, code: str, **named: str | None) -> None:
    scene.hears(
        DESK, replies.MessageRejected.model_validate({"code": code, "message": "No.", "retryable": False, **named})
    )
