"""`answer`: the rest of an answer that is longer than one frame, read from its checkpoint."""

from message.caller import Caller
from playbyplay.domain.ending import answer_of
from playbyplay.domain.journal import History, is_whole
from playbyplay.domain.text import prefix_as_json
from playbyplay.errors import Refused
from playbyplay.ports import Journal
from playbyplay.protocol.base import MAX_EVENT_BYTES
from playbyplay.protocol.commands import Answer as AnswerCommand
from playbyplay.protocol.replies import AnswerPart

_ENVELOPE_BYTES = 1024


class Answer:
    """Reads long answers."""

    def __init__(self, *, journal: Journal) -> None:
        self._journal = journal

    async def __call__(self, caller: Caller, command: AnswerCommand) -> AnswerPart:
        """Return the part from an offset on.

        Raises:
            Refused: `not_found` (no such run, or it has no answer) or `bad_value` (the offset is
                beyond the end or inside a character).
        """
        records = await self._journal.read(caller.user, command.run_id)
        history = History.of(caller.user, command.run_id, records if is_whole(records) else [])
        found = answer_of(history) if history.state.outcome == "completed" else None
        if found is None:
            raise Refused("not_found", "There is no such answer.", run_id=command.run_id)
        full = found.text.encode()
        try:
            rest = full[command.offset :].decode()
        except UnicodeDecodeError:
            raise Refused("bad_value", "The offset is inside a character.", run_id=command.run_id) from None
        if command.offset > len(full):
            raise Refused("bad_value", "The offset is beyond the end.", run_id=command.run_id)
        return AnswerPart(
            run_id=command.run_id,
            offset=command.offset,
            text=prefix_as_json(rest, MAX_EVENT_BYTES - _ENVELOPE_BYTES),
            full_bytes=len(full),
        )
