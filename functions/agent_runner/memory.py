"""What was said in a thread before this turn: it has ended, so it never changes."""

from dataclasses import dataclass

from playbyplay.domain.derivation import AgentMessage, Message, UserMessage
from playbyplay.domain.ending import answer_of
from playbyplay.domain.journal import History, is_whole
from playbyplay.domain.text import prefix
from playbyplay.domain.thread import Run
from playbyplay.domain.timing import milliseconds
from playbyplay.errors import GrammarError, Unreadable
from playbyplay.ports import Journal, RunStore

MEMORY_TURNS = 10
MEMORY_BYTES = 4096  # of each message


@dataclass(frozen=True, slots=True)
class Memory:
    """What is remembered.

    Attributes:
        said: messages and answers, oldest first.
        after_error: whether the turn before failed.
        ended_ms: when the last of the turns before ended, milliseconds since the epoch; 0 where none is kept.
    """

    said: tuple[Message, ...] = ()
    after_error: bool = False
    ended_ms: int = 0


async def recall(runs: RunStore, journal: Journal, run: Run) -> Memory:
    """Return what was said in the last turns before a run; what expired is left out.

    Raises:
        Unreadable: a later version wrote one of them.
    """
    if run.turn == 1:
        return Memory()
    earlier = await runs.turns(run.user, run.thread_id, from_turn=max(1, run.turn - MEMORY_TURNS), to_turn=run.turn - 1)
    said: list[Message] = []
    ended_ms = 0
    for turn in earlier:
        try:
            records = await journal.read(run.user, turn.run_id)
            history = History.of(run.user, turn.run_id, records if is_whole(records) else [])
        except (ValueError, GrammarError) as error:
            raise Unreadable(f"an earlier turn: {type(error).__name__}") from None
        if history.events:
            ended_ms = max(ended_ms, milliseconds(history.events[-1].timestamp))
        answer = answer_of(history)
        if answer is not None:
            said.append(UserMessage(prefix(history.input.content, MEMORY_BYTES)))
            said.append(AgentMessage(prefix(answer.text, MEMORY_BYTES)))
    return Memory(tuple(said), bool(earlier) and earlier[-1].status == "failed", ended_ms)
