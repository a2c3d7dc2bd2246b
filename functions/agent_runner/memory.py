"""What was said in a thread before this turn: it has ended, so it never changes."""

from playbyplay.domain.derivation import AgentMessage, Message, UserMessage
from playbyplay.domain.ending import answer_of
from playbyplay.domain.journal import History, is_whole
from playbyplay.domain.text import prefix
from playbyplay.domain.thread import Run
from playbyplay.errors import GrammarError, Unreadable
from playbyplay.ports import Journal, RunStore

MEMORY_TURNS = 10
MEMORY_BYTES = 4096  # of each message


async def recall(runs: RunStore, journal: Journal, run: Run) -> tuple[Message, ...]:
    """Return the messages and answers of the last turns before a run, oldest first; what expired is left out.

    Raises:
        Unreadable: a later version wrote one of them.
    """
    if run.turn == 1:
        return ()
    earlier = await runs.turns(run.user, run.thread_id, from_turn=max(1, run.turn - MEMORY_TURNS), to_turn=run.turn - 1)
    said: list[Message] = []
    for turn in earlier:
        try:
            records = await journal.read(run.user, turn.run_id)
            history = History.of(run.user, turn.run_id, records if is_whole(records) else [])
        except (ValueError, GrammarError) as error:
            raise Unreadable(f"an earlier turn: {type(error).__name__}") from None
        answer = answer_of(history)
        if answer is not None:
            said.append(UserMessage(prefix(history.input.content, MEMORY_BYTES)))
            said.append(AgentMessage(prefix(answer.text, MEMORY_BYTES)))
    return tuple(said)
