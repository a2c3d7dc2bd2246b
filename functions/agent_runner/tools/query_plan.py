"""SQLite's account of how it will run a statement, read into steps.

Pure: takes the rows of EXPLAIN QUERY PLAN, tells what each step does in words, and estimates how many
rows the plan visits. The estimate only ranks plans of the same statement against each other; it is
never shown. Source of the row format: https://www.sqlite.org/eqp.html (3.36 and later).
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

Kind = Literal["scan", "search", "sort", "part"]

_ACCESS = re.compile(
    r"^(?P<verb>SCAN|SEARCH) (?P<source>.+?)(?: USING (?P<access>.+?))?(?: \((?P<terms>.+)\))?(?: [A-Z]+-JOIN)?$"
)
_TERM = re.compile(r"^(?:ANY\()?\(?(?P<column>[^=<>()]+?)\)*(?P<operator>[=<>]+\(?\?.*)?$")
_SORT = re.compile(r"^USE TEMP B-TREE FOR (?P<purpose>.+)$")

# Weights of one visited row, in units of one row read by a plain table scan.
_LOOKUP = 2.0  # through an index to the table: one more descent for every row
_COVERED = 0.5  # inside an index that holds all that is asked: narrower rows
_WALKED = 0.75  # the same, over all of the index: still every row
_RANGE = 0.25  # the share SQLite's planner also assumes for a bound it knows nothing about
_EARLY_STOP = 0.1  # rows come in order and LIMIT ends the walk


@dataclass(frozen=True, slots=True)
class Step:
    """One line of a plan.

    Attributes:
        kind: `part` holds other steps (a subquery, a branch of OR) and does no work of its own.
        detail: the line as SQLite wrote it.
        table: the base table read, "" when the source is a subquery or there is none.
        index: the index used; "" is the table itself or its primary key.
        automatic: SQLite builds the index anew at every run, reading the whole table.
        covering: the index alone answers.
        terms: (column, "=" or "range") the search is narrowed by.
        children: the steps inside.
    """

    kind: Kind
    detail: str
    table: str = ""
    index: str = ""
    automatic: bool = False
    covering: bool = False
    terms: tuple[tuple[str, str], ...] = ()
    children: tuple["Step", ...] = ()

    @property
    def is_full_scan(self) -> bool:
        """Whether every row of a table is read, be it only to build an automatic index."""
        return bool(self.table) and (self.automatic or (self.kind == "scan" and not self.index))


class Statistics(Protocol):
    """What is known of the data behind the plan."""

    def rows(self, table: str) -> int:
        """Rows of the table."""

    def distinct(self, table: str, column: str) -> int:
        """Different values in the column, at least 1, perhaps estimated."""


def parse(rows: Iterable[tuple[int, int, str]], tables: Mapping[str, str]) -> tuple[Step, ...]:
    """Read plan rows into a tree of steps.

    Args:
        rows: (id, parent id, detail), parents before their children.
        tables: base table by case-folded alias or name, as `aliases` finds them.
    """
    inside: dict[int, list[tuple[int, str]]] = {}
    for number, parent, detail in rows:
        inside.setdefault(parent, []).append((number, detail))

    def below(parent: int) -> tuple[Step, ...]:
        # pop: a malformed row that names itself as its parent ends here
        return tuple(_step(detail, tables, below(number)) for number, detail in inside.pop(parent, []))

    return below(0)


def _step(detail: str, tables: Mapping[str, str], children: tuple[Step, ...]) -> Step:
    if _SORT.match(detail):
        return Step("sort", detail)
    access = _ACCESS.match(detail)
    if access is None:
        return Step("part", detail, children=children)
    words = (access["access"] or "").split()
    source = access["source"].casefold()
    terms = (_TERM.match(term) for term in (access["terms"] or "").split(" AND "))
    return Step(
        # Without an index the search for a minimum or maximum reads every row.
        "search" if access["verb"] == "SEARCH" and words else "scan",
        detail,
        table=tables.get(source) or tables.get(source.rpartition(".")[2], ""),
        index=words[-1] if "INDEX" in words[:-1] else "",
        automatic="AUTOMATIC" in words,
        covering="COVERING" in words,
        terms=tuple(
            (term["column"].strip(), "=" if (term["operator"] or "=").startswith("=") else "range")
            for term in terms
            if term
        ),
        children=children,
    )


def aliases(texts: Iterable[str], tables: Iterable[str]) -> dict[str, str]:
    """Find which base table a name in the plan stands for.

    A plan names a source by its alias. SQL is searched for "table [AS] word", which may find more
    aliases than there are: harmless, since a plan names only real ones.

    Args:
        texts: the statement, and the definitions of the views it reads.
        tables: the base tables it reads.
    """
    found: dict[str, str] = {}
    bodies = tuple(texts)
    for table in tables:
        name = re.compile(rf"""(?<!\w){re.escape(table)}["'`\]]?\s+(?:AS\s+)?["'`\[]?(\w+)""", re.IGNORECASE)
        for body in bodies:
            found.update({match[1].casefold(): table for match in name.finditer(body)})
    return found | {table.casefold(): table for table in tables}


def flat(steps: Iterable[Step]) -> list[Step]:
    """List all steps, outer ones first."""
    listed: list[Step] = []
    for step in steps:
        listed += [step, *flat(step.children)]
    return listed


def work(steps: Sequence[Step], statistics: Statistics, *, limited: bool) -> float:
    """Estimate the rows a plan visits, weighed by how dear a visit is.

    Args:
        steps: the plan.
        statistics: of the data it runs over.
        limited: the statement has a LIMIT.
    """
    visits = _visits(steps, statistics)
    sorts = any(step.kind == "sort" for step in flat(steps))
    return visits * _EARLY_STOP if limited and not sorts else visits


def _visits(steps: Sequence[Step], statistics: Statistics) -> float:
    total, outer = 0.0, 1.0  # loops stand in nesting order: each runs once for every row of those before it
    for step in steps:
        if step.kind == "sort":
            total += outer
        elif step.kind == "part":
            repeats = outer if step.detail.startswith(("CORRELATED", "MULTI-INDEX")) else 1.0
            total += repeats * _visits(step.children, statistics)
        elif step.table:
            count = float(max(1, statistics.rows(step.table)))
            total += count if step.automatic else 0.0
            kept = max(1.0, count * _share(step, statistics, count))
            total += outer * kept * _weight(step)
            outer *= kept
    return total


def _share(step: Step, statistics: Statistics, count: float) -> float:
    if step.kind == "search" and not step.index and not step.automatic:
        return 1.0 / count if any(operator == "=" for _, operator in step.terms) else _RANGE
    share = 1.0
    for column, operator in step.terms:
        share *= 1.0 / max(1, statistics.distinct(step.table, column)) if operator == "=" else _RANGE
    return share


def _weight(step: Step) -> float:
    if not step.index:
        return 1.0
    if not step.covering:
        return _LOOKUP
    return _WALKED if step.kind == "scan" else _COVERED


def in_words(steps: Sequence[Step], statistics: Statistics) -> str:
    """Tell a plan in a sentence: "reads all 80,000 rows of orders; sorts for ORDER BY"."""
    return "; ".join(_told(steps, statistics, "")) or "reads no table"


def _told(steps: Sequence[Step], statistics: Statistics, repeated: str) -> list[str]:
    told: list[str] = []
    for step in steps:
        if step.kind == "sort":
            told.append(f"sorts for {step.detail.rpartition(' FOR ')[2]}")
        elif step.kind == "part":
            again = " for each row found" if step.detail.startswith("CORRELATED") else repeated
            told += _told(step.children, statistics, again)
        elif step.table:
            told.append(_reading(step, statistics) + repeated)
    return list(dict.fromkeys(told))


def _reading(step: Step, statistics: Statistics) -> str:
    columns = ", ".join(column for column, _ in step.terms)
    if step.automatic:
        return f"reads all {statistics.rows(step.table):,} rows of {step.table} to build a temporary index on {columns}"
    if step.kind == "scan":
        walked = f"{'reads all of' if step.covering else 'walks'} {step.table} through index {step.index}"
        return walked if step.index else f"reads all {statistics.rows(step.table):,} rows of {step.table}"
    if not step.index:
        return f"looks {step.table} up by primary key"
    return f"searches {step.table} by {columns or 'index'} ({step.index})"
