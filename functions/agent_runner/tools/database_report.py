"""What the database analysis says: one sentence for a person, a Markdown report for the model.

Pure. Names and statements come from the analysed database, so they are clipped and cannot break out of
their table cell or code block.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from agent_runner.tools.index_advice import Advice
from agent_runner.tools.query_plan import Statistics, in_words
from agent_runner.tools.workload_measurement import Measurement

_MAX_LINES = 12  # of each list
_MAX_STATEMENTS = 6
_MAX_NAME = 60
_MAX_PLAN = 240
_MAX_STATEMENT = 400
_MAX_BYTES = 12_000
_CUT = "\n\n(The report was cut here.)\n"


@dataclass(frozen=True, slots=True)
class Scan:
    """A query that reads a whole table."""

    table: str
    rows: int
    query: str


@dataclass(frozen=True, slots=True)
class Findings:
    """What the analysis found.

    Attributes:
        slow_ms: from where on a query is slow.
        measured: every query, whatever its outcome.
        slow: the slow ones, dearest an hour first.
        scans: full scans, largest table first.
        advice: the indexes that would help the slow ones.
        left_out: recorded queries beyond those looked at.
        statistics: row counts, for plans in words.
    """

    slow_ms: int
    measured: tuple[Measurement, ...]
    slow: tuple[Measurement, ...]
    scans: tuple[Scan, ...]
    advice: tuple[Advice, ...]
    left_out: int
    statistics: Statistics

    @property
    def trouble(self) -> tuple[Measurement, ...]:
        """The queries without a time."""
        return tuple(one for one in self.measured if one.outcome in {"refused", "failed", "not reached"})


def summary(findings: Findings) -> str:
    """Tell the findings in one sentence: "Found 3 slow queries, 4 full scans and 3 missing indexes"."""
    if not findings.measured:
        return "Found no slow queries: the workload is empty"
    parts = [
        _counted(len(findings.slow), "slow query", "slow queries") if findings.slow else "no slow queries",
        *([_counted(len(findings.scans), "full scan", "full scans")] if findings.scans else []),
        *([_counted(len(findings.advice), "missing index", "missing indexes")] if findings.advice else []),
    ]
    found = f"Found {_listed(parts)}"
    if findings.trouble:
        found += f"; {_counted(len(findings.trouble), 'query', 'queries')} could not be measured"
    return found


def content(findings: Findings) -> str:
    """Write the report; at most 12 KB of Markdown."""
    replayed = _counted(len(findings.measured), "recorded query was", "recorded queries were")
    sections = [
        f"# Database analysis\n\n{summary(findings)}.",
        f"{replayed} looked at, read-only; slow means {findings.slow_ms} ms or more (the best of up to 3 runs).",
        *_slow(findings),
        *_scans(findings.scans),
        *_missing(findings),
        *_trouble(findings),
    ]
    report = "\n\n".join(sections) + "\n"
    if len(report.encode()) < _MAX_BYTES:
        return report
    return report.encode()[: _MAX_BYTES - 100].decode(errors="ignore").rpartition("\n")[0] + _CUT


def _slow(findings: Findings) -> list[str]:
    if not findings.slow:
        return []
    rows = [
        (
            f"`{_clean(one.query.name, _MAX_NAME)}`",
            _milliseconds(one),
            f"{one.query.calls_per_hour:,}",
            f"{one.seconds * one.query.calls_per_hour:,.1f}",
            _clean(in_words(one.steps, findings.statistics), _MAX_PLAN),
        )
        for one in findings.slow
    ]
    head = ("Query", "ms", "Calls/hour", "Seconds/hour", "What it does")
    blocks = [
        f"`{_clean(one.query.name, _MAX_NAME)}`:\n\n```sql\n{_clean(one.query.statement, _MAX_STATEMENT)}\n```"
        for one in findings.slow[:_MAX_STATEMENTS]
    ]
    return ["## Slow queries\n\nThe dearest an hour first.", _table(head, rows, "lrrrl"), *blocks]


def _milliseconds(one: Measurement) -> str:
    value = one.seconds * 1000
    text = f"{value:,.0f}" if value >= 100 else f"{value:.1f}"  # noqa: PLR2004  three digits say enough
    return f"over {text} (stopped)" if one.outcome == "over the limit" else text


def _scans(scans: Sequence[Scan]) -> list[str]:
    if not scans:
        return []
    rows = [(f"`{_clean(s.table, _MAX_NAME)}`", f"{s.rows:,}", f"`{_clean(s.query, _MAX_NAME)}`") for s in scans]
    return ["## Full scans\n\nEvery row of the table is read.", _table(("Table", "Rows", "By query"), rows, "lrl")]


def _missing(findings: Findings) -> list[str]:
    if not findings.slow:
        return []
    helped = {name for advice in findings.advice for name, _ in advice.becomes}
    without = [f"`{_clean(o.query.name, _MAX_NAME)}`" for o in findings.slow if o.query.name not in helped]
    told = [f"No index of one or two columns was found to help {_listed(without[:_MAX_LINES])}."] if without else []
    if not findings.advice:
        return ["## Missing indexes", *told]
    ddl = "\n".join(f"{_clean(advice.index.ddl, 300)};" for advice in findings.advice[:_MAX_LINES])
    plans = dict(pair for advice in findings.advice for pair in advice.becomes)
    becomes = "\n".join(
        f"- `{_clean(name, _MAX_NAME)}`: {_clean(words, _MAX_PLAN)}" for name, words in list(plans.items())[:_MAX_LINES]
    )
    return [
        "## Missing indexes",
        "Tried on an empty copy of the schema; nothing was changed. Each index also costs a little at every write.",
        f"```sql\n{ddl}\n```",
        f"With them:\n\n{becomes}",
        *told,
    ]


def _trouble(findings: Findings) -> list[str]:
    lines = [f"- `{_clean(one.query.name, _MAX_NAME)}` {_fate(one)}" for one in findings.trouble[:_MAX_LINES]]
    more = len(findings.trouble) - len(lines)
    lines += [f"- and {more:,} more"] if more > 0 else []
    lines += [f"- {findings.left_out:,} less frequent queries were left out"] if findings.left_out else []
    return ["## Not measured", "\n".join(lines)] if lines else []


def _fate(one: Measurement) -> str:
    if one.outcome == "not reached":
        return "was not reached in the time of the analysis"
    return f"{'was refused' if one.outcome == 'refused' else 'failed'}: {_clean(one.problem, 200)}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], align: str) -> str:
    rule = ["---:" if side == "r" else "---" for side in align]
    shown = [head, rule, *rows[:_MAX_LINES]]
    text = "\n".join("| " + " | ".join(cell for cell in row) + " |" for row in shown)
    more = len(rows) - _MAX_LINES
    return text + (f"\n\nand {more:,} more" if more > 0 else "")


def _clean(text: str, limit: int) -> str:
    """Make foreign text fit a table cell, a code span and a code block alike."""
    flat = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    flat = flat.replace("`", "'").replace("|", "\N{BROKEN BAR}")
    return flat if len(flat) <= limit else flat[: limit - 1] + "\N{HORIZONTAL ELLIPSIS}"


def _counted(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"


def _listed(parts: Iterable[str]) -> str:
    *first, last = parts
    return f"{', '.join(first)} and {last}" if first else last
