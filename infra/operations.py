"""The generated parts of `docs/operations.md`: `python -m infra.operations [--check] PAGE`.

The page is written by hand but for what stands between `<!-- name -->` and `<!-- /name -->`: log events and
metrics from the catalogue, alarms from their table (the facts of each in its own section, under its name), the
bill from both. With `--check` it writes nothing and fails when a part is not what they say.
"""

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import get_args

from infra.bill import BUDGET_DOLLARS, SOURCE, bill, custom_metrics
from infra.monitoring.alarm import AlarmRow, CompositeRow, Series, Theirs
from infra.monitoring.alarms import ALARMS, BLANK_SCREEN, metrics_watched
from infra.monitoring.questions import ROWS
from playbyplay.observability import EVENTS, METRICS, Group, Metric, combinations

_STALE, _UNUSABLE = 1, 2  # exit codes


class UnusablePage(Exception):
    """The page has not the place for a part; the message is one sentence that says which."""


def parts() -> Mapping[str, str]:
    """Return the generated parts by the name of their place."""
    parts = {
        "dashboard": _dashboard(),
        "alarms": _alarms(),
        "events": _events(),
        "metrics": _metrics(),
        "bill": _bill(),
    }
    return {**parts, BLANK_SCREEN.name: _facts(BLANK_SCREEN), **{row.name: _facts(row) for row in ALARMS}}


def filled(page: str, texts: Mapping[str, str]) -> str:
    """Return a page with each text in its place.

    Raises:
        UnusablePage: a place is missing, or is there twice.
    """
    for name, text in texts.items():
        begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
        if page.count(begin) != 1 or page.count(end) != 1 or page.index(begin) > page.index(end):
            raise UnusablePage(f"the page needs {begin} and after it {end}, each once")
        head, rest = page.split(begin)
        page = f"{head}{begin}\n\n{text}\n\n{end}{rest.split(end)[1]}"
    return page


def main(arguments: Sequence[str]) -> int:
    """Write the parts, or check them; return the exit code."""
    names = [argument for argument in arguments if argument != "--check"]
    if len(names) != 1:
        return _say("usage: python -m infra.operations [--check] PAGE", _UNUSABLE)
    path = Path(names[0])
    try:
        page = path.read_text(encoding="utf-8")
        current = filled(page, parts())
    except OSError as error:
        return _say(f"{path}: {error.strerror}", _UNUSABLE)
    except UnusablePage as error:
        return _say(f"{path}: {error}", _UNUSABLE)
    if page == current:
        return 0
    if "--check" in arguments:
        return _say(f"{path} is not what the catalogue and the alarms say. Run `make generate`.", _STALE)
    path.write_text(current, encoding="utf-8")
    return 0


def _events() -> str:
    rows = (
        (_code(event.name), _code(event.fields), event.meaning, "no" if event.counted_only else "yes")
        for event in EVENTS
    )
    return _table(("event", "fields", "meaning", "has a line"), rows)


def _metrics() -> str:
    groups: tuple[Group, ...] = get_args(Group)
    return "\n\n".join(f"### {group.capitalize()}\n\n{_group(group)}" for group in groups)


def _group(group: Group) -> str:
    rows = (
        (_code(metric.name), metric.unit, _dimension(metric), _code(metric.event), _meaning(metric))
        for metric in METRICS
        if metric.group == group
    )
    return _table(("metric", "unit", "dimension", "counted from", "meaning"), rows)


def _meaning(metric: Metric) -> str:
    return f"{metric.meaning} (how many there are: read its maximum)" if metric.gauge else metric.meaning


def _dimension(metric: Metric) -> str:
    values = ", ".join(value for ((_name, value),) in combinations(metric)) if metric.dimension else ""
    return f"{_code(metric.dimension)}: {values}" if values else ""


def _dashboard() -> str:
    """Return the rows of the dashboard from top to bottom, each with its widgets."""
    rows = (
        f"{number}. **{row.heading}** {row.explained} *{' '.join(widget.title for widget in row.widgets)}*"
        for number, row in enumerate(ROWS, 1)
    )
    return "\n".join(rows)


def _alarms() -> str:
    members = ", ".join(_link(name, name.lower()) for name in BLANK_SCREEN.members)
    composite = (_link(BLANK_SCREEN.name, BLANK_SCREEN.slug), BLANK_SCREEN.question, f"any of {members}", "at once", "")
    rows = (
        (_link(row.name, row.slug), row.question, _watched(row), row.rings, _without(row).split(".")[0])
        for row in ALARMS
    )
    return _table(("alarm", "asks", "watches", "rings", "without a value"), [composite, *rows])


def _facts(row: AlarmRow | CompositeRow) -> str:
    """Return what the table of alarms says of one of them, at the head of its section."""
    facts = {"What happened": row.happened, "What users feel": row.felt, "First": row.first}
    if isinstance(row, AlarmRow):
        facts |= {"It rings": f"{row.rings}. {row.patience}", "Without a value": _without(row)}
    else:
        facts |= {"It rings": "when one of these does: " + ", ".join(_member(*each) for each in row.members.items())}
    return "\n".join(f"- **{name}:** {text}" for name, text in facts.items())


def _without(row: AlarmRow) -> str:
    return f"{'it is quiet' if row.missing == 'notBreaching' else 'it rings'}. {row.missing_because}"


def _member(name: str, why: str) -> str:
    return f"{_link(name, name.lower())} ({why})"


def _watched(row: AlarmRow) -> str:
    """Return the metrics by name, those of several functions or values together, and the metric math."""
    places: dict[str, list[str]] = {}
    for series in row.series.values():
        places.setdefault(_measure(series), []).append(_place(series))
    watched = "; ".join(f"{measure} {', '.join(filter(None, at))}".strip() for measure, at in places.items())
    return f"{watched}; {_code(row.math)}" if row.math else watched


def _measure(series: Series) -> str:
    return f"{_code(series.name)} ({series.statistic})" + (" of" if isinstance(series, Theirs) else "")


def _place(series: Series) -> str:
    return series.of if isinstance(series, Theirs) else series.value


def _bill() -> str:
    items = bill(alarm_metrics=metrics_watched(), composites=1)
    rows = [(item.what, str(item.count), f"{item.each:.2f}", f"{item.dollars:.2f}") for item in items]
    rows.append(("**all**", "", "", f"**{sum(item.dollars for item in items):.2f}**"))
    table = _table(("what", "how many", "dollars each", "dollars a month"), rows)
    ours = f"{custom_metrics().dollars:.2f} of the {BUDGET_DOLLARS:.2f} dollars that they may cost"
    return f"{table}\n\nThe custom metrics are {ours}. Source of the prices: <{SOURCE}>."


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(map(_row, (heads, ["---"] * len(heads), *rows)))


def _row(cells: Sequence[str]) -> str:
    escaped = (cell.replace("|", "\\|") for cell in cells)
    return f"| {' | '.join(escaped)} |"


def _link(name: str, anchor: str) -> str:
    return f"[{name}](#{anchor})"


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def _say(sentence: str, code: int) -> int:
    sys.stderr.write(sentence + "\n")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
