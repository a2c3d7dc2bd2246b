"""What the contract says of journals (C3, C5): order, no holes, one writer, nothing overwritten.

What the records alone can tell, `domain.journal_rules` judges, for the auditor of the product too: its grammar is a
second one, so that a slip in the product's own table cannot hide itself. The rest needs the product's reader, or
what was put.
"""

import itertools
from collections import Counter
from collections.abc import Iterator

from playbyplay.domain import journal_rules
from playbyplay.domain.journal import History
from playbyplay.errors import GrammarError
from tests.simulation.case import Case
from tests.simulation.chronicle import Chronicle
from tests.simulation.rule import Finding, Rule, rule


def _of_the_records(name: str) -> Rule:
    """Return a rule of the product's auditor, asked of every journal there is."""
    judge = journal_rules.RULES[name]

    def findings(case: Case) -> Iterator[Finding]:
        for chronicle in case.chronicles.values():
            for sentence in judge(chronicle.run_id, chronicle.records):
                yield Finding(chronicle.run_id, sentence)

    return Rule(name, (judge.__doc__ or "").strip(), frozenset(), findings)


no_hole = _of_the_records("journal.no_hole")
seqs = _of_the_records("journal.seq")
grammar = _of_the_records("journal.grammar")


@rule("journal.readable")
def readable(case: Case) -> Iterator[Finding]:
    """Every reader of the product's own can fold the journal: the records follow each other."""
    for (user, run_id), chronicle in case.chronicles.items():
        try:
            History.of(user, run_id, chronicle.records)
        except (GrammarError, ValueError, IndexError) as error:
            yield Finding(run_id, f"it cannot be read: {error}")


input_first = _of_the_records("journal.input")
one_terminal = _of_the_records("journal.one_terminal")
calls = _of_the_records("journal.calls")
epochs = _of_the_records("journal.epochs")
own_events = _of_the_records("journal.own_events")
answer = _of_the_records("journal.answer")
closing = _of_the_records("journal.closing")


@rule("journal.put_once", "puts")
def put_once(case: Case) -> Iterator[Finding]:
    """Every slot is put once: the condition on an empty slot is the lock."""
    for chronicle in case.chronicles.values():
        for pos, times in Counter(put.pos for put in chronicle.puts).items():
            if times > 1:
                yield Finding(chronicle.run_id, f"position {pos} was put {times} times")


@rule("journal.kept", "puts")
def kept(case: Case) -> Iterator[Finding]:
    """What was put stays as it was put: the last dump holds each slot with its token."""
    for chronicle in case.chronicles.values():
        tokens = {record.pos: record.token for record in chronicle.records}
        for put in chronicle.puts:
            if tokens.get(put.pos) != put.token:
                state = "has another token" if put.pos in tokens else "is gone"
                yield Finding(chronicle.run_id, f"position {put.pos} {state} at the end")


@rule("journal.no_forgery", "puts")
def no_forgery(case: Case) -> Iterator[Finding]:
    """Nothing stands in a journal that was never put there."""
    for chronicle in case.chronicles.values():
        for pos in _unput(chronicle):
            yield Finding(chronicle.run_id, f"position {pos} was never put")


@rule("journal.put_in_order", "puts")
def put_in_order(case: Case) -> Iterator[Finding]:
    """A writer puts a position only after all before it: no reader ever sees a hole."""
    for chronicle in case.chronicles.values():
        order = [put.pos for put in chronicle.puts]
        for before, after in itertools.pairwise(order):
            if after != before + 1:
                yield Finding(chronicle.run_id, f"position {after} was put after {before}")


def _unput(chronicle: Chronicle) -> list[int]:
    return [record.pos for record in chronicle.records if record.pos not in chronicle.put_ms]
